"""Where a tool sees less of a table than policies grant, since policies of the table itself say less than a view: it is told, on the policy
that could be written otherwise, and on the role that has the tool."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rolevend.api.access.missing import OfferFinder
from rolevend.api.responses import decision
from rolevend.catalog import Catalog, Column, TableId, Tool, ToolId, ToolKind
from rolevend.decision.outcome import Granted
from rolevend.kinds import AccessPolicy, Agent, DataPlatform, Guardrail, VendedRole, parse
from rolevend.platforms.snowflake.types import family, limits_of
from rolevend.policy.expression import ColumnReference, Comparison, Condition, Literal, Operator
from rolevend.policy.mask import Clear, Constant, Hash, Mask, Nullify, Partial, Regex, Round
from rolevend.policy.table_policy import Cell, ColumnPolicy, ColumnShape, TablePolicy, TableShape, table_policy
from rolevend.policytools.check import check
from rolevend.policytools.decisions import Requester
from rolevend.policytools.explain import as_json, as_text, explained
from rolevend.policytools.folder import Folder
from rolevend.roles.decision import RoleDecision
from rolevend.roles.status import StatusBuilder
from rolevend.snapshot.builder import SnapshotBuild
from tests.support.as_code import write
from tests.support.manifests import EVERY_ROW, MISSING, NO_POSTGRES, Body, changed
from tests.support.painted import (
    ANNA,
    NOW,
    OBJECTS,
    REQUEST,
    STATES,
    WAREHOUSE,
    made,
    message,
    paint,
    raw,
    raw_agent,
    raw_person,
    raw_policy,
    said,
)
from tests.support.policies import table
from tests.support.registered import a_snapshot

PEOPLE = TableId("claims", "people")
VIEW: Body = {"schema": "SEM", "name": "CLAIMS"}
CLAIMS = Tool(ToolId(ToolKind.SEMANTIC_VIEW, "CLAIMS", "SEM"), reads=(PEOPLE,))
TYPES = {"id": "NUMBER(38,0)", "country": "VARCHAR(2)", "salary": "NUMBER(12,2)", "ssn": "VARCHAR(11)", "place": "VECTOR(FLOAT, 3)"}
TOO_LONG = "column ssn of claims.people is VARCHAR(11), so tools may see the end of Hash cut off"
NO_ROW = "claims.people shows no row to tools: its rows are filtered by country, which is masked or not granted"


def column(name: str, native: str) -> Column:
    return Column(name, family(native), native, limits=limits_of(native))


def clear(each: Column) -> ColumnShape:
    return ColumnShape(each.name, each.family, each.native_type, (Cell((), Clear()),))


def catalog(*left_out: str) -> Catalog:
    return Catalog.of([table("claims.people", *(column(*each) for each in TYPES.items() if each[0] not in left_out))], tools=[CLAIMS])


def policy(*changes: tuple[str, object], name: str = "analysts") -> Body:
    body = raw_policy()
    body["metadata"]["name"] = name
    body["metadata"]["uid"] = name
    for path, value in (("spec.columns", {"matchNames": ["id", "country", "salary", "ssn"]}), *changes):
        body = changed(body, path, value)
    return body


def mask(column: str, kind: str, **parameters: object) -> Body:
    return {"name": f"on-{column}", "columns": {"matchNames": [column]}, "type": kind, **parameters}


def agent(*, asked: bool = True) -> Body:
    """Who asked for a semantic view over people."""
    plain = changed(raw_agent(), "spec.combination", MISSING)
    return changed(plain, "spec.tools", [{"platformRef": {"name": WAREHOUSE}, "snowflake": {"semanticViews": [VIEW]}}]) if asked else plain


def account() -> Body:
    described = {"account": "myorg-account1", "database": "SALES", "warehouse": "AGENTS_WH"}
    most = ("spec.agents[0].tools", {"snowflake": {"semanticViews": [VIEW]}})
    return raw("DataPlatform", WAREHOUSE, "", *NO_POSTGRES, ("spec.snowflake", described), most)


def painted(*policies: Body, held: Catalog | None = None, asked: bool = True, guardrails: tuple[Guardrail, ...] = ()) -> SnapshotBuild:
    agents, platforms = [parse(Agent, agent(asked=asked))], [parse(DataPlatform, account())]
    granting = [parse(AccessPolicy, each) for each in policies]
    objects = replace(OBJECTS, agents=agents, platforms=platforms, policies=granting, guardrails=[*guardrails])
    return paint(objects, {WAREHOUSE: replace(STATES[WAREHOUSE], catalog=held or catalog("place"))})


def whole_of(built: SnapshotBuild) -> RoleDecision:
    whole = RoleDecision.for_platforms([REQUEST], built.snapshot.decide)
    assert isinstance(whole.combined, Granted), whole.combined
    return whole


def findings(built: SnapshotBuild, name: str = "analysts") -> list[str]:
    (judged,) = [each for each in built.evaluations if each.resource.name == name and each.resource.kind == "AccessPolicy"]
    return [each.type for each in judged.findings]


def report(before: Body | None = None) -> StatusBuilder:
    body = raw("VendedRole", "ask", "agents")
    return StatusBuilder(parse(VendedRole, body | ({"status": before} if before else {})), NOW)


def conditions(status: Body) -> dict[str, str]:
    return {each["type"]: each["message"] for each in status["conditions"]}


def told_by_the_api(whole: RoleDecision) -> list[tuple[str, tuple[str, ...]]]:
    """Of each table; in the answer to a vend it is the same."""
    tables = json.loads(decision(whole, OfferFinder(a_snapshot())))["explanation"]["tables"]
    return [(each["table"], tuple(each["stricterForTools"])) for each in tables]


def test_what_is_exact_is_not_told():
    built = painted(policy(*EVERY_ROW, ("spec.masks", [mask("salary", "Round", round={"step": "100"})])))

    assert told_by_the_api(whole_of(built)) == [("people", ())]
    assert "StricterForTools" not in findings(built)
    assert "StricterForTools" not in conditions(report().ready_status(whole_of(built)))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ([("spec.masks", [mask("ssn", "Hash")])], TOO_LONG),
        ([("spec.masks", [mask("country", "Hash")])], NO_ROW),
        ([("spec.columns", {"matchNames": ["id", "ssn"]})], NO_ROW),
        (
            [*EVERY_ROW, ("spec.masks", [{"name": "all", "columns": {"matchNames": ["*"]}, "type": "Nullify"}])],
            "claims.people shows no row to tools: each of its columns is masked or decides a mask, and a row policy needs one"
            " that is neither",
        ),
        (
            [("spec.masks", [mask("salary", "Round", round={"step": "0.125"})])],
            "column salary of claims.people is NUMBER(12,2), and shows tools NULL instead of Round, since a step of 0.125 has more than 2"
            " decimal places",
        ),
    ],
    ids=[
        "longer than its column",
        "filtered by what is masked",
        "filtered by what is not granted",
        "masked all over",
        "more places than its column",
    ],
)
def test_a_policy_and_a_role_say_where_tools_see_less(changes: list[tuple[str, object]], told: str):
    built = painted(policy(*changes))

    assert said(built, "analysts", "StricterForTools") == ("True", "TablePolicies")
    assert message(built, "analysts", "StricterForTools") == told
    for status in (report().pending_status(whole_of(built)), report().ready_status(whole_of(built))):
        assert conditions(status)["StricterForTools"] == told
    assert told_by_the_api(whole_of(built)) == [("people", (told,))]


def test_a_column_that_no_policy_can_be_written_for_closes_the_table_where_it_is_not_in_clear():
    told = "claims.people shows no row to tools: column place is VECTOR(FLOAT, 3), which no masking policy can be written for"
    everything = ("spec.columns", {"matchNames": ["*"]})

    assert message(painted(policy(), held=catalog()), "analysts", "StricterForTools") == told
    assert "StricterForTools" not in findings(painted(policy(everything), held=catalog()))


def test_where_no_tool_reads_the_table_nobody_is_told():
    spoiled = policy(("spec.masks", [mask("ssn", "Hash")]))

    assert "StricterForTools" not in findings(painted(spoiled, held=Catalog.of(catalog("place").tables.values())))
    assert "StricterForTools" not in conditions(report().ready_status(whole_of(painted(spoiled, asked=False))))


def test_what_several_policies_and_guardrails_come_to_is_told_of_the_role_alone():
    """Each policy is exact: together a mask depends on what the rows are filtered by; or a guardrail masks that."""
    filtered = policy(("spec.masks", []))
    clear = policy(("spec.rowFilter", "id > 5"), ("spec.masks", [mask("salary", "Nullify")]), name="clear")
    together = painted(filtered, clear)
    every = {"matchNames": [{"schema": "*", "name": "*"}]}
    floor = made(Guardrail, "g", tables=every, deny=None, users=None, rowRestriction=None, maskFloors=[mask("country", "Hash")])
    guarded = painted(filtered, guardrails=(floor,))

    assert "StricterForTools" not in {*findings(together), *findings(together, "clear"), *findings(guarded)}
    told = conditions(report().ready_status(whole_of(together)))["StricterForTools"]
    assert told.startswith("column salary of claims.people shows tools Nullify in every row: what it shows depends on country")
    assert conditions(report().ready_status(whole_of(guarded)))["StricterForTools"] == NO_ROW


def test_a_role_that_is_narrowed_to_other_tables_is_not_told_of_this_one():
    held = Catalog.of([*catalog("place").tables.values(), table("claims.prices", column("id", "NUMBER(38,0)"))], tools=[CLAIMS])
    spoiled, prices = policy(*EVERY_ROW, ("spec.masks", [mask("ssn", "Hash")])), TableId("claims", "prices")
    built = painted(spoiled, held=held)
    narrowed = [RoleDecision.for_platforms([replace(REQUEST, resources=(each,))], built.snapshot.decide) for each in (PEOPLE, prices)]

    assert ["StricterForTools" in conditions(report().ready_status(whole)) for whole in narrowed] == [True, False]


def test_the_condition_goes_when_it_is_over():
    before = report().ready_status(whole_of(painted(policy(("spec.masks", [mask("ssn", "Hash")])))))
    after = report(before).ready_status(whole_of(painted(policy())))

    assert "StricterForTools" in conditions(before)
    assert "StricterForTools" not in conditions(after)
    assert {*conditions(before)} - {*conditions(after)} == {"StricterForTools"}


def filed(body: Body) -> Body:
    return body | {"metadata": {key: value for key, value in body["metadata"].items() if key in ("name", "namespace") and value}}


def test_policy_check_warns_of_it_and_explain_tells_it(tmp_path: Path):
    spoiled = policy(("spec.masks", [mask("ssn", "Hash")]))
    catalogs = {WAREHOUSE: catalog("place")}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "agents", "labels": {"team": "claims"}}}
    write(tmp_path, "a.yaml", namespace, *map(filed, (account(), agent(), raw_person(), spoiled)))

    found = check([tmp_path], catalogs).diagnostics
    told = explained(Folder.read([tmp_path]), Requester(ANNA, REQUEST.agent, WAREHOUSE), catalogs)

    assert [(each.level, each.field, each.message) for each in found if "tools" in each.message] == [("warning", "spec", TOO_LONG)]
    assert told.stricter == (TOO_LONG,), as_text([told])
    assert f"for tools: {TOO_LONG}" in as_text([told]).splitlines()
    assert TOO_LONG in as_json([told])["stricterForTools"]


def test_where_masks_leave_no_column_a_row_is_shown_only_by_a_filter_of_its_own():
    """One decides what the other one shows: the row policy may not be set on it, unless it filters by it."""
    key, pay = column("ID", "NUMBER(38,0)"), column("PAY", "NUMBER(5,0)")
    own = Condition((), Comparison(ColumnReference("ID", key.family, key.native_type), Operator.EQUAL, Literal("1", quoted=False)))
    shapes = (clear(key), ColumnShape("PAY", pay.family, pay.native_type, (Cell((own,), Clear()), Cell((), Round("10")))))

    every, filtered = (table_policy(TableShape(PEOPLE, "people", (each,), shapes), [key, pay]) for each in (Condition((), None), own))

    assert (every.rows, filtered.rows) == (None, ((own,),))
    assert filtered.columns == (ColumnPolicy(replace(shapes[1], cells=(Cell((), Round("10")),))),)
    assert filtered.stricter == (
        "column PAY of claims.people shows tools Round in every row: what it shows depends on ID, which is filtered by or masked itself",
    )


def test_of_a_column_that_is_not_granted_a_tool_sees_null():
    key, pay = column("ID", "NUMBER(38,0)"), column("PAY", "NUMBER(5,0)")

    found = table_policy(TableShape(PEOPLE, "people", (Condition((), None),), (clear(key),)), [key, pay])

    assert found == TablePolicy((), (), (ColumnPolicy(ColumnShape("PAY", pay.family, pay.native_type, (Cell((), Nullify()),))),))


@pytest.mark.parametrize(
    ("native", "shown", "told"),
    [
        ("VARCHAR(4)", Partial(4), True),
        ("VARCHAR(5)", Partial(4), False),
        ("VARCHAR(63)", Hash(), True),
        ("VARCHAR(64)", Hash(), False),
        ("VARCHAR(3)", Constant("none"), True),
        ("VARCHAR(4)", Constant("none"), False),
        ("VARCHAR(16777215)", Regex("a", "b"), True),
        ("VARCHAR(16777216)", Regex("a", "b"), False),
        ("NUMBER(12,2)", Round("0.125"), True),
        ("NUMBER(12,2)", Round("0.25"), False),
        ("NUMBER(12,2)", Round("0.005"), False),  # every value is a multiple of it
        ("FLOAT", Round("0.125"), False),
        ("NUMBER(5,0)", Round("10"), False),
    ],
)
def test_what_a_column_has_no_room_for_is_told_and_nothing_else(native: str, shown: Mask, told: bool):
    columns = [column("ID", "NUMBER(38,0)"), column("C", native)]
    shapes = [
        ColumnShape(each.name, each.family, each.native_type, (Cell((), Clear() if each.name == "ID" else shown),)) for each in columns
    ]
    found = table_policy(TableShape(PEOPLE, "people", (Condition((), None),), tuple(shapes)), columns)

    assert bool(found.stricter) is told
    assert found.rows == ()
    assert [each.shape for each in found.columns] == shapes[1:]
