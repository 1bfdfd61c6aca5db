"""A synchronous driver at work for asynchronous callers: bounded threads of its own, so that one slow platform hurts no other."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TypeVar

from rolevend.catalog import Catalog
from rolevend.model import PlatformName, ProfileName
from rolevend.plan import Lease, Profile
from rolevend.platforms.base import Credential, Drift, Dropped, Ending, LiveRole, Platform, Randomness, ServerFacts, Vended

T = TypeVar("T")


class Executor:
    """See vending.vend.PlatformAtWork. Policy work, vends and drops have threads of their own: none waits behind the others."""

    def __init__(self, name: PlatformName, driver: Platform, workers: int) -> None:
        self._driver = driver
        self._policy = ThreadPoolExecutor(2, thread_name_prefix=f"{name}-policy")
        self._vends = ThreadPoolExecutor(workers, thread_name_prefix=f"{name}-vend")
        self._drops = ThreadPoolExecutor(workers, thread_name_prefix=f"{name}-drop")

    async def facts(self) -> ServerFacts:
        return await self._run(self._policy, self._driver.facts)

    async def catalog(self, schemas: frozenset[str]) -> Catalog:
        return await self._run(self._policy, lambda: self._driver.catalog(schemas))

    async def drift(self) -> tuple[Drift, ...]:
        return tuple(await self._run(self._policy, self._driver.drift))

    async def live(self) -> tuple[LiveRole, ...]:
        return tuple(await self._run(self._policy, self._driver.live))

    async def collect(self, keep: frozenset[ProfileName], unused_since: datetime) -> int:
        return await self._run(self._policy, lambda: self._driver.collect(keep, unused_since))

    async def ensure(self, profile: Profile) -> None:
        await self._run(self._policy, lambda: self._driver.ensure(profile))

    def credential(self, lease: Lease, randomness: Randomness) -> Credential:
        return self._driver.credential(lease, randomness)

    async def vend(self, lease: Lease, credential: Credential) -> Vended:
        return await self._run(self._vends, lambda: self._driver.vend([(lease, credential)])[0])

    async def drop(self, ending: Ending) -> Dropped:
        return await self._run(self._drops, lambda: self._driver.drop([ending])[0])

    async def close(self) -> None:
        """Waits for what is under way, then gives the connections back."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        for pool in (self._vends, self._drops, self._policy):
            pool.shutdown(wait=True)
        self._driver.close()

    @staticmethod
    async def _run(pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, work)
