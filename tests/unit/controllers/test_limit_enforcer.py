"""What a platform stopped is counted and told of; what is idle is given back, once; one slow platform holds up no other."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from rolevend.controllers.limit_enforcer import LimitEnforcer
from rolevend.errors import ClusterUnavailable, PlatformUnavailable
from rolevend.kube.client import Body, KubeClient, ResourcePath
from rolevend.model import PlatformName, RoleName
from rolevend.platform_runtime.registry import PlatformRegistry
from rolevend.platforms.protocol import EndReason, LimitAction, LimitViolation
from rolevend.roles.ender import RoleEnder
from rolevend.roles.state import RoleState
from rolevend.roles.store import RoleStore
from rolevend.telemetry.metrics import Metrics
from tests.support.registered import NOW, REQUEST, WAREHOUSE, granted

HELD = granted()
CRM = PlatformName("crm")


def curbed(act: LimitAction, why: str = "a transaction of 400 s, where 300 are allowed") -> LimitViolation:
    return LimitViolation(HELD.lease.role, REQUEST.uid, act, why)


@dataclass
class Executor:
    """Answers what it was given, or raises it."""

    answers: list[Sequence[LimitViolation] | Exception]
    asked: int = 0

    async def curb(self) -> Sequence[LimitViolation]:
        self.asked += 1
        answer = self.answers[min(self.asked, len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Silent(Executor):
    async def curb(self) -> Sequence[LimitViolation]:
        self.asked += 1
        await asyncio.Event().wait()
        return ()


@dataclass
class Operator:
    """The parts that the loop needs of others; `events` and `ended` are what it did."""

    executors: dict[PlatformName, Executor]
    roles: RoleStore = field(default_factory=RoleStore)
    metrics: Metrics = field(default_factory=Metrics)
    events: list[Body] = field(default_factory=list)
    ended: list[tuple[RoleName | None, str, str, EndReason]] = field(default_factory=list)
    failing: bool = False

    def __iter__(self) -> Iterator[tuple[PlatformName, Any]]:
        for name, executor in self.executors.items():
            yield name, type("AtWork", (), {"executor": executor})()

    async def create(self, resource: ResourcePath, body: Body, namespace: str) -> Body:
        if self.failing:
            raise ClusterUnavailable("not now")
        assert (resource.plural, namespace) == ("events", "agents")
        self.events.append(body)
        return body

    async def revoke(self, standing: RoleState, by: str, message: str, reason: EndReason) -> None:
        self.ended.append((standing.role, by, message, reason))

    async def looks(self, times: int = 1) -> None:
        """Until the platform `warehouse` has been asked so often, and what it answered was followed."""
        curb = LimitEnforcer(cast(KubeClient, self), cast(RoleEnder, self), cast(PlatformRegistry, self), self.metrics, lambda: NOW, 0)
        running = asyncio.create_task(curb.run())
        async with asyncio.timeout(10):
            while self.executors[WAREHOUSE].asked <= times:
                await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    def counted(self, act: LimitAction) -> float:
        return self.metrics.registry.get_sample_value("rolevend_curbed_total", {"platform": WAREHOUSE, "act": act.value}) or 0


STANDING = RoleState(REQUEST, True, None, HELD.lease.role, HELD.profile.name, HELD.lease.attributes, ("True", "2 tables"), HELD)


def operator(*answers: Sequence[LimitViolation] | Exception, standing: RoleState | None = STANDING, failing: bool = False) -> Operator:
    made = Operator({WAREHOUSE: Executor([*answers, ()])}, failing=failing)
    if standing is not None:
        made.roles.upsert(standing)
    return made


@pytest.mark.parametrize(("act", "reason"), [(LimitAction.CANCELLED, "StatementCancelled"), (LimitAction.TERMINATED, "SessionEnded")])
async def test_what_was_stopped_is_counted_and_told_on_its_object(act: LimitAction, reason: str):
    of = operator([curbed(act)])

    await of.looks()

    (event,) = of.events
    assert (event["type"], event["reason"]) == ("Warning", reason)
    assert event["involvedObject"]["uid"] == REQUEST.uid
    assert event["message"] == f"{HELD.lease.role} on warehouse: a transaction of 400 s, where 300 are allowed"
    assert of.counted(act) == 1
    assert of.ended == []


async def test_what_has_no_object_any_more_or_cannot_be_told_is_counted_all_the_same():
    for of in (operator([curbed(LimitAction.CANCELLED)], standing=None), operator([curbed(LimitAction.CANCELLED)], failing=True)):
        await of.looks()

        assert of.counted(LimitAction.CANCELLED) == 1


async def test_a_session_past_its_lease_is_counted_and_its_object_that_ends_is_told_nothing():
    of = operator([curbed(LimitAction.EXPIRED, "a session 3 s after the end of the lease")])

    await of.looks()

    assert of.counted(LimitAction.EXPIRED) == 1
    assert (of.events, of.ended) == ([], [])


async def test_an_idle_role_is_given_back_with_the_reason():
    of = operator([curbed(LimitAction.IDLE, "no session did anything for 600 s")])

    await of.looks()

    assert of.ended == [(HELD.lease.role, "IdleRelease", "no session did anything for 600 s", EndReason.RELEASED)]
    assert of.events == []


async def test_one_that_is_ending_already_is_left_alone():
    of = operator([curbed(LimitAction.IDLE)], standing=replace(STANDING, ending_since=NOW))

    await of.looks()

    assert of.ended == []


@pytest.mark.parametrize("error", [PlatformUnavailable("down"), RuntimeError("a bug")])
async def test_what_fails_is_looked_at_again(error: Exception):
    of = operator(error, [curbed(LimitAction.CANCELLED)])

    await of.looks(2)

    assert of.counted(LimitAction.CANCELLED) == 1


async def test_a_platform_that_does_not_answer_holds_up_no_other_and_is_asked_once():
    of = operator([curbed(LimitAction.CANCELLED)])
    of.executors[CRM] = Silent([])

    await of.looks(3)

    assert of.executors[CRM].asked == 1
    assert of.counted(LimitAction.CANCELLED) == 1
