"""Which role may use an approval, and until when."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolevend.access_requests.request import Approval, LoginFacts, Recorded
from rolevend.access_requests.states import RequestReason, RequestState
from rolevend.access_requests.terms import NeededProof
from rolevend.access_requests.use import IntendedUse, MayNotUse, MayUse, UseRefusal, latest_end, may_use
from rolevend.model import ObjectName, PlatformName, Task, Uid
from tests.support.asking import AGENT, ANNA, BORIS, REQUEST, TERMS, WAITING, WAREHOUSE, after, by_people, terms, use, with_use

APPROVED = by_people()
MINE = IntendedUse(use().role_uid, AGENT, ANNA, WAREHOUSE, after(100), "fraud-review")


@pytest.mark.parametrize(
    ("vended", "end"),
    [(0, 900), (3000, 3900), (3600, 4500), (3601, 4500), (9999, 4500)],
)
def test_a_role_ends_after_the_granted_seconds_of_work_and_of_the_claim(vended: float, end: float):
    assert latest_end(Approval(after(0), after(3600), 900), after(vended)) == after(end)


def test_the_approved_agent_may_use_it_for_the_approved_user():
    assert may_use(REQUEST, APPROVED, TERMS, MINE) == MayUse(after(1000), is_recorded=False)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"agent": ObjectName("agents", "other")}, UseRefusal.WRONG_AGENT),
        ({"agent": ObjectName("elsewhere", "finbot")}, UseRefusal.WRONG_AGENT),
        ({"user": BORIS}, UseRefusal.WRONG_USER),
        ({"user": replace(ANNA, issuer="https://evil.example.org")}, UseRefusal.WRONG_USER),
        ({"platform": PlatformName("annex")}, UseRefusal.WRONG_PLATFORM),
        ({"purpose": "marketing"}, UseRefusal.WRONG_PURPOSE),
        ({"purpose": None}, UseRefusal.WRONG_PURPOSE),
        ({"at": after(3620)}, UseRefusal.CLAIM_OVER),
        ({"at": after(99999)}, UseRefusal.CLAIM_OVER),
    ],
)
def test_no_other_role_may(changes: dict[str, Any], refusal: UseRefusal):
    found = may_use(REQUEST, APPROVED, TERMS, replace(MINE, **changes))

    assert isinstance(found, MayNotUse)
    assert found.refusal is refusal


FRESH = terms(proof=NeededProof(900, ("mfa",)))
OLD = LoginFacts(after(-1000), "mfa")


@pytest.mark.parametrize(
    "login", [None, LoginFacts(), LoginFacts(after(90)), LoginFacts(after(90), "pwd"), LoginFacts(acr="mfa"), OLD], ids=str
)
def test_each_use_needs_the_login_that_the_offer_asks_for(login: LoginFacts | None):
    found = may_use(replace(REQUEST, login=LoginFacts(after(0), "mfa")), APPROVED, FRESH, replace(MINE, login=login))

    assert isinstance(found, MayNotUse)
    assert (found.refusal, found.needed) == (UseRefusal.PROOF_NOT_MET, FRESH.proof)


def test_a_login_that_suffices_a_token_that_was_not_read_and_a_role_that_uses_it_already_may():
    assert isinstance(may_use(REQUEST, APPROVED, FRESH, replace(MINE, login=LoginFacts(after(-800), "mfa"))), MayUse)
    assert isinstance(may_use(REQUEST, APPROVED, FRESH, replace(MINE, is_login_read=False)), MayUse)
    assert isinstance(may_use(REQUEST, replace(APPROVED, uses=(use(),)), FRESH, MINE), MayUse)


def test_what_a_token_asked_for_only_a_role_with_a_token_may_use():
    proven = replace(REQUEST, login=LoginFacts())

    asserted = may_use(proven, APPROVED, TERMS, MINE)

    assert isinstance(asserted, MayNotUse)
    assert asserted.refusal is UseRefusal.USER_NOT_PROVEN
    assert isinstance(may_use(proven, APPROVED, TERMS, replace(MINE, login=LoginFacts())), MayUse)
    assert isinstance(may_use(proven, APPROVED, TERMS, replace(MINE, is_login_read=False)), MayUse), "the vend asks again"
    assert isinstance(may_use(REQUEST, APPROVED, TERMS, replace(MINE, login=LoginFacts())), MayUse), "a proof is more than an assertion"


def test_another_agent_and_another_user_learn_nothing():
    missing = "there is no AccessRequest ar-1 of this agent for this user"
    others: tuple[dict[str, Any], ...] = ({"agent": ObjectName("agents", "other")}, {"user": BORIS})

    for recorded in (APPROVED, WAITING, Recorded(RequestState.DENIED)):
        for changes in others:
            found = may_use(REQUEST, recorded, TERMS, replace(MINE, **changes))
            assert isinstance(found, MayNotUse)
            assert found.message == missing


@pytest.mark.parametrize("recorded", [Recorded(), WAITING, replace(APPROVED, approval=None), replace(APPROVED, offered=None)])
def test_without_an_approval_nothing_may(recorded: Recorded):
    found = may_use(REQUEST, recorded, TERMS, MINE)

    assert isinstance(found, MayNotUse)
    assert found.refusal is UseRefusal.NOT_APPROVED


@pytest.mark.parametrize("state", [each for each in RequestState if each.is_final])
def test_in_a_final_state_nothing_may_and_no_recorded_role_again(state: RequestState):
    ended = replace(with_use(APPROVED, use()), state=state, reason=RequestReason.WITHDRAWN, message="withdrawn by anna")

    found = may_use(REQUEST, ended, TERMS, MINE)

    message = f"AccessRequest ar-1 is {state} (withdrawn by anna): it cannot be used"
    assert found == MayNotUse(UseRefusal.NOT_APPROVED, message, ended_by=RequestReason.WITHDRAWN)


@pytest.mark.parametrize("now", [None, terms(generation=4), terms(uid=Uid("offer-2"))])
def test_a_changed_offer_is_not_used(now: Any):
    found = may_use(REQUEST, APPROVED, now, MINE)

    assert isinstance(found, MayNotUse)
    assert found.refusal is UseRefusal.OFFER_CHANGED


def test_an_approval_for_a_task_is_used_by_this_task_alone():
    of_task = replace(REQUEST, task=Task("conversation-1", "sha256:x"))

    assert isinstance(may_use(of_task, APPROVED, TERMS, replace(MINE, task=Task("conversation-1"))), MayUse)
    for task in (None, Task("conversation-2")):
        found = may_use(of_task, APPROVED, TERMS, replace(MINE, task=task))
        assert isinstance(found, MayNotUse)
        assert found.refusal is UseRefusal.WRONG_TASK


def test_an_approval_for_no_task_is_not_for_a_role_of_a_conversation():
    found = may_use(REQUEST, APPROVED, TERMS, replace(MINE, task=Task("conversation-2")))

    assert isinstance(found, MayNotUse)
    assert found.refusal is UseRefusal.WRONG_TASK
    assert "states no task" in found.message


class TestRecordedUse:
    USED = with_use(APPROVED, use(at=100))

    @pytest.mark.parametrize("at", [100, 500, 999.9])
    def test_it_is_the_same_use_again_and_keeps_its_end(self, at: float):
        assert may_use(REQUEST, self.USED, TERMS, replace(MINE, at=after(at))) == MayUse(after(1000), is_recorded=True)

    def test_it_ends_with_its_time(self):
        found = may_use(REQUEST, self.USED, TERMS, replace(MINE, at=after(1000)))

        assert isinstance(found, MayNotUse)
        assert found.refusal is UseRefusal.TIME_OVER

    def test_a_late_claim_may_still_complete(self):
        late = with_use(APPROVED, use(at=3619))

        assert may_use(REQUEST, late, TERMS, replace(MINE, at=after(3700))) == MayUse(after(4519), is_recorded=True)

    def test_another_role_needs_another_use(self):
        another = replace(MINE, role_uid=Uid("role-2"))

        found = may_use(REQUEST, self.USED, TERMS, another)
        assert isinstance(found, MayNotUse)
        assert found.refusal is UseRefusal.USES_GONE
        assert isinstance(may_use(REQUEST, self.USED, terms(uses=2), another), MayUse)


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 8000)), max_size=20), st.integers(1, 4))
def test_uses_never_exceed_those_of_the_offer_and_no_role_outlives_the_claim(attempts: list[tuple[int, int]], uses: int):
    recorded = APPROVED
    approval = recorded.approval
    assert approval is not None
    for number, at in attempts:
        found = may_use(REQUEST, recorded, terms(uses=uses), replace(MINE, role_uid=Uid(f"role-{number}"), at=after(at)))
        if isinstance(found, MayUse):
            again = with_use(recorded, use(number, at))
            assert (again == recorded) == found.is_recorded
            recorded = again
            first = next(each.at for each in recorded.uses if each.role_uid == f"role-{number}")
            assert after(at) < found.ends_by == latest_end(approval, first) <= min(approval.claim_until, first) + timedelta(seconds=900)

    assert len(recorded.uses) <= uses
    assert len({each.role_uid for each in recorded.uses}) == len(recorded.uses)
