"""Properties of whole lives: any votes, offers, clocks and histories, in any order."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rolevend.access_requests.circumstances import Circumstances, Judgement
from rolevend.access_requests.judgement import judge
from rolevend.access_requests.request import Approval, OtherRequest, Recorded, RequestedAccess
from rolevend.access_requests.rules import NoRuleApproves, RuleApproval, RuleContext, evaluate_rules
from rolevend.access_requests.states import RequestReason, RequestState
from rolevend.access_requests.terms import AutomaticRule, Limits
from rolevend.access_requests.use import IntendedUse, MayUse, latest_end, may_use
from rolevend.access_requests.votes import CheckedVote
from rolevend.model import Uid
from rolevend.policy.mask import Nullify
from rolevend.policy.statement import ColumnSelector, MaskRule
from tests.support.asking import (
    BORIS,
    CLAIMS,
    DIGEST,
    EXCLUDED,
    NOW,
    OFFERED,
    OTHER_DIGEST,
    PAYMENTS,
    PEOPLE,
    REQUEST,
    WAITING,
    after,
    approved,
    denied,
    here,
    other,
    precedent,
    rule,
    terms,
    use,
    vote,
    with_use,
)
from tests.support.tiers import by_tier

MANY = settings(max_examples=by_tier(100, 2_000), deadline=None)
STATE = RequestState
NEXT: dict[RequestState | None, set[RequestState]] = {
    None: {STATE.PENDING, STATE.DENIED, STATE.EXPIRED, STATE.CANCELLED, STATE.APPROVED, STATE.SUPERSEDED},
    STATE.PENDING: {STATE.PENDING, STATE.DENIED, STATE.EXPIRED, STATE.CANCELLED, STATE.APPROVED, STATE.SUPERSEDED},
    STATE.APPROVED: {STATE.APPROVED, STATE.USED, STATE.LAPSED, STATE.REVOKED, STATE.SUPERSEDED, STATE.SPENT},
    STATE.USED: {STATE.USED, STATE.SPENT, STATE.REVOKED, STATE.SUPERSEDED},
}
"""The states that may follow. From Approved to Spent: a role was vended, and ended before anybody looked."""

PEOPLE_WHO_VOTE = ("alice", "carol", "dora", "anna@example.org", "owner@example.org")
HIDDEN = MaskRule("hide", ColumnSelector(names=("ssn",)), Nullify())
tables = st.none() | st.sets(st.sampled_from([PEOPLE, PAYMENTS, CLAIMS]), min_size=1).map(frozenset)


def mostly(common: Any, *rare: Any) -> st.SearchStrategy[Any]:
    """`common` nine times in ten: a request with several rare facts is never approved."""
    usual = common if isinstance(common, st.SearchStrategy) else st.just(common)
    return st.integers(0, 9).flatmap(lambda number: st.sampled_from(rare) if number == 7 else usual)


votes = st.builds(
    vote,
    st.sampled_from(PEOPLE_WHO_VOTE),
    approves=mostly(True, False),
    at=st.integers(0, 60),
    may=mostly(True, False, None),
    holds=mostly(True, False, None),
    digest=mostly(DIGEST, OTHER_DIGEST, None),
    request_uid=mostly(REQUEST.uid, Uid("request-9")),
    expiration_seconds=st.none() | st.integers(5, 3000),
    tables=tables,
    masks=st.sampled_from([(), (HIDDEN,)]),
    name=st.integers(0, 9999).map(lambda number: f"vote-{number}"),
)
ballots = st.lists(votes, max_size=5, unique_by=lambda each: each.vote.name).map(tuple)
limits = st.builds(Limits, *([st.none() | st.integers(0, 3)] * 3))
rules = st.builds(
    lambda name, text, longest, limits, needed: rule(name, *text, longest_seconds=longest, limits=limits, precedent=needed),
    st.sampled_from(["small", "large"]),
    st.sampled_from([(), ("request.expirationSeconds <= 600",), ("agent.name == 'finbot'",), ("has(user.attributes.x)",)]),
    st.none() | st.integers(5, 900),
    limits,
    st.none() | st.builds(precedent, st.integers(1, 2)),
)
offers = st.builds(
    terms,
    generation=mostly(3, 4),
    longest_seconds=st.integers(5, 3000),
    claim_seconds=st.integers(10, 120),
    pending_seconds=st.integers(60, 120),
    uses=st.integers(1, 3),
    required=st.integers(0, 2),
    approver_must_hold=st.booleans(),
    automatic=st.lists(rules, max_size=2, unique_by=lambda each: each.name).map(tuple),
)
pasts = st.builds(
    lambda make, at, **changes: lambda number: make(number, at=at, **changes),
    st.sampled_from([other, approved, denied, lambda *a, **k: approved(*a, by_rule=None, **k)]),
    st.integers(-4000, 10),
    user=st.sampled_from([REQUEST.user, BORIS]),
)
histories = st.lists(pasts, max_size=6).map(lambda made: tuple(each(number) for number, each in enumerate(made, 2)))
circumstances = st.builds(
    here,
    now=mostly(st.integers(0, 70).map(after), after(100), after(150), after(400)),
    terms=mostly(offers, None),
    digest=mostly(DIGEST, OTHER_DIGEST, None),
    unknown=mostly(None, "not read"),
    user_is_active=mostly(True, False),
    withdrawn_by=mostly(None, "the agent"),
    votes=ballots,
    others=histories,
    live_roles=st.sets(st.sampled_from([Uid(f"role-{number}") for number in range(4)])).map(frozenset),
)
requests = st.builds(
    lambda seconds, tables, columns: replace(REQUEST, expiration_seconds=seconds, tables=tables, columns=columns),
    st.integers(5, 3000),
    tables,
    st.none() | st.just(frozenset({"ssn"})),
)


def counting(found: Judgement, request: RequestedAccess, now: Circumstances) -> set[str]:
    """The people whose approvals count, found in the plainest way."""
    assert now.terms is not None
    return {
        each.vote.by
        for each in now.votes
        if each.vote.approves
        and each.may_approve
        and each.vote.by not in EXCLUDED
        and each.vote.digest == DIGEST
        and each.vote.request_uid == request.uid
        and (each.holds_tables or not now.terms.approver_must_hold)
    }


@MANY
@given(requests, circumstances, st.sampled_from([Recorded(), WAITING]))
def test_nothing_is_approved_without_enough_people_or_a_rule(request: RequestedAccess, now: Circumstances, before: Recorded):
    found = judge(request, before, now)

    if found.state is not STATE.APPROVED:
        assert found.approval is None
        return
    assert now.terms is not None
    approval = found.approval
    assert approval is not None
    assert (now.withdrawn_by, now.user_is_active, now.unknown) == (None, True, None)
    assert found.offered is not None
    assert (found.offered.uid, found.offered.generation, found.offered.digest) == (now.terms.uid, now.terms.generation, now.digest)
    assert before.offered in (None, found.offered)
    assert not any(
        each.may_approve
        and not each.vote.approves
        and each.vote.by not in EXCLUDED
        and each.vote.digest is None
        and each.vote.request_uid == request.uid
        for each in now.votes
    )
    if approval.rule is None:
        people = {each.by for each in approval.approvers}
        assert len(people) == len(approval.approvers) >= now.terms.required > 0
        assert people <= counting(found, request, now)
    else:
        assert before.state is None
        assert not approval.approvers
        (applied,) = [each for each in now.terms.automatic if each.name == approval.rule]
        mine = [each for each in now.others if each.recorded.approval is not None and each.recorded.approval.rule == approval.rule]
        live = sum(each.recorded.state in (STATE.APPROVED, STATE.USED) for each in mine)
        assert applied.limits.live_at_once is None or live < applied.limits.live_at_once
        assert all(each.text != "has(user.attributes.x)" for each in applied.conditions)
        assert applied.longest_seconds is None or approval.expiration_seconds <= applied.longest_seconds


@MANY
@given(requests, circumstances, st.sampled_from([Recorded(), WAITING]))
def test_an_approval_shows_no_more_and_for_no_longer_than_was_asked_for(request: RequestedAccess, now: Circumstances, before: Recorded):
    approval = judge(request, before, now).approval
    if approval is None:
        return
    assert now.terms is not None
    activation = approval.activation(request)
    assert activation.offer == request.offer
    assert activation.narrowings[0] == request.narrowing
    for each in approval.approvers:
        assert each.narrowing in activation.narrowings
        assert approval.expiration_seconds <= (each.expiration_seconds or approval.expiration_seconds)
    named = [each.tables for each in activation.narrowings if each.tables is not None]
    assert not named or frozenset.intersection(*named)
    assert approval.expiration_seconds <= min(request.expiration_seconds, now.terms.longest_seconds)
    assert approval.claim_until - approval.decided_at == timedelta(seconds=now.terms.claim_seconds)


@MANY
@given(requests, circumstances, st.sampled_from([Recorded(), WAITING]), st.randoms())
def test_the_order_of_votes_and_of_the_history_does_not_matter(request: RequestedAccess, now: Circumstances, before: Recorded, random: Any):
    votes, others = list(now.votes), list(now.others)
    random.shuffle(votes)
    random.shuffle(others)

    assert judge(request, before, replace(now, votes=tuple(votes), others=tuple(others))) == judge(request, before, now)


@MANY
@given(requests, circumstances, st.sampled_from([Recorded(), WAITING]), st.integers(0, 999_999), st.integers(0, 999_999))
def test_fractions_of_a_second_do_not_matter(request: RequestedAccess, now: Circumstances, before: Recorded, here: int, there: int):
    votes = tuple(replace(each, vote=replace(each.vote, at=each.vote.at + timedelta(microseconds=there))) for each in now.votes)
    moved = replace(now, now=now.now + timedelta(microseconds=here), votes=votes)

    found, expected = judge(request, before, moved), judge(request, before, now)

    assert (found.state, found.reason, found.message) == (expected.state, expected.reason, expected.message)


@MANY
@given(requests, st.lists(circumstances, max_size=8), st.lists(st.integers(0, 3), max_size=8))
def test_a_life_follows_the_diagram_and_ends_once(request: RequestedAccess, moments: list[Circumstances], roles: list[int]):
    recorded = Recorded()
    seen: list[RequestState | None] = [None]
    for now in sorted(moments, key=lambda each: each.now):
        found = judge(request, recorded, now)
        assert found.message
        if recorded.state is not None and recorded.state.is_final:
            assert (found.state, found.approval, found.recorded(recorded, now.now)) == (recorded.state, recorded.approval, recorded)
        else:
            assert found.state in NEXT[recorded.state]
            assert recorded.approval in (None, found.approval)
        recorded = found.recorded(recorded, now.now)
        assert judge(request, recorded, now).state in NEXT.get(recorded.state, {recorded.state})
        seen.append(found.state)
        if roles:
            recorded = attempt(request, recorded, now, roles.pop())
    assert sum(before is not now and now is not None and now.is_final for before, now in pairwise(seen)) <= 1


def attempt(request: RequestedAccess, recorded: Recorded, now: Circumstances, number: int) -> Recorded:
    wanted = IntendedUse(Uid(f"role-{number}"), request.agent, request.user, request.platform, now.now, request.purpose)
    found = may_use(request, recorded, now.terms, wanted)
    if not isinstance(found, MayUse):
        return recorded
    assert now.terms is not None
    assert recorded.approval is not None
    assert found.ends_by <= latest_end(recorded.approval, recorded.approval.claim_until)
    again = with_use(recorded, use(number, (now.now - NOW).total_seconds()))
    assert len(again.uses) <= max(now.terms.uses, len(recorded.uses))
    return again


@MANY
@given(requests, circumstances, st.sampled_from([Recorded(), WAITING]), st.integers(0, 300))
def test_time_alone_changes_nothing_before_the_time_to_look_again(
    request: RequestedAccess, now: Circumstances, before: Recorded, seconds: int
):
    first = judge(request, before, now)
    recorded = first.recorded(before, now.now)
    later = replace(now, now=now.now + timedelta(seconds=seconds))
    second = judge(request, recorded, later)

    if first.reason is RequestReason.OFFER_NOT_READ or first.state.is_final:
        return
    due = first.look_again_at is not None and later.now >= first.look_again_at
    assert due == (second.state is not first.state), (first, second)


@MANY
@given(st.lists(st.tuples(rules, st.integers(0, 100_000), st.booleans()), max_size=12), limits)
def test_a_rule_never_exceeds_its_limits_in_a_row_of_requests(steps: list[tuple[AutomaticRule, int, bool]], bound: Limits):
    done: list[OtherRequest] = []
    offer = terms(automatic=(rule("small", limits=bound),), pending_seconds=10**6)
    for number, (_, at, mine) in enumerate(sorted(steps, key=lambda each: each[1])):
        each = other(number, at=at, **({} if mine else {"user": BORIS}))
        found = judge(each.request, Recorded(), here(now=after(at), terms=offer, others=tuple(done)))
        done.append(replace(each, recorded=found.recorded(Recorded(), after(at))))
    granted = [each for each in done if each.recorded.state is STATE.APPROVED]
    for each in granted:
        assert within(granted, each, lambda one, other: one.user == other.user, 86_400) <= bounded(bound.per_user_per_day)
        assert within(granted, each, lambda one, other: one.agent == other.agent, 3_600) <= bounded(bound.per_agent_per_hour)
    assert len(granted) <= bounded(bound.live_at_once)


def within(granted: list[OtherRequest], last: OtherRequest, same: Callable[[RequestedAccess, RequestedAccess], bool], seconds: int) -> int:
    """The number of approvals in the time that ends with `last`."""
    end = decided(last).decided_at
    begin = end - timedelta(seconds=seconds)
    return sum(same(each.request, last.request) and begin < decided(each).decided_at <= end for each in granted)


def decided(each: OtherRequest) -> Approval:
    assert each.recorded.approval is not None
    return each.recorded.approval


def bounded(limit: int | None) -> int:
    return 10**9 if limit is None else limit


@MANY
@given(requests, offers, histories)
def test_rules_approve_or_say_of_each_why_not(request: RequestedAccess, offer: Any, others: tuple[OtherRequest, ...]):
    found = evaluate_rules(request, offer, OFFERED, RuleContext(here().attributes, here().agent_attributes, others, NOW))

    match found:
        case RuleApproval(applied, seconds):
            assert applied in offer.automatic
            assert seconds <= request.expiration_seconds
        case NoRuleApproves(refusals):
            assert [each.partition(":")[0] for each in refusals] == [f"rule {each.name}" for each in offer.automatic]


@MANY
@given(ballots, st.integers(1, 3), st.integers(0, 4))
def test_a_deleted_approval_revokes_as_soon_as_too_few_are_left(ballot: tuple[CheckedVote, ...], required: int, gone: int):
    offer = terms(required=required)
    now = here(terms=offer, votes=ballot, now=after(60))
    first = judge(REQUEST, WAITING, now)
    if first.state is not STATE.APPROVED or first.approval is None:
        return
    recorded = first.recorded(WAITING, now.now)
    left = tuple(each for each in ballot if each.vote.uid not in [one.decision_uid for one in first.approval.approvers[:gone]])
    remaining = max(len(first.approval.approvers) - gone, 0)

    second = judge(REQUEST, recorded, replace(now, votes=left, now=after(61)))

    if remaining < required:
        assert second.state is STATE.REVOKED
    else:
        assert (second.state, second.approval) in ((STATE.APPROVED, first.approval), (STATE.REVOKED, first.approval))
