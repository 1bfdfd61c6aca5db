"""Refused tokens on record: one by one up to a rate, and beyond it as a number."""

from datetime import UTC, datetime

import pytest

from rolevend.api.refusals import LEFT_OUT, MOST_AT_ONCE, PER_MINUTE, RefusalLog
from rolevend.audit.api_events import Bearer, RefusedCall
from rolevend.audit.events import RefusedEvent
from rolevend.errors import AuditUnavailable
from rolevend.model import ObjectName
from rolevend.roles.audit_recorder import AuditRecorder

FINBOT = ObjectName("agents", "finbot")


class Trail:
    """Keeps events, or fails as a full disk does."""

    def __init__(self) -> None:
        self.events: list[RefusedEvent] = []
        self.full = False

    async def record(self, event: RefusedEvent) -> None:
        if self.full:
            raise AuditUnavailable("writing an audit event: no space left on device")
        self.events.append(event)

    def told(self, reason: str) -> list[RefusedEvent]:
        return [event for event in self.events if event.reason == reason]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def trail() -> Trail:
    return Trail()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def refusals(trail: Trail, clock: Clock) -> RefusalLog:
    return RefusalLog(AuditRecorder(trail, _NoHandles(), lambda: datetime(2026, 11, 25, tzinfo=UTC)), clock)


class _NoHandles:
    async def claim(self, *_: object, is_known: bool) -> None:
        raise AssertionError("a refusal has no handles")


async def flood(refusals: RefusalLog, many: int, agent: ObjectName | None = None) -> None:
    bearer = Bearer.AGENT if agent is None else Bearer.USER
    for number in range(many):
        await refusals.refused(RefusedCall(bearer, "BadSignature", "the signature is not of the token", str(number), agent, str(number)))


async def test_each_is_written_up_to_the_rate_and_the_rest_is_a_number(refusals: RefusalLog, trail: Trail):
    await flood(refusals, MOST_AT_ONCE + 50)
    await refusals.write_left_out()

    assert len(trail.told("BadSignature")) == MOST_AT_ONCE
    (left_out,) = trail.told(LEFT_OUT)
    assert (left_out.refusals_left_out, left_out.bearer, left_out.token_digest, left_out.agent) == (50, "Agent", None, None)


async def test_nothing_is_told_twice_and_nothing_where_nothing_was_left_out(refusals: RefusalLog, trail: Trail):
    await flood(refusals, MOST_AT_ONCE + 1)
    for _ in range(3):
        await refusals.write_left_out()

    assert [each.refusals_left_out for each in trail.told(LEFT_OUT)] == [1]


async def test_there_is_room_again_as_time_goes_by(refusals: RefusalLog, trail: Trail, clock: Clock):
    await flood(refusals, MOST_AT_ONCE)
    clock.now += 60

    await flood(refusals, MOST_AT_ONCE)

    assert len(trail.told("BadSignature")) == MOST_AT_ONCE + PER_MINUTE


async def test_a_flood_of_nobody_hides_nothing_of_an_agent_nor_one_agent_of_another(refusals: RefusalLog, trail: Trail):
    await flood(refusals, MOST_AT_ONCE + 1)
    await flood(refusals, MOST_AT_ONCE + 2, ObjectName("agents", "portal"))

    await flood(refusals, 3, FINBOT)

    assert [event.request_id for event in trail.events if event.agent == "agents/finbot"] == ["0", "1", "2"]
    await refusals.write_left_out()
    assert {(each.agent, each.refusals_left_out) for each in trail.told(LEFT_OUT)} == {(None, 1), ("agents/portal", 2)}


async def test_what_could_not_be_told_is_told_with_what_came_since(refusals: RefusalLog, trail: Trail):
    await flood(refusals, MOST_AT_ONCE + 5)
    trail.full = True
    await refusals.write_left_out()
    await flood(refusals, 2)
    trail.full = False

    await refusals.write_left_out()

    assert [each.refusals_left_out for each in trail.told(LEFT_OUT)] == [7]
