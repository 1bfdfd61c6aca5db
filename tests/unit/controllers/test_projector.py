"""Recorded roles are shown as VendedRoles, also after a time in which the API server refuses them."""

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import cast

import pytest

from rolevend.controllers.projector import Projector
from rolevend.errors import NotPermitted
from rolevend.kube.client import Body
from rolevend.model import AgentHandle, Attributes, ClusterId, ObjectName, ProfileName, RoleName, Uid, User
from rolevend.plan import Lease, LeaseRecord, RoleLimits
from rolevend.platforms.protocol import RecordedLease
from rolevend.roles.objects import VendedRoleWriter
from rolevend.roles.record_writer import RecordDirectory, RecordWriter
from rolevend.roles.recorded import record_body
from tests.support.tokens import NOW
from tests.support.waiting import DEADLINE

REFUSED = "vending is closed"


def recorded(name: str) -> RecordedLease:
    body = {"metadata": {"name": name, "namespace": "agents"}, "spec": {"agentRef": {"name": "finbot"}}}
    record = LeaseRecord(ObjectName("agents", name), record_body(body, {"conditions": []}), "call", "seal")
    lease = Lease(
        role=RoleName(f"R_{name}"),
        cluster=ClusterId("c"),
        uid=Uid(f"uid-{name}"),
        profile=ProfileName("p"),
        agent=ObjectName("agents", "finbot"),
        agent_handle=AgentHandle("FINBOT"),
        user=User("issuer", "anna"),
        attributes=Attributes.of([]),
        expires_at=NOW + timedelta(hours=1),
        limits=RoleLimits(1, 1, 1, 1, None),
        resources=None,
        record=record,
    )
    return RecordedLease(lease, NOW, True, "1")


@dataclass
class Cluster:
    """Refuses objects until it is open."""

    refusals: int = 0
    closed: bool = False
    shown: list[str] = field(default_factory=list)
    wrote: asyncio.Event = field(default_factory=asyncio.Event)

    async def create(self, body: Body, namespace: str) -> Body:
        if self.closed:
            self.refusals += 1
            self.closed = self.refusals < 3
            raise NotPermitted(REFUSED)
        self.shown.append(body["metadata"]["name"])
        self.wrote.set()
        return {**body, "metadata": {**body["metadata"], "namespace": namespace, "uid": "object"}}

    async def write_status(self, *_: object) -> None:
        pass


def projector(cluster: Cluster, per_second: float = 1000) -> Projector:
    return Projector(cast(VendedRoleWriter, cluster), cast(RecordWriter, None), RecordDirectory(), per_second)


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
