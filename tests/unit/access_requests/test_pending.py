"""A request that nobody decided yet: what denies it, what ends it, and who approves it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rolevend.access_requests.circumstances import Judgement
from rolevend.access_requests.history import CoolDown
from rolevend.access_requests.judgement import judge
from rolevend.access_requests.request import Confirmation, LoginFacts, OfferVersion, Recorded
from rolevend.access_requests.states import RequestReason, RequestState
from rolevend.access_requests.terms import Justification, Limits, NeededProof
from rolevend.catalog import TableId
from rolevend.model import Attributes, ObjectName, Uid
from rolevend.policy.mask import Nullify
from rolevend.policy.offer import Narrowing
from rolevend.policy.statement import ColumnSelector, MaskRule
from tests.support.asking import (
    BORIS,
    DIGEST,
    NOW,
    OFFER,
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
    judged,
    no,
    other,
    precedent,
    rule,
    terms,
    vote,
)

NEW = Recorded()
STATE, WHY = RequestState, RequestReason
HIDDEN = MaskRule("hide", ColumnSelector(names=("ssn",)), Nullify())
SMALL = (rule(),)


@pytest.mark.parametrize(
    ("changes", "state", "reason"),
    [
        ({}, STATE.PENDING, WHY.PEOPLE_DECIDE),
        ({"votes": (vote(),)}, STATE.APPROVED, WHY.APPROVED_BY_PEOPLE),
        ({"votes": (no(),)}, STATE.DENIED, WHY.DENIED_BY_PERSON),
        ({"votes": (vote(at=10), no(at=10))}, STATE.DENIED, WHY.DENIED_BY_PERSON),
        ({"votes": (vote(at=10), no(at=99))}, STATE.DENIED, WHY.DENIED_BY_PERSON),
        ({"votes": (vote(), vote("carol"))}, STATE.APPROVED, WHY.APPROVED_BY_PEOPLE),
        ({"votes": (vote(),), "terms": terms(required=2)}, STATE.PENDING, WHY.PEOPLE_DECIDE),
        ({"votes": (vote(), vote("carol")), "terms": terms(required=2)}, STATE.APPROVED, WHY.APPROVED_BY_PEOPLE),
        ({"votes": (vote(), vote("carol"), no()), "terms": terms(required=2)}, STATE.DENIED, WHY.DENIED_BY_PERSON),
        ({"votes": (vote(), vote(at=12)), "terms": terms(required=2)}, STATE.PENDING, WHY.PEOPLE_DECIDE),
        ({"votes": (vote(), vote("ALICE")), "terms": terms(required=2)}, STATE.PENDING, WHY.PEOPLE_DECIDE),
        ({"votes": (vote(), no("alice"))}, STATE.DENIED, WHY.DENIED_BY_PERSON),
        ({"now": after(7199)}, STATE.PENDING, WHY.PEOPLE_DECIDE),
        ({"now": after(7200)}, STATE.EXPIRED, WHY.NOT_DECIDED),
        ({"now": after(7200), "votes": (vote(),)}, STATE.EXPIRED, WHY.NOT_DECIDED),
        ({"now": after(7200), "votes": (no(),)}, STATE.DENIED, WHY.DENIED_BY_PERSON),
        ({"withdrawn_by": "the agent"}, STATE.CANCELLED, WHY.WITHDRAWN),
        ({"withdrawn_by": "the agent", "votes": (vote(),)}, STATE.CANCELLED, WHY.WITHDRAWN),
        ({"user_is_active": False, "votes": (vote(),)}, STATE.SUPERSEDED, WHY.USER_INACTIVE),
        ({"terms": None, "votes": (vote(),)}, STATE.SUPERSEDED, WHY.OFFER_GONE),
        ({"terms": terms(uid=Uid("offer-2")), "votes": (vote(),)}, STATE.SUPERSEDED, WHY.OFFER_CHANGED),
        ({"terms": terms(generation=4), "votes": (vote(),)}, STATE.SUPERSEDED, WHY.OFFER_CHANGED),
        ({"digest": OTHER_DIGEST, "votes": (vote(),)}, STATE.SUPERSEDED, WHY.EFFECT_CHANGED),
        ({"digest": OTHER_DIGEST, "votes": (vote(digest=OTHER_DIGEST),)}, STATE.SUPERSEDED, WHY.EFFECT_CHANGED),
        ({"digest": None, "votes": (vote(),)}, STATE.SUPERSEDED, WHY.EFFECT_CHANGED),
        ({"digest": None, "unknown": "not read", "votes": (vote(),)}, STATE.PENDING, WHY.PEOPLE_DECIDE),
        ({"unknown": "not read", "votes": (vote(),)}, STATE.PENDING, WHY.PEOPLE_DECIDE),
        ({"digest": None, "unknown": "not read", "votes": (no(),)}, STATE.DENIED, WHY.DENIED_BY_PERSON),
        ({"digest": None, "unknown": "not read", "now": after(7200)}, STATE.EXPIRED, WHY.NOT_DECIDED),
        ({"terms": terms(required=0), "votes": (vote(),)}, STATE.DENIED, WHY.NO_RULE_APPROVES),
    ],
)
def test_a_pending_request_becomes(changes: dict[str, Any], state: RequestState, reason: RequestReason):
    found = judged(**changes)

    assert (found.state, found.reason) == (state, reason)
    assert (found.approval is not None) == (state is STATE.APPROVED)
    assert found.offered == OFFERED
    assert (found.look_again_at is None) == state.is_final


@pytest.mark.parametrize(
    ("changes", "state", "reason"),
    [
        ({}, STATE.PENDING, WHY.PEOPLE_DECIDE),
        ({"terms": None}, STATE.DENIED, WHY.NOT_OFFERED),
        ({"digest": None}, STATE.DENIED, WHY.NOT_OFFERED),
        ({"digest": None, "unknown": "not read"}, STATE.PENDING, WHY.OFFER_NOT_READ),
        ({"terms": terms(required=0)}, STATE.DENIED, WHY.NO_RULE_APPROVES),
        ({"terms": terms(purposes=frozenset({"audit"}))}, STATE.DENIED, WHY.ASK_INCOMPLETE),
        ({"terms": terms(proof=NeededProof())}, STATE.DENIED, WHY.PROOF_NOT_MET),
        ({"terms": terms(automatic=SMALL)}, STATE.APPROVED, WHY.APPROVED_BY_RULE),
        ({"terms": terms(automatic=SMALL, required=0)}, STATE.APPROVED, WHY.APPROVED_BY_RULE),
        ({"terms": terms(automatic=SMALL), "votes": (no(),)}, STATE.DENIED, WHY.DENIED_BY_PERSON),
        ({"terms": terms(automatic=SMALL), "others": (denied(),)}, STATE.DENIED, WHY.COOL_DOWN),
        ({"others": (denied(),)}, STATE.DENIED, WHY.COOL_DOWN),
        ({"others": (denied(reason=WHY.NO_RULE_APPROVES),)}, STATE.DENIED, WHY.COOL_DOWN),
        ({"others": (denied(reason=WHY.COOL_DOWN),)}, STATE.PENDING, WHY.PEOPLE_DECIDE),
        ({"others": (denied(user=BORIS),)}, STATE.PENDING, WHY.PEOPLE_DECIDE),
        ({"others": (denied(offer=ObjectName("domain-claims", "other")),)}, STATE.PENDING, WHY.PEOPLE_DECIDE),
        ({"others": (denied(tables=frozenset({PEOPLE}), expiration_seconds=5),)}, STATE.DENIED, WHY.COOL_DOWN),
        ({"others": tuple(map(other, range(2, 22)))}, STATE.DENIED, WHY.TOO_MANY_OPEN),
        ({"others": tuple(map(other, range(2, 21)))}, STATE.PENDING, WHY.PEOPLE_DECIDE),
    ],
)
def test_a_new_request_becomes(changes: dict[str, Any], state: RequestState, reason: RequestReason):
    found = judged(NEW, **changes)

    assert (found.state, found.reason) == (state, reason)


def test_an_offer_that_does_not_exist_and_one_that_shows_nothing_are_denied_alike():
    assert judged(NEW, terms=None) == judged(NEW, digest=None)


def test_the_first_judgement_pins_the_offer_and_its_effect():
    found = judged(NEW)

    assert found.offered == OfferVersion(Uid("offer-1"), 3, DIGEST)
    assert found.look_again_at == after(7200)


def test_nothing_of_a_request_that_has_an_unknown_effect_is_pinned_and_rules_wait_for_it():
    unread = judged(NEW, digest=None, unknown="the catalog was not read", terms=terms(automatic=SMALL))
    later = judged(unread.recorded(NEW, after(0)), now=after(5), terms=terms(automatic=SMALL))

    assert unread.offered is None
    assert (later.state, later.reason) == (STATE.APPROVED, WHY.APPROVED_BY_RULE)


def test_rules_decide_once_and_people_afterwards():
    closed = terms(automatic=(rule(limits=Limits(live_at_once=1)),))
    first = judged(NEW, terms=closed, others=(approved(),))
    recorded = first.recorded(NEW, after(0))
    unread = judged(recorded, terms=closed, digest=None, unknown="not read").recorded(recorded, after(1))

    assert first.message == "people decide, 0 of 1 needed approvals; rule small: its limit of 1 at once is used up"
    assert judged(recorded, terms=closed).state is STATE.PENDING
    assert judged(unread, terms=closed).message == first.message
    assert judged(recorded, terms=closed, votes=(vote(),)).state is STATE.APPROVED


def test_progress_is_counted_and_the_reason_why_no_rule_applied_stays():
    two = terms(required=2, automatic=(rule("office", "'fraud' in user.attributes.department"),))
    recorded = judged(NEW, terms=two).recorded(NEW, after(0))

    found = judged(recorded, terms=two, votes=(vote(),))

    assert found.message == ("people decide, 1 of 2 needed approvals; rule office: condition c0 reads department, which is not known")


class TestApprovalByPeople:
    def test_the_claim_runs_from_the_decision_in_whole_seconds(self):
        approval = judged(now=after(20.75), votes=(vote(),)).approval

        assert approval is not None
        assert (approval.decided_at, approval.claim_until) == (after(20), after(3620))
        assert [each.by for each in approval.approvers] == ["alice"]

    @pytest.mark.parametrize(
        ("asked", "longest", "given", "seconds"),
        [(900, 1800, [None], 900), (900, 600, [None], 600), (900, 1800, [300], 300), (900, 1800, [300, 60], 60), (900, 1800, [86400], 900)],
    )
    def test_the_shortest_time_counts(self, asked: int, longest: int, given: list[int | None], seconds: int):
        votes = tuple(vote(f"approver-{number}", expiration_seconds=each) for number, each in enumerate(given))

        found = judge(replace(REQUEST, expiration_seconds=asked), WAITING, here(terms=terms(longest_seconds=longest), votes=votes))

        assert found.approval is not None
        assert found.approval.expiration_seconds == seconds

    @pytest.mark.parametrize("at", [-86_400, -1, 0, 86_400])
    def test_a_vote_counts_whatever_the_clock_of_the_api_server_says_and_no_clock_is_taken_from_it(self, at: int):
        found = judged(votes=(vote(at=at),), now=after(20))

        assert found.state is STATE.APPROVED
        assert found.approval is not None
        assert (found.approval.decided_at, found.approval.claim_until) == (after(20), after(20 + 3600))

    def test_all_narrowings_apply(self):
        tables = frozenset({PEOPLE, PAYMENTS})
        request = replace(REQUEST, tables=tables, columns=frozenset({"ssn"}))
        votes = (vote(tables=frozenset({PEOPLE})), vote("carol", masks=(HIDDEN,)))

        approval = judge(request, WAITING, here(votes=votes, terms=terms(required=2))).approval

        assert approval is not None
        assert approval.activation(request).narrowings == (
            Narrowing(tables, frozenset({"ssn"})),
            Narrowing(frozenset({PEOPLE})),
            Narrowing(masks=(HIDDEN,)),
        )

    @pytest.mark.parametrize(
        ("asked", "given"),
        [(None, [{PEOPLE}, {PAYMENTS}]), ({PEOPLE}, [{PAYMENTS}]), ({PEOPLE, PAYMENTS}, [{PEOPLE}, {PAYMENTS}])],
    )
    def test_approvals_without_a_common_table_deny(self, asked: set[TableId] | None, given: list[set[TableId]]):
        request = replace(REQUEST, tables=None if asked is None else frozenset(asked))
        votes = tuple(vote(f"approver-{number}", tables=frozenset(each)) for number, each in enumerate(given))

        found = judge(request, WAITING, here(votes=votes))

        assert (found.state, found.reason) == (STATE.DENIED, WHY.NOTHING_IN_COMMON)
        assert "have none in common" in found.message


class TestRules:
    def approved_by(self, *rules: Any, request: Any = REQUEST, **changes: Any) -> Any:
        return judge(request, NEW, here(terms=terms(automatic=rules), **changes))

    def test_the_first_that_matches_approves_and_is_named(self):
        attributes = Attributes.of({"department": ["fraud"]}.items())
        office = rule("office", "'hr' in user.attributes.department")

        found = self.approved_by(office, rule("fraud", "'fraud' in user.attributes.department"), rule("any"), attributes=attributes)

        assert found.approval.rule == "fraud"
        assert found.message == "rule fraud approves it for 600 seconds"

    @pytest.mark.parametrize(
        ("text", "holds"),
        [
            ("request.purpose == 'fraud-review' && request.platform == 'warehouse'", True),
            ("request.expirationSeconds <= 900 && agent.name == 'finbot' && user.subject == 'anna'", True),
            ("request.expirationSeconds < 900", False),
            ("'high' in agent.attributes.trust", True),
            ("'low' in agent.attributes.trust", False),
            ("'x' in user.attributes.missing", False),
        ],
    )
    def test_conditions_read_user_agent_and_request(self, text: str, holds: bool):
        found = self.approved_by(rule("any", text), agent_attributes=Attributes.of({"trust": ["high"]}.items()))

        assert found.state is (STATE.APPROVED if holds else STATE.PENDING)

    @pytest.mark.parametrize(("asked", "of_rule", "seconds"), [(900, 600, 600), (300, 600, 300), (900, None, 900), (3600, None, 1800)])
    def test_seconds_are_the_least_of_request_rule_and_offer(self, asked: int, of_rule: int | None, seconds: int):
        found = self.approved_by(rule(longest_seconds=of_rule), request=replace(REQUEST, expiration_seconds=asked))

        assert found.approval.expiration_seconds == seconds

    @pytest.mark.parametrize(
        ("limits", "others", "exceeded"),
        [
            (Limits(per_user_per_day=1), [approved(at=-86399)], "its limit of 1 a day for a user is used up"),
            (Limits(per_user_per_day=1), [approved(at=-86400)], None),
            (Limits(per_user_per_day=1), [approved(at=+30)], "its limit of 1 a day for a user is used up"),
            (Limits(per_user_per_day=2), [approved()], None),
            (Limits(per_user_per_day=1), [approved(user=BORIS)], None),
            (Limits(per_user_per_day=1), [approved(agent=ObjectName("agents", "x"))], "its limit of 1 a day for a user is used up"),
            (Limits(per_user_per_day=1), [approved(by_rule="large")], None),
            (Limits(per_user_per_day=1), [approved(by_rule=None)], None),
            (Limits(per_user_per_day=1), [approved(offer=ObjectName("domain-claims", "x"))], None),
            (Limits(per_user_per_day=1), [approved(state=STATE.SPENT)], "its limit of 1 a day for a user is used up"),
            (Limits(per_user_per_day=1), [other()], None),
            (Limits(per_agent_per_hour=1), [approved(at=-3599, user=BORIS)], "its limit of 1 an hour for an agent is used up"),
            (Limits(per_agent_per_hour=1), [approved(at=-3600)], None),
            (Limits(per_agent_per_hour=1), [approved(agent=ObjectName("agents", "x"))], None),
            (Limits(live_at_once=1), [approved(user=BORIS, agent=ObjectName("x", "y"))], "its limit of 1 at once is used up"),
            (Limits(live_at_once=1), [approved(state=STATE.USED)], "its limit of 1 at once is used up"),
            (Limits(live_at_once=1), [approved(state=STATE.LAPSED)], None),
            (Limits(live_at_once=0), [], "its limit of 0 at once is used up"),
        ],
    )
    def test_limits_are_counted_from_the_other_requests(self, limits: Limits, others: list[Any], exceeded: str | None):
        found = self.approved_by(rule(limits=limits), others=tuple(others))

        if exceeded is None:
            assert found.state is STATE.APPROVED
        else:
            assert found.message.endswith(f"; rule small: {exceeded}")

    def test_requests_that_are_judged_one_after_the_other_never_exceed_a_limit(self):
        done: list[Any] = []
        for number in range(2, 12):
            each = other(number, at=0)
            found = judge(each.request, NEW, here(terms=terms(automatic=(rule(),)), others=tuple(done)))
            done.append(replace(each, recorded=found.recorded(NEW, after(0))))

        assert [each.recorded.state for each in done].count(STATE.APPROVED) == 3

    def test_a_request_does_not_count_against_itself(self):
        mine = replace(approved(), request=REQUEST)

        assert self.approved_by(rule(limits=Limits(live_at_once=1)), others=(mine,)).state is STATE.APPROVED

    @pytest.mark.parametrize(
        ("others", "suffices"),
        [
            ([approved(2, by_rule=None), approved(3, by_rule=None)], True),
            ([approved(2, by_rule=None)], False),
            ([approved(2, by_rule=None), approved(3)], False),
            ([approved(2, by_rule=None), approved(3, by_rule=None, at=-30 * 86400)], False),
            ([approved(2, by_rule=None), approved(3, by_rule=None, state=STATE.REVOKED)], False),
            ([approved(2, by_rule=None), approved(3, by_rule=None, state=STATE.SPENT)], True),
            ([approved(2, by_rule=None), approved(3, by_rule=None, user=BORIS)], False),
            ([approved(2, by_rule=None), approved(3, by_rule=None, purpose="other")], False),
            ([approved(2, by_rule=None), approved(3, by_rule=None, tables=frozenset({PEOPLE}))], False),
            ([approved(2, by_rule=None), approved(3, by_rule=None, offered=replace(OFFERED, digest=OTHER_DIGEST))], False),
            ([approved(2, by_rule=None), approved(3, by_rule=None, offered=replace(OFFERED, generation=1))], True),
            ([approved(2, by_rule=None), approved(3, by_rule=None, seconds=599)], False),
            ([approved(2, by_rule=None), approved(3, by_rule=None, seconds=600)], True),
            ([approved(2, by_rule=None, at=-5000), approved(3, by_rule=None, at=-5000), denied(4, at=-5000)], False),
            ([approved(2, by_rule=None, at=-5000), approved(3, by_rule=None, at=-5000), denied(4, at=-4000, user=BORIS)], True),
            (
                [
                    *(approved(2, by_rule=None, at=-5000), approved(3, by_rule=None, at=-5000)),
                    denied(4, at=-4000, reason=WHY.NO_RULE_APPROVES),
                ],
                True,
            ),
            ([approved(2, by_rule=None), approved(3, by_rule=None, approvers=(vote(masks=(HIDDEN,)).vote.approver,))], False),
            ([approved(2, by_rule=None), approved(3, by_rule=None, approvers=(vote(tables=frozenset({PEOPLE})).vote.approver,))], False),
            ([approved(2, by_rule=None, at=-5000), approved(3, by_rule=None, at=-5000), denied(4, at=-4000)], False),
            ([approved(2, by_rule=None, at=-3000), approved(3, by_rule=None, at=-3000), denied(4, at=-4000)], True),
        ],
    )
    def test_a_precedent_is_the_same_request_which_people_approved_whole(self, others: list[Any], suffices: bool):
        found = self.approved_by(rule(precedent=precedent(2)), others=tuple(others), cool_down=CoolDown(first=timedelta(0)))

        assert found.state is (STATE.APPROVED if suffices else STATE.PENDING), found.message
        assert suffices or "people approved the same" in found.message


class TestCoolDown:
    @pytest.mark.parametrize(
        ("denials", "seconds"),
        [([0], 300), ([-9000, 0], 600), ([-9000, -5000, 0], 1200), ([-8 * 86400, 0], 300), ([-i for i in range(20)], 86400)],
    )
    def test_it_doubles_with_each_denial_up_to_a_day(self, denials: list[int], seconds: int):
        others = tuple(denied(number, at=at) for number, at in enumerate(denials, 2))

        def state(at: float) -> RequestState:
            return judge(replace(REQUEST, created_at=after(at)), NEW, here(others=others, now=after(at))).state

        assert state(seconds - 1) is STATE.DENIED
        assert state(seconds) is STATE.PENDING

    def test_an_approval_ends_the_series_unless_it_was_revoked(self):
        series = (denied(2, at=-9000), denied(3, at=-8000))
        yes = approved(4, at=-6000, by_rule=None)
        late = denied(5, at=-301)

        assert judged(NEW, others=(*series, yes, late)).state is STATE.PENDING
        revoked = replace(yes, recorded=replace(yes.recorded, state=STATE.REVOKED))
        assert judged(NEW, others=(*series, revoked, late)).reason is WHY.COOL_DOWN

    def test_a_denial_in_the_second_of_an_approval_counts(self):
        others = (approved(2, at=-200, by_rule=None), denied(3, at=-200))

        assert judged(NEW, others=others).reason is WHY.COOL_DOWN

    def test_a_request_that_waited_already_is_not_denied_by_a_later_cool_down(self):
        assert judged(others=(denied(),)).state is STATE.PENDING


@pytest.mark.parametrize(
    ("changes", "login", "part"),
    [
        ({"purposes": frozenset({"audit", "fraud-review"})}, None, None),
        ({"justification": Justification.AGENT}, None, "asks for a justification; add one"),
        ({"justification": Justification.USER}, None, "that the user writes"),
        ({"ticket": "^FR-[0-9]+$"}, None, "asks for a ticket that matches ^FR-[0-9]+$"),
        ({"ticket": "("}, None, "asks for a ticket"),
        ({"proof": NeededProof()}, None, "asks for a token of the user"),
        ({"proof": NeededProof()}, LoginFacts(), None),
        ({"proof": NeededProof(acr=("mfa",))}, LoginFacts(), "asks for a login with acr mfa"),
        ({"proof": NeededProof(acr=("mfa", "phr"))}, LoginFacts(acr="phr"), None),
        ({"proof": NeededProof(900)}, LoginFacts(), "a login within the last 900 seconds"),
        ({"proof": NeededProof(900)}, LoginFacts(at=after(-901)), "a login within the last 900 seconds"),
        ({"proof": NeededProof(900)}, LoginFacts(at=after(-900)), None),
    ],
)
def test_an_incomplete_request_is_denied_with_the_part_that_is_missing(changes: Any, login: LoginFacts | None, part: str | None):
    found = judge(replace(REQUEST, login=login), NEW, here(terms=terms(**changes)))

    assert found.state is (STATE.PENDING if part is None else STATE.DENIED)
    assert part is None or part in found.message


class TestTheUserConfirms:
    """The offer asks for a justification of the user, who can write it on rolevend's page."""

    def judged(self, recorded: Recorded = NEW, /, **changes: Any) -> Judgement:
        asks = {"justification": Justification.USER, **changes.pop("terms", {})}
        return judge(REQUEST, recorded, here(**{"can_confirm": True, "terms": terms(**asks), **changes}))

    def waiting(self, confirmation: Confirmation | None = None, **changes: Any) -> Recorded:
        found = self.judged(**changes)
        assert (found.state, found.reason) == (STATE.PENDING, RequestReason.USER_CONFIRMS), found
        return replace(found.recorded(NEW, NOW), confirmation=confirmation)

    def test_no_rule_and_no_person_decides_before_the_answer(self):
        rules = {"automatic": (rule(),)}

        found = self.judged(self.waiting(terms=rules), terms=rules, votes=(vote(),), now=after(30))

        assert (found.state, found.reason) == (STATE.PENDING, RequestReason.USER_CONFIRMS)
        assert found.look_again_at == after(600)

    def test_a_rule_decides_after_the_answer(self):
        rules = {"automatic": (rule(),)}
        confirmed = self.waiting(Confirmation(True, DIGEST), terms=rules)

        found = self.judged(confirmed, terms=rules, now=after(30))

        assert (found.state, found.reason) == (STATE.APPROVED, RequestReason.APPROVED_BY_RULE)
        assert found.recorded(confirmed, after(30)).confirmation == confirmed.confirmation

    def test_people_decide_after_the_answer_and_it_is_asked_for_once(self):
        confirmed = self.waiting(Confirmation(True, DIGEST))
        found = self.judged(confirmed, now=after(30))
        assert (found.state, found.reason) == (STATE.PENDING, RequestReason.PEOPLE_DECIDE)

        later = self.judged(found.recorded(confirmed, after(30)), now=after(900), votes=(vote(),))

        assert later.state is STATE.APPROVED

    def test_an_answer_about_another_effect_confirms_nothing(self):
        found = self.judged(self.waiting(Confirmation(True, OTHER_DIGEST)), now=after(30))

        assert (found.state, found.reason) == (STATE.PENDING, RequestReason.USER_CONFIRMS)

    def test_a_no_ends_it_and_starts_a_cool_down(self):
        found = self.judged(self.waiting(Confirmation(False, DIGEST)), now=after(30))

        assert (found.state, found.reason) == (STATE.CANCELLED, RequestReason.REFUSED_BY_USER)
        refused = other(state=found.state, reason=found.reason, since=after(-30))
        assert self.judged(others=(refused,)).reason is RequestReason.COOL_DOWN

    @pytest.mark.parametrize(("pending", "until"), [(7200, 600), (60, 60)])
    def test_it_expires_without_an_answer(self, pending: int, until: int):
        waiting, brief = self.waiting(terms={"pending_seconds": pending}), {"pending_seconds": pending}

        assert self.judged(waiting, terms=brief, now=after(until - 1)).state is STATE.PENDING
        found = self.judged(waiting, terms=brief, now=after(until))

        assert (found.state, found.reason) == (STATE.EXPIRED, RequestReason.NOT_CONFIRMED)

    def test_a_changed_effect_supersedes_it(self):
        found = self.judged(self.waiting(Confirmation(True, DIGEST)), digest=OTHER_DIGEST)

        assert (found.state, found.reason) == (STATE.SUPERSEDED, RequestReason.EFFECT_CHANGED)

    def test_a_request_that_cannot_be_granted_is_denied_before_the_user_is_asked(self):
        found = self.judged(terms={"ticket": "^FR-[0-9]+$"})

        assert found.reason is RequestReason.ASK_INCOMPLETE

    def test_without_a_page_the_denial_says_what_to_set(self):
        found = self.judged(can_confirm=False)

        assert found.reason is RequestReason.ASK_INCOMPLETE
        assert "spec.login" in found.message

    def test_while_the_effect_cannot_be_read_it_goes_on_waiting(self):
        found = self.judged(self.waiting(), digest=None, unknown="the tables were not read yet")

        assert (found.state, found.reason) == (STATE.PENDING, RequestReason.USER_CONFIRMS)


