"""Tools of an account: what an agent has of those it asks for, whomever it acts for, and what its user must be granted for it."""

import json
from dataclasses import replace

import pytest

from rolevend.api import responses
from rolevend.audit import evidence, role_events
from rolevend.catalog import Catalog, TableId, Tool, ToolId, ToolKind, digest
from rolevend.decision.outcome import Granted, Request, withdrawal_reason
from rolevend.decision.tools import beyond
from rolevend.kinds import AccessPolicy, Agent, DataPlatform, Guardrail, parse
from rolevend.plan import contains
from rolevend.platforms.protocol import Account
from rolevend.platforms.snowflake import SnowflakeInstallOptions, script
from rolevend.platforms.snowflake.sql import name
from rolevend.platforms.snowflake.tools import grants
from rolevend.roles.decision import PlatformGrant
from rolevend.snapshot.builder import SnapshotBuild
from tests.support.golden import golden
from tests.support.manifests import MISSING, NO_POSTGRES, Body, changed, every_row
from tests.support.painted import (
    NOW,
    OBJECTS,
    REQUEST,
    STATES,
    TABLES,
    WAREHOUSE,
    made,
    message,
    paint,
    raw,
    raw_agent,
    raw_policy,
    said,
    verdict,
)
from tests.support.policies import column, table

PEOPLE, SALARIES = TableId("claims", "people"), TableId("hr", "people")
EXTRA = Tool(ToolId(ToolKind.WAREHOUSE, "EXTRA_WH"))
CORTEX = Tool(ToolId(ToolKind.DATABASE_ROLE, "SNOWFLAKE.CORTEX_USER"))
PROCEDURE = Tool(ToolId(ToolKind.PROCEDURE, "RISK", "SEM", "NUMBER, VARCHAR"))
CLAIMS = Tool(ToolId(ToolKind.SEMANTIC_VIEW, "CLAIMS", "SEM"), reads=(PEOPLE,))
BOTH = Tool(ToolId(ToolKind.SEMANTIC_VIEW, "BOTH", "SEM"), reads=(PEOPLE, SALARIES))
SEARCH = Tool(ToolId(ToolKind.SEARCH_SERVICE, "FIND", "SEM"), copies=((PEOPLE, "country"), (PEOPLE, "id")))
TOOLS = (EXTRA, CLAIMS, BOTH, PROCEDURE, SEARCH, CORTEX)
ALL: Body = {
    "warehouses": ["EXTRA_WH"],
    "semanticViews": [{"schema": "SEM", "name": "CLAIMS"}, {"schema": "SEM", "name": "BOTH"}],
    "procedures": [{"schema": "SEM", "name": "RISK", "arguments": "NUMBER, VARCHAR"}],
    "searchServices": [{"schema": "SEM", "name": "FIND"}],
    "databaseRoles": ["SNOWFLAKE.CORTEX_USER"],
}
EVERY_ROW_BODY = every_row(raw_policy())
EVERY_ROW = parse(AccessPolicy, EVERY_ROW_BODY)


def platform(most: Body | None = ALL) -> DataPlatform:
    account = {"account": "myorg-account1", "database": "SALES", "warehouse": "AGENTS_WH"}
    tools = MISSING if most is None else {"snowflake": most}
    changes = (*NO_POSTGRES, ("spec.snowflake", account), ("spec.agents[0].tools", tools))
    return parse(DataPlatform, raw("DataPlatform", WAREHOUSE, "", *changes))


def painted(
    asked: Body | None = ALL, most: Body | None = ALL, there: tuple[Tool, ...] = TOOLS, kind: str = "snowflake", **objects: object
) -> SnapshotBuild:
    wanted = [] if asked is None else [{"platformRef": {"name": WAREHOUSE}, kind: asked}]
    agent = parse(Agent, changed(changed(raw_agent(), "spec.combination", MISSING), "spec.tools", wanted))
    states = {WAREHOUSE: replace(STATES[WAREHOUSE], catalog=Catalog.of(TABLES, tools=there))}
    return paint(replace(OBJECTS, agents=[agent], platforms=[platform(most)], **{"policies": [EVERY_ROW], **objects}), states)


def given(built: SnapshotBuild, request: Request = REQUEST) -> Granted:
    found = verdict(built, request=request)
    assert isinstance(found, Granted), found
    return found


