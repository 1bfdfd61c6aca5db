"""`rolevend policy check`: everything that is wrong in a folder, at its file, line and field, by the operator's own judgement."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from rolevend.catalog import Catalog, Family, TableId, Tool, ToolId, ToolKind
from rolevend.cli import cli
from rolevend.errors import InvalidInput
from rolevend.kinds.catalog_file import catalog_text, parse_catalog
from rolevend.model import Tag
from rolevend.policytools.check import Checked, Diagnostic, Level, check
from rolevend.policytools.folder import read_catalogs
from rolevend.policytools.manifests import FilePosition
from rolevend.policytools.report import as_github, as_text
from tests.support.as_code import CATALOGS, WAREHOUSE, analysts, platform, write
from tests.support.manifests import MISSING, SPOILED, Body, Spoiled, changed, valid
from tests.support.policies import catalog, column, table


def said(checked: Checked) -> list[str]:
    """Line, field and message of each."""
    return [f"{each.place.line} {each.field}: {each.message}" for each in checked.diagnostics]


def test_what_is_right_is_not_complained_of(tmp_path: Path):
    write(tmp_path, "a.yaml", platform(), analysts())

    checked = check([tmp_path], CATALOGS)

    assert (checked.files, checked.objects, checked.diagnostics, checked.notes) == (1, 2, (), ())


def test_a_tool_that_an_agent_would_not_have_is_named_where_it_is_asked_for(tmp_path: Path):
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "agents", "labels": {"team": "claims"}}}
    agent = changed(valid("Agent", "finbot", "agents"), "spec.tools[0].postgres.schemas", MISSING)
    write(tmp_path, "a.yaml", platform(), analysts(), agent, namespace)

    (found,) = check([tmp_path], CATALOGS).diagnostics

    assert (found.level, found.field, found.message) == ("error", "spec.tools", "there is no function tools.risk_score (on warehouse)")


def test_a_suspended_object_is_told_and_is_no_error(tmp_path: Path):
    agent = changed(changed(valid("Agent", "finbot", "agents"), "spec.tools", MISSING), "spec.suspend", True)
    write(tmp_path, "a.yaml", changed(platform(), "spec.suspend", True), changed(analysts(), "spec.suspend", True), agent)

    checked = check([tmp_path], CATALOGS)

    assert {(each.level, each.field) for each in checked.diagnostics} == {("warning", "spec.suspend")}, said(checked)
    assert len(checked.diagnostics) == 3


@pytest.mark.thinned(3, "long")
@pytest.mark.parametrize("spoiled", [each for each in SPOILED if "\x00" not in str(each.value)], ids=str)
def test_a_field_that_the_api_server_would_refuse_is_named_in_the_file(tmp_path: Path, spoiled: Spoiled):
    write(tmp_path, "a.yaml", spoiled.body)

    checked = check([tmp_path], {})

    assert any(each.level == "error" and each.field.startswith(spoiled.named) for each in checked.diagnostics), said(checked)


def test_every_fault_of_every_object_of_every_file_is_told(tmp_path: Path):
    wrong = changed(changed(analysts(), "spec.users", {}), "spec.column", {})
    write(tmp_path, "claims/a.yaml", platform(), wrong)
    write(tmp_path, "claims/b.yml", changed(valid("Agent"), "spec.handle", "finbot"))
    write(tmp_path, "c.json", json.dumps(changed(valid("TagBinding"), "spec.tables[0].tags", [])))

    checked = check([tmp_path], {})

    assert [(each.place.file.removeprefix(f"{tmp_path}/"), each.field) for each in checked.diagnostics] == [
        ("c.json", "spec.tables[0].tags"),
        ("claims/a.yaml", "spec.users"),
        ("claims/a.yaml", "spec.column"),
        ("claims/b.yml", "spec.handle"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1, 2", "expected ',' or ']'"),
        ("kind: Agent\nkind: AccessPolicy\n", "kind is there twice"),
        ("- a\n- b\n", "is no mapping"),
        ("a: !!python/object:os.system 1\n", "could not determine a constructor"),
        ("a: \x07\n", "is no YAML"),
    ],
)
def test_what_is_no_yaml_is_told_and_keeps_nothing_else_from_being_judged(tmp_path: Path, text: str, message: str):
    write(tmp_path, "a.yaml", text)
    write(tmp_path, "b.yaml", changed(analysts(), "spec.users", {}))

    checked = check([tmp_path], {})

    assert message in checked.diagnostics[0].message
    assert checked.diagnostics[0].place.file.endswith("a.yaml")
    assert "spec.users" in {each.field for each in checked.diagnostics}


def test_what_is_meant_for_rolevend_does_not_pass_unseen_under_another_version_or_kind(tmp_path: Path):
    write(tmp_path, "a.yaml", {**analysts(), "apiVersion": "rolevend.dev/v1"}, {**analysts(), "kind": "AccesPolicy"})
    write(tmp_path, "b.yaml", {"apiVersion": "v1", "kind": "ConfigMap"}, {"resources": ["a.yaml"]})

    checked = check([tmp_path], {})

    assert [each.split(":")[0] for each in said(checked)] == ["1 apiVersion", "28 kind"]
    assert checked.diagnostics[1].message.endswith("; did you mean AccessPolicy?")


@pytest.mark.parametrize(
    ("written", "line", "col"),
    [
        ("rowFilter: country LIKE 'x'", 1, 20),
        ("rowFilter: \"country LIKE 'x'\"", 1, 21),
        ("rowFilter: |\n    country = 'DE'\n      AND country LIKE 'x'", 3, 17),
        ("rowFilter: > # a comment\n    country = 'DE'\n    AND country LIKE 'x'", 3, 15),
        ("rowFilter: country = 'DE'\n    AND country LIKE 'x'", 2, 15),
        ("rowFilter: 'country = ''DE''\n\n    AND country LIKE ''x'" + "''", 3, 15),
        ("rowFilter: \"country = 'D\\u0045'\\n \\\n    AND country LIKE 'x'\"", 2, 15),
    ],
)
def test_a_mistake_within_a_row_filter_is_told_where_it_stands_in_the_file(tmp_path: Path, written: str, line: int, col: int):
    body = analysts()
    del body["spec"]["rowFilter"]
    start = len(yaml.safe_dump(body, sort_keys=False).splitlines())
    path = write(tmp_path, "a.yaml", yaml.safe_dump(body, sort_keys=False) + f"  {written}\n")

    (found,) = check([path], {}).diagnostics

    assert found.field == "spec.rowFilter"
    assert (found.place.line - start, found.place.column - 2) == (line, col)


REGEX = {"type": "Regex", "regex": {"pattern": "(a*)*", "replacement": ""}}
WRONG = (
    ("spec.platformRefs", [{"name": "warehose"}]),
    (
        "spec.users.matchConditions",
        [
            {"name": "a", "expression": "user.job == 'x'"},
            {"name": "1", "expression": "user.subject =="},
            {"name": "0", "expression": "1 < 2"},
        ],
    ),
    ("spec.columns", {"matchTags": [{"key": "pii", "operator": each} for each in ("Exists", "DoesNotExist")]}),
    ("spec.rowFilter", "1 = 1"),
    ("spec.masks", [{"name": "rx", "columns": {"matchNames": ["country"]}, **REGEX}]),
)


def test_every_mistake_in_a_policy_is_told_where_it_is_written_whatever_platform_it_names(tmp_path: Path):
    path = write(tmp_path, "a.yaml", analysts(*WRONG))
    lines = path.read_text().splitlines()
    alone = said(check([tmp_path], {}))
    write(tmp_path, "b.yaml", platform())

    found = check([tmp_path], CATALOGS).diagnostics

    at = {each.field: lines[each.place.line - 1].strip() for each in found}
    assert at == {
        "spec.platformRefs": "platformRefs:",
        "spec.users.matchConditions[a].expression": "expression: user.job == 'x'",
        "spec.users.matchConditions[1].expression": "expression: user.subject ==",
        "spec.users.matchConditions[0].expression": "expression: 1 < 2",
        "spec.columns.matchTags": "matchTags:",
        "spec.rowFilter": "rowFilter: 1 = 1",
        "spec.masks[rx].regex.pattern": "pattern: (a*)*",
    }
    assert [each.message for each in found if each.field == "spec.platformRefs"] == [
        "no accepted DataPlatform is named warehose; did you mean warehouse?"
    ]
    assert len(found) - 1 == len(alone), "without the platform all but its name is told"


def test_every_mistake_in_a_guardrail_is_told_where_it_is_written(tmp_path: Path):
    body = valid("Guardrail", "limits")
    for field, value in (
        ("spec.platformRefs", [{"name": "warehose"}]),
        ("spec.rowRestriction", "1 = 1"),
        ("spec.maskFloors", [{"name": "rx", "columns": {"matchNames": ["country"]}, **REGEX}]),
    ):
        body = changed(body, field, value)
    lines = write(tmp_path, "a.yaml", platform(), body).read_text().splitlines()

    found = check([tmp_path], CATALOGS).diagnostics

    assert [(each.field, lines[each.place.line - 1].strip()) for each in found] == [
        ("spec.platformRefs", "platformRefs:"),
        ("spec.rowRestriction", "rowRestriction: 1 = 1"),
        ("spec.maskFloors[rx].regex.pattern", "pattern: (a*)*"),
    ]
    assert all(each.message.endswith("Until that is fixed all its tables are denied") for each in found[1:])


def test_with_a_catalog_every_table_that_a_policy_does_not_hold_for_is_told(tmp_path: Path):
    births = {"name": "births", "columns": {"matchNames": ["birth_date"]}, "type": "Hash"}
    write(
        tmp_path,
        "a.yaml",
        platform(),
        analysts(("spec.rowFilter", "amount > 10")),
        analysts(("spec.masks", [births]), name="births"),
        analysts(("spec.tables.matchNames[0].name", "clams"), name="clams"),
    )

    checked = check([tmp_path], CATALOGS)

    found = {(each.level, each.object, each.field, each.message) for each in checked.diagnostics}
    assert found == {
        (
            "error",
            "AccessPolicy domain-claims/analysts",
            "spec.rowFilter",
            "table claims.people has no column amount; it has full_name, birth_date, country (claims.people is not granted)",
        ),
        (
            "warning",
            "AccessPolicy domain-claims/births",
            "spec.masks",
            "column birth_date of claims.people is date, which cannot show Hash: it is NULL instead",
        ),
        (
            "error",
            "AccessPolicy domain-claims/clams",
            "spec.tables",
            "no table with a selected column is in the schemas of namespace domain-claims (claims); check names and tags",
        ),
        (
            "warning",
            "AccessPolicy domain-claims/clams",
            "spec.tables.matchNames[0]",
            "no table in reach is named claims.clams; did you mean claims.claims?",
        ),
    }


def test_words_that_nothing_answers_to_are_told_with_what_was_meant(tmp_path: Path):
    tagged = valid("TagBinding", namespace="domain-claims")
    wanted = ("spec.tables", {"matchTags": [{"key": "domian", "operator": "In", "values": ["claims"]}]})
    write(tmp_path, "a.yaml", platform(), tagged, valid("UserAttributes"))
    path = write(tmp_path, "b.yaml", analysts(wanted), analysts(("spec.rowFilter", "country IN (user_attr('country'))"), name="own"))

    found = {(each.level, each.field, each.message) for each in check([tmp_path], CATALOGS).diagnostics if each.place.file == str(path)}

    assert ("warning", "spec.tables.matchTags", "no table in reach carries the tag domian; did you mean domain?") in found
    assert ("warning", "spec", "no accepted UserAttributes has the attribute country; did you mean countries?") in found


def test_what_only_the_others_make_wrong_is_told_too(tmp_path: Path):
    stranger = analysts(("metadata.namespace", "elsewhere"), name="stranger")
    write(tmp_path, "a.yaml", platform(), analysts(), stranger, analysts(("metadata.namespace", ""), name="nowhere"))
    write(tmp_path, "b.yaml", analysts(), valid("Agent", "one"), valid("Agent", "two"), valid("VendedRole"))
    write(tmp_path, "d.yaml", valid("AccessRequest"), valid("AccessDecision"))
    write(tmp_path, "c.yaml", valid("TagBinding", namespace="domain-claims"))

    told = [f"{each.level} {each.object}: {each.field}: {each.message}" for each in check([tmp_path], CATALOGS).diagnostics]

    for beginning in (
        "error AccessPolicy elsewhere/stranger: spec.platformRefs: DataPlatform warehouse gives no schema to namespace elsewhere",
        "error AccessPolicy /nowhere: metadata.namespace: must be said",
        "error AccessPolicy domain-claims/analysts: metadata.name: this object is also in",
        "error Agent agents/two: spec.handle: agents/one has it already",
        "warning VendedRole agents/sample: kind: a VendedRole does not belong in git",
        "warning AccessRequest agents/sample: kind: an AccessRequest does not belong in git",
        "warning AccessDecision agents/sample: kind: an AccessDecision does not belong in git",
    ):
        assert any(each.startswith(beginning) for each in told), (beginning, told)


def test_a_schema_with_two_owners_is_told_where_it_is_given_and_to_both(tmp_path: Path):
    contested = changed(platform(), "spec.domains", [{"namespace": name, "schemas": ["claims"]} for name in ("domain-claims", "domain-hr")])
    write(tmp_path, "a.yaml", contested, analysts(), analysts(("metadata.namespace", "domain-hr")))

    told = [f"{each.level} {each.object}: {each.field}: {each.message}" for each in check([tmp_path], {}).diagnostics]

    for beginning in (
        "error DataPlatform warehouse: spec.domains: schema claims is given to namespaces domain-claims and domain-hr",
        "error AccessPolicy domain-claims/analysts: spec.platformRefs: DataPlatform warehouse gives schema claims to namespace domain-hr",
        "error AccessPolicy domain-hr/analysts: spec.platformRefs: DataPlatform warehouse gives schema claims to namespace domain-claims",
    ):
        assert any(each.startswith(beginning) for each in told), (beginning, told)


def test_without_the_platform_or_its_catalog_it_says_what_was_not_judged_and_reads_row_filters_all_the_same(tmp_path: Path):
    write(tmp_path, "a.yaml", analysts(("spec.rowFilter", "1 = 1")))

    checked = check([tmp_path], {})

    assert "name the manifest of warehouse, too" in checked.notes[0]
    assert checked.diagnostics[0].field == "spec.rowFilter"
    write(tmp_path, "b.yaml", platform())
    assert check([tmp_path], {}).notes == ("what policies match was not judged: give --catalog for warehouse",)


def test_the_exit_status_is_for_ci_and_the_json_for_programs(tmp_path: Path):
    write(tmp_path, "a.yaml", analysts(("spec.rowFilter", "1 = 1")))
    failed = CliRunner().invoke(cli, ["policy", "check", str(tmp_path), "-o", "json"])
    write(tmp_path, "a.yaml", analysts())
    passed = CliRunner().invoke(cli, ["policy", "check", str(tmp_path)])

    assert (failed.exit_code, passed.exit_code) == (1, 0)
    assert json.loads(failed.stdout)["diagnostics"][0]["field"] == "spec.rowFilter"


def test_for_github_nothing_in_a_message_can_begin_another_command(tmp_path: Path):
    write(tmp_path, "a,b.yaml", analysts(("spec.masks", [{"name": "x\n::error::y"}])))

    lines = as_github(check([tmp_path], {})).splitlines()

    assert lines
    assert all(line.startswith(f"::error file={tmp_path}/a%2Cb.yaml,line=") for line in lines)
    assert as_text(check([tmp_path], {}))


def test_github_shows_what_was_not_judged(tmp_path: Path):
    write(tmp_path, "a.yaml", platform(), analysts())

    done = CliRunner().invoke(cli, ["policy", "check", str(tmp_path), "-o", "github"])

    told = "::notice title=rolevend policy check::what policies match was not judged: give --catalog for warehouse\n"
    assert (done.exit_code, done.stdout, done.stderr) == (0, told, "")


LONG = "a" * 255
"""As long as a name of Snowflake's may be."""


