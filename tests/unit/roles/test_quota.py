"""An agent has as many roles at once as it may: one more waits, in the order of asking, and a failure to call it up is made good."""

import asyncio
from dataclasses import replace
from typing import cast

import pytest

from rolevend.decision.outcome import Denied, Granted, Request
from rolevend.decision.snapshot import Snapshot
from rolevend.errors import ClusterUnavailable
from rolevend.model import Attributes, PlatformName, RoleName, Uid
from rolevend.roles import quota as room_module
from rolevend.roles.decision import RoleDecision
from rolevend.roles.objects import VendedRoleWriter
from rolevend.roles.quota import TOO_MANY as REASON
from rolevend.roles.quota import RoleQuota
from rolevend.roles.state import RoleState
from rolevend.roles.store import RoleStore
from tests.support.approvals import NoApprovals
from tests.support.registered import AGENT, REQUEST, TERMS, WAREHOUSE, a_snapshot, terms

ANNEX = PlatformName("annex")


def bounded(agent: int | None, *platform: int | None, sessions: int | None = None) -> Snapshot:
    items = [replace(TERMS, most_live=most) for most in platform] or [TERMS]
    admits = replace(terms(*items), sessions=sessions)
    return a_snapshot(agents={AGENT.name: replace(AGENT, most_live=agent)}, platforms={WAREHOUSE: admits})


def request(number: int) -> Request:
    return replace(REQUEST, uid=Uid(f"00000000-0000-4000-8000-{number:012}"))


class Called:
    def __init__(self, failures: int = 0) -> None:
        self.uids: list[Uid] = []
        self.failures = failures

    async def request_reconcile(self, request: Request, _reason: str) -> None:
        self.uids.append(request.uid)
        if len(self.uids) <= self.failures:
            raise ClusterUnavailable("not now")


def quota(called: Called) -> RoleQuota:
    """Of an operator whose watch reported the first ten requests."""
    roles = RoleStore()
    for number in range(10):
        roles.upsert(RoleState(request(number), False, None, None, "", Attributes(), ("", "")))
    return RoleQuota(roles, cast(VendedRoleWriter, called), NoApprovals())


def asked(room: RoleQuota, number: int, known: Snapshot) -> str:
    verdict = room.decide(request(number), known, role_exists=False)
    room.reserve(request(number), verdict)
    return "" if isinstance(verdict, Granted) else verdict.reason


@pytest.mark.parametrize(
    ("agent", "platform", "most"),
    [
        (2, (), 2),
        (None, (2,), 2),
        (5, (2,), 2),
        (2, (5,), 2),
        (None, (1, 2), 2),  # the most generous item
        (2, (1, None), 2),
    ],
)
async def test_the_tightest_of_agent_and_platform_counts(agent: int | None, platform: tuple[int | None, ...], most: int):
    room, known = quota(Called()), bounded(agent, *platform)

    assert [asked(room, number, known) for number in range(most + 2)] == [""] * most + [REASON] * 2


@pytest.mark.parametrize(
    ("agent", "platform", "sessions", "most"),
    [
        (None, (), 97, 4),  # 16 sessions each: 72 of 97
        (None, (None,), 43, 2),
        (3, (), 97, 3),
        (None, (9,), 97, 9),  # where the platform team says a number it counts
        (None, (3, None), 97, 4),
        (None, (), 5, 1),
    ],
)
async def test_where_nobody_says_a_number_an_agents_roles_take_three_quarters_of_the_platforms_sessions(
    agent: int | None, platform: tuple[int | None, ...], sessions: int, most: int
):
    room, known = quota(Called()), bounded(agent, *platform, sessions=sessions)

    assert [asked(room, number, known) for number in range(most + 2)] == [""] * most + [REASON] * 2


async def test_a_platform_without_such_a_number_bounds_nobody():
    room, known = quota(Called()), bounded(None)

    assert {asked(room, number, known) for number in range(200)} == {""}


async def test_a_role_on_several_platforms_is_one():
    room, known = quota(Called()), bounded(2)
    known = replace(known, platforms={**known.platforms, ANNEX: terms(TERMS)}, shapes={**known.shapes, ANNEX: known.shapes[WAREHOUSE]})

    def asked_on_both(number: int) -> RoleDecision:
        requests = (request(number), replace(request(number), platform=ANNEX, further=True))
        whole = RoleDecision.for_platforms(requests, lambda each: room.decide(each, known, role_exists=False))
        room.reserve(requests[0], whole.combined)
        return whole

    assert [asked_on_both(number).blocking_decision is None for number in range(3)] == [True, True, False]


async def test_without_a_limit_there_is_room_for_all():
    room, known = quota(Called()), bounded(None)

    assert not any(asked(room, number, known) for number in range(100))


async def test_who_waits_longest_is_called_first_and_only_when_there_is_room():
    called = Called()
    room, known = quota(called), bounded(1)
    assert [asked(room, number, known) for number in range(4)] == ["", REASON, REASON, REASON]

    room.release(request(1).uid)  # of one that had no place
    await asyncio.sleep(0)
    assert called.uids == []
    room.release(request(0).uid)
    await asyncio.sleep(0)

    assert called.uids == [request(2).uid]
    assert [asked(room, number, known) for number in (4, 2, 3)] == ["", REASON, REASON]  # another one was faster
    room.release(request(4).uid)
    await asyncio.sleep(0)
    assert called.uids == [request(2).uid] * 2


async def test_a_role_that_is_there_already_is_never_refused_for_want_of_room():
    room, known = quota(Called()), bounded(1)
    for number in range(3):
        standing = RoleState(request(number), True, None, RoleName("R"), "", known.decide(REQUEST).lease.attributes, ("", ""))  # type: ignore[union-attr]
        room.observe(standing)

    assert isinstance(room.decide(request(2), known, role_exists=True), Granted)
    assert isinstance(room.decide(request(3), known, role_exists=False), Denied)


async def test_a_place_is_given_back_by_what_is_refused_later():
    called = Called()
    room, known = quota(called), bounded(1)
    assert [asked(room, number, known) for number in range(2)] == ["", REASON]

    room.reserve(request(0), Denied("NoPolicy", "the policy is gone"))
    await asyncio.sleep(0)

    assert called.uids == [request(1).uid]


async def test_it_is_called_again_where_that_failed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(room_module, "_RETRY_SECONDS", 0.0)
    called = Called(failures=2)
    room, known = quota(called), bounded(1)
    assert [asked(room, number, known) for number in range(2)] == ["", REASON]

    room.release(request(0).uid)
    async with asyncio.timeout(5):
        while len(called.uids) < 3:
            await asyncio.sleep(0)

    assert called.uids == [request(1).uid] * 3
