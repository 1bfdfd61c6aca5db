"""Follow the roles that databases record: read those of every platform again and again, and pass on what changed."""

import asyncio
import logging
import time
from dataclasses import dataclass, replace
from typing import Final

from rolevend.controllers.record_drain import RecordDrain
from rolevend.controllers.record_ender import RecordEnder
from rolevend.controllers.record_observer import RecordObserver
from rolevend.errors import RolevendError
from rolevend.model import PlatformName
from rolevend.platform_runtime.executor import PlatformExecutor
from rolevend.platform_runtime.records import RecordsExecutor
from rolevend.platform_runtime.registry import ConnectedPlatform, PlatformRegistry
from rolevend.platforms.protocol import RecordPage
from rolevend.roles.protocols import Snapshots
from rolevend.roles.record_writer import RecordDirectory

_LISTED_EVERY_SECONDS: Final = 60.0
_YIELD_EVERY: Final = 50
"""Records until other tasks of the event loop get their turn."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Cursor:
    executor: PlatformExecutor
    version: str
    listed_at: float
    """When all records were read, by the monotonic clock."""


class RecordFollower:
    def __init__(
        self,
        snapshots: Snapshots,
        platforms: PlatformRegistry,
        directory: RecordDirectory,
        observer: RecordObserver,
        ends: RecordEnder,
        drain: RecordDrain,
    ) -> None:
        self._snapshots = snapshots
        self._platforms = platforms
        self._directory = directory
        self._observer = observer
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
                cursor = _Cursor(executor, page.cursor, now)
            else:
                page = await records.changed(cursor.version)
                cursor = replace(cursor, version=page.cursor)
            listed = list(page.leases) if drains else []
            await self._observe(name, executor, page)
            while page.rest is not None:
                page = await records.changed(None, page.rest)
                listed += page.leases if drains else ()
                await self._observe(name, executor, page)
            self._cursors[name] = cursor  # none was left out: what failed is read again
            self._observer.on_listed(name)
            if drains:
                await self._drain.advance(platform, listed, records)
            await self._observer.look_for_strays(name, executor, records, cursor.version)
        except RolevendError as error:
            _log.warning("cannot read the recorded roles: %s", error, extra={"platform": name})
        except Exception:  # a bug must not end the loop
            _log.exception("cannot read the recorded roles", extra={"platform": name})
        finally:
            self._busy.discard(name)

    async def _observe(self, name: PlatformName, executor: PlatformExecutor, page: RecordPage) -> None:
        for count, recorded in enumerate(page.leases, start=1):
            try:
                self._observer.observe(name, executor, recorded)
            except Exception:  # a bug, or a row by hand: the others are handled
                _log.exception("cannot follow a recorded role", extra={"platform": name, "uid": recorded.lease.uid})
            if count % _YIELD_EVERY == 0:
                await asyncio.sleep(0)
