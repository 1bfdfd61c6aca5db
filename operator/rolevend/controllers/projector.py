"""Show roles that databases record as VendedRoles in the cluster, behind their answers and at a limited rate.

Such an object says what the database says; it is not the record. Deleting it releases the role. A role that ends before its turn is never
shown.
"""

import asyncio
import logging
from collections import deque
from typing import Final

from rolevend.errors import NotPermitted, PlatformBusy, RolevendError
from rolevend.kube.client import Body, ResourceConflict
from rolevend.model import ObjectName, PlatformName, Uid
from rolevend.platforms.protocol import EndReason, RecordedLease
from rolevend.roles.objects import VendedRoleWriter, uid_of
from rolevend.roles.record_writer import RecordDirectory, RecordWriter
from rolevend.roles.recorded import projection_of
from rolevend.roles.state import recorded_uid
from rolevend.roles.status import ended_status

_RETRY_SECONDS: Final = 5.0
_BY: Final = "Deletion"
_MESSAGE: Final = "the VendedRole that shows it was deleted"

_log = logging.getLogger(__name__)


class Projector:
    def __init__(self, objects: VendedRoleWriter, records: RecordWriter, directory: RecordDirectory, per_second: float) -> None:
        """`objects` writes to Kubernetes alone. `per_second` is the maximum rate of objects; 0: none is shown."""
        self._objects = objects
        self._records = records
        self._directory = directory
        self._per_second = per_second
        self._wanted: dict[Uid, RecordedLease] = {}
        self._shown: dict[Uid, Body] = {}
        self._turns: deque[Uid] = deque()
        self._any = asyncio.Event()
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

    def is_known(self, body: Body) -> bool:
        """True if the records were read that the object may show. Before that, nobody knows if its role is gone."""
        return all(self._records.knows_all(PlatformName(each["name"])) for each in body["spec"]["platformRefs"])

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
        self._shown[uid] = body
        if is_new and uid in self._wanted and not body.get("status"):  # of a process that stopped between the two writes
            self._take_turn(uid)
        if uid not in self._wanted and not body["metadata"].get("deletionTimestamp"):
            self._take_turn(uid)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._any.wait()
            uid = self._turns.popleft()
            if not self._turns:
                self._any.clear()
            try:
                wrote = await self._bring_up_to_date(uid)
            except RolevendError as error:
                refused = isinstance(error, NotPermitted)
                if not (refused and self._is_refused):  # else it was logged: each role is tried again and again while vending is closed
                    _log.warning("cannot show a recorded role: %s", error, extra={"uid": uid})
                self._is_refused, wrote = refused, True
                asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._take_turn, uid)  # others have their turns meanwhile
            else:
                self._is_refused = self._is_refused and not wrote
            if wrote and self._per_second:
                await asyncio.sleep(1 / self._per_second)

    def _take_turn(self, uid: Uid) -> None:
        self._turns.append(uid)
        self._any.set()

    async def _bring_up_to_date(self, uid: Uid) -> bool:
        """Create or delete the object. Return False if there was nothing to do."""
        recorded, shown = self._wanted.get(uid), self._shown.get(uid)
        if recorded is not None and (shown is None or not shown.get("status")):
            body, status = projection_of(recorded)
            metadata = body["metadata"]
            name = ObjectName(metadata["namespace"], metadata["name"])
            try:
                created = shown or await self._objects.create(body, name.namespace)
            except ResourceConflict:
                return False  # it was shown before, or an object of somebody else has its name
            self._shown.setdefault(uid, created)
            await self._objects.write_status(name, uid_of(created), status)
            return True
        if recorded is None and shown is not None and not shown["metadata"].get("deletionTimestamp"):
            metadata = shown["metadata"]
            if not self.is_known(shown) or self._directory.get(uid) is not None:  # `on_listed` or `hide` comes
                return False
            await self._objects.delete(ObjectName(metadata["namespace"], metadata["name"]), metadata["uid"])
            return True
        return False

    async def release(self, body: Body) -> None:
        """End the role of a deleted object, with the reason in its status. Raises PlatformBusy until the role is gone."""
        metadata = body["metadata"]
        known = self._directory.get(str(recorded_uid(body)))
        if known is None and not self.is_known(body):
            raise PlatformBusy(f"ending the role of {metadata['name']}: the recorded roles were not read yet")
        if known is None:
            return
        _, recorded = known
        name = ObjectName(metadata["namespace"], metadata["name"])
        if recorded.lease.record is None or recorded.lease.record.name != name:
            return
        if recorded.closed_at is None:
            ended = body.get("status", {}).get("ended") or ended_status(EndReason.RELEASED.value, _BY, _MESSAGE)["ended"]
            await self._records.write_status(name, recorded.lease.uid, {"ended": ended})
        await self._records.delete(name, recorded.lease.uid)
        raise PlatformBusy(f"dropping {recorded.lease.role}: it is not gone yet")
