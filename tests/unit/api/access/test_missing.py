"""The offers that an answer names: those that may be named, that show the requested tables, and that show more than the role."""

from dataclasses import replace

from rolevend.access_requests.terms import AutomaticRule, Justification, Limits, OfferTerms
from rolevend.api.access.missing import OfferFinder
from rolevend.api.access.offer_schemas import MissingShown, TableMissing
from rolevend.catalog import TableId
from rolevend.decision.outcome import Denied, Granted
from rolevend.decision.snapshot import Snapshot
from rolevend.model import ObjectName, Uid
from rolevend.policy.mask import Nullify
from rolevend.policy.statement import Policy, Requirement, TableSelector
from rolevend.roles.decision import PlatformGrant
from tests.support.policies import masked, policy
from tests.support.registered import MINE, REQUEST, WAREHOUSE, a_snapshot, shapes

PEOPLE, PAYMENTS, NOWHERE = TableId("claims", "people"), TableId("claims", "payments"), TableId("claims", "nowhere")
ON_PEOPLE, ON_PAYMENTS = TableSelector(names=(PEOPLE,)), TableSelector(names=(PAYMENTS,))
RULE = AutomaticRule("small", (), 60, Limits(per_user_per_day=1))


def terms(name: str, **changes: object) -> OfferTerms:
    usual = OfferTerms(
        ObjectName("domain", name),
        Uid(name),
        1,
        f"About {name}",
        True,
        1800,
        3600,
        1,
        3600,
        None,
        Justification.AGENT,
        None,
        None,
        (),
        1,
        False,
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


def offering(*granting: Policy, offers: tuple[Policy, ...], **changes: object) -> Snapshot:
    known = {each.id: terms(each.id.name, **changes) for each in offers}
    compiled = shapes(*granting, *(replace(each, on_request=True) for each in offers))
    return a_snapshot(shapes={WAREHOUSE: compiled}, offers=known)


def missing(snapshot: Snapshot, *tables: TableId) -> MissingShown | None:
    request = replace(REQUEST, resources=tables or None)
    decision = snapshot.decide(request)
    assert isinstance(decision, Denied), decision
    return OfferFinder(snapshot).missing(request, decision)


def test_a_denial_names_the_offer_of_the_requested_table():
    granting = replace(MINE, tables=ON_PEOPLE)
    offers = (policy("on-people", tables=ON_PEOPLE), policy("on-payments", tables=ON_PAYMENTS))

    found = missing(offering(granting, offers=offers, automatic=(RULE,)), PAYMENTS, PEOPLE)

    assert found is not None
    assert found.model_dump(by_alias=True, exclude_none=True) == {
        "tables": ({"schema": "claims", "table": "payments"},),
        "offers": (
            {
                "name": "domain/on-payments",
                "platform": "warehouse",
                "display": "About on-payments",
                "how": "Automatic",
                "upToSeconds": 60,
                "shows": "claims.payments: id, country, every row",
            },
        ),
        "sentence": "table claims.payments; offer domain/on-payments can be requested (About on-payments): a rule decides at once, for "
        "at most 60 seconds",
    }


def test_without_any_grant_the_smallest_step_comes_first():
    others = policy("others", users=(Requirement("department", frozenset({"sales"})),))

    found = missing(offering(others, offers=(policy("a"), policy("b")), required=2))

    assert found is not None
    assert found.tables is None
    assert found.sentence.startswith("policy domain/others asks for department In (sales); offer domain/a can be requested (About a): ")
    assert [each.name for each in found.offers] == ["domain/a", "domain/b"]
    assert found.sentence.endswith("people decide, for at most 1800 seconds; there is 1 other offer")


def test_an_unknown_table_and_one_whose_offer_is_secret_have_the_same_answer():
    granting = replace(MINE, tables=ON_PEOPLE)
    snapshot = offering(granting, offers=(policy("secret", tables=ON_PAYMENTS),), discoverable=False)
    without = offering(granting, offers=())

    def told(snapshot: Snapshot, table: TableId) -> tuple[object, ...]:
        request = replace(REQUEST, resources=(table,))
        decision = snapshot.decide(request)
        assert isinstance(decision, Denied)
        found = OfferFinder(snapshot).missing(request, decision)
        assert found is not None  # the caller's own words alone
        assert found.tables == (TableMissing(schema_name=table.schema, table=table.name),)
        return decision.reason, decision.message.replace(table.name, "it"), found.sentence.replace(table.name, "it"), found.offers

    assert told(snapshot, PAYMENTS) == told(snapshot, NOWHERE) == told(without, PAYMENTS) == told(without, NOWHERE)


def test_a_role_is_told_of_the_offers_that_show_more():
    hidden = replace(MINE, tables=ON_PEOPLE, masks=(masked(Nullify(), "country"),))
    snapshot = offering(
        hidden, offers=(replace(MINE, id=ObjectName("domain", "clear"), tables=ON_PEOPLE), replace(hidden, id=ObjectName("domain", "same")))
    )
    decided = snapshot.decide(REQUEST)
    assert isinstance(decided, Granted)

    (found,) = OfferFinder(snapshot).beside([PlatformGrant(REQUEST, decided)])

    assert (found.name, found.shows) == ("domain/clear", "claims.people: id, country, some rows")


def hint(snapshot: Snapshot, *tables: TableId, **changes: object) -> dict[str, object] | None:
    request = replace(REQUEST, resources=tables or None, **changes)  # type: ignore[arg-type]
    decision = snapshot.decide(request)
    assert isinstance(decision, Denied), decision
    found = OfferFinder(snapshot).access_request(request, decision)
    return None if found is None else found.model_dump(by_alias=True, exclude_none=True)


def test_a_denial_says_how_to_request_the_first_offer():
    granting = replace(MINE, tables=ON_PEOPLE)
    snapshot = offering(granting, offers=(policy("on-people", tables=ON_PEOPLE), policy("on-payments", tables=ON_PAYMENTS)))

    assert hint(snapshot, PAYMENTS, PEOPLE) == {
        "endpoint": "/access/v1/requests",
        "body": {
            "platform": "warehouse",
            "offer": "domain/on-payments",
            "tables": ({"schema": "claims", "table": "payments"},),
            "expirationSeconds": min(1800, REQUEST.expiration_seconds),
            "user": {"issuer": REQUEST.user.issuer, "subject": REQUEST.user.subject},
        },
        "asks": ("justification",),
    }


def test_it_says_no_more_of_a_secret_offer_than_of_an_unknown_table():
    granting = replace(MINE, tables=ON_PEOPLE)
    secret = offering(granting, offers=(policy("on-payments", tables=ON_PAYMENTS),), discoverable=False)

    assert hint(secret, PAYMENTS) is None
    assert hint(secret, NOWHERE) is None


def test_an_offer_is_shown_for_a_column_only_if_it_shows_the_column():
    snapshot = offering(offers=(policy("on-payments", tables=ON_PAYMENTS),))
    finder = OfferFinder(snapshot)

    assert finder.showing(REQUEST, PAYMENTS, "country") == finder.showing(REQUEST, PAYMENTS, None)
    assert finder.showing(REQUEST, PAYMENTS, None) is not None
    assert finder.showing(REQUEST, PAYMENTS, "nothing") is None
    assert finder.showing(REQUEST, NOWHERE, None) is None
