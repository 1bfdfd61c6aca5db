"""Runs a synchronous driver for asynchronous callers, in threads of its own: a slow platform does not delay others."""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TypeVar

from rolevend.catalog import Catalog, ToolId
from rolevend.errors import PlatformUnavailable
from rolevend.model import Attributes, PlatformName, ProfileName
from rolevend.plan import Lease, Profile
from rolevend.platform_runtime.breaker import CircuitBreaker
from rolevend.platform_runtime.queues import DropQueue, Vend, VendQueue
from rolevend.platform_runtime.records import RecordsExecutor
from rolevend.platforms.counted import CountedTable
from rolevend.platforms.progress import BuildProgress, ProgressCallback
from rolevend.platforms.protocol import (
    CheckResult,
    CreatedRole,
    Credential,
    Drift,
    DropRequest,
    DropResult,
    EndedRole,
    EndReason,
    InstallMode,
    LimitViolation,
    LiveRole,
    Platform,
    Randomness,
    ServerFacts,
)

T = TypeVar("T")


LOOKERS, BUILDERS, DROPPERS = 2, 2, 2
"""The number of threads, and so of connections, to read the platform, to build profiles, and to drop."""
_LONGEST_TURN_SECONDS = 0.1
"""Drops wait for vends at most this long."""


