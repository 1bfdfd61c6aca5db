"""Show roles that databases record as VendedRoles in the cluster, behind their answers and at a limited rate.

Such an object says what the database says; it is not the record. Deleting it releases the role. A role that ends before its turn is never
shown.
"""

import asyncio
import logging
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Self

from rolevend.errors import NotPermitted, PlatformBusy, RolevendError
from rolevend.kinds.status import body as status_body
from rolevend.kube.client import Body, ResourceConflict
from rolevend.model import ObjectName, PlatformName, Uid
from rolevend.platforms.protocol import EndReason, RecordedLease
from rolevend.roles.objects import VendedRoleWriter, uid_of
from rolevend.roles.record_writer import RecordDirectory, RecordWriter
from rolevend.roles.recorded import projection_of
from rolevend.roles.state import for_report, recorded_uid
from rolevend.roles.status import ended_status

_WRITERS: Final = 4
"""So many objects are written at once: the rate does not depend on how long the API server takes for one."""
_RETRY_SECONDS: Final = 5.0
_BY: Final = "Deletion"
_MESSAGE: Final = "the VendedRole that shows it was deleted"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Shown:
    """An object that shows a role: as little of it as is needed, because there may be ten thousand."""

    name: ObjectName
    uid: Uid
    platforms: tuple[PlatformName, ...]
    is_ending: bool
    has_status: bool

    @classmethod
    def of(cls, body: Body) -> Self:
        metadata = body["metadata"]
        name = ObjectName(sys.intern(metadata["namespace"]), metadata["name"])
        return cls(name, uid_of(body), _platforms_of(body), bool(metadata.get("deletionTimestamp")), bool(body.get("status")))


def _platforms_of(body: Body) -> tuple[PlatformName, ...]:
    return tuple(PlatformName(sys.intern(each["name"])) for each in body["spec"]["platformRefs"])


