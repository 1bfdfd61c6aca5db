"""Recorded roles are shown as VendedRoles, also after a time in which the API server refuses them."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import cast

import pytest

from rolevend.controllers.projector import Projector
from rolevend.errors import NotPermitted
from rolevend.kube.client import Body
from rolevend.model import ObjectName, PlatformName, Uid
from rolevend.plan import LeaseRecord
from rolevend.platforms.protocol import RecordedLease
from rolevend.roles.objects import VendedRoleWriter
from rolevend.roles.record_writer import RecordDirectory, RecordWriter
from rolevend.roles.recorded import projection_of, record_body
from tests.support.leases import lease_of
from tests.support.tokens import NOW
from tests.support.waiting import DEADLINE

REFUSED = "vending is closed"


def recorded(name: str) -> RecordedLease:
    body = {
        "metadata": {"name": name, "namespace": "agents"},
        "spec": {"agentRef": {"name": "finbot"}, "platformRefs": [{"name": "warehouse"}]},
    }
    record = LeaseRecord(ObjectName("agents", name), record_body(body, {"conditions": []}), "call", "seal")
    lease = lease_of(name, Uid(f"uid-{name}"), record)
    return RecordedLease(lease, NOW, True, "1")


@dataclass
class Cluster:
    """Refuses objects until it is open."""

    refusals: int = 0
    closed: bool = False
    shown: list[str] = field(default_factory=list)
    wrote: asyncio.Event = field(default_factory=asyncio.Event)
    statuses: list[str] = field(default_factory=list)
    begun: list[float] = field(default_factory=list)
    seconds: float = 0.0
    """How long it takes to create an object."""
    writing: set[str] = field(default_factory=set)
    most_at_once: int = 0
    deleted: list[str] = field(default_factory=list)

    async def create(self, body: Body, namespace: str) -> Body:
        if self.closed:
            self.refusals += 1
            self.closed = self.refusals < 3
            raise NotPermitted(REFUSED)
        name = body["metadata"]["name"]
        self.begun.append(asyncio.get_running_loop().time())
        assert name not in self.writing
        self.writing.add(name)
        self.most_at_once = max(self.most_at_once, len(self.writing))
        await asyncio.sleep(self.seconds)
        self.writing.remove(name)
        self.shown.append(name)
        self.wrote.set()
        return {**body, "metadata": {**body["metadata"], "namespace": namespace, "uid": "object"}}

    async def write_status(self, name: ObjectName, uid: str, status: Body) -> None:
        assert (uid, status) == ("object", {"conditions": []})
        self.statuses.append(name.name)

    async def delete(self, name: ObjectName, uid: str) -> None:
        assert uid == "object"
        self.deleted.append(name.name)


def projector(cluster: Cluster, per_second: float = 1000) -> Projector:
    return Projector(cast(VendedRoleWriter, cluster), cast(RecordWriter, Records()), RecordDirectory(), per_second)


class Records:
    """All of them were read."""

    def knows_all(self, _: PlatformName) -> bool:
        return True


def shown(name: str, *, with_status: bool) -> Body:
    """The object as the watch reports it."""
    body, status = projection_of(recorded(name))
    return {**body, "metadata": {**body["metadata"], "uid": "object"}, **({"status": status} if with_status else {})}


@contextlib.asynccontextmanager
async def running(projector: Projector) -> AsyncIterator[None]:
    task = asyncio.create_task(projector.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.005)


async def test_roles_that_wait_are_counted_until_they_are_shown():
    cluster = Cluster()
    showing = projector(cluster)
    showing.show(recorded("one"))
    showing.show(recorded("two"))
    assert showing.waiting == 2

    showing.hide(Uid("uid-two"))
    assert showing.waiting == 1
    running = asyncio.create_task(showing.run())
    await asyncio.wait_for(cluster.wrote.wait(), DEADLINE)

    running.cancel()
    assert (cluster.shown, showing.waiting) == (["one"], 0)


async def test_where_none_is_to_be_shown_none_waits():
    showing = projector(Cluster(), 0)

    showing.show(recorded("one"))

    assert showing.waiting == 0


@pytest.mark.long
async def test_while_vending_is_closed_one_warning_is_logged_and_roles_are_shown_when_it_opens(caplog: pytest.LogCaptureFixture):
    cluster = Cluster(closed=True)
    showing = projector(cluster)
    showing.show(recorded("one"))

    with caplog.at_level(logging.WARNING):
        running = asyncio.create_task(showing.run())
        await asyncio.wait_for(cluster.wrote.wait(), DEADLINE)

    running.cancel()
    assert (cluster.refusals, cluster.shown) == (3, ["one"])
    assert [each.message for each in caplog.records if REFUSED in each.message] == [f"cannot show a recorded role: {REFUSED}"]


@pytest.mark.parametrize("is_listed_first", [True, False])
async def test_an_object_whose_status_was_not_written_gets_it(*, is_listed_first: bool):
    """The process before was killed between the two writes."""
    cluster = Cluster()
    showing = projector(cluster)

    async with running(showing):
        if is_listed_first:
            showing.on_event(None, shown("one", with_status=False))
        showing.show(recorded("one"))
        if not is_listed_first:
            showing.on_event(None, shown("one", with_status=False))
        await until(lambda: cluster.statuses == ["one"])
        showing.on_event("MODIFIED", shown("one", with_status=True))

    assert cluster.shown in ([], ["one"])
    assert (cluster.statuses, cluster.deleted) == (["one"], [])


async def test_an_object_with_its_status_is_written_no_more():
    cluster = Cluster()
    showing = projector(cluster)

    async with running(showing):
        showing.on_event(None, shown("one", with_status=True))
        showing.show(recorded("one"))
        showing.show(recorded("two"))
        await until(lambda: cluster.statuses == ["two"])

    assert cluster.shown == ["two"]


async def test_the_rate_does_not_depend_on_how_long_the_api_server_takes_and_is_not_exceeded():
    cluster, per_second, count = Cluster(seconds=0.1), 20, 30
    showing = projector(cluster, per_second)
    for number in range(count):
        showing.show(recorded(f"role-{number}"))

    async with running(showing):
        await until(lambda: len(cluster.statuses) == count)

    assert 1 < cluster.most_at_once <= 4
    assert cluster.begun[-1] - cluster.begun[0] > count / per_second / 2  # a busy machine delays the first one


async def test_one_role_has_one_write_at_a_time_and_none_is_forgotten():
    cluster = Cluster(seconds=0.05)
    showing = projector(cluster)
    showing.show(recorded("one"))

    async with running(showing):
        await until(lambda: cluster.writing == {"one"})
        showing.hide(Uid("uid-one"))
        showing.on_event("ADDED", shown("one", with_status=False))
        await until(lambda: cluster.deleted == ["one"])
        showing.on_event("DELETED", shown("one", with_status=False))

    assert cluster.shown == ["one"]