@pytest.mark.parametrize(
    ("needed", "is_justified", "complete"),
    [(Justification.NONE, False, True), (Justification.AGENT, True, True), (Justification.USER, True, False)],
)
def test_an_agent_does_not_justify_in_the_place_of_the_user(needed: Justification, is_justified: bool, complete: bool):
    found = judge(replace(REQUEST, is_justified=is_justified), NEW, here(terms=terms(justification=needed)))

    assert (found.state is STATE.PENDING) == complete


@pytest.mark.parametrize(("ticket", "fits"), [("FR-12", True), (None, False), ("", False), ("XFR-12", False), ("FR-12\n", False)])
def test_a_ticket_matches_the_pattern_of_the_offer(ticket: str | None, fits: bool):
    found = judge(replace(REQUEST, ticket=ticket), NEW, here(terms=terms(ticket="^FR-[0-9]+$")))

    assert (found.state is STATE.PENDING) == fits


def test_of_requests_that_were_not_judged_yet_the_earlier_ones_take_the_budget():
    unjudged = [replace(each, recorded=NEW) for each in (other(2, at=0), other(3, at=0), other(4, at=1))]
    mine = [judge(each.request, NEW, here(others=tuple(unjudged), most_open=2)).state for each in unjudged]

    assert mine == [STATE.PENDING, STATE.PENDING, STATE.DENIED]


