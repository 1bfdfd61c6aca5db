"""Events of policies and platforms: one when a failure begins, one when it is over, and no storm between."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from rolevend.kinds import AccessPolicy, Resource
from rolevend.kinds.shared import Condition
from rolevend.kinds.status import ConditionUpdate
from rolevend.kube.client import Body, KubeClient
from rolevend.snapshot.condition_events import ConditionEvent, ConditionEvents, event_of
from rolevend.snapshot.conditions.common import StatusEvaluation
from tests.support.painted import OBJECTS

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
POLICY, PLATFORM, AGENT = OBJECTS.policies[0], OBJECTS.platforms[0], OBJECTS.agents[0]
Stated = tuple[Any, str] | None


def evaluated(
    resource: Resource, before: Stated, after: tuple[Any, str], users: tuple[int | None, int | None] = (1, 1)
) -> StatusEvaluation[Resource]:
    """The evaluation of an object whose status has the condition Ready `before`, and another one now."""
    had = () if before is None else (Condition(type="Ready", status=before[0], last_transition_time=NOW, reason=before[1], message="m"),)
    counts = {"matched_users": users[0]} if isinstance(resource, AccessPolicy) else {}
    status = resource.status.model_copy(update={"conditions": had, **counts})  # type: ignore[attr-defined]
    finding = ConditionUpdate("Ready", after[0], after[1], "the message")
    return StatusEvaluation(resource.model_copy(update={"status": status}), (finding,), {"matchedUsers": users[1]})


@pytest.mark.parametrize(
    ("before", "after", "event"),
    [
        (None, ("False", "NotGranted"), ("Warning", "NotGranted")),
        (("True", "InForce"), ("False", "NotGranted"), ("Warning", "NotGranted")),
        (("Unknown", "CatalogUnread"), ("False", "InvalidInput"), ("Warning", "InvalidInput")),
        (("False", "NotGranted"), ("False", "InvalidInput"), ("Warning", "InvalidInput")),
        (("True", "InForce"), ("False", "Suspended"), ("Normal", "Suspended")),
        (("False", "NotGranted"), ("True", "InForce"), ("Normal", "InForce")),
        (("False", "NotGranted"), ("False", "NotGranted"), None),
        (None, ("True", "InForce"), None),
        (("Unknown", "CatalogUnread"), ("True", "InForce"), None),
        (("True", "InForce"), ("Unknown", "CatalogUnread"), None),
        (("False", "Connecting"), ("True", "Connected"), None),
        (("True", "Connected"), ("False", "Connecting"), None),
    ],
)
def test_a_failure_and_its_end_are_events_and_nothing_else_is(before: Stated, after: tuple[Any, str], event: tuple[str, str] | None):
    for resource in (POLICY, PLATFORM):
        found = event_of(evaluated(resource, before, after))
        assert (None if found is None else (found.type, found.reason)) == event


def test_agents_and_people_of_which_there_may_be_ten_thousand_have_none():
    assert event_of(evaluated(AGENT, None, ("False", "Conflict"))) is None


@pytest.mark.parametrize(
    ("users", "event"),
    [
        ((3, 0), ConditionEvent("Warning", "NoUsers", "covers no user of UserAttributes any more, and covered 3")),
        ((0, 2), ConditionEvent("Normal", "InForce", "covers 2 users of UserAttributes")),
        ((None, 0), None),
        ((0, 0), None),
        ((3, None), None),
    ],
)
def test_a_policy_that_begins_to_cover_nobody_is_an_event(users: tuple[int | None, int | None], event: ConditionEvent | None):
    assert event_of(evaluated(POLICY, ("True", "InForce"), ("True", "InForce"), users)) == event


class Cluster:
    def __init__(self) -> None:
        self.created: list[tuple[str, Body]] = []

    async def create(self, _: object, body: Body, namespace: str) -> Body:
        self.created.append((namespace, body))
        return body


class World:
    def __init__(self) -> None:
        self.cluster = Cluster()
        self.now = NOW
        self.events = ConditionEvents(cast(KubeClient, self.cluster), lambda: self.now)

    async def emitted(self, *evaluations: StatusEvaluation[Resource]) -> list[str]:
        """The reasons of the Events that are emitted after these evaluations."""
        for each in evaluations:
            self.events.on_published(each)
        self.cluster.created.clear()
        await self.events.emit_due()
        return [body["reason"] for _, body in self.cluster.created]


DOWN = evaluated(PLATFORM, ("True", "Connected"), ("False", "PlatformUnavailable"))
UP = evaluated(PLATFORM, ("False", "PlatformUnavailable"), ("True", "Connected"))


async def test_a_platform_that_flaps_has_one_event_a_minute_and_the_last_one_is_true():
    world = World()

    assert await world.emitted(DOWN) == ["PlatformUnavailable"]
    assert await world.emitted(*[UP, DOWN] * 50, UP) == []
    world.now += timedelta(seconds=59)
    assert await world.emitted() == []
    world.now += timedelta(seconds=2)
    assert await world.emitted() == ["Connected"]


async def test_a_failure_that_comes_back_within_the_minute_is_no_second_event():
    world = World()

    assert await world.emitted(DOWN) == ["PlatformUnavailable"]
    assert await world.emitted(UP, DOWN) == []
    world.now += timedelta(minutes=2)
    assert await world.emitted() == []


async def test_an_event_is_about_its_object_and_that_of_a_platform_is_in_the_default_namespace():
    world = World()
    policy = evaluated(POLICY, None, ("False", "NotGranted"))

    await world.emitted(DOWN, policy)

    about = {body["involvedObject"]["kind"]: (namespace, body["involvedObject"]) for namespace, body in world.cluster.created}
    namespace, platform = about["DataPlatform"]
    assert (namespace, platform["name"]) == ("default", PLATFORM.name)
    assert "namespace" not in platform
    messages = {body["involvedObject"]["kind"]: body["message"] for _, body in world.cluster.created}
    assert messages["DataPlatform"] == f"Ready is False: PlatformUnavailable; the conditions of DataPlatform {PLATFORM.name} say why"
    assert messages["AccessPolicy"] == "the message"
    namespace, of_policy = about["AccessPolicy"]
    assert (namespace, of_policy["namespace"], of_policy["uid"]) == (POLICY.namespace, POLICY.namespace, POLICY.uid)


async def test_objects_without_number_are_bounded():
    world = World()
    many = [
        replace(
            each, resource=each.resource.model_copy(update={"metadata": each.resource.metadata.model_copy(update={"uid": f"uid-{number}"})})
        )
        for number in range(1001)
        for each in [evaluated(POLICY, None, ("False", "NotGranted"))]
    ]
    for each in many:
        world.events.on_published(each)

    assert world.events.waiting == 1000
