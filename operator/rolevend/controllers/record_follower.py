"""Follow the roles that databases record, as `handlers` follows objects in Kubernetes: watch, expire, end, report the end."""

import asyncio
import itertools
import logging
import random
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from rolevend.controllers.projector import Projector
from rolevend.controllers.record_drain import RecordDrain
from rolevend.controllers.record_verifier import RecordVerifier
from rolevend.controllers.watcher import VendedRoleWatcher
from rolevend.errors import PlatformUnavailable, RolevendError
from rolevend.kinds.text import timestamp_text
from rolevend.model import PlatformName, RoleName, Uid
from rolevend.platform_runtime.executor import PlatformExecutor
from rolevend.platform_runtime.records import RecordsExecutor
from rolevend.platform_runtime.registry import ConnectedPlatform, PlatformRegistry
from rolevend.platforms.protocol import DropRequest, DropResult, EndReason, RecordedLease
from rolevend.roles.dropper import RoleDropper
from rolevend.roles.protocols import Snapshots
from rolevend.roles.record_writer import RecordDirectory
from rolevend.roles.recorded import vended_role_body
from rolevend.roles.store import RoleStore

_LISTED_EVERY_SECONDS: Final = 60.0
_LONGEST_DROP_SECONDS: Final = 30.0
_LONGEST_PAUSE_SECONDS: Final = 4.0

