"""Drops that start before the end of the role is written to its object.

When many roles are revoked together, the last one would otherwise live until the API server has taken the writes for all others. The
finalizer then finds the role gone. After a crash the next evaluation or sweep ends it.
"""

import asyncio
import time

from rolevend.decision.outcome import Request
from rolevend.errors import PlatformUnavailable, RolevendError
from rolevend.platform_runtime.registry import PlatformRegistry
from rolevend.platforms.protocol import DropRequest, DropResult
from rolevend.roles.protocols import AsyncPlatform
from rolevend.roles.store import RoleRecord
from rolevend.telemetry.metrics import Metrics


class ImmediateDrops:
    def __init__(self, platforms: PlatformRegistry, metrics: Metrics) -> None:
        self._platforms = platforms
        self._metrics = metrics
        self._tasks: set[asyncio.Task[DropResult]] = set()
        """References to running tasks: asyncio keeps none, and a record may be removed before its drop is done."""

    def begin(self, record: RoleRecord, request: Request, ending: DropRequest) -> None:
        """Start the drop, once for each object and platform. If the platform is not connected, the finalizer drops the role."""
        connected = self._platforms.get(request.platform)
        executor = connected.executor if connected else None
        if executor is not None and request.platform not in record.drops:
            task = record.drops[request.platform] = asyncio.create_task(_drop(ending, executor))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def finish(self, record: RoleRecord, request: Request, ending: DropRequest, patience: float) -> DropResult:
        """Return when the role is gone from the platform: wait for the drop that was started, or drop now. Raises until then.

        The platform's queue retries a failed drop; `patience` is how many seconds to wait for its success.
        """
        connected = self._platforms.get(request.platform)
        if connected is None:
            cause = (
                f"there is no DataPlatform {request.platform}, or it cannot be read; it must be there, under this name, to drop the role"
            )
            raise PlatformUnavailable(f"dropping {ending.role}: {cause}")
        executor = await connected.connected(patience)
        if executor is None:
            raise PlatformUnavailable(f"dropping {ending.role}: DataPlatform {request.platform} is not connected")
        started = time.perf_counter()
        try:
            dropped = await self._begun(record, request)
            if dropped is None or dropped.error is not None:
                dropped = await executor.drop(ending, patience)
            if dropped.error is not None:
                raise dropped.error
        except RolevendError:
            self._metrics.drop_seconds.labels(request.platform, "failed").observe(time.perf_counter() - started)
            raise
        self._metrics.drop_seconds.labels(request.platform, "dropped").observe(dropped.seconds)
        return dropped

    async def _begun(self, record: RoleRecord, request: Request) -> DropResult | None:
        """Return the result of a drop that was started, once."""
        drop = record.drops.pop(request.platform, None)
        return await asyncio.shield(drop) if drop else None


async def _drop(ending: DropRequest, executor: AsyncPlatform) -> DropResult:
    try:
        return await executor.drop(ending)
    except RolevendError as error:
        return DropResult(ending.role, error)