def test_a_catalog_survives_its_file():
    held = Catalog.of(
        [
            table("claims.people", column("ssn", Family.TEXT, Tag("pii", "id")), column("on", Family.DATE), tags=(Tag("domain", "a: b"),)),
            table("claims.seen", obstacle="is a view: grant the tables beneath it"),
            table(f"claims.{LONG}", column(LONG)),
        ],
        tools=(
            Tool(ToolId(ToolKind.WAREHOUSE, "EXTRA_WH")),
            Tool(ToolId(ToolKind.PROCEDURE, "RISK", "SEM", "NUMBER, VARCHAR"), "acts with the rights of its owner"),
            Tool(ToolId(ToolKind.PROCEDURE, "RISK", "SEM")),
            Tool(ToolId(ToolKind.SEMANTIC_VIEW, "CLAIMS", "SEM"), reads=(TableId("claims", LONG), TableId("claims", "people"))),
            Tool(ToolId(ToolKind.SEARCH_SERVICE, "FIND", "SEM"), copies=((TableId("claims", LONG), LONG), (TableId("claims", LONG), "b"))),
        ),
    )
    for form in ("yaml", "json"):
        text = catalog_text(WAREHOUSE, held, form)
        assert parse_catalog(yaml.safe_load(text)) == (WAREHOUSE, held)
        assert catalog_text(*parse_catalog(yaml.safe_load(text)), form) == text


