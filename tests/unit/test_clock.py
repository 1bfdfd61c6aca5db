"""What expires is ended once, in its second, and a thousand that expire together stand in nobody's way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from rolevend.errors import ClusterUnavailable
from rolevend.model import PlatformName, Uid
from rolevend.reconcile.clock import AT_ONCE, FEW, Clock
from rolevend.telemetry.metrics import Metrics

PATIENCE = 10.0
TOGETHER = FEW + AT_ONCE
"""Of a crowd, before the first one is gone."""
WAREHOUSE, ANNEX = PlatformName("warehouse"), PlatformName("annex")


def now() -> datetime:
    return datetime.now(UTC)


class Cluster:
    """Takes deletions, and remembers them."""

    def __init__(self) -> None:
        self.deleted: list[Uid] = []
        self.fails = 0
        self.metrics = Metrics()
        self.clock = Clock(now, self.delete, self.metrics)

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
    task = asyncio.create_task(cluster.clock.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def some_turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_the_watch_tells_of_once_more_is_ended_once():
    cluster = Cluster()
    due_at = now() - timedelta(seconds=1)
    async with running(cluster):
        cluster.clock.put(Uid("a"), due_at, WAREHOUSE)
        await cluster.has_deleted(1)
        cluster.clock.put(Uid("a"), due_at, WAREHOUSE)
        cluster.clock.put(Uid("b"), due_at, WAREHOUSE)
        await cluster.has_deleted(2)
        await some_turns()

    assert cluster.deleted == ["a", "b"]
    assert cluster.counted() == 2


async def test_a_deletion_that_failed_is_tried_again_and_counted_when_it_succeeds():
    cluster = Cluster()
    cluster.fails = 1
    async with running(cluster):
        cluster.clock.put(Uid("a"), now() - timedelta(seconds=1), WAREHOUSE)
        await cluster.has_deleted(1)
        await some_turns()

    assert cluster.deleted == ["a"]
    assert cluster.counted() == 1


async def test_a_crowd_ends_a_few_at_a_time_and_each_that_is_gone_makes_room_for_one():
    cluster = Cluster()
    crowd = [Uid(f"u{number:04}") for number in range(TOGETHER + 2 * AT_ONCE)]
    async with running(cluster):
        for uid in crowd:
            cluster.clock.put(uid, now() - timedelta(seconds=1), WAREHOUSE)
        await cluster.has_deleted(TOGETHER)
        await some_turns()
        assert len(cluster.deleted) == TOGETHER

        for position in range(2 * AT_ONCE):
            cluster.clock.gone(cluster.deleted[FEW + position])
            await cluster.has_deleted(TOGETHER + position + 1)
            await some_turns()
            assert len(cluster.deleted) == TOGETHER + position + 1

    assert sorted(cluster.deleted) == crowd


async def test_a_crowd_on_one_platform_does_not_delay_another():
    cluster = Cluster()
    async with running(cluster):
        for number in range(200):
            cluster.clock.put(Uid(f"crowd-{number}"), now() - timedelta(seconds=1), ANNEX)
        await cluster.has_deleted(TOGETHER)

        cluster.clock.put(Uid("one"), now() - timedelta(seconds=1), WAREHOUSE)
        await cluster.has_deleted(TOGETHER + 1)

    assert cluster.deleted[-1] == "one"


async def test_an_end_that_is_stuck_makes_room_for_the_next():
    cluster = Cluster()
    async with running(cluster):
        for number in range(TOGETHER + 1):
            cluster.clock.put(Uid(f"crowd-{number}"), now() - timedelta(seconds=1), ANNEX)
        await cluster.has_deleted(TOGETHER)

        cluster.clock.stuck(cluster.deleted[FEW])

        await cluster.has_deleted(TOGETHER + 1)


async def test_what_is_gone_before_its_turn_is_not_ended():
    cluster = Cluster()
    async with running(cluster):
        for number in range(TOGETHER + 1):
            cluster.clock.put(Uid(f"crowd-{number}"), now() - timedelta(seconds=1), ANNEX)
        await cluster.has_deleted(TOGETHER)
        (waiting,) = {Uid(f"crowd-{number}") for number in range(TOGETHER + 1)} - set(cluster.deleted)

        cluster.clock.gone(waiting)
        for uid in list(cluster.deleted):
            cluster.clock.gone(uid)
        await some_turns()

    assert waiting not in cluster.deleted
