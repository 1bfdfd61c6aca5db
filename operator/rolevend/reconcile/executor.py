"""A synchronous driver at work for asynchronous callers: bounded threads of its own, so that one slow platform hurts no other."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TypeVar

from rolevend.catalog import Catalog
from rolevend.errors import PlatformUnavailable
from rolevend.model import PlatformName, ProfileName
from rolevend.plan import Lease, Profile
from rolevend.platforms.base import Credential, Drift, Dropped, Ending, LiveRole, Platform, Randomness, ServerFacts, Vended

T = TypeVar("T")


LOOKERS, BUILDERS = 2, 2
"""Threads, and so connections, that read the platform and that build profiles there."""


class Executor:
    """See vending.vend.AwaitedPlatform. Looking, building, vending and dropping have threads of their own: none waits for another,
    and a vend whose profile is built waits for no build."""

    def __init__(self, name: PlatformName, driver: Platform, workers: int) -> None:
        self._name = name
        self._driver = driver
        self._closed = False
        self._building: dict[ProfileName, asyncio.Future[None]] = {}
        self._looks = ThreadPoolExecutor(LOOKERS, thread_name_prefix=f"{name}-look")
        self._builds = ThreadPoolExecutor(BUILDERS, thread_name_prefix=f"{name}-build")
        self._vends = ThreadPoolExecutor(workers, thread_name_prefix=f"{name}-vend")
        self._drops = ThreadPoolExecutor(workers, thread_name_prefix=f"{name}-drop")

    async def facts(self) -> ServerFacts:
        return await self._run(self._looks, self._driver.facts)

    async def catalog(self, schemas: frozenset[str]) -> Catalog:
        return await self._run(self._looks, lambda: self._driver.catalog(schemas))

    async def drift(self) -> tuple[Drift, ...]:
        return tuple(await self._run(self._looks, self._driver.drift))

    async def live(self) -> tuple[LiveRole, ...]:
        return tuple(await self._run(self._looks, self._driver.live))

    async def collect(self, keep: frozenset[ProfileName], unused_since: datetime) -> int:
        return await self._run(self._looks, lambda: self._driver.collect(keep, unused_since))

    async def ensure(self, profile: Profile) -> None:
        if self._driver.is_built(profile.name):
            return
        building = self._building.get(profile.name)
        if building is None:
            building = asyncio.ensure_future(self._run(self._builds, lambda: self._driver.ensure(profile)))
            self._building[profile.name] = building
            building.add_done_callback(lambda _: self._building.pop(profile.name, None))
        await asyncio.shield(building)  # several vends may wait for one build

    def credential(self, lease: Lease, randomness: Randomness) -> Credential:
        return self._driver.credential(lease, randomness)

    async def vend(self, lease: Lease, credential: Credential) -> Vended:
        return await self._run(self._vends, lambda: self._driver.vend([(lease, credential)])[0])

    async def drop(self, ending: Ending) -> Dropped:
        return await self._run(self._drops, lambda: self._driver.drop([ending])[0])

    async def close(self) -> None:
        """Waits for what is under way, then gives the connections back. Whoever still holds this is told to try again."""
        self._closed = True
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        for pool in (self._vends, self._drops, self._builds, self._looks):
            pool.shutdown(wait=True)
        self._driver.close()

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        if self._closed:
            raise PlatformUnavailable(f"DataPlatform {self._name} is being connected anew")
        return await asyncio.get_running_loop().run_in_executor(pool, work)
