"""A request that was approved: what revokes it, what supersedes it, and how it ends."""

from dataclasses import replace
from typing import Any

import pytest

from rolevend.access_requests.approved import SETTLED, UNSEEN
from rolevend.access_requests.judgement import judge
from rolevend.access_requests.request import Recorded
from rolevend.access_requests.states import RequestReason, RequestState
from rolevend.model import Uid
from tests.support.asking import (
    EXCLUDED,
    OFFERED,
    OTHER_DIGEST,
    REQUEST,
    after,
    by_people,
    by_rule,
    here,
    judged,
    no,
    rule,
    terms,
    use,
    vote,
    with_use,
)

STATE, WHY = RequestState, RequestReason
YES = (vote(),)
TWO = (vote(), vote("carol"))
USED_ONCE = with_use(by_people(), use(at=100))
LIVE = frozenset({use().role_uid})
WITHDRAWN = (STATE.REVOKED, WHY.APPROVAL_WITHDRAWN)
LOST = (STATE.REVOKED, WHY.APPROVER_LOST_VERB)


@pytest.mark.parametrize(
    ("recorded", "changes", "state", "reason"),
    [
        (by_people(), {"now": after(21)}, STATE.APPROVED, WHY.APPROVED_BY_PEOPLE),
        (by_people(), {"now": after(3619.9)}, STATE.APPROVED, WHY.APPROVED_BY_PEOPLE),
        (by_people(), {"now": after(3620)}, STATE.LAPSED, WHY.NOT_CLAIMED),
        (by_people(), {"now": after(9999)}, STATE.LAPSED, WHY.NOT_CLAIMED),
        (by_people(), {"votes": ()}, *WITHDRAWN),
        (by_people(), {"votes": (vote("carol"),)}, *WITHDRAWN),
        (by_people(), {"votes": (vote(uid=Uid("made again")),)}, *WITHDRAWN),
        (by_people(), {"votes": (vote(may=False),)}, *LOST),
        (by_people(), {"votes": (vote(may=None),)}, STATE.APPROVED, WHY.APPROVED_BY_PEOPLE),
        (by_people(), {"excluded": EXCLUDED | {"alice"}}, *LOST),
        (by_people(), {"withdrawn_by": "the user"}, STATE.REVOKED, WHY.WITHDRAWN),
        (by_people(), {"user_is_active": False}, STATE.REVOKED, WHY.USER_INACTIVE),
        (by_people(), {"terms": None}, STATE.SUPERSEDED, WHY.OFFER_GONE),
        (by_people(), {"terms": terms(generation=4)}, STATE.SUPERSEDED, WHY.OFFER_CHANGED),
        (by_people(), {"terms": terms(uid=Uid("offer-2"))}, STATE.SUPERSEDED, WHY.OFFER_CHANGED),
        (by_people(), {"digest": OTHER_DIGEST}, STATE.SUPERSEDED, WHY.EFFECT_CHANGED),
        (by_people(), {"digest": None}, STATE.SUPERSEDED, WHY.EFFECT_CHANGED),
        (by_people(), {"digest": None, "unknown": "not read"}, STATE.APPROVED, WHY.APPROVED_BY_PEOPLE),
        (by_people(), {"digest": None, "unknown": "not read", "votes": ()}, *WITHDRAWN),
        (by_people(), {"votes": (*YES, no(at=20))}, STATE.REVOKED, WHY.DENIED_BY_PERSON),
        (by_people(), {"votes": (*YES, no(at=20.9))}, STATE.REVOKED, WHY.DENIED_BY_PERSON),
        (by_people(), {"votes": (*YES, no(at=21))}, STATE.APPROVED, WHY.APPROVED_BY_PEOPLE),
        (by_people(), {"votes": (*YES, no(at=20, may=False))}, STATE.APPROVED, WHY.APPROVED_BY_PEOPLE),
        (by_people(*TWO), {"votes": (vote("carol"),)}, STATE.APPROVED, WHY.APPROVED_BY_PEOPLE),
        (by_people(*TWO, terms=terms(required=2)), {"votes": YES, "terms": terms(required=2)}, *WITHDRAWN),
        (by_people(), {"votes": (*YES, vote("carol"))}, STATE.APPROVED, WHY.APPROVED_BY_PEOPLE),
        (by_rule(), {"terms": terms(automatic=(rule(),))}, STATE.APPROVED, WHY.APPROVED_BY_RULE),
        (by_rule(), {"votes": (no(at=999),)}, STATE.REVOKED, WHY.DENIED_BY_PERSON),
        (by_rule(), {"votes": ()}, STATE.APPROVED, WHY.APPROVED_BY_RULE),
        (by_rule(), {"now": after(3600)}, STATE.LAPSED, WHY.NOT_CLAIMED),
        (USED_ONCE, {"now": after(120)}, STATE.USED, WHY.ROLE_VENDED),
        (USED_ONCE, {"now": after(161)}, STATE.SPENT, WHY.USES_GONE),
        (USED_ONCE, {"now": after(900), "live_roles": LIVE}, STATE.USED, WHY.ROLE_VENDED),
        (USED_ONCE, {"now": after(5000), "live_roles": LIVE}, STATE.USED, WHY.ROLE_VENDED),
        (USED_ONCE, {"now": after(900), "live_roles": LIVE, "votes": ()}, *WITHDRAWN),
        (USED_ONCE, {"now": after(900), "live_roles": LIVE, "digest": OTHER_DIGEST}, STATE.SUPERSEDED, WHY.EFFECT_CHANGED),
        (USED_ONCE, {"now": after(900), "live_roles": LIVE, "user_is_active": False}, STATE.REVOKED, WHY.USER_INACTIVE),
        (USED_ONCE, {"now": after(900), "votes": ()}, STATE.SPENT, WHY.USES_GONE),
        (USED_ONCE, {"now": after(900), "terms": terms(uses=2)}, STATE.USED, WHY.ROLE_VENDED),
        (USED_ONCE, {"now": after(3620), "terms": terms(uses=2)}, STATE.SPENT, WHY.USES_GONE),
        (USED_ONCE, {"now": after(3620), "terms": terms(uses=2), "live_roles": LIVE}, STATE.USED, WHY.ROLE_VENDED),
        (with_use(USED_ONCE, use(2)), {"now": after(900), "terms": terms(uses=2)}, STATE.SPENT, WHY.USES_GONE),
        (with_use(USED_ONCE, use(2)), {"now": after(900), "terms": terms(uses=2), "live_roles": LIVE}, STATE.USED, WHY.ROLE_VENDED),
    ],
)
def test_an_approved_request_becomes(recorded: Recorded, changes: dict[str, Any], state: RequestState, reason: RequestReason):
    found = judged(recorded, **{"now": after(30), "votes": YES, **changes})

    assert (found.state, found.reason) == (state, reason), found.message
    assert found.approval == recorded.approval
    assert found.message
    assert not state.is_final or found.look_again_at is None


