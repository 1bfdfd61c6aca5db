"""Which votes count: one per person, by people who may, on this request, for what it showed."""

from itertools import permutations
from typing import Any

import pytest

from rolevend.access_requests.votes import MOST_APPROVERS, CheckedVote, Tally, tally
from rolevend.model import ObjectName, Uid
from tests.support.asking import DIGEST, EXCLUDED, OFFER, OTHER_DIGEST, REQUEST, no, vote


def counted(*votes: CheckedVote, must_hold: bool = False) -> Tally:
    return tally(REQUEST, DIGEST, votes, EXCLUDED, must_hold=must_hold)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (vote(may=False), "alice may not approve this offer"),
        (vote(may=None), "the rights of alice are not known yet"),
        (vote(digest=OTHER_DIGEST), "its author saw something else: the digest is not the one of the request"),
        (vote(digest=None), "its author saw something else: the digest is not the one of the request"),
        (no(digest=OTHER_DIGEST), "its author saw something else: the digest is not the one of the request"),
        (vote(request_uid=Uid("request-0")), "it is on another request"),
        (vote(request=ObjectName("agents", "ar-2")), "it is on another request"),
        (vote(request=ObjectName("elsewhere", "ar-1")), "it is on another request"),
        (vote(offer=ObjectName(OFFER.namespace, "other")), "it is on another offer"),
        (no(may=False), "bob may not approve this offer"),
        (no(request_uid=Uid("request-0")), "it is on another request"),
        *(
            (vote(by), f"{by} is the user, the agent, the agent's owner or an agent: none of them approves")
            for by in (*sorted(EXCLUDED), "Anna@Example.org")
        ),
    ],
)
def test_a_vote_does_not_count(given: CheckedVote, reason: str):
    found = counted(given)

    assert (found.approvals, found.denial) == ((), None)
    assert found.uncounted == {given.vote.uid: reason}


def test_a_vote_in_another_namespace_than_the_offer_does_not_count():
    made = vote()
    elsewhere: Any = vote(name="x")
    moved = CheckedVote(type(made.vote)(**{**_fields(elsewhere.vote), "name": ObjectName("agents", "x")}), may_approve=True)

    assert counted(moved).approvals == ()


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in type(value).__slots__}


def test_without_a_digest_of_the_request_nothing_is_approved():
    nameless = vote(digest=None)

    found = tally(REQUEST, None, (nameless, vote("carol")), EXCLUDED, must_hold=False)

    assert found.approvals == ()
    assert found.uncounted[nameless.vote.uid] == "it names no digest"


def test_a_denial_needs_no_digest():
    assert counted(no()).denial is not None
    assert counted(no(digest=DIGEST)).denial is not None


@pytest.mark.parametrize(("holds", "counts"), [(True, True), (False, False), (None, False)])
def test_where_approvers_must_have_the_access_only_those_count(holds: bool | None, counts: bool):
    assert bool(counted(vote(holds=holds), must_hold=True).approvals) == counts
    assert counted(vote(holds=holds)).approvals
    assert counted(no(holds=holds), must_hold=True).denial is not None


def test_a_person_counts_once_with_the_first_vote_and_a_denial_wins():
    first, second, denial = vote(at=10), vote(at=11), no("alice", at=12)

    twice = counted(second, first)
    assert [each.uid for each in twice.approvals] == [first.vote.uid]
    assert twice.uncounted == {second.vote.uid: "an earlier vote of alice counts"}

    both = counted(first, denial)
    assert (both.approvals, both.denial) == ((), denial.vote)
    assert both.uncounted == {first.vote.uid: "alice denies the request, too"}


def test_a_vote_that_does_not_count_hides_no_later_one():
    assert counted(vote(at=1, digest=OTHER_DIGEST), vote(at=2)).approvals == (vote(at=2).vote,)


def test_an_approval_records_a_bounded_number_of_people():
    votes = [vote(f"approver-{number}", at=number) for number in range(MOST_APPROVERS + 2)]

    found = counted(*votes)

    assert [each.by for each in found.approvals] == [f"approver-{number}" for number in range(MOST_APPROVERS)]
    assert len(found.uncounted) == 2


def test_the_order_of_the_votes_does_not_matter():
    votes = (vote(at=1), vote(at=1.5, name="second"), vote("carol", at=0), no("dora", at=3))

    assert all(counted(*each) == counted(*votes) for each in permutations(votes))