def test_an_offer_of_another_namespace_is_another_offer():
    assert judged(votes=(vote(offer=ObjectName("elsewhere", OFFER.name)),)).state is STATE.PENDING


@pytest.mark.parametrize(
    ("recorded", "changes", "message"),
    [
        (WAITING, {"withdrawn_by": "the agent"}, "withdrawn by the agent"),
        (WAITING, {"votes": (no(),)}, "denied by bob"),
        (WAITING, {"user_is_active": False}, "the user is not active any more"),
        (WAITING, {"terms": None}, "the offer does not exist any more; ask again"),
        (WAITING, {"terms": terms(generation=4)}, "the offer was changed; ask again"),
        (
            WAITING,
            {"digest": OTHER_DIGEST},
            "the offer shows this user something else now, because data, guardrails or the user changed; ask again",
        ),
        (WAITING, {"digest": None}, "the offer shows this user nothing now, because data, guardrails or the user changed; ask again"),
        (WAITING, {"now": after(7200)}, "not decided within 7200 seconds"),
        (WAITING, {"votes": (vote(), vote("carol"))}, "approved by alice, carol for 900 seconds"),
        (WAITING, {}, "people decide, 0 of 1 needed approvals"),
        (NEW, {"terms": None}, "there is no AccessPolicy domain-claims/fraud-ssn-clear that offers this user something"),
        (NEW, {"digest": None, "unknown": "no catalog"}, "the offer is not read yet: no catalog"),
        (NEW, {"user_is_active": False}, "the offer is not read yet: no accepted UserAttributes names the user"),
        (NEW, {"user_is_active": False, "digest": None}, "the offer is not read yet: no accepted UserAttributes names the user"),
        (NEW, {"user_is_active": False, "now": after(7200)}, "not decided within 7200 seconds"),
        (NEW, {"user_is_active": False, "most_open": 0}, "the agent has 0 open requests, its maximum"),
        (NEW, {"others": (denied(at=-60),)}, "the same was denied lately; ask again after 2026-11-30T12:04:00Z, and not before"),
        (NEW, {"most_open": 0}, "the agent has 0 open requests, its maximum"),
        (NEW, {"most_open": 0, "digest": None, "unknown": "no token"}, "the agent has 0 open requests, its maximum"),
        (NEW, {"terms": terms(required=0)}, "no rule approves it, and people do not decide about this offer"),
        (
            NEW,
            {"terms": terms(required=0, automatic=(rule("a", "has(user.attributes.x)"), rule("b", limits=Limits(live_at_once=0))))},
            "no rule approves it, and people do not decide about this offer; rule a: condition c0 does not hold; "
            "rule b: its limit of 0 at once is used up",
        ),
    ],
)
def test_a_state_comes_with_one_sentence(recorded: Recorded, changes: dict[str, Any], message: str):
    assert judged(recorded, **changes).message == message


def test_the_reasons_of_all_rules_stay_while_people_decide():
    two = terms(automatic=(rule("a", "has(user.attributes.x)"), rule("b", limits=Limits(live_at_once=0))))
    first = judged(NEW, terms=two)

    assert judged(first.recorded(NEW, after(0)), terms=two).message == first.message


def test_an_approval_by_a_rule_is_looked_at_again_when_its_claim_ends():
    assert judged(NEW, terms=terms(automatic=SMALL)).look_again_at == after(3600)
