"""Builders of requests for an offer, of votes, and of the circumstances in which a request is judged."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from rolevend.access_requests.circumstances import Circumstances, Judgement
from rolevend.access_requests.history import CoolDown
from rolevend.access_requests.judgement import judge
from rolevend.access_requests.request import Approval, OfferVersion, OtherRequest, Recorded, RequestedAccess, Use
from rolevend.access_requests.states import RequestReason, RequestState
from rolevend.access_requests.terms import AutomaticRule, Justification, Limits, OfferTerms, Precedent
from rolevend.access_requests.votes import CheckedVote, Vote
from rolevend.catalog import TableId
from rolevend.model import ObjectName, PlatformName, Uid, User
from rolevend.policy.condition import admit

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
AGENT = ObjectName("agents", "finbot")
ANNA, BORIS = User("https://idp.example.org", "anna"), User("https://idp.example.org", "boris")
WAREHOUSE = PlatformName("warehouse")
OFFER = ObjectName("domain-claims", "fraud-ssn-clear")
DIGEST, OTHER_DIGEST = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
PEOPLE, PAYMENTS, CLAIMS = (TableId("claims", name) for name in ("people", "payments", "claims"))
EXCLUDED = frozenset({"anna@example.org", "system:serviceaccount:agents:finbot", "owner@example.org"})

REQUEST = RequestedAccess(
    name=ObjectName("agents", "ar-1"),
    uid=Uid("request-1"),
    created_at=NOW,
    agent=AGENT,
    user=ANNA,
    platform=WAREHOUSE,
    offer=OFFER,
    expiration_seconds=900,
    purpose="fraud-review",
)
TERMS = OfferTerms(
    offer=OFFER,
    uid=Uid("offer-1"),
    generation=3,
    display="SSNs of open claims in clear",
    discoverable=False,
    longest_seconds=1800,
    claim_seconds=3600,
    uses=1,
    pending_seconds=7200,
    purposes=None,
    justification=Justification.NONE,
    ticket=None,
    proof=None,
    automatic=(),
    required=1,
    approver_must_hold=False,
)
OFFERED = OfferVersion(TERMS.uid, TERMS.generation, DIGEST)
HERE = Circumstances(now=NOW, terms=TERMS, digest=DIGEST, excluded=EXCLUDED, cool_down=CoolDown())
WAITING = Recorded(RequestState.PENDING, RequestReason.PEOPLE_DECIDE, "people decide, 0 of 1 needed approvals", NOW, OFFERED)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def terms(**changes: Any) -> OfferTerms:
    return replace(TERMS, **changes)


def here(**changes: Any) -> Circumstances:
    return replace(HERE, **changes)


def rule(name: str = "small", *conditions: str, **changes: Any) -> AutomaticRule:
    given = tuple(admit(f"c{number}", text, "spec") for number, text in enumerate(conditions))
    return replace(AutomaticRule(name, given, 600, Limits(per_user_per_day=3)), **changes)


def precedent(times: int, days: int = 30) -> Precedent:
    return Precedent(times, timedelta(days=days))


def vote(
    by: str = "alice", *, approves: bool = True, at: float = 10, may: bool | None = True, holds: bool | None = None, **changes: Any
) -> CheckedVote:
    name = changes.pop("name", f"{by}-{'yes' if approves else 'no'}-{at}")
    made = Vote(
        name=ObjectName(OFFER.namespace, name),
        uid=Uid(f"uid-{name}"),
        request=REQUEST.name,
        request_uid=REQUEST.uid,
        offer=OFFER,
        by=by,
        approves=approves,
        at=after(at),
        digest=DIGEST if approves else None,
    )
    return CheckedVote(replace(made, **changes), may, holds)


def no(by: str = "bob", **changes: Any) -> CheckedVote:
    return vote(by, approves=False, **changes)


def use(number: int = 1, at: float = 100) -> Use:
    return Use(Uid(f"role-{number}"), f"role-{number}", after(at))


def with_use(recorded: Recorded, use: Use) -> Recorded:
    """Return the status with this use. The same uid is the same use."""
    known = any(each.role_uid == use.role_uid for each in recorded.uses)
    return recorded if known else replace(recorded, uses=(*recorded.uses, use))


def other(number: int = 2, at: float = -60, **changes: Any) -> OtherRequest:
    """Another request, made `at` seconds from now. `changes` are of the request or of its status."""
    facts = {key: changes.pop(key) for key in list(changes) if key in RequestedAccess.__slots__}
    made = replace(REQUEST, name=ObjectName("agents", f"ar-{number}"), uid=Uid(f"request-{number}"), created_at=after(at))
    status = Recorded(RequestState.PENDING, RequestReason.PEOPLE_DECIDE, "people decide", after(at), OFFERED)
    return OtherRequest(replace(made, **facts), replace(status, **changes))


def denied(number: int = 2, at: float = -60, reason: RequestReason = RequestReason.DENIED_BY_PERSON, **changes: Any) -> OtherRequest:
    return other(number, at, state=RequestState.DENIED, reason=reason, since=after(at), **changes)


def approved(number: int = 2, at: float = -60, by_rule: str | None = "small", **changes: Any) -> OtherRequest:
    """Another request that a rule approved, or people if `by_rule` is None."""
    seconds = changes.pop("seconds", 900)
    approvers = changes.pop("approvers", () if by_rule else (vote().vote.approver,))
    approval = Approval(after(at), after(at + 3600), seconds, by_rule, approvers)
    return other(number, at, **{"state": RequestState.APPROVED, "approval": approval, **changes})


def judged(recorded: Recorded = WAITING, /, **changes: Any) -> Judgement:
    return judge(REQUEST, recorded, here(**changes))


def by_people(*votes: CheckedVote, at: float = 20, **changes: Any) -> Recorded:
    """The status of the request after these votes approved it."""
    found = judged(now=after(at), votes=votes or (vote(),), **changes)
    assert found.state is RequestState.APPROVED, found
    return found.recorded(WAITING, after(at))


def by_rule(**changes: Any) -> Recorded:
    found = judged(Recorded(), terms=terms(automatic=(rule(),)), **changes)
    assert found.state is RequestState.APPROVED, found
    return found.recorded(Recorded(), NOW)
