"""The same request while it is open is the same object; the next one after its end is another."""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolevend.access_requests.coalescing import ask_key, object_name, place_of, same_ask
from rolevend.access_requests.request import LoginFacts, Recorded
from rolevend.access_requests.states import RequestState
from rolevend.model import ObjectName, PlatformName, Task, Uid
from tests.support.asking import BORIS, NOW, PAYMENTS, PEOPLE, REQUEST, after, approved, denied, other, use, with_use

FIRST = object_name(REQUEST, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ObjectName("agents", "ar-9")},
        {"uid": Uid("x")},
        {"created_at": after(99)},
        {"is_justified": True},
        {"login": LoginFacts(at=NOW)},
    ],
)
def test_it_is_the_same_request_whatever_the_object_and_its_justification_are(changes: dict[str, Any]):
    assert same_ask(REQUEST, replace(REQUEST, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"agent": ObjectName("agents", "other")},
        {"agent": ObjectName("agentsfin", "bot")},
        {"user": BORIS},
        {"platform": PlatformName("annex")},
        {"offer": ObjectName("domain-claims", "other")},
        {"tables": frozenset({PEOPLE})},
        {"tables": frozenset()},
        {"columns": frozenset({"ssn"})},
        {"expiration_seconds": 600},
        {"purpose": None},
        {"ticket": "FR-1"},
        {"task": Task("conversation-2")},
    ],
)
def test_it_is_another_request_if_something_else_is_asked_for(changes: dict[str, Any]):
    assert not same_ask(REQUEST, replace(REQUEST, **changes))


def test_the_order_of_names_does_not_matter():
    one, two = (replace(REQUEST, tables=frozenset(each), columns=frozenset("ab")) for each in ([PEOPLE, PAYMENTS], [PAYMENTS, PEOPLE]))

    assert ask_key(one) == ask_key(two)


def test_the_name_is_one_that_kubernetes_accepts():
    assert re.fullmatch("ar-[a-z2-7]{26}", FIRST)


def test_the_first_request_and_an_equal_one_at_once_meet_in_one_name():
    places = [place_of(replace(REQUEST, uid=Uid(each)), ()) for each in ("a", "b")]

    assert places[0] == places[1]
    assert (places[0].name, places[0].exists) == (ObjectName("agents", FIRST), False)


@pytest.mark.parametrize("existing", [other(), other(state=None), approved(), approved(by_rule=None)])
def test_an_open_request_is_found_again(existing: Any):
    found = place_of(REQUEST, (denied(3, at=-900), existing, other(4, user=BORIS)))

    assert (found.name, found.exists) == (existing.request.name, True)


@pytest.mark.parametrize("state", [each for each in RequestState if not each.is_open])
def test_a_request_that_ended_or_was_used_is_followed_by_another(state: RequestState):
    found = place_of(REQUEST, (other(state=state),))

    assert not found.exists
    assert found.name.name == object_name(REQUEST, Uid("request-2")) != FIRST


def test_the_last_one_names_the_next():
    old, last = denied(2, at=-900), denied(3, at=-600)

    found = place_of(REQUEST, (last, old))

    assert found == place_of(REQUEST, (old, last)) == place_of(REQUEST, (last,))
    assert found.name.name == object_name(REQUEST, Uid("request-3"))


@given(st.lists(st.booleans(), max_size=8))
def test_each_new_request_of_a_series_has_a_name_of_its_own(collected: list[bool]):
    """Also where old objects are collected between two."""
    others: list[Any] = []
    names = set()
    for number, collect in enumerate(collected):
        place = place_of(REQUEST, others)
        assert not place.exists
        assert place.name not in {each.request.name for each in others}
        names.add(place.name)
        others.append(denied(number + 10, at=number, name=place.name))
        if collect and len(others) > 1:
            others.pop(0)
    assert len(names) == len(collected)


def test_a_replica_that_missed_the_last_object_finds_the_next_name_in_two_steps():
    last = denied(2, name=ObjectName("agents", FIRST))

    stale = place_of(REQUEST, ())
    assert stale.name == last.request.name
    assert place_of(REQUEST, (last,)).name != stale.name


@given(st.permutations("abcdefgh"))
def test_requests_of_one_second_follow_each_other_too(uids: list[str]):
    """Kubernetes states whole seconds: which of them is the last one is in their names."""
    others: list[Any] = []
    for uid in uids:
        place = place_of(REQUEST, others)
        assert place.name not in {each.request.name for each in others}
        request = replace(REQUEST, uid=Uid(uid), name=place.name)
        others.append(replace(denied(), request=request))


def test_a_request_whose_use_is_recorded_is_not_open_whatever_its_state_is():
    used = replace(approved(), recorded=with_use(approved().recorded, use()))

    assert not place_of(REQUEST, (used,)).exists


def test_the_status_of_an_unjudged_request_is_open():
    assert place_of(REQUEST, (replace(other(), recorded=Recorded()),)).exists
