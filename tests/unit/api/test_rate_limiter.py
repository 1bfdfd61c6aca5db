"""How often an agent may vend, and ask what it would be granted: two counts, each of one agent."""

from dataclasses import replace

import pytest

from rolevend.api.problems import Problem
from rolevend.api.rate_limiter import DECISIONS_PER_MINUTE, VISITS_PER_MINUTE, RateLimiter, VisitLimiter
from rolevend.model import ObjectName, Uid
from tests.support.registered import AGENT

OTHER = replace(AGENT, name=ObjectName("agents", "other"))


@pytest.mark.parametrize(("vends", "decisions"), [(None, DECISIONS_PER_MINUTE), (3, 3), (DECISIONS_PER_MINUTE * 10, DECISIONS_PER_MINUTE)])
def test_so_many_decisions_a_minute_and_each_agent_for_itself(vends: int | None, decisions: int):
    limiter, agent = RateLimiter(lambda: 0.0), replace(AGENT, vends_per_minute=vends)

    for _ in range(decisions):
        limiter.require_decision_rate(agent)
    with pytest.raises(Problem) as refused:
        limiter.require_decision_rate(agent)

    assert (refused.value.status, refused.value.code) == (429, "TooManyRequests")
    assert f"{decisions} decisions a minute" in refused.value.detail
    assert refused.value.retry_after
    limiter.require_decision_rate(OTHER)
    limiter.require_rate(agent)  # another count


def test_the_wait_that_is_told_is_enough():
    seconds = [0.0]
    limiter, agent = RateLimiter(lambda: seconds[0]), replace(AGENT, vends_per_minute=2)
    for _ in range(2):
        limiter.require_decision_rate(agent)
    with pytest.raises(Problem) as refused:
        limiter.require_decision_rate(agent)

    seconds[0] += refused.value.retry_after or 0

    limiter.require_decision_rate(agent)


def test_so_many_visits_a_minute_and_each_request_for_itself():
    limiter = VisitLimiter(lambda: 0.0)
    for _ in range(VISITS_PER_MINUTE):
        limiter.require_rate(Uid("one"))

    with pytest.raises(Problem) as refused:
        limiter.require_rate(Uid("one"))

    assert (refused.value.status, refused.value.retry_after) == (429, 1)
    limiter.require_rate(Uid("other"))


def test_visits_are_counted_in_bounded_memory():
    limiter = VisitLimiter(lambda: 0.0, most=2)

    for number in range(1000):
        limiter.require_rate(Uid(str(number)))

    assert len(limiter._visits) == 2