class PlatformExecutor:
    """See roles.protocols.AsyncPlatform. Reads, builds, vends, drops and records have threads of their own, so none waits for another."""

    def __init__(self, name: PlatformName, driver: Platform, workers: int) -> None:
        """At most `workers` calls vend at once, unless the driver sets `max_parallel_vends`."""
        self._name = name
        self._driver = driver
        self._closed = False
        self._building: dict[ProfileName, asyncio.Future[None]] = {}
        self._progress: dict[ProfileName, BuildProgress] = {}
        self._looks = ThreadPoolExecutor(LOOKERS, thread_name_prefix=f"{name}-look")
        self._builds = ThreadPoolExecutor(BUILDERS, thread_name_prefix=f"{name}-build")
        self._attests = ThreadPoolExecutor(1, thread_name_prefix=f"{name}-attest")
        self._counts = ThreadPoolExecutor(1, thread_name_prefix=f"{name}-count")
        calls = workers if driver.max_parallel_vends is None else driver.max_parallel_vends
        self._vends = ThreadPoolExecutor(calls, thread_name_prefix=f"{name}-vend")
        self._drops = ThreadPoolExecutor(DROPPERS, thread_name_prefix=f"{name}-drop")
        self._prepares = ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix=f"{name}-prepare")
        self._records = None if driver.records is None else RecordsExecutor(name, driver.records, self._require_open)
        self._breaker = CircuitBreaker(time.monotonic)
        self._vend_queue = VendQueue(self._vend_all, calls, self._breaker, apart=driver.max_parallel_vends is not None)
        self._drop_queue = DropQueue(self._drop_all, self._turn, self._breaker, time.monotonic)

    @property
    def records(self) -> RecordsExecutor | None:
        """None: the platform keeps no records."""
        return self._records

    @property
    def waiting(self) -> dict[str, int]:
        """How many vends and drops wait for a call."""
        return {"vend": self._vend_queue.waiting, "drop": self._drop_queue.waiting}

    async def facts(self) -> ServerFacts:
        return await self._run(self._looks, self._driver.facts)

    async def catalog(
        self,
        schemas: frozenset[str],
        *,
        own: frozenset[str] = frozenset(),
        functions: frozenset[str] = frozenset(),
        tools: frozenset[ToolId] = frozenset(),
    ) -> Catalog:
        return await self._run(self._looks, lambda: self._driver.catalog(schemas, own=own, functions=functions, tools=tools))

    async def drift(self) -> tuple[Drift, ...]:
        return tuple(await self._run(self._looks, self._driver.drift))

    async def curb(self) -> tuple[LimitViolation, ...]:
        return tuple(await self._run(self._looks, self._driver.curb))

    async def attest(
        self, mode: InstallMode, randomness: Randomness, *, alone: bool, wanted: Callable[[], bool]
    ) -> tuple[CheckResult, ...]:
        return tuple(await self._run(self._attests, lambda: self._driver.attest(mode, randomness, alone=alone, wanted=wanted)))

    async def live(self) -> tuple[LiveRole, ...]:
        return tuple(await self._run(self._looks, self._driver.live))

    async def ended(self, reason: EndReason) -> tuple[EndedRole, ...]:
        return tuple(await self._run(self._looks, lambda: self._driver.ended(reason)))

    async def collect(self, keep: frozenset[ProfileName], unused_since: datetime) -> int:
        return await self._run(self._looks, lambda: self._driver.collect(keep, unused_since))

    async def count(self, today: Profile | None, granted: Profile, attributes: Attributes, seconds: float) -> tuple[CountedTable, ...]:
        """See Platform.count. One count at a time."""
        return tuple(await self._run(self._counts, lambda: self._driver.count(today, granted, attributes, seconds)))

    def is_built(self, profile: Profile) -> bool:
        """True if this process knows that the profile is built. Then `ensure` does nothing."""
        return self._driver.is_built(profile.name)

    async def ensure(self, profile: Profile) -> None:
        if self._driver.is_built(profile.name):
            return
        building = self._building.get(profile.name)
        if building is None:
            building = asyncio.ensure_future(self._run(self._builds, lambda: self._driver.ensure(profile, self._progress_of(profile.name))))
            self._building[profile.name] = building
            building.add_done_callback(lambda _: self._finish_build(profile.name))
        await asyncio.shield(building)  # several vends may wait for one build

    def progress(self, profile: Profile) -> BuildProgress | None:
        """Return the progress of the build, or None if no build runs in this process, or it has created nothing yet."""
        return self._progress.get(profile.name)

    def _progress_of(self, profile: ProfileName) -> ProgressCallback:
        def report(progress: BuildProgress) -> None:
            self._require_open()
            self._progress[profile] = progress

        return report

    async def credential(self, lease: Lease, randomness: Randomness) -> Credential:
        return await self._prepared(self._driver.credential(lease, randomness))

    async def vend(self, lease: Lease, credential: Credential) -> CreatedRole:
        return await self._vend_queue.vend((lease, await self._prepared(credential)))

    async def _prepared(self, credential: Credential) -> Credential:
        self._require_open()
        if self._driver.prepares_slowly(credential):
            return await self._run(self._prepares, lambda: self._driver.prepare(credential))
        return self._driver.prepare(credential)

    async def drop(self, ending: DropRequest, patience: float = 0.0) -> DropResult:
        """See queues.DropQueue.drop: the queue retries what fails."""
        self._require_open()
        return await self._drop_queue.drop(ending, patience)

    async def close(self) -> None:
        """Wait for running calls, then close the connections. Later calls raise PlatformUnavailable.

        A build ends at its next step. An attestation and a count have connections of their own, and are not awaited. If this call is
        cancelled, a thread finishes it, and the event loop waits for that thread before it closes.
        """
        self._closed = True
        self._vend_queue.refuse(self._closed_error())
        self._drop_queue.close(self._closed_error())
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, self._close))

    def _close(self) -> None:
        self._attests.shutdown(wait=False)
        self._counts.shutdown(wait=False, cancel_futures=True)
        for pool in (self._prepares, self._vends, self._drops, self._builds, self._looks):
            pool.shutdown(wait=True)
        if self._records is not None:
            self._records.shutdown()
        self._driver.close()

    def _finish_build(self, profile: ProfileName) -> None:
        self._building.pop(profile, None)
        self._progress.pop(profile, None)

    async def _vend_all(self, vends: Sequence[Vend]) -> Sequence[CreatedRole]:
        answers = await self._run(self._vends, lambda: self._driver.vend(vends))
        self._record([answer.error for answer in answers])
        return answers

    async def _drop_all(self, endings: Sequence[DropRequest]) -> Sequence[DropResult]:
        answers = await self._run(self._drops, lambda: self._driver.drop(endings))
        self._record([answer.error for answer in answers])
        return answers

    async def _turn(self) -> None:
        await self._vend_queue.none_waits(_LONGEST_TURN_SECONDS)

    def _record(self, errors: Sequence[Exception | None]) -> None:
        """Record the result of one call: the platform answered, unless it was unavailable for all."""
        unavailable = [error for error in errors if isinstance(error, PlatformUnavailable)]
        if self._breaker.record_result(unavailable[0] if len(unavailable) == len(errors) else None):
            self._drop_queue.retry_now()

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        self._require_open()
        return await asyncio.get_running_loop().run_in_executor(pool, work)

    def _require_open(self) -> None:
        if self._closed:
            raise self._closed_error()

    def _closed_error(self) -> PlatformUnavailable:
        return PlatformUnavailable(f"DataPlatform {self._name} is being reconnected")
