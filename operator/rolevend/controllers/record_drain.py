"""End all roles that a database records, when `rolevend drain` requests it in the status of the DataPlatform."""

import logging
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from rolevend.kinds import DataPlatform
from rolevend.kube.client import KubeClient, NotFound, path_of
from rolevend.model import PlatformName, Uid
from rolevend.platform_runtime.records import RecordsExecutor
from rolevend.platforms.protocol import EndReason, RecordedLease
from rolevend.roles.record_writer import RecordDirectory
from rolevend.roles.recorded import DRAINED_BECAUSE, DRAINED_BY

_LISTED_EVERY_SECONDS: Final = 2.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Progress:
    request: str
    left: frozenset[Uid] | None = None
    """Of the roles that the first listing after the request returned, those that are not gone. None before that listing."""
    listed_at: float = 0.0


class RecordDrain:
    """A request ends the roles that the first listing after it returns: one that nobody withdraws ends no later role."""

    def __init__(self, cluster: KubeClient, directory: RecordDirectory) -> None:
        self._cluster = cluster
        self._directory = directory
        self._progress: dict[PlatformName, _Progress] = {}

    def is_requested(self, platform: DataPlatform) -> bool:
        """True if a drain waits for the platform."""
        return platform.status.drain_requested not in (None, platform.status.drained)

    def needs_listing(self, platform: DataPlatform) -> bool:
        """True if the next look must read all records of the platform."""
        if not self.is_requested(platform):
            self._progress.pop(PlatformName(platform.name), None)
            return False
        known = self._of(platform)
        return known.left is None or (bool(known.left) and time.monotonic() - known.listed_at >= _LISTED_EVERY_SECONDS)

    async def advance(self, platform: DataPlatform, listed: Collection[RecordedLease], records: RecordsExecutor) -> None:
        """End the roles. After the last one is gone and its end is audited, say so in the status of the DataPlatform.

        `listed` is a listing that was read after `needs_listing` was True, and is in the directory.
        """
        progress = self._of(platform)
        there = {each.lease.uid: each for each in listed if each.dropped_at is None or self._directory.get(each.lease.uid) is not None}
        left = there.keys() if progress.left is None else progress.left & there.keys()
        for uid in left:
            if there[uid].closed_at is None and self._directory.get(uid) is not None:  # one without a valid seal is dropped at once
                await records.end(uid, EndReason.REVOKED, DRAINED_BY, DRAINED_BECAUSE)
                self._directory.to_end.put_nowait(uid)
        if not left:
            await self._report(platform, progress.request)
        progress.left, progress.listed_at = frozenset(left), time.monotonic()

    def _of(self, platform: DataPlatform) -> _Progress:
        name, request = PlatformName(platform.name), str(platform.status.drain_requested)
        known = self._progress.get(name)
        if known is None or known.request != request:
            known = self._progress[name] = _Progress(request)
        return known

    async def _report(self, platform: DataPlatform, request: str) -> None:
        patch = {"metadata": {"uid": platform.uid}, "status": {"drained": request}}
        try:
            await self._cluster.merge(path_of(DataPlatform), platform.name, patch, None, "status")
        except NotFound:
            return
        _log.info("drained the recorded roles", extra={"platform": platform.name})
