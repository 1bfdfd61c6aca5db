"""The records of a platform, for asynchronous callers: a catalog that takes long holds up no call, and after the end none begins."""

import asyncio
import threading
from collections.abc import Collection
from datetime import UTC, datetime
from typing import cast

import pytest

from rolevend.errors import PlatformUnavailable
from rolevend.model import ObjectName, PlatformName, RoleName, Uid
from rolevend.plan import TokenUse
from rolevend.platform_runtime.executor import LOOKERS, PlatformExecutor
from rolevend.platform_runtime.records import RECORDERS, RecordsExecutor
from rolevend.platforms.protocol import EndReason, LiveRole, Platform, RecordedLease, RecordPage, ServerFacts

PATIENCE = 10.0
TOKEN = TokenUse("0" * 64, datetime(2026, 1, 1, tzinfo=UTC))
AGENT = ObjectName("agents", "finbot")
UID = Uid("one")


class Records:
    """Those of a driver: it writes its calls down, and an end waits until `finish` is set."""

    def __init__(self) -> None:
        self.calls: list[object] = []
        self.finish = threading.Event()

    def changed(self, since: str | None, after: RoleName | None = None) -> RecordPage:
        self.calls.append(("changed", since, after))
        return RecordPage((), "next")

    def unrecorded(self, since: str | None) -> list[LiveRole]:
        self.calls.append(("unrecorded", since))
        return []

    def find(self, uid: Uid) -> RecordedLease | None:
        self.calls.append(("find", uid))
        return None

    def named(self, name: ObjectName) -> list[RecordedLease]:
        self.calls.append(("named", name))
        return []

    def of(self, agent: ObjectName) -> list[RecordedLease]:
        self.calls.append(("of", agent))
        return []

    def confirm(self, uids: Collection[Uid]) -> frozenset[Uid]:
        self.calls.append(("confirm", uids))
        return frozenset(uids)

    def end(self, uid: Uid, reason: EndReason, by: str, message: str, version: str | None = None) -> bool:
        assert self.finish.wait(PATIENCE)
        self.calls.append(("end", uid, reason, by, message, version))
        return True

    def reported(self, uids: Collection[Uid]) -> None:
        self.calls.append(("reported", uids))

    def take(self, token: TokenUse, holder: str) -> bool:
        self.calls.append(("take", token, holder))
        return True

    def holder(self, digest: str) -> str | None:
        self.calls.append(("holder", digest))
        return "me"

    def collect(self) -> int:
        self.calls.append(("collect",))
        return 3


class Driver:
    """Of a driver the part that answers what it is, which waits until `finish` is set."""

    max_parallel_vends = None

    def __init__(self, records: Records | None) -> None:
        self.records = records
        self.finish = threading.Event()
        self.closed = False

    def facts(self) -> ServerFacts:
        assert self.finish.wait(PATIENCE)
        return ServerFacts("18.4", "one")

    def close(self) -> None:
        self.closed = True


def executor_of(driver: Driver) -> PlatformExecutor:
    return PlatformExecutor(PlatformName("warehouse"), cast(Platform, driver), workers=2)


def records_of(executor: PlatformExecutor) -> RecordsExecutor:
    assert executor.records is not None
    return executor.records


async def test_each_call_reaches_the_driver_and_its_answer_the_caller():
    driver, kept = Driver(Records()), Records()
    driver.records = kept
    kept.finish.set()
    executor = executor_of(driver)
    records = records_of(executor)
    assert await records.changed("since") == RecordPage((), "next")
    assert await records.unrecorded("since") == []
    assert (await records.find(UID), await records.named(AGENT), await records.of(AGENT)) == (None, [], [])
    assert await records.confirm([UID]) == {UID}
    assert await records.end(UID, EndReason.REVOKED, "me", "why", "7") is True
    await records.reported([UID])
    assert (await records.take(TOKEN, "me"), await records.holder(TOKEN.digest), await records.collect()) == (True, "me", 3)
    await executor.close()
    assert kept.calls == [
        ("changed", "since", None),
        ("unrecorded", "since"),
        ("find", UID),
        ("named", AGENT),
        ("of", AGENT),
        ("confirm", [UID]),
        ("end", UID, EndReason.REVOKED, "me", "why", "7"),
        ("reported", [UID]),
        ("take", TOKEN, "me"),
        ("holder", TOKEN.digest),
        ("collect",),
    ]


async def test_a_token_is_taken_while_the_platform_is_looked_at_and_ends_wait():
    kept = Records()
    driver = Driver(kept)
    executor = executor_of(driver)
    records = records_of(executor)
    waiting = [asyncio.create_task(executor.facts()) for _ in range(LOOKERS + 1)]
    waiting += [asyncio.create_task(records.end(UID, EndReason.REVOKED, "me", "why")) for _ in range(RECORDERS + 1)]  # type: ignore[arg-type]

    async with asyncio.timeout(PATIENCE):
        assert await records.take(TOKEN, "me")
        assert await records.confirm([UID]) == {UID}

    assert not any(task.done() for task in waiting)
    driver.finish.set()
    kept.finish.set()
    await asyncio.wait_for(asyncio.gather(*waiting), PATIENCE)
    await executor.close()


async def test_the_end_waits_for_calls_that_run_and_refuses_later_ones():
    kept = Records()
    driver = Driver(kept)
    executor = executor_of(driver)
    records = records_of(executor)
    running = asyncio.create_task(records.end(UID, EndReason.REVOKED, "me", "why"))
    await asyncio.to_thread(lambda: None)
    closing = asyncio.create_task(executor.close())
    await asyncio.to_thread(lambda: None)
    assert not driver.closed
    kept.finish.set()
    assert await running is True
    await asyncio.wait_for(closing, PATIENCE)
    assert driver.closed
    with pytest.raises(PlatformUnavailable):
        await records.take(TOKEN, "me")


async def test_a_platform_that_keeps_none_has_none():
    executor = executor_of(Driver(None))
    assert executor.records is None
    await executor.close()