def test_what_is_no_catalog_is_refused_with_the_field(tmp_path: Path):
    with pytest.raises(InvalidInput, match="is no catalog"):
        read_catalogs([write(tmp_path, "a.yaml", analysts())])
    spoiled = catalog_text(WAREHOUSE, catalog(), "yaml").replace("family: text", "family: txt", 1)
    with pytest.raises(InvalidInput, match=r"tables\[0\].columns\[\d+\].family: must be .*; did you mean text\?.*a.yaml:\d+"):
        read_catalogs([write(tmp_path, "a.yaml", spoiled)])


def test_with_a_catalog_a_guardrail_is_told_of_at_its_restriction(tmp_path: Path):
    guardrail = valid("Guardrail", "limits") | {
        "spec": {
            "platformRefs": [{"name": WAREHOUSE}],
            "tables": {"matchNames": [{"schema": "*", "name": "*"}]},
            "rowRestriction": "contry = 'DE'",
        }
    }
    write(tmp_path, "all.yaml", platform(), guardrail)

    found = check([tmp_path], CATALOGS)

    assert found.diagnostics
    assert all("did you mean country?" in each for each in said(found))
    assert all(each.field == "spec.rowRestriction" for each in found.diagnostics)


def labelled(*changes: tuple[str, object]) -> Body:
    agent = changed(valid("Agent", "finbot", "agents"), "spec.tools[0].postgres.schemas", MISSING)
    for field, value in changes:
        agent = changed(agent, field, value)
    return agent