_MOST_REPORTED: Final = 1000
_YIELD_EVERY: Final = 50
"""Records until other tasks of the event loop get their turn."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Cursor:
    executor: PlatformExecutor
    version: str
    listed_at: float
    """When all records were read, by the monotonic clock."""


class RecordEnder:
    """Drops recorded roles, and reports their ends. Each is retried until it succeeds."""

    def __init__(
        self,
        platforms: PlatformRegistry,
        directory: RecordDirectory,
        roles: RoleStore,
        watcher: VendedRoleWatcher,
        dropper: RoleDropper,
        projector: Projector,
    ) -> None:
        self._platforms = platforms
        self._directory = directory
        self._roles = roles
        self.watcher = watcher
        self._dropper = dropper
        self.projector = projector
        self._ending: dict[Uid, asyncio.Task[None]] = {}
        self._dropping: dict[tuple[PlatformName, RoleName], asyncio.Task[None]] = {}
        """Drops of roles without a valid seal. Such a role may name the uid of another one."""
        self._unreported: dict[PlatformName, dict[Uid, None]] = defaultdict(dict)
        """Roles that are gone, and whose audit events are written."""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            uid = await self._directory.to_end.get()
            if uid not in self._ending and self._directory.get(uid) is not None:
                task = self._ending[uid] = asyncio.create_task(self._end(uid))
                task.add_done_callback(partial(self._over, uid))

    async def report(self, platform: PlatformName, records: RecordsExecutor) -> None:
        """Record the ends in the database, so that no other process writes their audit events again."""
        if done := list(self._unreported[platform])[:_MOST_REPORTED]:
            await records.reported(done)
            for uid in done:
                del self._unreported[platform][uid]

    def has_unreported(self, platform: PlatformName) -> bool:
        return bool(self._unreported[platform])

    def is_over(self, platform: PlatformName, uid: Uid) -> bool:
        """True if this process ended the role and wrote its audit events."""
        return uid in self._unreported[platform]

    def drop_unsealed(self, platform: PlatformName, executor: PlatformExecutor, recorded: RecordedLease) -> None:
        """Drop a role that nobody who has the key recorded. The sweep reports it as an orphan."""
        lease, about = recorded.lease, {"role": recorded.lease.role, "platform": platform}
        if recorded.dropped_at is not None:
            _log.error("a recorded role has no valid seal, and is gone", extra=about)
            self._unreported[platform][lease.uid] = None
        elif (platform, lease.role) not in self._dropping:
            _log.error("a recorded role has no valid seal: it is dropped", extra=about)
            task = asyncio.create_task(self._drop_orphan(executor, DropRequest(lease.role, lease.uid, EndReason.ORPHANED)))
            self._dropping[platform, lease.role] = task
            task.add_done_callback(lambda _: self._dropping.pop((platform, lease.role), None))

    async def _drop_orphan(self, executor: PlatformExecutor, ending: DropRequest) -> None:
        try:
            dropped = await executor.drop(ending, _LONGEST_DROP_SECONDS)
        except RolevendError as error:
            dropped = DropResult(ending.role, error)
        if dropped.error is not None:
            _log.warning("cannot drop a role without a valid seal: %s", dropped.error, extra={"role": ending.role})

    def _over(self, uid: Uid, _: asyncio.Task[None]) -> None:
        self._ending.pop(uid, None)

    async def _end(self, uid: Uid) -> None:
        for tries in itertools.count():
            try:
                await self._end_once(uid, is_retry=tries > 0)
            except Exception as error:  # a drop is never given up
                if not isinstance(error, RolevendError):
                    _log.exception("cannot end a recorded role", extra={"uid": uid})
                else:
                    _log.warning("cannot end a recorded role: %s", error, extra={"uid": uid})
                await asyncio.sleep(random.uniform(0.5, 1) * min(_LONGEST_PAUSE_SECONDS, 0.25 * 2.0 ** min(tries, 10)))  # noqa: S311
            else:
                return

    async def _end_once(self, uid: Uid, *, is_retry: bool) -> None:
        known = self._directory.get(uid)
        if known is None:
            return
        platform, recorded = known
        is_older = recorded.closed_at is None or is_retry  # the reason may have been recorded since
        if is_older:
            recorded = await self._newest(platform, recorded)
        body = vended_role_body(recorded)
        body["metadata"].setdefault("deletionTimestamp", timestamp_text(self._dropper.now()))
        if is_older:  # otherwise the follower passed it on
            self.watcher.on_event(None, body)
        if recorded.dropped_at is not None:
            self._roles.record(uid).drops[platform] = _done(recorded)
        await self._dropper.drop(body, _LONGEST_DROP_SECONDS, is_retry=is_retry)
        self._unreported[platform][uid] = None
        self._directory.remove(uid)
        self.watcher.on_event("DELETED", body)
        self.projector.hide(uid)

    async def _newest(self, platform: PlatformName, before: RecordedLease) -> RecordedLease:
        records = self._platforms.records(platform)
        if records is None:
            raise PlatformUnavailable(f"DataPlatform {platform} is not connected")
        newest = await records.find(before.lease.uid)
        if newest is None:
            return before
        same = newest.lease == before.lease and newest.lease.record == before.lease.record
        return newest if same else _tampered(before, newest)


def _has_same_lease(known: tuple[PlatformName, RecordedLease] | None, recorded: RecordedLease) -> bool:
    """True if the seal over lease and record was verified before."""
    return known is not None and (known[1].lease, known[1].lease.record) == (recorded.lease, recorded.lease.record)


def _is_same(known: RecordedLease, recorded: RecordedLease) -> bool:
    """True if nothing differs. The version alone does not tell: by hand a row is changed without it."""
    return known == recorded and known.lease.record == recorded.lease.record


def _tampered(known: RecordedLease, recorded: RecordedLease) -> RecordedLease:
    """Return the role as it was sealed, to be ended now."""
    return replace(
        known,
        version=recorded.version,
        closed_at=recorded.closed_at or datetime.now(UTC),
        reason=EndReason.REVOKED,
        ended_by="Record",
        ended_message="its record in the database was changed by hand",
        dropped_at=recorded.dropped_at,
        sessions=recorded.sessions,
    )


def _done(recorded: RecordedLease) -> asyncio.Future[DropResult]:
    """Return the result of a drop that another process did."""
    done: asyncio.Future[DropResult] = asyncio.get_running_loop().create_future()
    begun, over = recorded.closed_at, recorded.dropped_at
    seconds = (over - begun).total_seconds() if begun and over else 0.0
    done.set_result(DropResult(recorded.lease.role, None, frozenset(range(recorded.sessions)), seconds))
    return done


class RecordFollower:
    def __init__(
        self,
        snapshots: Snapshots,
        platforms: PlatformRegistry,
        directory: RecordDirectory,
        verifier: RecordVerifier,
        ends: RecordEnder,
        drain: RecordDrain,
    ) -> None:
        self._snapshots = snapshots
        self._platforms = platforms
        self._directory = directory
        self._verifier = verifier
        self._ends = ends
        self._drain = drain
        self._cursors: dict[PlatformName, _Cursor] = {}
        self._busy: set[PlatformName] = set()

    async def run(self, pause_seconds: float) -> None:
        """Read the records of every platform again and again, until cancelled. A slow platform delays no other."""
        async with asyncio.TaskGroup() as looks:
            looks.create_task(self._ends.run())
            while True:
                for name, connected in self._platforms:
                    executor = connected.executor
                    if executor is not None and executor.records is not None and name not in self._busy and self._is_due(name, connected):
                        self._busy.add(name)
                        looks.create_task(self._look(name, connected, executor, executor.records))
                await asyncio.sleep(pause_seconds)

    def _is_due(self, name: PlatformName, connected: ConnectedPlatform) -> bool:
        return self._may_record(name) or self._drain.is_requested(connected.platform)

    def _may_record(self, platform: PlatformName) -> bool:
        """True unless no database records roles now, and the end of each that did is reported."""
        ledger = self._snapshots.snapshot.ledger
        if ledger is not None or platform not in self._directory.listed:
            return True
        return self._directory.holds_any(platform) or self._ends.has_unreported(platform)

    async def _look(self, name: PlatformName, connected: ConnectedPlatform, executor: PlatformExecutor, records: RecordsExecutor) -> None:
        try:
            await self._ends.report(name, records)
            cursor = self._cursors.get(name)
            now, platform = time.monotonic(), connected.platform
            drains = self._drain.needs_listing(platform)
            if drains or cursor is None or cursor.executor is not executor or now - cursor.listed_at >= _LISTED_EVERY_SECONDS:
                page = await records.changed(None)
                self._cursors[name] = _Cursor(executor, page.cursor, now)
            else:
                page = await records.changed(cursor.version)
                cursor.version = page.cursor
            for count, recorded in enumerate(page.leases, start=1):
                try:
                    self._observe(name, executor, recorded)
                except Exception:  # a bug, or a row by hand: the others are handled
                    _log.exception("cannot follow a recorded role", extra={"platform": name, "uid": recorded.lease.uid})
                if count % _YIELD_EVERY == 0:
                    await asyncio.sleep(0)
            if name not in self._directory.listed:
                self._directory.listed.add(name)
                self._ends.projector.on_listed()
            if drains:
                await self._drain.advance(platform, page, records)
        except RolevendError as error:
            _log.warning("cannot read the recorded roles: %s", error, extra={"platform": name})
        except Exception:  # a bug must not end the loop
            _log.exception("cannot read the recorded roles", extra={"platform": name})
        finally:
            self._busy.discard(name)

    def _observe(self, name: PlatformName, executor: PlatformExecutor, recorded: RecordedLease) -> None:
        """Handle one record that changed, or that a listing returned."""
        known = self._directory.get(recorded.lease.uid)
        if known is not None and known[0] == name and _is_same(known[1], recorded):
            return
        if recorded.reported or self._ends.is_over(name, recorded.lease.uid):
            return
        is_elsewhere = known is not None and known[0] != name  # the role that is followed under this uid is another one
        if is_elsewhere or not (_has_same_lease(known, recorded) or self._verifier.is_valid(name, recorded)):
            if known is None or is_elsewhere:
                self._ends.drop_unsealed(name, executor, recorded)
                return
            _log.error("the record of a role was changed by hand: the role ends", extra={"uid": recorded.lease.uid, "platform": name})
            recorded = _tampered(known[1], recorded)
        self._directory.put(name, recorded)
        self._ends.watcher.on_event(None, vended_role_body(recorded))
        if recorded.closed_at is not None:
            self._directory.to_end.put_nowait(recorded.lease.uid)
        elif recorded.confirmed:
            self._ends.projector.show(recorded)
