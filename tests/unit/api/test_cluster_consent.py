"""How long the consent of the API server counts, and what a refusal or an outage does."""

import asyncio
from typing import Any, cast

import pytest

from rolevend.api.cluster_consent import LONGEST_SECONDS, ClusterConsent
from rolevend.errors import ClusterUnavailable, NotPermitted
from rolevend.kube.client import Body, KubeClient
from rolevend.model import ObjectName

AGENT, OTHER = ObjectName("agents", "finbot"), ObjectName("agents", "other")
BODY: Body = {"metadata": {"name": "finbot-1", "namespace": "agents"}, "spec": {"platformRefs": [{"name": "warehouse"}]}}


class Server:
    """An API server that answers dry runs, or fails."""

    def __init__(self) -> None:
        self.asked: list[Body] = []
        self.failure: Exception | None = None
        self.held: asyncio.Event | None = None

    async def create(self, _: object, body: Body, namespace: str, *, dry_run: bool) -> Body:
        assert dry_run
        assert namespace == "agents"
        self.asked.append(body)
        if self.held is not None:
            await self.held.wait()
        if self.failure is not None:
            raise self.failure
        return body


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def consent(server: Server, clock: Clock, unreachable: float = 0.0) -> ClusterConsent:
    return ClusterConsent(cast(KubeClient, cast(Any, server)), clock, unreachable)


async def behind() -> None:
    """Let what runs beside the call come to its end."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_first_call_of_an_agent_waits_for_consent_and_the_next_ones_do_not(server: Server, clock: Clock):
    asked = consent(server, clock)

    for _ in range(3):
        await asked.require(AGENT, BODY)

    assert len(server.asked) == 1
    await asked.require(OTHER, BODY)
    assert len(server.asked) == 2


async def test_the_dry_run_does_not_take_the_name_of_the_object_that_shows_the_role(server: Server, clock: Clock):
    await consent(server, clock).require(AGENT, BODY)

    assert server.asked[0]["metadata"] == {"generateName": "finbot-1-", "namespace": "agents"}
    assert BODY["metadata"]["name"] == "finbot-1"


async def test_consent_of_more_than_a_second_is_asked_for_beside_the_call(server: Server, clock: Clock):
    asked = consent(server, clock)
    await asked.require(AGENT, BODY)
    clock.now += 1.5
    server.held = asyncio.Event()

    await asyncio.wait_for(asked.require(AGENT, BODY), 5)
    await asyncio.wait_for(asked.require(AGENT, BODY), 5)

    await behind()
    assert len(server.asked) == 2
    server.held.set()


async def test_a_refusal_beside_a_call_counts_for_the_next_one(server: Server, clock: Clock):
    asked = consent(server, clock)
    await asked.require(AGENT, BODY)
    clock.now += 1.5
    server.failure = NotPermitted("vending is closed")
    await asked.require(AGENT, BODY)
    await behind()

    with pytest.raises(NotPermitted):
        await asked.require(AGENT, BODY)

    server.failure = None
    await asked.require(AGENT, BODY)


async def test_without_an_answer_consent_counts_for_three_seconds(server: Server, clock: Clock):
    asked = consent(server, clock)
    await asked.require(AGENT, BODY)
    server.failure = ClusterUnavailable("no answer")
    clock.now += LONGEST_SECONDS - 0.1
    await asked.require(AGENT, BODY)
    await behind()
    clock.now += 0.2

    with pytest.raises(ClusterUnavailable):
        await asked.require(AGENT, BODY)


async def test_a_setting_lets_it_count_longer_while_the_api_server_does_not_answer(server: Server, clock: Clock):
    asked = consent(server, clock, unreachable=60)
    await asked.require(AGENT, BODY)
    server.failure = ClusterUnavailable("no answer")
    clock.now += 60
    await asked.require(AGENT, BODY)
    clock.now += 4

    with pytest.raises(ClusterUnavailable):
        await asked.require(AGENT, BODY)


async def test_nobody_has_consent_before_the_first_answer(server: Server, clock: Clock):
    server.failure = ClusterUnavailable("no answer")

    with pytest.raises(ClusterUnavailable):
        await consent(server, clock, unreachable=3600).require(AGENT, BODY)


async def test_an_outage_does_not_lift_a_refusal(server: Server, clock: Clock):
    asked = consent(server, clock, unreachable=3600)
    await asked.require(AGENT, BODY)
    clock.now += 1.5
    server.failure = NotPermitted("vending is closed")
    await asked.require(AGENT, BODY)
    await behind()
    server.failure = ClusterUnavailable("no answer")

    with pytest.raises(ClusterUnavailable):
        await asked.require(AGENT, BODY)


async def test_a_call_does_not_wait_for_long(server: Server, clock: Clock):
    server.held = asyncio.Event()

    with pytest.raises(ClusterUnavailable):
        await ClusterConsent(cast(KubeClient, cast(Any, server)), clock, patience=0.01).require(AGENT, BODY)

    server.held.set()


async def test_consent_to_one_purpose_is_none_to_another_and_a_refusal_of_one_refuses_no_other(server: Server, clock: Clock):
    asked = consent(server, clock)
    denied: Body = {**BODY, "spec": {**BODY["spec"], "purpose": "fraud-review"}}
    await asked.require(AGENT, BODY)
    server.failure = NotPermitted("nobody may vend for fraud-review")
    with pytest.raises(NotPermitted, match="fraud-review"):
        await asked.require(AGENT, denied)
    server.failure = None

    await asked.require(AGENT, BODY)

    assert [each["spec"].get("purpose") for each in server.asked] == [None, "fraud-review"]
