"""What an offer, a request for it, and a vote on that become in the core."""

from datetime import timedelta

import pytest

from rolevend.access_requests.terms import Justification, Limits, NeededProof, Precedent
from rolevend.catalog import TableId
from rolevend.errors import InvalidInput
from rolevend.kinds import APPROVER_GROUPS, AccessDecision, AccessPolicy, AccessRequest, VendedRole, parse, statements
from rolevend.kinds.access_decision import approver_groups
from rolevend.kinds.access_request import Approver
from rolevend.kinds.narrowings import narrowing
from rolevend.kinds.offer_terms import offer_terms
from rolevend.model import ObjectName
from rolevend.policy.mask import Partial
from rolevend.policy.offer import Narrowing
from rolevend.policy.statement import ColumnSelector, MaskRule
from tests.support.manifests import MISSING, Body, changed, offer, valid

SSN = MaskRule("ssn", ColumnSelector(names=("ssn",)), Partial(4))
PEOPLE = frozenset({TableId("claims", "people")})


def parsed(body: Body) -> AccessPolicy:
    return parse(AccessPolicy, changed(changed(body, "metadata.uid", "u-1"), "metadata.generation", 3))


def test_every_field_of_an_offer_is_a_term():
    terms = offer_terms(parsed(offer()))

    assert (terms.offer, terms.uid, terms.generation) == (ObjectName("domain-claims", "ssn-clear"), "u-1", 3)
    assert (terms.display, terms.discoverable) == ("SSNs of open claims in clear, for fraud review", False)
    assert (terms.longest_seconds, terms.claim_seconds, terms.pending_seconds, terms.uses) == (1800, 3600, 7200, 2)
    assert (terms.purposes, terms.justification, terms.ticket) == (frozenset({"fraud-review"}), Justification.USER, "^FR-[0-9]+$")
    assert terms.proof == NeededProof(900, ("mfa",))
    assert (terms.required, terms.approver_must_hold) == (1, True)
    (rule,) = terms.automatic
    assert (rule.name, rule.longest_seconds, rule.limits) == ("small", 600, Limits(3, 20, 5))
    assert rule.precedent == Precedent(2, timedelta(days=30))
    assert [(each.name, each.reads) for each in rule.conditions] == [("office", frozenset({"department"}))]


def test_an_offer_that_says_little_is_approved_by_one_person_for_one_role():
    terms = offer_terms(parsed(changed(offer(), "spec.onRequest", {"display": "Anything", "maxExpirationSeconds": 60})))

    assert (terms.claim_seconds, terms.pending_seconds, terms.uses, terms.discoverable) == (3600, 3600, 1, False)
    assert (terms.purposes, terms.justification, terms.ticket, terms.proof) == (None, Justification.AGENT, None, None)
    assert (terms.automatic, terms.required, terms.approver_must_hold) == ((), 1, False)


def test_a_policy_that_grants_at_all_times_is_no_offer():
    with pytest.raises(InvalidInput, match=r"^spec.onRequest: must be set: this policy is no offer"):
        offer_terms(parsed(valid("AccessPolicy")))


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (
            "automatic[0].matchConditions[0].expression",
            "user.department == 'fraud'",
            "spec.onRequest.automatic[small].matchConditions[office].expression",
        ),
        ("asks.ticket.pattern", "(a+)+", "spec.onRequest.asks.ticket.pattern"),
        ("asks.ticket.pattern", ".*", "spec.onRequest.asks.ticket.pattern"),
    ],
)
def test_an_invalid_condition_or_pattern_refuses_the_whole_policy(path: str, value: str, field: str):
    policy = parsed(changed(offer(), f"spec.onRequest.{path}", value))

    for convert in (offer_terms, lambda each: statements.policy(each, frozenset({"claims"}))):
        with pytest.raises(InvalidInput) as refused:
            convert(policy)
        assert refused.value.field == field
    assert [each.field for each in statements.faults_of(policy)] == [field]


@pytest.mark.parametrize(("body", "marked"), [(offer(), True), (valid("AccessPolicy"), False)])
def test_the_core_knows_an_offer_from_a_grant(body: Body, marked: bool):
    assert statements.policy(parsed(body), frozenset({"claims"})).on_request is marked


def test_a_request_narrows_to_tables_and_columns():
    request = parse(AccessRequest, valid("AccessRequest"))
    everything = parse(AccessRequest, changed(changed(valid("AccessRequest"), "spec.tables", MISSING), "spec.columns", MISSING))

    assert narrowing(request.spec) == Narrowing(PEOPLE, frozenset({"ssn", "full_name"}))
    assert narrowing(everything.spec) == Narrowing()


def test_a_vote_narrows_to_tables_and_adds_masks_and_so_does_its_record():
    vote = parse(AccessDecision, valid("AccessDecision"))
    spec = valid("AccessDecision")["spec"]
    record = Approver.model_validate(
        {
            "by": "alice@example.org",
            "decision": {"name": "vote", "uid": "u-2"},
            "at": "2030-01-01T12:00:00Z",
            "tables": spec["tables"],
            "masks": spec["masks"],
        }
    )

    assert narrowing(vote.spec) == narrowing(record) == Narrowing(PEOPLE, masks=(SSN,))


def test_a_vote_with_a_mask_that_cannot_be_applied_is_refused():
    regex = [{"name": "ssn", "columns": {"matchNames": ["ssn"]}, "type": "Regex", "regex": {"pattern": "(a+)+", "replacement": "x"}}]
    vote = parse(AccessDecision, changed(valid("AccessDecision"), "spec.masks", regex))

    with pytest.raises(InvalidInput) as refused:
        narrowing(vote.spec)

    assert refused.value.field == "spec.masks[ssn].regex.pattern"


def test_a_denial_needs_no_digest():
    spec = {key: value for key, value in valid("AccessDecision")["spec"].items() if key in ("requestRef", "offerRef", "by", "comment")}

    assert parse(AccessDecision, changed(valid("AccessDecision"), "spec", {**spec, "verdict": "Deny"})).spec.digest is None


@pytest.mark.parametrize(
    ("stamp", "groups"),
    [
        ('["data-owners", "of \\"quotes\\""]', ("data-owners", 'of "quotes"')),
        (None, ()),
        ("[]", ()),
        ('"system:masters"', ()),
        ('["a", 1]', ()),
        ('{"a": "b"}', ()),
        ('["a\nb"]', ()),
        ("[" * 10_000, ()),
    ],
    ids=lambda value: str(value)[:20],
)
def test_the_groups_of_an_approver_are_those_of_the_stamp_and_none_if_it_is_unreadable(stamp: str | None, groups: tuple[str, ...]):
    body = valid("AccessDecision")
    body["metadata"]["annotations"] = {} if stamp is None else {APPROVER_GROUPS: stamp}

    assert approver_groups(parse(AccessDecision, body)) == groups


def test_a_role_names_the_approval_that_it_uses():
    role = parse(VendedRole, changed(valid("VendedRole"), "spec.approvalRef", {"name": "ask"}))

    assert role.spec.approval_ref is not None
    assert role.spec.approval_ref.name == "ask"
    assert parse(VendedRole, valid("VendedRole")).spec.approval_ref is None
