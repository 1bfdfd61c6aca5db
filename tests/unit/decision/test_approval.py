"""A request with an approval: what it may read, until when, and what ends it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rolevend.catalog import TableId
from rolevend.decision.approval import ActiveApproval, ApprovalRef, UnusableApproval
from rolevend.decision.outcome import Denied, Granted, Pending, Request, withdrawal_reason
from rolevend.decision.profile_cache import OfferEffect
from rolevend.decision.snapshot import Snapshot
from rolevend.model import Attributes, ObjectName, Uid, User
from rolevend.policy.mask import Nullify
from rolevend.policy.offer import Activation, Narrowing
from rolevend.policy.predicate import parse
from rolevend.policy.statement import Policy, Requirement, TableSelector
from tests.support.policies import masked, policy
from tests.support.registered import ANNA, MINE, NOW, PERSON, REQUEST, WAREHOUSE, a_snapshot, shapes

OFFER = policy("offer", on_request=True, row_filter=parse("country = user_attr('countries')"))
WHOLE = Activation(OFFER.id, (Narrowing(),))
PEOPLE, PAYMENTS = TableId("claims", "people"), TableId("claims", "payments")


def offering(*policies: Policy, **changes: object) -> Snapshot:
    return a_snapshot(shapes={WAREHOUSE: shapes(*policies)}, **changes)


def effect(snapshot: Snapshot, asked: Activation = WHOLE) -> OfferEffect:
    found = snapshot.shapes[WAREHOUSE].effect(PERSON.attributes, asked, snapshot.asking(REQUEST))
    assert isinstance(found, OfferEffect), found
    return found


def digest(snapshot: Snapshot, asked: Activation = WHOLE) -> str:
    return snapshot.digest(REQUEST.user, effect(snapshot, asked))


def approved(snapshot: Snapshot, asked: Activation = WHOLE, granted: Activation | None = None) -> Request:
    approval = ActiveApproval(
        ObjectName("agents", "ar-1"), Uid("ar"), asked, granted or asked, digest(snapshot, asked), NOW + timedelta(seconds=600)
    )
    return replace(REQUEST, approval=approval)


def test_it_grants_what_the_offer_shows_on_the_tables_of_the_offer():
    on_people = replace(OFFER, tables=TableSelector(names=(PEOPLE,)))
    snapshot = offering(MINE, on_people)

    decision = snapshot.decide(approved(snapshot, Activation(OFFER.id)))

    assert isinstance(decision, Granted)
    assert [each.table for each in decision.tables] == [PEOPLE]
    assert decision.granted_by[PEOPLE] == (MINE.id, OFFER.id)


def test_without_an_approval_the_same_request_has_nothing_of_it():
    snapshot = offering(OFFER)

    assert isinstance(snapshot.decide(REQUEST), Denied)


def test_the_role_ends_with_the_approval():
    snapshot = offering(OFFER)

    decision = snapshot.decide(approved(snapshot))

    assert isinstance(decision, Granted)
    assert decision.lease.expires_at == NOW + timedelta(seconds=600)


def test_the_narrowings_of_approvers_count():
    snapshot = offering(OFFER)
    narrowed = replace(WHOLE, narrowings=(Narrowing(), Narrowing(tables=frozenset({PAYMENTS}))))

    decision = snapshot.decide(approved(snapshot, granted=narrowed))

    assert isinstance(decision, Granted)
    assert [each.table for each in decision.tables] == [PAYMENTS]


def test_an_approval_that_was_not_read_is_waited_for_and_withdraws_nothing():
    decision = offering(OFFER).decide(replace(REQUEST, approval=ApprovalRef(ObjectName("agents", "ar-1"))))

    assert isinstance(decision, Pending)
    assert not decision.withdrawn


def test_an_approval_that_cannot_be_used_denies_and_withdraws():
    decision = offering(MINE, OFFER).decide(
        replace(REQUEST, approval=UnusableApproval(ObjectName("agents", "ar-1"), "ApprovalSpent", "it was used"))
    )

    assert decision == Denied("ApprovalSpent", "spec.approvalRef: it was used")
    assert decision.withdrawn


@pytest.mark.parametrize(
    "changed",
    [
        offering(MINE),
        offering(replace(OFFER, on_request=False)),
        offering(MINE, replace(OFFER, row_filter=None)),
        offering(MINE, replace(OFFER, masks=(masked(Nullify(), "country"),))),
        offering(MINE, replace(OFFER, tables=TableSelector(names=(PEOPLE,)))),
        offering(MINE, replace(OFFER, users=(Requirement("department", frozenset({"hr"})),))),
        offering(OFFER, people={ANNA: replace(PERSON, attributes=Attributes.of({"department": ["claims"], "countries": ["AT"]}.items()))}),
        offering(OFFER, people={ANNA: replace(PERSON, attributes=Attributes.of({"department": ["claims"]}.items()))}),
    ],
    ids=["gone", "a policy now", "other rows", "other masks", "other tables", "not for this user", "other values", "value missing"],
)
def test_an_offer_that_changed_after_it_was_asked_for_is_not_granted_and_ends_its_roles(changed: Snapshot):
    before = offering(OFFER)
    request = approved(before)
    held = before.decide(request)
    assert isinstance(held, Granted)

    decision = changed.decide(request, role_exists=True)

    assert isinstance(decision, Denied)
    assert decision.reason == "OfferChanged"
    assert withdrawal_reason(decision, held)


def test_a_standing_grant_that_changes_on_another_table_ends_nothing():
    on_people = replace(OFFER, tables=TableSelector(names=(PEOPLE,)))
    before = offering(on_people)
    request = approved(before, Activation(OFFER.id))
    held = before.decide(request)
    assert isinstance(held, Granted)

    after = offering(replace(MINE, tables=TableSelector(names=(PAYMENTS,))), on_people).decide(request, role_exists=True)

    assert withdrawal_reason(after, held) is None


def test_two_approvals_of_one_person_are_told_apart():
    """What is kept of a person's access depends on the approval."""
    snapshot = offering(MINE, OFFER)
    narrow = Activation(OFFER.id, (Narrowing(tables=frozenset({PAYMENTS})),))

    tables = [
        {each.table for each in decision.tables}
        for request in (REQUEST, approved(snapshot), approved(snapshot, narrow), REQUEST)
        if isinstance(decision := snapshot.decide(request), Granted)
    ]

    assert tables == [{PEOPLE, PAYMENTS}, {PEOPLE, PAYMENTS}, {PAYMENTS}, {PEOPLE, PAYMENTS}]