def test_it_is_looked_at_again_when_time_alone_changes_it():
    assert judged(by_people(), votes=YES, now=after(30)).look_again_at == after(3620)
    assert judged(USED_ONCE, votes=YES, now=after(120)).look_again_at == after(100) + UNSEEN
    assert judged(USED_ONCE, votes=YES, now=after(120), live_roles=LIVE).look_again_at == after(1000)
    assert judged(USED_ONCE, votes=YES, now=after(1000), live_roles=LIVE).look_again_at is None
    assert judged(USED_ONCE, votes=YES, now=after(400), terms=terms(uses=2)).look_again_at == after(3620)


def test_the_state_follows_the_first_use_when_the_role_is_created():
    """Nothing else waits: a yes that is gone revokes it meanwhile."""
    asked, moment = by_rule(), {"terms": terms(automatic=(rule(),), uses=2)}
    used = with_use(asked, use(at=100))

    early = judged(used, now=after(100), **moment)

    assert early.recorded(used, after(100)) == used
    assert early.look_again_at == after(100) + SETTLED
    late = judged(used, now=after(100) + SETTLED, **moment)
    assert (late.state, late.reason) == (STATE.USED, WHY.ROLE_VENDED)
    used_again = with_use(late.recorded(used, after(102)), use(2, at=200))
    assert judged(used_again, now=after(200), **moment).state is STATE.USED
    assert judged(used, now=after(100), votes=(no(at=99),), **moment).state is STATE.REVOKED