def test_an_agent_whose_namespace_decides_and_is_not_among_the_files_is_said_not_to_be_judged(tmp_path: Path):
    write(tmp_path, "a.yaml", platform(), analysts(), labelled())

    checked = check([tmp_path], CATALOGS)

    assert checked.diagnostics == ()
    (note,) = checked.notes
    assert note.endswith("was not judged: they select by labels, so put the manifest of the Namespace agents among the files")


def test_an_agent_that_is_selected_by_the_name_of_its_namespace_is_judged_without_its_manifest(tmp_path: Path):
    by_name = changed(platform(), "spec.agents[0].namespaceSelector.matchLabels", {"kubernetes.io/metadata.name": "agents"})
    other = labelled(("metadata.name", "other"), ("spec.identity", {"type": "ServiceAccount", "serviceAccount": {"name": "other"}}))
    write(tmp_path, "a.yaml", by_name, analysts(), labelled(("spec.combination", "Union")), other)
    (tmp_path / "a.yaml").write_text((tmp_path / "a.yaml").read_text().replace("FINBOT", "OTHER", 1))

    checked = check([tmp_path], CATALOGS)

    assert checked.notes == ()
    assert {(each.object, each.level, each.field, each.message.partition(";")[0]) for each in checked.diagnostics} == {
        (
            "Agent agents/finbot",
            "error",
            "spec.combination",
            "Union of Agent finbot is wider than UserCeiling, which DataPlatform warehouse permits",
        ),
        (
            "Agent agents/other",
            "error",
            "spec.tools",
            "DataPlatform warehouse does not let the agent have function tools.risk_score",
        ),
    }


def test_a_folder_without_any_object_is_said_to_be_one(tmp_path: Path):
    write(tmp_path, "a.yaml", {"apiVersion": "v1", "kind": "ConfigMap"})

    assert check([tmp_path], {}).notes == (
        "no object of rolevend is in these files, so nothing was judged: name the folder that holds them",
    )


def test_warnings_of_a_file_that_say_the_same_are_told_once_with_every_line_and_errors_each(tmp_path: Path):
    def found(line: int, level: Level, message: str) -> Diagnostic:
        return Diagnostic(FilePosition("a.yaml", line, 3), level, "", f"cases[{line}].user", message)

    checked = Checked(
        1,
        0,
        tuple(
            found(*each)
            for each in [(4, "warning", "who"), (9, "warning", "who"), (12, "error", "no"), (15, "error", "no"), (20, "warning", "who")]
        ),
        (),
    )

    assert as_text(checked).splitlines() == [
        "a.yaml:4:3: warning: cases[4].user: who (also in lines 9, 20)",
        "a.yaml:12:3: error: cases[12].user: no",
        "a.yaml:15:3: error: cases[15].user: no",
        "1 file, 0 objects: 2 errors, 3 warnings",
    ]
