"""What a caller of the API is shown of a role."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rolevend.api import responses
from rolevend.api.access.missing import OfferFinder
from rolevend.api.schemas import Decision
from rolevend.catalog import ForeignKey, TableId
from rolevend.decision.outcome import Granted, Request
from rolevend.decision.profile_cache import ProfileCache
from rolevend.decision.snapshot import Snapshot
from rolevend.kinds import DataPlatform, VendedRole, parse
from rolevend.model import Attributes, ObjectName, PlatformName
from rolevend.platforms.progress import BuildProgress
from rolevend.policy.index import compile_policies
from rolevend.roles.decision import PlatformGrant, RoleDecision
from rolevend.roles.status import StatusBuilder
from tests.support import registered
from tests.support.manifests import MISSING, NO_POSTGRES, Body
from tests.support.painted import CRM, NOW, OBJECTS, WAREHOUSE, paint, raw
from tests.support.policies import catalog, column

ACCOUNT = {"account": "myorg-account1", "database": "CRM", "warehouse": "AGENTS_WH"}


def test_a_role_that_is_looked_at_says_of_each_platform_what_it_is():
    """By the DataPlatforms that there are: nothing is made up of one that is gone."""
    refs = [{"name": each} for each in (WAREHOUSE, CRM, "old")]
    role = parse(VendedRole, raw("VendedRole", "ask", "agents", ("spec.platformRefs", refs)))
    on_snowflake = raw("DataPlatform", CRM, "", *NO_POSTGRES, ("spec.snowflake", ACCOUNT), ("spec.agents[0].tools", MISSING))
    platforms = [OBJECTS.platforms[0], parse(DataPlatform, on_snowflake)]

    shown = responses.shown(role, paint(replace(OBJECTS, platforms=platforms)).snapshot.platforms)

    assert [(each.name, each.type) for each in shown.platforms] == [(WAREHOUSE, "PostgreSQL"), (CRM, "Snowflake"), ("old", None)]
    assert "type" not in shown.model_dump(mode="json", by_alias=True, exclude_none=True)["platforms"][2]


def test_a_role_that_waits_for_its_profile_says_how_far_that_is_until_it_ends():
    asked = raw("VendedRole", "ask", "agents")

    def shown(status: Body) -> tuple[str, object]:
        told = responses.shown(parse(VendedRole, asked | {"status": status}), {}).model_dump(mode="json", by_alias=True, exclude_none=True)
        return told["state"], told.get("progress")

    waiting = StatusBuilder(parse(VendedRole, asked), NOW).building_status(PlatformName(WAREHOUSE), BuildProgress(340, 1000, "view"))
    assert shown({}) == ("Pending", None)
    assert shown(waiting) == ("Pending", "building its profile: 340 of 1,000 tables have their view")
    assert shown(waiting | {"ended": {"reason": "Revoked", "by": "Unanswered"}}) == ("Ending", None)
    busy = waiting["conditions"][0] | {"reason": "PlatformBusy", "message": "table a.b is locked"}
    assert shown({"conditions": [busy]}) == ("Pending", None), "what is in the way is for who looks after the platform"


OTHER = ObjectName("domain", "other")
PAYMENTS = TableId("claims", "payments")


def granted(request: Request = registered.REQUEST, **changes: Any) -> PlatformGrant:
    decided = registered.a_snapshot(**changes).decide(request)
    assert isinstance(decided, Granted), decided
    return PlatformGrant(request, decided)


def explained(*grants: PlatformGrant) -> list[tuple[str | None, str, list[str], list[str]]]:
    """Of each table its platform, its name, and the policies and restrictions that are told of it."""
    tables = json.loads(responses.explanation(grants))["tables"]
    return [(each.get("platform"), each["table"], each["policies"], each["stricterForTools"]) for each in tables]


def test_an_explanation_is_of_this_grant_and_of_none_before_it():
    """Each of these differs from the first in one thing, and has a profile of the same name."""
    here, both = granted(), granted(shapes={registered.WAREHOUSE: registered.shapes(registered.MINE, replace(registered.MINE, id=OTHER))})
    narrow = granted(replace(registered.REQUEST, resources=(PAYMENTS,)))
    on_annex = PlatformGrant(replace(registered.REQUEST, platform=PlatformName("annex")), here.granted)
    stricter = replace(here, granted=replace(here.granted, behind={PAYMENTS: ("shows no row",)}))
    assert {each.granted.profile.name for each in (both, narrow, on_annex, stricter)} == {here.granted.profile.name}

    for _ in range(2):
        assert explained(here) == [(None, "payments", ["domain/mine"], []), (None, "people", ["domain/mine"], [])]
        assert explained(both) == [(None, name, ["domain/mine", "domain/other"], []) for name in ("payments", "people")]
        assert explained(narrow) == [(None, "payments", ["domain/mine"], [])]
        assert explained(stricter)[0] == (None, "payments", ["domain/mine"], ["shows no row"])
        assert [each[0] for each in explained(here, on_annex)] == ["warehouse", "warehouse", "annex", "annex"]


def test_a_person_is_shown_their_own_values_by_a_profile_that_others_have_too():
    """The profile has the same name, and the answer may come from a cache."""

    def rows(*countries: str) -> list[str]:
        person = replace(registered.PERSON, attributes=Attributes.of({"department": ["claims"], "countries": countries}.items()))
        grant = granted(people={registered.ANNA: person})
        assert grant.granted.profile.name == granted().granted.profile.name
        return [each["rows"] for each in json.loads(responses.explanation([grant]))["tables"]]

    for _ in range(2):
        assert rows("DE", "AT") == ["country in (AT, DE)"] * 2
        assert rows("FR") == ["country in (FR)"] * 2


def test_a_comment_that_changed_is_shown_although_the_profile_is_the_same():
    def comments(comment: str) -> list[str | None]:
        tables = [replace(each, comment=comment) for each in registered.TABLES]
        cache = ProfileCache(compile_policies(catalog(*tables), [registered.MINE]), registered.CLUSTER)
        grant = granted(shapes={registered.WAREHOUSE: cache})
        assert grant.granted.profile.name == granted().granted.profile.name
        return [each.get("comment") for each in json.loads(responses.explanation([grant]))["tables"]]

    assert [comments("one"), comments("two"), comments("")] == [["one"] * 2, ["two"] * 2, [None] * 2]


def test_comments_values_and_joins_of_one_answer_are_bounded_table_by_table():
    """The owner of a table chooses how many columns, values and foreign keys it has."""
    columns = (*registered.TABLES[0].columns, *(column(f"c{number:03}") for number in range(150)))
    names = tuple(each.name for each in columns if each.name.startswith("c"))

    def answered(keys: Sequence[ForeignKey] = (), **notes: Any) -> list[dict[str, Any]]:
        tables = [
            replace(each, columns=tuple(replace(one, **notes) for one in columns), foreign_keys=tuple(keys)) for each in registered.TABLES
        ]
        cache = ProfileCache(compile_policies(catalog(*tables), [registered.MINE]), registered.CLUSTER)
        return json.loads(responses.explanation([granted(shapes={registered.WAREHOUSE: cache})]))["tables"]

    first, second = answered(comment="x" * 300)
    assert ({each.get("comment") for each in first["columns"]}, {each.get("comment") for each in second["columns"]}) == (
        {"x" * 300},
        {None},
    )
    first, second = answered(values=tuple(f"{number:060}" for number in range(7)))
    assert ([len(each["values"]) for each in first["columns"]][-1], {len(each["values"]) for each in second["columns"]}) == (7, {0})
    first, second = answered([ForeignKey(names[number:][:30], PAYMENTS, names[:30]) for number in range(120)] * 2)
    assert (len(first["joins"]), len(second["joins"])) == (240, 0)


def test_of_more_tables_than_an_answer_has_the_rest_is_counted():
    grant = granted()
    several = [PlatformGrant(replace(registered.REQUEST, platform=PlatformName(f"p{number}")), grant.granted) for number in range(60)]

    told = json.loads(responses.explanation(several))

    assert (len(told["tables"]), told["tablesLeftOut"]) == (100, 20)


def test_a_decision_holds_its_explanation_and_a_denial_none():
    def told(snapshot: Snapshot) -> dict[str, Any]:
        answer = json.loads(responses.decision(RoleDecision.for_platforms([registered.REQUEST], snapshot.decide), OfferFinder(snapshot)))
        return dict(Decision.model_validate(answer).model_dump(by_alias=True, exclude_none=True))

    assert told(registered.a_snapshot())["explanation"]["tables"][0]["table"] == "payments"
    denied = told(registered.a_snapshot(shapes={registered.WAREHOUSE: registered.shapes()}))
    assert (denied["granted"], "explanation" in denied) == (False, False)
