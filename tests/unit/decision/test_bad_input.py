"""Whatever is wrong with one object is told where it stands, grants nothing, and neither disables nor widens what the others say."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from rolevend.decision.outcome import Denied, Granted
from rolevend.errors import InvalidInput
from rolevend.kinds import AccessPolicy, Guardrail, TagBinding, UserAttributes, parse
from rolevend.plan import contains
from rolevend.snapshot.builder import SnapshotBuild
from tests.support.manifests import Body, changed, valid
from tests.support.painted import CRM, OBJECTS, STATES, TABLES, WAREHOUSE, judged, made, message, paint, said, verdict
from tests.support.policies import catalog, column, table

DOMAIN = "domain-claims"
EVERYTHING = {"tables": {"matchNames": [{"schema": "*", "name": "*"}]}, "columns": {"matchNames": ["*"]}, "rowFilter": None, "masks": []}
"""What a bad policy would show, too, if what is bad in it did not count."""
SOUND = made(AccessPolicy, "sound", DOMAIN, **(EVERYTHING | {"columns": {"matchNames": ["id"]}, "rowFilter": "country = 'DE'"}))
ALONE = replace(OBJECTS, policies=[SOUND])


def tag(operator: str, *values: str, key: str = "domain") -> Body:
    return {"key": key, "operator": operator, **({"values": list(values)} if values else {})}


def condition(expression: str) -> Body:
    return {"matchAttributes": [tag("In", "analyst", key="job")], "matchConditions": [{"name": "it", "expression": expression}]}


def mask(columns: Body, **spelled: object) -> list[Body]:
    return [{"name": "it", "columns": columns, **(spelled or {"type": "Nullify"})}]


@dataclass(frozen=True)
class Bad:
    spec: Body
    told: str
    says: tuple[str, str, str] = ("Accepted", "False", "InvalidInput")
    """A condition that must tell it, with status and reason."""
    objects: Sequence[TagBinding] = field(default=tuple(OBJECTS.bindings))


NOT_GRANTED, UNKNOWN = ("Ready", "False", "NotGranted"), ("NamesKnown", "False", "Unknown")

BAD_POLICIES = {
    # Contradictions
    "tables that are and are not": Bad(
        {"tables": {"matchTags": [tag("In", "claims"), tag("NotIn", "claims")]}},
        "spec.tables.matchTags: domain In [claims] and domain NotIn [claims] exclude each other",
    ),
    "tables that are, and are not by a pattern": Bad(
        {"tables": {"matchTags": [tag("NotIn", "cl*"), tag("In", "claims", "cl*ms")]}},
        "spec.tables.matchTags: domain In [cl*ms, claims] and domain NotIn [cl*] exclude each other",
    ),
    "tables with a tag below one that is not there": Bad(
        {"tables": {"matchTags": [tag("DoesNotExist", key="geo.*"), tag("Exists", key="geo.eu")]}},
        "spec.tables.matchTags: geo.eu Exists and geo.* DoesNotExist exclude each other",
    ),
    "tables of the user's regions and of none of them": Bad(
        {"tables": {"matchTags": [{"key": "region", "operator": each, "valuesFromUserAttribute": "job"} for each in ("In", "NotIn")]}},
        "spec.tables.matchTags: region In the user's job and region NotIn the user's job exclude each other",
    ),
    "users who are and are not": Bad(
        {"users": {"matchAttributes": [tag("In", "analyst", key="job"), tag("NotIn", "analyst", "clerk", key="job")]}},
        "spec.users.matchAttributes: job In [analyst] and job NotIn [analyst, clerk] exclude each other",
    ),
    "users without the attribute that they have": Bad(
        {"users": {"matchAttributes": [tag("NotIn", "clerk", key="job"), tag("DoesNotExist", key="job")]}},
        "spec.users.matchAttributes: job NotIn [clerk] and job DoesNotExist exclude each other",
    ),
    "agents that are and are not": Bad(
        {"agents": {"matchAttributes": [tag("In", "high", key="trust"), tag("NotIn", "high", key="trust")]}},
        "spec.agents.matchAttributes: trust In [high]",
    ),
    "columns that are and are not": Bad(
        {"columns": {"matchTags": [tag("Exists", key="pii"), tag("DoesNotExist", key="pii")]}}, "spec.columns.matchTags: pii Exists and"
    ),
    "a mask for columns that cannot be": Bad(
        {"masks": mask({"matchTags": [tag("In", "id", key="pii"), tag("NotIn", "id", key="pii")]})},
        "spec.masks[it].columns.matchTags: pii In [id] and pii NotIn [id] exclude each other",
    ),
    # What nothing and nobody has
    "tables by a tag that is misspelled": Bad(
        {"tables": {"matchTags": [tag("In", "claims", key="domian")]}}, "carries the tag domian; did you mean domain?", UNKNOWN
    ),
    "tables by a value that is misspelled": Bad(
        {"tables": {"matchTags": [tag("In", "clams")]}}, "with the value clams; did you mean claims?", UNKNOWN
    ),
    "users by an attribute that is misspelled": Bad(
        {"users": {"matchAttributes": [tag("In", "analyst", key="jobs")]}}, "has the attribute jobs; did you mean job?", UNKNOWN
    ),
    "tables that are not there": Bad(
        {"tables": {"matchNames": [{"schema": "claims", "name": "poeple"}]}}, "check names and tags", NOT_GRANTED
    ),
    "tables of somebody else": Bad({"tables": {"matchNames": [{"schema": "hr", "name": "*"}]}}, "check names and tags", NOT_GRANTED),
    "columns that are not there": Bad({"columns": {"matchNames": ["salary"]}}, "check names and tags", NOT_GRANTED),
    "a mask by the name of no column": Bad(
        {"masks": mask({"matchNames": ["ful_name"]})},
        "spec.masks[it]: no column of the tables has a name that it masks by, so nothing is granted",
        NOT_GRANTED,
    ),
    "a mask by the name of no column, named": Bad(
        {"masks": mask({"matchNames": ["ful_name"]})},
        "spec.masks[it].columns.matchNames[0]: no column of these tables is named ful_name; did you mean full_name?",
        UNKNOWN,
    ),
    "a mask by a name and a tag of different columns": Bad(
        {"masks": mask({"matchNames": ["country"], "matchTags": [tag("In", "name", key="pii")]})},
        "carries the tags that it masks by, so nothing is granted",
        NOT_GRANTED,
    ),
    "a mask by a tag of no column": Bad(
        {"masks": mask({"matchTags": [tag("In", "id", key="pii")]})},
        "carries the tags that it masks by, so nothing is granted",
        NOT_GRANTED,
    ),
    # Row filters
    "a filter that is always true": Bad({"rowFilter": "id = id"}, "spec.rowFilter: line 1, column 1"),
    "a filter that is always true by parts": Bad({"rowFilter": "id = 1 OR id <> 1 OR id IS NULL"}, "spec.rowFilter: line 1, column 1"),
    "a filter that is never true": Bad({"rowFilter": "id = 1 AND id = 2"}, "spec.rowFilter: line 1, column 1"),
    "a filter that is a query": Bad({"rowFilter": "id IN (SELECT 1)"}, "spec.rowFilter: line 1, column 8"),
    "a filter on a column that is not there": Bad(
        {"rowFilter": "contry = 'DE'"}, "has no column contry; did you mean country?", NOT_GRANTED
    ),
    "a filter of another type": Bad({"rowFilter": "id = 'DE'"}, "'DE' is no value of column id (integer)", NOT_GRANTED),
    # Conditions
    "a condition that cannot be read": Bad({"users": condition("user.subject ==")}, "matchConditions[it].expression: line 1"),
    "a condition with an unknown name": Bad({"users": condition("user.department == 'x'")}, "user is not allowed here"),
    "a condition that is slow": Bad(
        {"users": condition("user.attributes.a.all(x, user.attributes.b.all(y, x != y))")}, "a condition has at most one loop"
    ),
    "a condition that backtracks": Bad({"users": condition("user.subject.matches('(a*)*b')")}, "matches is not allowed here"),
    "a condition that is deep": Bad({"users": condition("!(" * 40 + "user.subject == 'x'" + ")" * 40)}, "nested deeper than 32"),
    "a condition on values of different types": Bad(
        {"users": condition("request.expirationSeconds == '900'")}, "line 1, column 27: a number and a text are never equal"
    ),
    "a condition that is always true": Bad({"users": condition("1 < 2")}, "this is the same for every request"),
    "a loop over nothing": Bad({"users": condition("[].all(x, x == user.subject)")}, "an empty list holds nothing"),
    "a loop over an attribute that nobody has": Bad(
        {"users": condition("user.attributes.suspended.all(x, x == 'no')")}, "has the attribute suspended", UNKNOWN
    ),
    # Patterns of masks
    "a repetition of nothing": Bad(
        {"masks": mask({"matchNames": ["*"]}, type="Regex", regex={"pattern": "(a*)*", "replacement": ""})}, "spec.masks[it].regex.pattern"
    ),
}


PEOPLE = {"schema": "claims", "name": "people"}
DEAD_NAMES = {
    "a table among others": (
        {"tables": {"matchNames": [PEOPLE, {"schema": "claims", "name": "poeple"}]}},
        "spec.tables.matchNames[1]: no table in reach is named claims.poeple; did you mean claims.people?",
    ),
    "a schema that is not there": (
        {"tables": {"matchNames": [PEOPLE, {"schema": "clams", "name": "*"}]}},
        "spec.tables.matchNames[1]: no schema in reach is named clams; did you mean claims?",
    ),
    "a schema of somebody else": (
        {"tables": {"matchNames": [{"schema": "hr", "name": "*"}, PEOPLE]}},
        "spec.tables.matchNames[0]: no schema in reach is named hr",
    ),
    "a column among others": (
        {"columns": {"matchNames": ["id", "contry"]}},
        "spec.columns.matchNames[1]: no column of these tables is named contry; did you mean country?",
    ),
    "a pattern of columns among others": (
        {"columns": {"matchNames": ["*_nam", "*_name"]}},
        "spec.columns.matchNames[0]: no column of these tables is named *_nam",
    ),
    "a column of a mask among others": (
        {"masks": mask({"matchNames": ["id", "ful_name"]})},
        "spec.masks[it].columns.matchNames[1]: no column of these tables is named ful_name; did you mean full_name?",
    ),
}


@pytest.mark.parametrize(("spec", "told"), DEAD_NAMES.values(), ids=DEAD_NAMES)
def test_a_name_that_nothing_has_is_told_beside_others_that_are_right(spec: Body, told: str):
    some = made(AccessPolicy, "some", DOMAIN, **(EVERYTHING | spec))

    built = paint(replace(ALONE, policies=[some, SOUND]))

    assert said(built, "some", "NamesKnown") == ("False", "Unknown")
    assert message(built, "some", "NamesKnown").startswith(told)
    assert said(built, "some", "Ready") == ("True", "InForce")
    assert said(built, "sound", "NamesKnown") == ("True", "Known")


def granted_by(name: str, built: SnapshotBuild) -> list[object]:
    index = built.snapshot.shapes[WAREHOUSE].index
    return [grants for each in index.policies if each.id.name == name for grants in each.grant_sets]


@pytest.mark.parametrize("bad", BAD_POLICIES.values(), ids=BAD_POLICIES)
def test_a_bad_policy_is_told_grants_nothing_and_changes_nothing_for_anybody(bad: Bad):
    alone = verdict(paint(ALONE))
    assert isinstance(alone, Granted)
    broken = made(AccessPolicy, "broken", DOMAIN, **(EVERYTHING | bad.spec))

    built = paint(replace(ALONE, policies=[broken, SOUND]))

    type_, *found = bad.says
    assert said(built, "broken", type_) == tuple(found)
    assert bad.told in message(built, "broken", type_)
    assert verdict(built) == alone
    assert said(built, "sound", "Ready") == ("True", "InForce")
    assert isinstance(verdict(paint(replace(ALONE, policies=[broken]))), Denied)


BAD_GUARDRAILS = {
    "tables of no region of the user's that have none": {
        "tables": {
            "matchTags": [{"key": "region", "operator": "NotIn", "valuesFromUserAttribute": "job"}, tag("DoesNotExist", key="region")]
        }
    },
    "tables that are and are not": {"tables": {"matchTags": [tag("In", "claims"), tag("NotIn", "*")]}},
    "columns that are and are not": {"deny": {"type": "Columns", "columns": {"matchTags": [tag("Exists"), tag("DoesNotExist")]}}},
    "a floor for columns that cannot be": {"maskFloors": mask({"matchTags": [tag("In", "id"), tag("NotIn", "id")]})},
    "users who are and are not": {"users": {"matchAttributes": [tag("In", "x"), tag("NotIn", "x")]}},
    "a restriction that is always true": {"rowRestriction": "id = id"},
    "a restriction on a column that is not there": {"rowRestriction": "nowhere = 1"},
    "a pattern that nothing can match": {
        "maskFloors": mask({"matchNames": ["*"]}, type="Regex", regex={"pattern": "(a*)*", "replacement": ""})
    },
    "tables that are not there": {"tables": {"matchNames": [{"schema": "claims", "name": "poeple"}]}},
}


IDLE_GUARDRAILS = {
    "a floor for a column that is not there": (
        {"maskFloors": mask({"matchNames": ["brith_date"]})},
        "spec.maskFloors[it].columns",
        "spec.maskFloors[it].columns.matchNames[0]: no column of these tables is named brith_date; did you mean birth_date?",
    ),
    "a floor by a name and a tag of no column": (
        {"maskFloors": mask({"matchNames": ["birth_date"], "matchTags": [tag("Exists", key="secret")]})},
        "spec.maskFloors[it].columns",
        "spec.maskFloors[it].columns.matchTags: no column in reach carries the tag secret",
    ),
    "a denial of a column that is not there": (
        {"deny": {"type": "Columns", "columns": {"matchNames": ["ful_name"]}}},
        "spec.deny.columns",
        "spec.deny.columns.matchNames[0]: no column of these tables is named ful_name; did you mean full_name?",
    ),
}


@pytest.mark.parametrize(("spec", "idle", "unknown"), IDLE_GUARDRAILS.values(), ids=IDLE_GUARDRAILS)
def test_what_a_guardrail_says_of_no_column_is_told_though_the_rest_is_at_work(spec: Body, idle: str, unknown: str):
    states = {**STATES, WAREHOUSE: replace(STATES[WAREHOUSE], catalog=catalog(*TABLES, table("claims.births", column("birth_date"))))}
    at_work = {"tables": {"matchNames": [{"schema": "*", "name": "*"}]}, "rowRestriction": None, "deny": None}
    floors = [*spec.get("maskFloors", []), {"name": "good", "columns": {"matchNames": ["full_name"]}, "type": "Nullify"}]

    built = paint(replace(ALONE, guardrails=[made(Guardrail, "some", **(at_work | spec | {"users": None, "maskFloors": floors}))]), states)

    assert said(built, "some", "Ready") == ("False", "NoMatch")
    assert message(built, "some", "Ready") == f"{idle}: this is for no column of the tables, so it takes nothing away; check names and tags"
    assert unknown in message(built, "some", "NamesKnown")
    assert judged(built, "some").counts["matchedTables"] > 0


def test_a_floor_by_tags_is_ready_before_the_first_column_is_tagged():
    floors = [*mask({"matchTags": [tag("Exists", key="secret")]}), {"name": "good", "columns": {"matchNames": ["id"]}, "type": "Nullify"}]

    built = paint(replace(ALONE, guardrails=[made(Guardrail, "some", users=None, deny=None, rowRestriction=None, maskFloors=floors)]))

    assert said(built, "some", "Ready") == ("True", "InForce")
    assert said(built, "some", "NamesKnown") == ("False", "Unknown")


def test_a_guardrail_is_idle_only_where_no_platform_has_such_a_column():
    """It is written once, for platforms that hold different things."""
    floor = made(
        Guardrail,
        "some",
        users=None,
        deny=None,
        rowRestriction=None,
        platformRefs=[{"name": WAREHOUSE}, {"name": CRM}],
        tables={"matchNames": [{"schema": "*", "name": "*"}]},
        maskFloors=mask({"matchNames": ["salary"]}),
    )
    staff = replace(STATES[CRM], catalog=catalog(table("hr.staff", column("salary"))))

    assert said(paint(replace(ALONE, guardrails=[floor])), "some", "Ready") == ("False", "NoMatch")
    assert said(paint(replace(ALONE, guardrails=[floor]), {**STATES, CRM: staff}), "some", "Ready") == ("True", "InForce")


@pytest.mark.parametrize("spec", BAD_GUARDRAILS.values(), ids=BAD_GUARDRAILS)
def test_a_bad_guardrail_is_told_and_never_widens_anything(spec: Body):
    alone = verdict(paint(ALONE))
    assert isinstance(alone, Granted)
    nothing_else = {"users": None, "deny": None, "maskFloors": None, "rowRestriction": None}
    needed = {} if spec.keys() & {"deny", "maskFloors", "rowRestriction"} else {"rowRestriction": "id > 0"}
    broken = made(Guardrail, "broken", **(nothing_else | needed | spec))

    built = paint(replace(ALONE, guardrails=[broken]))

    assert said(built, "broken", "Ready")[0] == "False"
    found = verdict(built)
    assert isinstance(found, Denied) or contains(alone.profile, found.profile)
    assert said(built, "sound", "Ready") == ("True", "InForce")


def test_a_condition_that_tells_the_first_mistake_says_how_many_others_there_are():
    broken = made(AccessPolicy, "broken", DOMAIN, **(EVERYTHING | {"rowFilter": "id = id", "users": condition("1 < 2")}))
    floors = mask({"matchNames": ["*"]}, type="Regex", regex={"pattern": "(a*)*", "replacement": ""})
    guardrail = made(Guardrail, "limits", users=None, deny=None, rowRestriction=None, maskFloors=floors)

    built = paint(replace(ALONE, policies=[broken, SOUND], guardrails=[guardrail]))

    assert message(built, "broken", "Accepted").endswith("(and 1 more; rolevend policy check names all of them)")
    assert message(built, "limits", "Accepted").startswith("spec.maskFloors[it].regex.pattern: ")


def test_tags_for_nothing_are_told_and_change_nothing():
    nowhere = made(TagBinding, "broken", DOMAIN, tables=None)
    built = paint(replace(ALONE, bindings=[*OBJECTS.bindings, nowhere]))

    assert said(built, "broken", "Ready") == ("False", "NoMatch")
    assert verdict(built) == verdict(paint(ALONE))


DEAD_ENTRIES = {
    "a column": (
        {"schema": "claims", "table": "people", "column": "ful_name"},
        "spec.columns[1]: no column of these tables is named ful_name; did you mean full_name?",
    ),
    "a table": (
        {"schema": "claims", "table": "poeple", "column": "full_name"},
        "spec.columns[1]: no table in reach is named claims.poeple; did you mean claims.people?",
    ),
    "a schema": (
        {"schema": "clams", "table": "*", "column": "*"},
        "spec.columns[1]: no schema in reach is named clams; did you mean claims?",
    ),
    "a schema of somebody else": ({"schema": "hr", "table": "people", "column": "id"}, "spec.columns[1]: no schema in reach is named hr"),
}


@pytest.mark.parametrize(("entry", "told"), DEAD_ENTRIES.values(), ids=DEAD_ENTRIES)
def test_an_entry_that_tags_nothing_is_told_beside_one_that_does(entry: Body, told: str):
    """The column would be unmasked that its author takes for tagged."""
    tags = {"tags": [{"key": "pii", "value": "name"}]}
    right = {"schema": "claims", "table": "people", "column": "full_name"} | tags
    built = paint(replace(ALONE, bindings=[made(TagBinding, "some", DOMAIN, tables=None, columns=[right, entry | tags])]))

    assert said(built, "some", "Ready") == ("True", "InForce")
    assert said(built, "some", "NamesKnown") == ("False", "Unknown")
    assert message(built, "some", "NamesKnown").startswith(f"{told}. A mask")
    assert [each.message for each in judged(built, "some").unknown] == [told]
    alone = paint(replace(ALONE, bindings=[made(TagBinding, "some", DOMAIN, tables=None, columns=[right])]))
    assert said(alone, "some", "NamesKnown") == ("True", "Known")


def entries(count: int, tags: int) -> list[Body]:
    carried = [{"key": f"{'k' * 40}{number}", "value": "v"} for number in range(tags)]
    return [{"schema": "claims", "table": f"table_{number}", "column": "*", "tags": carried} for number in range(count)]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (changed(valid("AccessPolicy"), "spec.rowFilter", "x" * 1_000_000), "spec.rowFilter"),
        (
            changed(valid("AccessPolicy"), "spec.columns.matchNames", [f"column_{number}" for number in range(80_000)]),
            "spec.columns.matchNames",
        ),
        (changed(valid("Guardrail"), "spec.rowRestriction", "(" * 1_000_000), "spec.rowRestriction"),
        (changed(valid("TagBinding"), "spec.columns", entries(10_000, 1)), "spec.columns"),
        (changed(valid("UserAttributes"), "spec.attributes[0].values", ["v" * 1_000_000]), "spec.attributes[0].values[0]"),
    ],
    ids=lambda value: value if isinstance(value, str) else "1MB",
)
def test_what_is_too_long_is_refused_by_its_field_in_a_sentence(body: Body, named: str):
    kind = {each.__name__: each for each in (AccessPolicy, Guardrail, TagBinding)}.get(body["kind"])
    assert len(json.dumps(body)) > 900_000

    with pytest.raises(InvalidInput) as refused:
        parse(kind or UserAttributes, body)

    assert refused.value.field == named
    assert len(str(refused.value)) < 1_000


def test_the_largest_binding_that_is_let_in_holds_up_nobody():
    """A megabyte of tags, for a schema with two thousand tables."""
    tables = [table("claims.people", column("id"), column("country"), column("full_name"))]
    tables += [table(f"claims.table_{number}", *(column(f"c{each}") for each in range(10))) for number in range(2_000)]
    largest = parse(TagBinding, changed(valid("TagBinding", "pii", DOMAIN), "spec.columns", entries(512, 32)))
    assert len(largest.model_dump_json()) > 900_000
    states = {**STATES, WAREHOUSE: replace(STATES[WAREHOUSE], catalog=catalog(*tables))}
    begun = time.process_time()

    built = paint(replace(ALONE, bindings=[*OBJECTS.bindings, largest]), states)

    assert time.process_time() - begun < 3
    assert judged(built, "sound").accepted
