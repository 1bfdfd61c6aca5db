"""Drops of roles on their platforms. A drop may begin before the end of the role is written to its object.

When many roles are revoked together, the last one would otherwise live on while the API server takes the writes for all others. The
object's own end finds the role gone; after a crash the next evaluation or sweep ends it.
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
        """asyncio keeps no running task alive, and a record may go before its drop is done."""

    def begin(self, record: RoleRecord, request: Request, ending: DropRequest) -> None:
        """Once for each object and platform. If the platform is not connected, the object's own end drops the role."""
        connected = self._platforms.get(request.platform)
        executor = connected.executor if connected else None
        if executor is not None and request.platform not in record.drops:
            task = record.drops[request.platform] = asyncio.create_task(_drop(ending, executor))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def finish(self, record: RoleRecord, request: Request, ending: DropRequest, patience: float) -> DropResult:
        """Drop the role, or wait for the drop that began already. Returns when the role was looked for and is gone, with its sessions.

        Raises until then. A failed drop is retried by the platform's queue; `patience` is how many seconds to wait for its success.
        """
        connected = self._platforms.get(request.platform)
        if connected is None:
            why = f"there is no DataPlatform {request.platform}, or it cannot be read; it must be there, under this name, to drop the role"
            raise PlatformUnavailable(f"dropping {ending.role}: {why}")
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
        """The result of the drop that began already, once."""
        drop = record.drops.pop(request.platform, None)
        return await asyncio.shield(drop) if drop else None


async def _drop(ending: DropRequest, executor: AsyncPlatform) -> DropResult:
    try:
        return await executor.drop(ending)
    except RolevendError as error:
        return DropResult(ending.role, error)