def test_the_digest_is_the_same_for_the_same_effect_and_another_for_another_narrowing():
    snapshot = offering(MINE, OFFER)

    assert digest(snapshot) == digest(offering(OFFER))
    assert digest(snapshot) != digest(snapshot, Activation(OFFER.id, (Narrowing(columns=frozenset({"id"})),)))


def test_a_reader_of_digests_cannot_try_out_which_attributes_the_user_has():
    seen = digest(offering(OFFER))
    countries = ["AT", "BE", "CH", "DE", "FR"]

    def of_value(country: str, **changes: object) -> str:
        """Return the digest for a user with this value, as it is computed by somebody who knows everything else."""
        attributes = Attributes.of({"department": ["claims"], "countries": [country]}.items())
        snapshot = offering(OFFER, **changes)
        found = snapshot.shapes[WAREHOUSE].effect(attributes, WHOLE, snapshot.asking(REQUEST))
        assert isinstance(found, OfferEffect), found
        return snapshot.digest(ANNA, found)

    assert [each for each in countries if of_value(each) == seen] == ["DE"]  # with the key
    assert seen not in {of_value(each, handle_key=b"x" * 32) for each in countries}


def test_equal_effects_of_two_users_have_different_digests():
    snapshot = offering(OFFER)

    assert snapshot.digest(User(ANNA.issuer, "boris"), effect(snapshot)) != digest(snapshot)
    assert snapshot.digest(User("https://other.example.org", ANNA.subject), effect(snapshot)) != digest(snapshot)
