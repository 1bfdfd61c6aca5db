"""Which platforms a call of the API gives up, as kubectl's door does."""

from dataclasses import replace

import pytest

from rolevend.api.tries import Tries
from rolevend.errors import PlatformUnavailable, ProfileNotBuilt, RolevendError
from rolevend.model import PlatformName
from rolevend.roles.decision import RoleDecision
from tests.support import registered
from tests.support.registered import REQUEST

ANNEX = PlatformName("annex")
AWAY = PlatformUnavailable("annex.example.org:5432 does not answer")


def tries(*, partial: bool, is_new: bool = True) -> Tries:
    first = replace(REQUEST, allow_partial=partial)
    requests = (first, replace(first, platform=ANNEX, further=True))
    return Tries(RoleDecision.of(requests, lambda _: registered.granted()), is_new=is_new)


def fail(tries: Tries, number: int, error: RolevendError = AWAY, *, untouched: bool = False) -> None:
    with tries.of(tries.whole.vends[number], untouched=untouched):
        raise error


@pytest.mark.parametrize("error", [AWAY, ProfileNotBuilt("not yet")], ids=["away", "not built"])
@pytest.mark.parametrize(("untouched", "state"), [(True, "LeftOut"), (False, "Dropping")])
def test_where_the_call_allows_less_what_fails_on_one_platform_leaves_the_other(error: RolevendError, untouched: bool, state: str):
    some = tries(partial=True)

    fail(some, 1, error, untouched=untouched)

    assert [each.platform for each in some.left] == [REQUEST.platform]
    assert [each.platform for each in some.absent] == [ANNEX]
    assert some.statuses[ANNEX]["state"] == state
    assert "example.org" not in str(some.absent)


def test_of_an_object_that_an_earlier_call_made_something_may_be_there():
    some = tries(partial=True, is_new=False)

    fail(some, 1, untouched=True)

    assert some.statuses[ANNEX]["state"] == "Dropping"


def test_otherwise_it_fails_everywhere():
    with pytest.raises(PlatformUnavailable):
        fail(tries(partial=False), 1)


def test_nothing_at_all_is_no_role():
    some = tries(partial=True)
    fail(some, 0)

    with pytest.raises(PlatformUnavailable):
        fail(some, 1)