def test_a_role_that_no_informer_has_seen_yet_does_not_spend_the_request():
    assert judged(USED_ONCE, votes=YES, now=after(159)).state is STATE.USED
    assert judged(USED_ONCE, votes=YES, now=after(160)).state is STATE.SPENT


@pytest.mark.parametrize("skew", [-5, 0, 5])
def test_a_denial_in_the_second_of_the_approval_wins_whatever_the_clocks_say(skew: int):
    """The vote was created by the API server's clock, and the decision was made by the leader's."""
    recorded = by_people(vote(at=10), at=10 + skew)

    assert judged(recorded, votes=(vote(at=10), no(at=10)), now=after(20)).state is STATE.REVOKED


def test_opposite_votes_in_one_second_deny_in_whatever_order_they_are_seen():
    yes, denial = vote(at=10), no(at=10)

    together = judged(votes=(yes, denial), now=after(10))
    approved_first = judged(by_people(yes, at=10), votes=(yes, denial), now=after(10))

    assert (together.state, approved_first.state) == (STATE.DENIED, STATE.REVOKED)


def test_an_approver_who_lost_the_verb_and_got_it_back_gives_nothing_back():
    lost = judged(by_people(), votes=(vote(may=False),), now=after(30)).recorded(by_people(), after(30))

    assert judged(lost, votes=YES, now=after(40)).state is STATE.REVOKED


@pytest.mark.parametrize(
    "recorded",
    [
        replace(by_people(), approval=None),
        replace(by_people(), offered=None),
        replace(by_people(), state=None),
        replace(by_people(), state=STATE.PENDING),
        replace(USED_ONCE, approval=None, state=STATE.USED),
    ],
)
def test_a_status_that_contradicts_itself_revokes(recorded: Recorded):
    found = judged(recorded, votes=YES)

    assert (found.state, found.reason) == (STATE.REVOKED, WHY.STATUS_UNREADABLE)


@pytest.mark.parametrize("state", [each for each in STATE if each.is_final])
@pytest.mark.parametrize("changes", [{}, {"votes": YES}, {"terms": None}, {"withdrawn_by": "the user"}, {"now": after(10**6)}])
def test_a_final_state_stays(state: RequestState, changes: dict[str, Any]):
    recorded = Recorded(state, WHY.WITHDRAWN, "as it was", after(1), OFFERED, by_people().approval, (use(),))

    found = judged(recorded, **changes)

    assert (found.state, found.message, found.look_again_at) == (state, "as it was", None)
    assert found.recorded(recorded, after(99)) == recorded


def test_the_time_of_a_state_is_recorded_once():
    first = judged(now=after(3.9)).recorded(Recorded(), after(3.9))
    second = judged(first, now=after(50)).recorded(first, after(50))

    assert (first.since, second.since) == (after(3), after(3))
    assert judged(second, now=after(60), votes=YES).recorded(second, after(60)).since == after(60)


def test_a_request_for_another_namespace_is_judged_alone():
    found = judge(REQUEST, by_people(), here(now=after(30), votes=(*YES, no(request_uid=Uid("request-9")))))

    assert found.state is STATE.APPROVED


@pytest.mark.parametrize(
    ("recorded", "changes", "message"),
    [
        (by_people(), {}, "approved by alice for 900 seconds"),
        (by_people(), {"user_is_active": False}, "the user is not active any more"),
        (by_people(), {"votes": (*YES, no(at=10))}, "denied by bob"),
        (by_people(), {"votes": ()}, "the approval of alice was deleted"),
        (by_people(), {"now": after(3620)}, "not used in time"),
        (USED_ONCE, {"now": after(120)}, "used 1 of 1 times"),
        (USED_ONCE, {"now": after(900)}, "its uses are gone, and its roles ended"),
        (USED_ONCE, {"now": after(3620), "terms": terms(uses=2)}, "used 1 of 2 times; the time to use it is over"),
    ],
)
def test_a_state_comes_with_one_sentence(recorded: Recorded, changes: dict[str, Any], message: str):
    assert judged(recorded, **{"now": after(30), "votes": YES, **changes}).message == message
