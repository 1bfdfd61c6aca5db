"""Drop recorded roles, and report their ends."""

import asyncio
import itertools
import logging
import random
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from rolevend.controllers.projector import Projector
from rolevend.controllers.watcher import VendedRoleWatcher
from rolevend.errors import PlatformUnavailable, RolevendError
from rolevend.kinds.text import timestamp_text
from rolevend.model import PlatformName, Uid
from rolevend.platform_runtime.records import RecordsExecutor
from rolevend.platform_runtime.registry import PlatformRegistry
from rolevend.platforms.protocol import DropResult, EndReason, RecordedLease
from rolevend.roles.dropper import RoleDropper
from rolevend.roles.record_writer import RecordDirectory
from rolevend.roles.recorded import vended_role_body
from rolevend.roles.store import RoleStore

_LONGEST_DROP_SECONDS: Final = 30.0
_LONGEST_PAUSE_SECONDS: Final = 4.0
_MOST_REPORTED: Final = 1000

_log = logging.getLogger(__name__)


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
        self._watcher = watcher
        self._dropper = dropper
        self._projector = projector
        self._ending: dict[Uid, asyncio.Task[None]] = {}
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

    def forget(self, platform: PlatformName, uid: Uid) -> None:
        """Report the end of a role that is gone and has no valid seal: nobody follows it."""
        self._unreported[platform][uid] = None

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
            self._watcher.on_event(None, body)
        if recorded.dropped_at is not None:
            self._roles.record(uid).drops[platform] = _done(recorded)
        await self._dropper.drop(body, _LONGEST_DROP_SECONDS, is_retry=is_retry)
        self._unreported[platform][uid] = None
        self._directory.remove(uid)
        self._watcher.on_event("DELETED", body)
        self._projector.hide(uid)

    async def _newest(self, platform: PlatformName, before: RecordedLease) -> RecordedLease:
        records = self._platforms.records(platform)
        if records is None:
            raise PlatformUnavailable(f"DataPlatform {platform} is not connected")
        newest = await records.find(before.lease.uid)
        if newest is None:
            return before
        same = newest.lease == before.lease and newest.lease.record == before.lease.record
        return newest if same else tampered(before, newest)


def tampered(known: RecordedLease, recorded: RecordedLease) -> RecordedLease:
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
