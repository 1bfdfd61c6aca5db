"""Roles of the API have an Event that says what they read, once, and none holds up a call."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from rolevend.controllers.vended_events import VendedEvents
from rolevend.errors import ClusterUnavailable
from rolevend.kube.client import Body, KubeClient
from tests.support.waiting import DEADLINE

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ROLE = "IMMUTA_VENDED_CHATBOT_E10442_6TFASD7FKK89A9DPKW3WFNXQWQ"
MESSAGE = f"{ROLE} on warehouse reads 1 table, on crm reads 2 tables until 12:10:00 UTC"


class Cluster:
    def __init__(self, *, fails: int = 0) -> None:
        self.events: list[tuple[str, str, str]] = []
        self.fails = fails

    async def create(self, _resource: object, body: Body, namespace: str) -> Body:
        if self.fails:
            self.fails -= 1
            raise ClusterUnavailable("no answer")
        involved = body["involvedObject"]
        assert namespace == involved["namespace"]
        self.events.append((involved["uid"], body["reason"], body["message"]))
        return body


def role(uid: str = "one", *, ready: str = "True", since: datetime = NOW, created: datetime = NOW, **spec: Any) -> Body:
    platforms = [
        {"name": "warehouse", "state": "Live", "tableCount": 1},
        {"name": "crm", "state": "Live", "tableCount": 2},
        {"name": "lake", "state": "LeftOut"},
    ]
    return {
        "metadata": {"name": f"ask-{uid}", "namespace": "agents", "uid": uid, "creationTimestamp": f"{created:%Y-%m-%dT%H:%M:%SZ}"},
        "spec": {"delivery": "Response", **spec},
        "status": {
            "roleName": ROLE,
            "expirationTimestamp": "2026-11-24T12:10:00Z",
            "platforms": platforms,
            "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": since.isoformat()}],
        },
    }


async def emitted(cluster: Cluster, *bodies: Body, expected: int, event: str | None = "MODIFIED") -> list[tuple[str, str, str]]:
    """Return the Events, once there are as many as expected and no other waits."""
    events = VendedEvents(cast(KubeClient, cluster), lambda: NOW)
    for body in (*bodies, role("last")):
        events.on_event("MODIFIED" if body["metadata"]["uid"] == "last" else event, body)
    running = asyncio.create_task(events.run())
    async with asyncio.timeout(DEADLINE):
        while [uid for uid, _, _ in cluster.events][-1:] != ["last"]:
            await asyncio.sleep(0.005)
    running.cancel()
    assert len(cluster.events) == expected + 1
    return cluster.events[:-1]


async def test_it_says_what_the_lease_reads():
    assert await emitted(Cluster(), role(), expected=1) == [("one", "Vended", MESSAGE)]


async def test_a_role_has_one_event_whatever_is_written_later():
    assert len(await emitted(Cluster(), role(), role(), role(), expected=1)) == 1


@pytest.mark.parametrize(
    "body",
    [
        role(delivery="Secret"),
        role(ready="False"),
        role(since=NOW - timedelta(minutes=2), created=NOW - timedelta(minutes=3)),
        {**role(), "metadata": {**role()["metadata"], "deletionTimestamp": "2026-11-24T12:00:00Z"}},
        {**role(), "status": {}},
    ],
    ids=["of kubectl", "not ready", "old", "ending", "without a status"],
)
async def test_other_roles_have_none(body: Body):
    await emitted(Cluster(), body, expected=0)


async def test_a_role_that_is_shown_late_has_one():
    await emitted(Cluster(), role(since=NOW - timedelta(minutes=5)), expected=1)


async def test_a_deleted_role_has_none():
    await emitted(Cluster(), role(), expected=0, event="DELETED")


async def test_an_event_that_cannot_be_written_keeps_no_other_from_it():
    await emitted(Cluster(fails=1), role(), role("two"), expected=1)


async def test_a_flood_is_bounded_and_returns_at_once():
    events = VendedEvents(cast(KubeClient, Cluster()), lambda: NOW)

    for number in range(5_000):
        events.on_event("MODIFIED", role(str(number)))

    assert events.waiting == 1000


async def test_what_was_seen_is_forgotten_after_its_time():
    now = [NOW]
    events = VendedEvents(cast(KubeClient, Cluster()), lambda: now[-1])
    events.on_event("MODIFIED", role("one"))
    now.append(NOW + timedelta(minutes=5))

    events.on_event("MODIFIED", role("two", since=now[-1]))

    assert events.remembered == 1
