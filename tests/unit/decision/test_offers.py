"""The offers that a user may ask for: which, by whom they are approved, and in which order."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rolevend.access_requests.terms import AutomaticRule, Justification, Limits, OfferTerms, Precedent
from rolevend.catalog import TableId
from rolevend.decision.offers import ApprovedBy, AvailableOffer, available_offers, named_offers
from rolevend.decision.snapshot import Snapshot
from rolevend.model import ObjectName, PlatformName, Uid
from rolevend.policy.condition import admit
from rolevend.policy.mask import Nullify, Partial
from rolevend.policy.statement import ColumnSelector, Policy, Requirement, TableSelector
from tests.support.policies import guardrail, masked, policy
from tests.support.registered import ANNA, MINE, PERSON, REQUEST, TERMS, WAREHOUSE, a_snapshot, shapes, terms

PEOPLE, PAYMENTS = TableId("claims", "people"), TableId("claims", "payments")
CLAIMS = "'claims' in user.attributes.department"


def terms_of(name: str, **changes: object) -> OfferTerms:
    usual = OfferTerms(
        ObjectName("domain", name), Uid(name), 1, name, False, 1800, 3600, 1, 3600, None, Justification.AGENT, None, None, (), 1, False
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


def rule(expression: str = "", seconds: int | None = 600, **changes: object) -> AutomaticRule:
    conditions = (admit("office", expression, "place"),) if expression else ()
    return AutomaticRule("small", conditions, seconds, Limits(per_user_per_day=1), **changes)


def offering(*offered: Policy, limits=(), platform: PlatformName = WAREHOUSE, **changes: object) -> Snapshot:
    """A snapshot with these offers; `changes` are of the terms of each."""
    offers = {each.id: terms_of(each.id.name, **changes) for each in offered}
    each_offer = [replace(each, on_request=True) for each in offered]
    return a_snapshot(shapes={platform: shapes(MINE, *each_offer, guardrails=limits)}, offers=offers)


def names(found: tuple[AvailableOffer, ...]) -> list[str]:
    return [each.terms.offer.name for each in found]


def one(snapshot: Snapshot, request=REQUEST) -> AvailableOffer:
    (found,) = available_offers(snapshot, request)
    return found


def test_an_offer_that_covers_the_user_is_available_from_people():
    found = one(offering(policy("offer")))

    assert (found.how, found.rule, found.longest_seconds) == (ApprovedBy.PEOPLE, None, 1800)
    assert [each.table for each in found.effect.profile.tables] == [PAYMENTS, PEOPLE]


def test_a_rule_whose_conditions_hold_approves_for_its_own_time():
    found = one(offering(policy("offer"), automatic=(rule("'sales' in user.attributes.department", 60), rule(CLAIMS))))

    assert (found.how, found.longest_seconds) == (ApprovedBy.AUTOMATIC, 600)
    assert found.rule == rule(CLAIMS)


@pytest.mark.parametrize(
    ("automatic", "refusal"),
    [
        (rule("'sales' in user.attributes.department"), "condition office does not hold"),
        (rule("'x' in user.attributes.nothing"), "condition office reads nothing, which is not known"),
        (rule(precedent=Precedent(2, timedelta(days=30))), "it needs a precedent, and people decide first"),
    ],
    ids=["not met", "unknown", "needs a precedent"],
)
def test_without_a_rule_that_approves_people_decide_if_they_may(automatic: AutomaticRule, refusal: str):
    found = one(offering(policy("offer"), automatic=(automatic,)))

    assert (found.how, found.refusals) == (ApprovedBy.PEOPLE, (f"rule small: {refusal}",))
    assert available_offers(offering(policy("offer"), automatic=(automatic,), required=0), REQUEST) == ()


def test_the_absence_of_an_attribute_whose_claim_cannot_be_read_approves_nothing():
    snapshot = offering(policy("offer"), automatic=(rule("!has(user.attributes.suspended)"),))
    unreadable = replace(snapshot, people={ANNA: replace(PERSON, unreadable=frozenset({"suspended"}))})

    assert (one(snapshot).how, one(unreadable).how) == (ApprovedBy.AUTOMATIC, ApprovedBy.PEOPLE)


@pytest.mark.parametrize(
    "offered",
    [
        policy("offer", users=(Requirement("department", frozenset({"sales"})),)),
        policy("offer", tables=TableSelector(names=(TableId("claims", "nothing"),))),
        policy("offer", agents=(Requirement("vetted", frozenset({"yes"})),)),
    ],
    ids=["other users", "no table", "other agents"],
)
def test_an_offer_that_shows_the_user_nothing_is_not_available(offered: Policy):
    assert available_offers(offering(offered), REQUEST) == ()


def test_an_offer_that_a_guardrail_denies_is_not_available():
    assert available_offers(offering(policy("offer"), limits=[guardrail(denies_tables=True)]), REQUEST) == ()


def test_an_offer_of_another_platform_is_not_available():
    snapshot = offering(policy("offer"))
    elsewhere = replace(snapshot, offers={ObjectName("domain", "elsewhere"): terms_of("elsewhere")})

    assert available_offers(elsewhere, REQUEST) == ()
    assert available_offers(snapshot, replace(REQUEST, platform=PlatformName("crm"))) == ()


def test_an_agent_that_is_not_admitted_can_ask_for_nothing():
    assert available_offers(replace(offering(policy("offer")), platforms={}), REQUEST) == ()


def test_a_platform_that_is_closed_to_new_roles_has_offers_for_roles_that_exist():
    closed = replace(offering(policy("offer")), platforms={WAREHOUSE: terms(closed="it is being deleted")})

    assert available_offers(closed, REQUEST) == ()
    assert names(available_offers(closed, REQUEST, role_exists=True)) == ["offer"]


class TestPurposes:
    SNAPSHOT = replace(
        offering(policy("offer"), purposes=frozenset({"audit", "fraud-review"}), automatic=(rule("request.purpose == 'fraud-review'"),)),
        platforms={WAREHOUSE: terms(replace(TERMS, purposes=frozenset({"audit", "fraud-review", "marketing"})))},
    )

    def test_the_stated_purpose_counts_if_the_offer_asks_for_it(self):
        found = one(self.SNAPSHOT, replace(REQUEST, purpose="audit"))

        assert (found.purpose, found.how) == ("audit", ApprovedBy.PEOPLE)

    @pytest.mark.parametrize("purpose", [None, "marketing"])
    def test_otherwise_the_purposes_of_the_offer_are_tried(self, purpose: str | None):
        found = one(self.SNAPSHOT, replace(REQUEST, purpose=purpose))

        assert (found.purpose, found.how) == ("fraud-review", ApprovedBy.AUTOMATIC)

    def test_a_purpose_that_the_platform_does_not_permit_opens_nothing(self):
        assert available_offers(replace(self.SNAPSHOT, platforms={WAREHOUSE: terms()}), REQUEST) == ()


class TestRequestedTables:
    def test_only_they_count(self):
        found = one(offering(policy("offer")), replace(REQUEST, resources=(PEOPLE,)))

        assert [each.table for each in found.effect.profile.tables] == [PEOPLE]

    def test_an_offer_of_none_of_them_is_not_available(self):
        on_people = policy("offer", tables=TableSelector(names=(PEOPLE,)))

        assert available_offers(offering(on_people), replace(REQUEST, resources=(PAYMENTS,))) == ()


class TestOrder:
    ONLY_PEOPLE = TableSelector(names=(PEOPLE,))

    def test_fewest_clear_columns_then_columns_then_tables(self):
        clear = policy("a-clear", tables=self.ONLY_PEOPLE, columns=ColumnSelector(names=("country",)))
        masked_wide = policy("b-wide", masks=(masked(Nullify(), "*"),))
        masked_two = policy("c-two-tables", columns=ColumnSelector(names=("id",)), masks=(masked(Nullify(), "*"),))
        masked_one = policy(
            "d-one-table", tables=self.ONLY_PEOPLE, masks=(masked(Partial(4), "country"), masked(Nullify(), "id", name="id"))
        )

        found = available_offers(offering(clear, masked_wide, masked_two, masked_one), REQUEST)

        assert names(found) == ["d-one-table", "c-two-tables", "b-wide", "a-clear"]

    def test_then_automatic_before_people_then_the_name(self):
        snapshot = offering(policy("a"), policy("b"), policy("c"))
        automatic = replace(snapshot.offers[ObjectName("domain", "c")], automatic=(rule(),))

        assert names(available_offers(replace(snapshot, offers={**snapshot.offers, automatic.offer: automatic}), REQUEST)) == [
            "c",
            "a",
            "b",
        ]


class TestNamedOffers:
    OFFERS = (policy("small", tables=TableSelector(names=(PEOPLE,))), policy("wide"))

    def test_the_snapshot_keeps_them_for_the_person(self):
        snapshot = offering(*self.OFFERS, discoverable=True)

        found = named_offers(snapshot, REQUEST, None)

        assert names(found) == ["small", "wide"]
        another = replace(REQUEST, uid=Uid("another"), task=None, resources=(PAYMENTS,))
        assert named_offers(snapshot, another, None) is found
        assert names(named_offers(snapshot, another, (PAYMENTS,))) == ["wide"]
        assert named_offers(snapshot, replace(REQUEST, user=replace(ANNA, subject="nobody")), None) == ()
        assert named_offers(offering(discoverable=True), REQUEST, None) == ()

    def test_a_secret_one_is_not_named(self):
        assert named_offers(offering(*self.OFFERS), REQUEST, None) == ()

    def test_no_more_than_ten_are_named_the_smallest_exposure_first(self):
        many = [policy(f"wide-{number:02}") for number in range(12)]

        found = named_offers(offering(*many, self.OFFERS[0], discoverable=True), REQUEST, None)

        assert names(found) == ["small", *(f"wide-{number:02}" for number in range(9))]