def tools_of(built: SnapshotBuild, request: Request = REQUEST) -> tuple[Tool, ...]:
    return given(built, request).profile.tools


def test_an_agent_has_what_it_asks_for_where_its_user_is_granted_what_is_behind_it():
    assert tools_of(painted()) == (CORTEX, PROCEDURE, SEARCH, CLAIMS, EXTRA)


def guarding(**spec: object) -> list[Guardrail]:
    said_of = {"deny": None, "users": None, "rowRestriction": None, "maskFloors": None, **spec}
    return [made(Guardrail, "guard", tables={"matchNames": [{"schema": "claims", "name": "*"}]}, **said_of)]


HASHED = {"name": "countries", "columns": {"matchNames": ["country"]}, "type": "Hash"}


@pytest.mark.parametrize(
    "hiding",
    [
        {"policies": [parse(AccessPolicy, raw_policy())]},
        {"policies": [parse(AccessPolicy, changed(EVERY_ROW_BODY, "spec.columns", {"matchNames": ["id"]}))]},
        {"guardrails": guarding(rowRestriction="id > 1")},
        {"guardrails": guarding(maskFloors=[HASHED])},
        {"guardrails": guarding(deny={"type": "Columns", "columns": {"matchNames": ["country"]}})},
    ],
    ids=["rows", "a column", "rows that a guardrail takes", "a mask that a guardrail asks for", "a column that a guardrail takes"],
)
def test_no_role_has_a_search_service_that_shows_what_policies_hide(hiding: dict[str, object]):
    assert SEARCH in tools_of(painted())
    assert SEARCH not in tools_of(painted(**hiding))
    assert CLAIMS in tools_of(painted(**hiding)), "a semantic view reads under policies"


def test_a_role_that_is_narrowed_to_other_tables_has_no_search_service_over_this_one():
    both = parse(AccessPolicy, changed(EVERY_ROW_BODY, "spec.platformRefs", [{"name": WAREHOUSE}]))
    prices = table("claims.prices", column("id"))
    states = {WAREHOUSE: replace(STATES[WAREHOUSE], catalog=Catalog.of((*TABLES, prices), tools=TOOLS))}
    agent = parse(Agent, changed(raw_agent(), "spec.tools", [{"platformRef": {"name": WAREHOUSE}, "snowflake": ALL}]))
    built = paint(replace(OBJECTS, agents=[agent], platforms=[platform()], policies=[both]), states)

    assert SEARCH in tools_of(built, replace(REQUEST, resources=(PEOPLE,)))
    assert SEARCH not in tools_of(built, replace(REQUEST, resources=(prices.id,)))
    assert CLAIMS in tools_of(built, replace(REQUEST, resources=(prices.id,))), "its lease shows no row of people"
    assert beyond(SEARCH, (prices.id,)) == "shows a copy of claims.people, which is not asked for"
    assert SEARCH in built.snapshot.tools(replace(REQUEST, resources=(prices.id,))), "its agent may have it"


def test_the_audit_event_and_the_answer_of_the_api_name_each_after_its_kind():
    built = painted()
    found = given(built)
    names = (
        "database role SNOWFLAKE.CORTEX_USER",
        "procedure SEM.RISK(NUMBER, VARCHAR)",
        "search service SEM.FIND",
        "semantic view SEM.CLAIMS",
    )

    event = role_events.granted(REQUEST, found, built.snapshot, evidence.access_summary(found.tables), NOW)

    explained = json.loads(responses.explanation([PlatformGrant(REQUEST, found)]))
    assert event.functions == tuple(explained["functions"]) == (*names, "warehouse EXTRA_WH")


def test_tools_are_in_the_name_of_the_profile_and_none_leave_it_as_it_was():
    without, having = given(painted(None)), given(painted())

    assert without.profile.name != having.profile.name
    assert without.profile.tables == having.profile.tables
    assert without.profile.name == given(painted(there=())).profile.name