class Projector:
    def __init__(self, objects: VendedRoleWriter, records: RecordWriter, directory: RecordDirectory, per_second: float) -> None:
        """`objects` writes to Kubernetes alone. `per_second` is the maximum rate of objects; 0: none is shown."""
        self._objects = objects
        self._records = records
        self._directory = directory
        self._per_second = per_second
        self._wanted: dict[Uid, RecordedLease] = {}
        self._shown: dict[Uid, _Shown] = {}
        self._turns: asyncio.Queue[Uid] = asyncio.Queue()
        self._writing: set[Uid] = set()
        self._again: set[Uid] = set()
        """Of `_writing` those with another turn."""
        self._next_write_at = 0.0
        self._is_refused = False
        """True if the API server refused the last object, as while vending is closed."""

    @property
    def waiting(self) -> int:
        """The number of roles that are to be shown, and are not."""
        return sum(uid not in self._shown for uid in self._wanted)

    def show(self, recorded: RecordedLease) -> None:
        """Show the role soon, while it lives."""
        if self._per_second and recorded.lease.uid not in self._wanted:
            self._wanted[recorded.lease.uid] = recorded
            self._take_turn(recorded.lease.uid)

    def _were_read(self, platforms: Iterable[PlatformName]) -> bool:
        """True if the records of the platforms were read. Before that, nobody knows if a role there is gone."""
        return all(map(self._records.knows_all, platforms))

    def on_listed(self) -> None:
        """All records of one more platform were read."""
        for uid in self._shown.keys() - self._wanted.keys():
            self._take_turn(uid)

    def hide(self, uid: Uid) -> None:
        """The role is gone."""
        self._wanted.pop(uid, None)
        if uid in self._shown:
            self._take_turn(uid)

    def on_event(self, event: str | None, body: Body) -> None:
        """Handle an event of an object that shows a role."""
        uid = Uid(str(recorded_uid(body)))
        if event == "DELETED":
            self._shown.pop(uid, None)
            return
        is_new = uid not in self._shown
        shown = self._shown[uid] = _Shown.of(body)
        if is_new and uid in self._wanted and not shown.has_status:  # of a process that stopped between the two writes
            self._take_turn(uid)
        if uid not in self._wanted and not shown.is_ending:
            self._take_turn(uid)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as writers:
            for _ in range(_WRITERS):
                writers.create_task(self._write_turns())

    async def _write_turns(self) -> None:
        while True:
            uid = await self._turns.get()
            if uid in self._writing:
                self._again.add(uid)
                continue
            self._writing.add(uid)
            try:
                await self._turn(uid)
            finally:
                self._writing.discard(uid)
                if uid in self._again:
                    self._again.discard(uid)
                    self._take_turn(uid)

    async def _turn(self, uid: Uid) -> None:
        if not self._is_due(uid):
            return
        await self._pace()
        try:
            wrote = await self._bring_up_to_date(uid)
        except RolevendError as error:
            refused = isinstance(error, NotPermitted)
            if not (refused and self._is_refused):  # else it was logged: each role is tried again and again while vending is closed
                _log.warning("cannot show a recorded role: %s", error, extra={"uid": uid})
            self._is_refused = refused
            asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._take_turn, uid)  # others have their turns meanwhile
        else:
            self._is_refused = self._is_refused and not wrote

    async def _pace(self) -> None:
        """Wait for the next write. Their times have the interval of the rate, however long each one takes."""
        if self._per_second:
            now = time.monotonic()
            at = max(now, self._next_write_at)
            self._next_write_at = at + 1 / self._per_second
            await asyncio.sleep(at - now)

    def _take_turn(self, uid: Uid) -> None:
        self._turns.put_nowait(uid)

    def _is_due(self, uid: Uid) -> bool:
        """True if the object must be created, completed or deleted."""
        shown = self._shown.get(uid)
        if uid in self._wanted:
            return shown is None or not shown.has_status
        if shown is None or shown.is_ending:
            return False
        return self._were_read(shown.platforms) and self._directory.get(uid) is None  # else `on_listed` or `hide` comes

    async def _bring_up_to_date(self, uid: Uid) -> bool:
        """Create, complete or delete the object. Return False if there was nothing to do."""
        recorded, shown = self._wanted.get(uid), self._shown.get(uid)
        if not self._is_due(uid):  # it changed since its turn
            return False
        if recorded is None:
            assert shown is not None  # noqa: S101 - or it is not due
            await self._objects.delete(shown.name, shown.uid)
            return True
        body, status = projection_of(recorded)
        name = ObjectName(body["metadata"]["namespace"], body["metadata"]["name"])
        if shown is None:
            try:
                shown = _Shown.of(await self._objects.create(body, name.namespace))
            except ResourceConflict:
                return False  # it was shown before, or an object of somebody else has its name
            self._shown.setdefault(uid, shown)
        await self._objects.write_status(name, shown.uid, status)
        if (seen := self._shown.get(uid)) is not None:  # before the watch reports it
            self._shown[uid] = replace(seen, has_status=True)
        return True

    async def release(self, body: Body) -> None:
        """End the role of a deleted object, with the reason in its status. Raises PlatformBusy until the role is gone."""
        metadata = body["metadata"]
        known = self._directory.get(str(recorded_uid(body)))
        if known is None and not self._were_read(_platforms_of(body)):
            raise PlatformBusy(f"ending the role of {metadata['name']}: the recorded roles were not read yet")
        if known is None:
            return
        _, recorded = known
        name = ObjectName(metadata["namespace"], metadata["name"])
        if recorded.lease.record is None or recorded.lease.record.name != name:
            return
        if recorded.closed_at is None:
            ended = for_report(body).status.ended
            status = ended_status(EndReason.RELEASED.value, _BY, _MESSAGE) if ended is None else {"ended": status_body(ended)}
            await self._records.write_status(name, recorded.lease.uid, status)
        await self._records.delete(name, recorded.lease.uid)
        raise PlatformBusy(f"dropping {recorded.lease.role}: it is not gone yet")
