"""A platform that does not answer is tried by one call at a time, for all who wait."""

import pytest

from rolevend.errors import PlatformUnavailable
from rolevend.platform_runtime.breaker import FAILURES, LONGEST_PAUSE_SECONDS, CircuitBreaker


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(clock)


DOWN = PlatformUnavailable("cannot vend on db:5432: connection refused")


def opened(breaker: CircuitBreaker) -> CircuitBreaker:
    for _ in range(FAILURES):
        assert breaker.refusal() is None
        breaker.record_result(DOWN)
    return breaker


def test_it_opens_only_after_failures_in_a_row(breaker: CircuitBreaker):
    for _ in range(FAILURES - 1):
        breaker.record_result(DOWN)
    breaker.record_result(None)
    breaker.record_result(DOWN)

    assert not breaker.is_open
    assert breaker.refusal() is None


def test_while_it_is_open_nobody_waits_and_the_reason_is_told(breaker: CircuitBreaker):
    refusal = opened(breaker).refusal()

    assert isinstance(refusal, PlatformUnavailable)
    assert str(refusal) == str(DOWN)


def test_when_the_pause_is_over_exactly_one_call_tries(breaker: CircuitBreaker, clock: Clock):
    clock.now = opened(breaker).next_try

    assert breaker.refusal() is None
    assert breaker.refusal() is not None


def test_the_pauses_grow_and_never_exceed_the_longest(breaker: CircuitBreaker, clock: Clock):
    opened(breaker)
    pauses = []
    for _ in range(10):
        clock.now = breaker.next_try
        assert breaker.refusal() is None
        breaker.record_result(DOWN)
        pauses.append(breaker.next_try - clock.now)

    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[-1] == LONGEST_PAUSE_SECONDS


def test_a_try_that_is_never_heard_of_does_not_close_it_for_ever(breaker: CircuitBreaker, clock: Clock):
    clock.now = opened(breaker).next_try
    assert breaker.refusal() is None

    clock.now = breaker.next_try

    assert breaker.refusal() is None


def test_the_first_answer_closes_it_and_says_that_the_platform_is_back(breaker: CircuitBreaker):
    opened(breaker)

    assert breaker.record_result(None)
    assert breaker.refusal() is None
    assert not breaker.record_result(None)