@pytest.mark.parametrize(
    ("there", "kept"),
    [
        ((*TOOLS, Tool(ToolId(ToolKind.WAREHOUSE, "MORE"))), True),
        (TOOLS[1:], False),
        ((replace(EXTRA, obstacle="is not the operator's to give"), *TOOLS[1:]), False),
        ((*TOOLS[:1], replace(CLAIMS, reads=(PEOPLE, SALARIES)), *TOOLS[2:]), False),
        ((*TOOLS[:4], replace(SEARCH, copies=((PEOPLE, "full_name"),)), CORTEX), False),
    ],
    ids=["another one", "one that is gone", "one that is refused", "other tables behind it", "other columns"],
)
def test_a_live_role_ends_where_a_tool_is_not_what_it_was(there: tuple[Tool, ...], kept: bool):
    held, now = given(painted()), given(painted(there=there))

    assert (not withdrawal_reason(now, held)) is kept
    assert contains(now.profile, held.profile) is kept


@pytest.mark.parametrize(
    ("changes", "reason", "told"),
    [
        ({"most": None}, "NotPermitted", "DataPlatform warehouse does not let the agent have database role SNOWFLAKE.CORTEX_USER"),
        (
            {"most": {**ALL, "procedures": [{"schema": "SEM", "name": "RISK", "arguments": ""}]}},
            "NotPermitted",
            "the agent have procedure SEM.RISK(NUMBER, VARCHAR)",
        ),
        ({"there": TOOLS[1:]}, "ToolMissing", "there is no warehouse EXTRA_WH, or the operator may not see it"),
        (
            {"there": (replace(PROCEDURE, obstacle="acts with the rights of its owner"),)},
            "ToolMissing",
            "acts with the rights of its owner (on warehouse)",
        ),
        (
            {"there": (*TOOLS[:2], replace(BOTH, reads=(TableId("OPEN", "T"),)), *TOOLS[3:])},
            "ToolRefused",
            "semantic view SEM.BOTH reads OPEN.T, which no domain governs",
        ),
        (
            {"kind": "postgres", "asked": {"schemas": ["notes"]}},
            "NotPermitted",
            "is of Snowflake, which has no schema notes: name the tools under snowflake",
        ),
    ],
    ids=["permitted", "another signature", "missing", "refused", "ungoverned", "another kind of platform"],
)
def test_what_an_agent_does_not_get_is_named_with_the_way_out(changes: dict[str, object], reason: str, told: str):
    built = painted(**changes)  # type: ignore[arg-type]

    assert said(built, "finbot", "Accepted") == ("True", "Valid")
    assert said(built, "finbot", "Ready") == ("False", reason)
    assert told in message(built, "finbot", "Ready")
    assert given(built)


def test_tools_of_an_account_are_none_of_a_database():
    agent = parse(Agent, changed(raw_agent(), "spec.tools", [{"platformRef": {"name": WAREHOUSE}, "snowflake": ALL}]))
    built = paint(replace(OBJECTS, agents=[agent]))

    assert said(built, "finbot", "Ready") == ("False", "NotPermitted")
    assert "is of PostgreSQL, which has no" in message(built, "finbot", "Ready")
    assert tools_of(built) == ()


def test_one_that_gets_all_its_tools_is_ready():
    assert message(painted(), "finbot", "Ready") == "in use, with every tool that it asks for"


def test_a_catalog_with_another_tool_is_another_one():
    one, two = Catalog.of(TABLES, tools=[CLAIMS]), Catalog.of(TABLES, tools=[replace(CLAIMS, reads=(PEOPLE, SALARIES))])

    assert digest(one) != digest(two)
    assert one.tagged([]).tools == one.retagged(one.tagged([]), [], []).tools == (CLAIMS,)


def test_what_is_run_for_tools_is_kept_word_for_word():
    account = Account("myorg-account1", "myorg-account1.snowflakecomputing.com", 443, "SALES", "AGENTS_WH")
    plain, having = (
        script(account, SnowflakeInstallOptions(("claims", "hr"), tuple(sorted(each.id for each in tools)))).text() for tools in ((), TOOLS)
    )
    added = [line for line in having.splitlines() if line not in plain.splitlines()]
    given_to = grants(name("RV_P_1"), TOOLS, "SALES")

    golden(
        "snowflake_tools.sql",
        "\n".join(
            [
                "-- The script of an administrator has these besides",
                *added,
                "",
                "-- A profile is given",
                *(f"{each};" for each in given_to),
                "",
            ]
        ),
    )
