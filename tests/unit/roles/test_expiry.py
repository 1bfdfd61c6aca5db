"""What expires is ended once, in its second, and a thousand that expire together stand in nobody's way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from rolevend.errors import ClusterUnavailable
from rolevend.model import PlatformName, Uid
from rolevend.roles.expiry import AT_ONCE, BESIDE_VENDS, FEW, ExpiryScheduler
from rolevend.telemetry.metrics import Metrics

PATIENCE = 10.0
CROWD = FEW + 1
"""So many are no few."""
WAREHOUSE, ANNEX = PlatformName("warehouse"), PlatformName("annex")


def now() -> datetime:
    return datetime.now(UTC)


class Cluster:
    """Takes deletions, and remembers them."""

    def __init__(self) -> None:
        self.deleted: list[Uid] = []
        self.fails = 0
        self.metrics = Metrics()
        self.clock = ExpiryScheduler(now, self.metrics)

    async def delete(self, uid: Uid) -> None:
        if self.fails:
            self.fails -= 1
            raise ClusterUnavailable("DELETE: 503")
        self.deleted.append(uid)

    async def has_deleted(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.deleted) < count:
                await asyncio.sleep(0)

    def counted(self) -> float | None:
        return self.metrics.registry.get_sample_value("rolevend_expiry_lateness_seconds_count")


@asynccontextmanager
async def running(cluster: Cluster) -> AsyncIterator[None]:
    task = asyncio.create_task(cluster.clock.run(cluster.delete))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def some_turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_it_ends_though_the_watch_tells_of_something_in_the_same_moment():
    cluster = Cluster()
    running = asyncio.create_task(cluster.clock.run(cluster.delete))
    await some_turns()

    cluster.clock.schedule(Uid("a"), now() + timedelta(hours=1), WAREHOUSE)
    running.cancel()

    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(running, return_exceptions=True)
    assert running.cancelled()


async def test_what_the_watch_tells_of_once_more_is_ended_once():
    cluster = Cluster()
    due_at = now() - timedelta(seconds=1)
    async with running(cluster):
        cluster.clock.schedule(Uid("a"), due_at, WAREHOUSE)
        await cluster.has_deleted(1)
        cluster.clock.schedule(Uid("a"), due_at, WAREHOUSE)
        cluster.clock.schedule(Uid("b"), due_at, WAREHOUSE)
        await cluster.has_deleted(2)
        await some_turns()

    assert cluster.deleted == ["a", "b"]
    assert cluster.counted() == 2


async def test_a_deletion_that_failed_is_tried_again_and_counted_when_it_succeeds():
    cluster = Cluster()
    cluster.fails = 1
    async with running(cluster):
        cluster.clock.schedule(Uid("a"), now() - timedelta(seconds=1), WAREHOUSE)
        await cluster.has_deleted(1)
        await some_turns()

    assert cluster.deleted == ["a"]
    assert cluster.counted() == 1


async def test_few_that_expire_together_end_together():
    cluster = Cluster()
    async with running(cluster):
        for number in range(FEW):
            cluster.clock.schedule(Uid(f"few-{number}"), now() - timedelta(seconds=1), WAREHOUSE)
        await cluster.has_deleted(FEW)


async def test_a_crowd_ends_some_at_a_time_and_each_that_is_gone_makes_room_for_one():
    cluster = Cluster()
    crowd = [Uid(f"u{number:04}") for number in range(CROWD + AT_ONCE)]
    async with running(cluster):
        for uid in crowd:
            cluster.clock.schedule(uid, now() - timedelta(seconds=1), WAREHOUSE)
        await cluster.has_deleted(AT_ONCE)
        await some_turns()
        assert len(cluster.deleted) == AT_ONCE

        for position in range(CROWD):
            cluster.clock.forget(cluster.deleted[position])
            await cluster.has_deleted(AT_ONCE + position + 1)
            await some_turns()
            assert len(cluster.deleted) == AT_ONCE + position + 1

    assert sorted(cluster.deleted) == crowd


async def test_while_somebody_asks_for_roles_fewer_end_at_a_time():
    cluster = Cluster()
    async with running(cluster):
        cluster.clock.poke()
        for number in range(CROWD):
            cluster.clock.schedule(Uid(f"crowd-{number}"), now() - timedelta(seconds=1), WAREHOUSE)
        await cluster.has_deleted(BESIDE_VENDS)
        await some_turns()
        assert len(cluster.deleted) == BESIDE_VENDS

        for _ in range(CROWD - BESIDE_VENDS):
            cluster.clock.poke()
            cluster.clock.forget(cluster.deleted[-1])
            before = len(cluster.deleted)
            await cluster.has_deleted(before + 1)
            await some_turns()
            assert len(cluster.deleted) == before + 1


async def test_a_crowd_on_one_platform_does_not_delay_another():
    cluster = Cluster()
    async with running(cluster):
        for number in range(200):
            cluster.clock.schedule(Uid(f"crowd-{number}"), now() - timedelta(seconds=1), ANNEX)
        await cluster.has_deleted(AT_ONCE)

        cluster.clock.schedule(Uid("one"), now() - timedelta(seconds=1), WAREHOUSE)
        await cluster.has_deleted(AT_ONCE + 1)

    assert cluster.deleted[-1] == "one"


async def test_an_end_that_is_stuck_makes_room_for_the_next():
    cluster = Cluster()
    async with running(cluster):
        for number in range(CROWD):
            cluster.clock.schedule(Uid(f"crowd-{number}"), now() - timedelta(seconds=1), ANNEX)
        await cluster.has_deleted(AT_ONCE)

        cluster.clock.yield_turn(cluster.deleted[0])

        await cluster.has_deleted(AT_ONCE + 1)


async def test_what_is_gone_before_its_turn_is_not_ended():
    cluster = Cluster()
    async with running(cluster):
        for number in range(CROWD):
            cluster.clock.schedule(Uid(f"crowd-{number}"), now() - timedelta(seconds=1), ANNEX)
        await cluster.has_deleted(AT_ONCE)
        waiting = next(uid for number in range(CROWD) if (uid := Uid(f"crowd-{number}")) not in cluster.deleted)

        cluster.clock.forget(waiting)
        for _ in range(CROWD):
            for uid in list(cluster.deleted):
                cluster.clock.forget(uid)
            await some_turns()

    assert len(cluster.deleted) == CROWD - 1
    assert waiting not in cluster.deleted
