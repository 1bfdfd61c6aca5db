"""The awaitable form of `platforms.protocol.Records`, in threads of its own: no call waits for a catalog, a build, a vend or a drop."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from rolevend.model import ObjectName, PlatformName, RoleName, Uid
from rolevend.plan import TokenUse
from rolevend.platforms.protocol import EndReason, LiveRole, RecordedLease, RecordPage, Records

T = TypeVar("T")

RECORDERS = 2
"""The number of threads for calls that a client of the API waits for, and again for the others."""


class RecordsExecutor:
    """See `platforms.protocol.Records`, with the same guarantees."""

    def __init__(self, name: PlatformName, records: Records, require_open: Callable[[], None]) -> None:
        """`require_open` raises after the platform was closed."""
        self._records = records
        self._require_open = require_open
        self._calls = ThreadPoolExecutor(RECORDERS, thread_name_prefix=f"{name}-record")
        self._background = ThreadPoolExecutor(RECORDERS, thread_name_prefix=f"{name}-records")

    async def changed(self, since: str | None, after: RoleName | None = None) -> RecordPage:
        return await self._run(self._background, lambda: self._records.changed(since, after))

    async def unrecorded(self, since: str | None) -> Sequence[LiveRole]:
        return await self._run(self._background, lambda: self._records.unrecorded(since))

    async def find(self, uid: Uid) -> RecordedLease | None:
        return await self._run(self._calls, lambda: self._records.find(uid))

    async def named(self, name: ObjectName) -> Sequence[RecordedLease]:
        return await self._run(self._calls, lambda: self._records.named(name))

    async def of(self, agent: ObjectName) -> Sequence[RecordedLease]:
        return await self._run(self._calls, lambda: self._records.of(agent))

    async def count(self, agent: ObjectName) -> int:
        return await self._run(self._calls, lambda: self._records.count(agent))

    async def confirm(self, uids: Collection[Uid]) -> frozenset[Uid]:
        return await self._run(self._calls, lambda: self._records.confirm(uids))

    async def end(self, uid: Uid, reason: EndReason, by: str, message: str, version: str | None = None) -> bool:
        """See the protocol. It may wait for a lock, and so not in the threads of `confirm` and `take`."""
        return await self._run(self._background, lambda: self._records.end(uid, reason, by, message, version))

    async def reported(self, uids: Collection[Uid]) -> None:
        await self._run(self._background, lambda: self._records.reported(uids))

    async def take(self, token: TokenUse, holder: str) -> bool:
        return await self._run(self._calls, lambda: self._records.take(token, holder))

    async def holder(self, digest: str) -> str | None:
        return await self._run(self._calls, lambda: self._records.holder(digest))

    async def collect(self) -> int:
        return await self._run(self._background, self._records.collect)

    def shutdown(self) -> None:
        """Wait for running calls. Blocks."""
        for pool in (self._calls, self._background):
            pool.shutdown(wait=True)

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        self._require_open()
        return await asyncio.get_running_loop().run_in_executor(pool, work)
