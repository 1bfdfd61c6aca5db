"""A process that starts with its API server: what mends itself is waited for, and a right that is missing ends it after a while."""

from collections.abc import Iterable

import pytest

from rolevend.app.bootstrap import retry_until_available
from rolevend.errors import ClusterUnavailable, InvalidInput, NotPermitted, RolevendError


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def moment(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


async def asked(answers: Iterable[RolevendError | str], clock: Clock) -> str:
    """What comes of an API server that gives these answers, and the last one for ever."""
    left = iter(answers)
    last: RolevendError | str = ""

    async def ask() -> str:
        nonlocal last
        last = next(left, last)
        if isinstance(last, RolevendError):
            raise last
        return last

    return await retry_until_available(ask, moment=clock.moment, sleep=clock.sleep)


async def test_an_api_server_that_cannot_be_reached_is_asked_for_ever():
    assert await asked([ClusterUnavailable("no")] * 1000 + ["there"], Clock()) == "there"


async def test_one_that_does_not_know_rights_yet_is_asked_again(caplog: pytest.LogCaptureFixture):
    clock = Clock()

    assert await asked([ClusterUnavailable("connection refused"), *[NotPermitted("forbidden")] * 5, "there"], clock) == "there"

    assert clock.seconds == 12
    assert "starting: forbidden; asking again for 60 s: the API server may have just started" in caplog.text


async def test_a_right_that_is_missing_for_a_minute_ends_the_process():
    clock = Clock()

    with pytest.raises(NotPermitted, match="forbidden"):
        await asked([NotPermitted("forbidden")], clock)

    assert clock.seconds == 60


async def test_what_a_person_must_mend_ends_it_at_once():
    with pytest.raises(InvalidInput):
        await asked([InvalidInput("", "the key is too short")], Clock())
