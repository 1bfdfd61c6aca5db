"""Confirmations are written soon, each platform by itself, and none is lost when the process ends."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

from rolevend.api.delivery_confirmations import DeliveryConfirmations
from rolevend.errors import PlatformUnavailable
from rolevend.model import PlatformName, Uid
from rolevend.platform_runtime.registry import PlatformRegistry
from tests.support.waiting import DEADLINE

WAREHOUSE, ANNEX = PlatformName("warehouse"), PlatformName("annex")


class Database:
    """The records of one platform."""

    def __init__(self) -> None:
        self.confirmed: list[Uid] = []
        self.failures = 0
        self.held: asyncio.Event | None = None
        self.asked = asyncio.Event()

    async def confirm(self, uids: Sequence[Uid]) -> frozenset[Uid]:
        self.asked.set()
        if self.held is not None:
            await self.held.wait()
        if self.failures:
            self.failures -= 1
            raise PlatformUnavailable("it does not answer")
        self.confirmed += uids
        return frozenset(uids)


class Registry:
    def __init__(self, **databases: Database) -> None:
        self.databases = databases

    def get(self, name: str) -> object | None:
        return SimpleNamespace() if name in self.databases else None

    def records(self, name: str) -> Database | None:
        return self.databases.get(name)


def confirmations(**databases: Database) -> DeliveryConfirmations:
    return DeliveryConfirmations(cast(PlatformRegistry, cast(Any, Registry(**databases))), retry_seconds=0.01)


async def until(database: Database, *uids: str) -> None:
    async with asyncio.timeout(DEADLINE):
        while database.confirmed != list(uids):
            await asyncio.sleep(0.01)


async def test_those_of_one_moment_are_one_call():
    database = Database()
    written = confirmations(warehouse=database)

    for uid in ("a", "b", "c"):
        written.add(WAREHOUSE, Uid(uid))

    await until(database, "a", "b", "c")


async def test_a_platform_that_hangs_holds_up_no_other():
    hanging, other = Database(), Database()
    hanging.held = asyncio.Event()
    written = confirmations(warehouse=hanging, annex=other)
    written.add(WAREHOUSE, Uid("a"))
    await hanging.asked.wait()

    written.add(ANNEX, Uid("b"))

    await until(other, "b")
    hanging.held.set()
    await until(hanging, "a")


async def test_what_fails_is_written_again():
    database = Database()
    database.failures = 2
    written = confirmations(warehouse=database)

    written.add(WAREHOUSE, Uid("a"))

    await until(database, "a")


async def test_what_is_being_written_when_the_process_ends_is_written_once_more():
    database = Database()
    database.held = asyncio.Event()
    written = confirmations(warehouse=database)
    written.add(WAREHOUSE, Uid("a"))
    await database.asked.wait()
    written.add(WAREHOUSE, Uid("b"))
    asyncio.get_running_loop().call_later(0.05, database.held.set)

    await written.close()

    assert sorted(set(database.confirmed)) == ["a", "b"]


async def test_those_of_a_platform_that_is_gone_are_dropped():
    written = confirmations()
    written.add(WAREHOUSE, Uid("a"))

    await written.close()
