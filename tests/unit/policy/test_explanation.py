"""Why somebody is given what they are given: the same answer as the decision's, with the policies, what they ask, and what is missing."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from rolevend.catalog import Catalog, Family, Function, FunctionId, TableId, Tool, ToolId, ToolKind
from rolevend.cli import cli
from rolevend.kinds.catalog_file import catalog_text
from rolevend.model import Attributes, Tag
from rolevend.policy.decision import decide
from rolevend.policy.explanation import explain, grants_table, policies_on, smallest_step, smallest_step_to
from rolevend.policy.index import compile_policies
from rolevend.policy.mask import Hash, Partial, Regex
from rolevend.policy.predicate import parse
from rolevend.policy.refusal import Denial, Reason
from rolevend.policy.request_context import Combination, GrantTarget, RequestContext
from rolevend.policy.statement import ColumnSelector, Policy, Requirement, TableSelector
from tests.support.as_code import CATALOGS, WAREHOUSE, analysts, platform, write
from tests.support.manifests import MISSING, changed, on_snowflake, valid
from tests.support.painted import paint, verdict
from tests.support.policies import EVERY_FAMILY, agents, catalog, column, guardrail, masked, of_both_sides, policy, table, user, users
from tests.support.tiers import by_tier

PEOPLE = table("claims.people", column("country"), column("ssn"))
NAMED = {"kubernetes.io/metadata.name": "agents"}


def asks(**values: str) -> tuple[Requirement, ...]:
    return tuple(Requirement(key, frozenset([value])) for key, value in values.items())


def index(*given):
    return compile_policies(Catalog.of([PEOPLE]), given)


@settings(max_examples=by_tier(50, 200), deadline=None)
@given(policies=of_both_sides(), user=users(), agent=agents(), combination=st.sampled_from(Combination))
def test_it_tells_exactly_what_is_decided(policies, user, agent, combination):
    compiled, asking = (
        compile_policies(Catalog.of([EVERY_FAMILY]), policies),
        RequestContext(agent_attributes=agent, combination=combination),
    )
    decision, explanation = decide(user, compiled, asking), explain(user, compiled, asking)

    told = {
        (each.policy, table.table, tuple((c.name, c.mask) for c in table.columns))
        for each in explanation.policies
        for table in each.granted
    }
    if isinstance(decision, Denial):
        assert (explanation.denial, told) == (decision, set())
        assert explanation.missing
    else:
        assert explanation.denial is None
        grants = {(grant, each.table.id) for each in decision.tables for grant in each.grants + (each.agent_grants or ())}
        assert told == {(grant.policy, table, grant.masks) for grant, table in grants}
    assert all(each.covers for each in explanation.policies if each.granted or each.withheld)


def test_the_smallest_step_is_to_the_policy_that_lacks_least():
    far, near = policy("a-far", users=asks(job="analyst", desk="eu")), policy("near", users=asks(job="actuary", desk="eu"))

    assert smallest_step(Attributes.of([("desk", ["eu"])]), index(far, near)) == "policy domain/a-far asks for job In (analyst)"
    assert smallest_step(Attributes.of([("job", ["actuary"])]), index(far, near)) == "policy domain/near asks for desk In (eu)"
    assert smallest_step(Attributes.of([("job", ["analyst"]), ("desk", ["eu"])]), index(far)) == ""


class TestTheSmallestStepToOneTable:
    """`claims.claims` is at 0 and `claims.people` at 1."""

    CLAIMS = table("claims.claims", column("country"), column("note"), tags=(Tag("region", "north"),))

    def step(self, place: int, somebody: Attributes, *given: Policy, **asking: Any) -> str:
        compiled = compile_policies(Catalog.of([self.CLAIMS, PEOPLE]), given)
        return smallest_step_to(place, somebody, compiled, RequestContext(**asking))

    def test_it_is_to_the_policies_of_this_table_alone(self):
        near = policy("near", users=asks(job="analyst"), tables=TableSelector(names=(PEOPLE.id,)))
        far = policy("far", users=asks(job="analyst", desk="eu"), tables=TableSelector(names=(self.CLAIMS.id,)))

        assert self.step(0, Attributes(), near, far) == "policy domain/far asks for job In (analyst) and desk In (eu)"
        assert self.step(1, Attributes(), near, far) == "policy domain/near asks for job In (analyst)"
        assert self.step(0, Attributes(), near) == ""

    def test_it_is_what_a_policy_that_covers_the_user_waits_for_before_another_one(self):
        reads = policy("reads", users=asks(job="analyst"), row_filter=parse("country IN (user_attr('countries'))"))
        nearer = policy("a-nearer", users=asks(job="analyst", desk="eu"))
        through = policy("through", users=asks(job="analyst"), agents=asks(trust="high"))
        somebody = user(job=["analyst"])

        assert "the user attribute 'countries', which the user does not have" in self.step(1, somebody, reads, nearer, through)
        assert "not through this agent" in self.step(1, somebody, through, nearer)
        assert self.step(1, somebody, through, nearer, agent_attributes=Attributes.of([("trust", ["high"])])) == ""
        assert self.step(1, somebody, policy("all", users=asks(job="analyst")), reads, nearer) == "", "it is granted"

    def test_a_table_that_goes_with_other_values_names_the_attribute(self):
        regional = policy("regional", users=asks(job="analyst"), tables=TableSelector(tags=(Requirement("region", values_of="regions"),)))

        assert "by the user attributes regions, and this one goes with other" in self.step(
            0, user(job=["analyst"], regions=["south"]), regional
        )
        assert self.step(0, user(job=["analyst"], regions=["north"]), regional) == ""
        assert "the user attribute 'regions', which the user does not have" in self.step(0, user(job=["analyst"]), regional)

    def test_a_grant_to_the_agent_is_no_step_of_the_user(self):
        of_agent = policy("of-agent", users=(), grants_to=GrantTarget.AGENTS, agents=asks(trust="high"))
        assert self.step(1, Attributes(), of_agent) == ""


@settings(max_examples=by_tier(25, 100), deadline=None)
@given(policies=of_both_sides(), user=users(), agent=agents())
def test_there_is_a_step_only_where_no_policy_grants_the_table_to_the_user(policies, user, agent):
    compiled, asking = compile_policies(Catalog.of([EVERY_FAMILY]), policies), RequestContext(agent_attributes=agent)
    step, decision = smallest_step_to(0, user, compiled, asking), decide(user, compiled, asking)
    if step:
        assert isinstance(decision, Denial)
    elif isinstance(decision, Denial):
        assert not any(each.users and grants_table(each, 0) for each in compiled.policies if each.grants_to is GrantTarget.USERS)


def test_a_policy_that_grants_nothing_here_is_no_step():
    nothing = policy("nothing", users=asks(job="analyst"), row_filter=parse("no_such_column = 'x'"))

    assert smallest_step(Attributes(), index(nothing)) == ""
    assert explain(Attributes(), index(nothing)).denial.reason is Reason.NO_POLICY


def test_what_is_withheld_is_told_beside_what_is_granted():
    own = policy("own", users=asks(job="analyst"), row_filter=parse("country IN (user_attr('countries'))"))
    found = explain(Attributes.of([("job", ["analyst"])]), index(own, policy("all", users=asks(job="analyst"))))

    by_name = {each.policy.name: each for each in found.policies}
    assert found.denial is None
    assert by_name["all"].granted
    assert not by_name["own"].granted
    assert by_name["own"].withheld[0].reason is Reason.ATTRIBUTE_MISSING


def test_of_an_intersection_it_tells_what_each_side_is_granted_and_what_one_of_them_is_granted_alone():
    named = {name: TableSelector(names=(TableId("claims", name),)) for name in ("people", "rates")}
    of_agent = {"users": (), "agents": asks(trust="high"), "grants_to": GrantTarget.AGENTS}
    given_policies = [policy("all"), policy("own", **of_agent, tables=named["people"], masks=(masked(Hash(), "ssn"),))]
    rates = policy("rates", **of_agent, tables=named["rates"])
    compiled = compile_policies(
        Catalog.of([PEOPLE, table("claims.rates", column("rate")), table("claims.more", column("id"))]), given_policies
    )
    trusted = RequestContext(agent_attributes=Attributes.of([("trust", ["high"])]), combination=Combination.INTERSECTION)

    by_name = {each.policy.name: each for each in explain(user(), compiled, trusted).policies}

    assert {name: [str(table.table) for table in each.granted] for name, each in by_name.items()} == {
        "all": ["claims.people"],
        "own": ["claims.people"],
    }
    assert [str(each) for each in by_name["all"].alone] == ["claims.more", "claims.rates"]
    assert by_name["own"].alone == ()
    assert by_name["own"].grants_to is GrantTarget.AGENTS
    assert by_name["own"].covers
    alone = explain(user(department=["hr"]), compile_policies(Catalog.of([PEOPLE]), [*given_policies, rates]), trusted)
    assert alone.denial.reason is Reason.NO_POLICY
    refused = explain(user(), compiled, replace(trusted, agent_attributes=Attributes()))
    assert (refused.denial.reason, refused.missing) == (Reason.AGENT_NOT_GRANTED, refused.denial.message)


@pytest.mark.parametrize("output", ["text", "json"])
def test_it_says_of_files_how_both_sides_combine(tmp_path: Path, output: str):
    example = Path(__file__).parents[3] / "examples" / "03-granted-to-agents"
    asked = ["--files", str(example), "--catalog", str(example / "catalog" / "warehouse.yaml"), "-n", "agents", "--user", "anna"]

    answer = CliRunner().invoke(cli, ["explain", *asked, "--agent", "carefulbot", "-o", output], catch_exceptions=False).stdout

    if output == "json":
        told = json.loads(answer)
        assert told["combination"] == "Intersection"
        assert [(each["grantsTo"], each["alone"]) for each in told["policies"]] == [
            ("Users", []),
            ("Agents", ["claims.rates"]),
            ("Agents", []),
        ]
    else:
        assert "combination Intersection: the agent reads only what both the user and it itself are granted" in answer
        assert "AccessPolicy domain-claims/exchange-rates grants to the agent itself\n" in answer
        assert "  grants claims.rates, which the user is not granted\n" in answer
        assert "  and only where \"status\" = 'open'\n" in answer


def test_nobodys_values_are_told():
    found = explain(Attributes.of([("job", ["analyst", "sekret"])]), index(policy("p", users=asks(job="analyst", desk="eu"))))

    assert "sekret" not in repr(found)


def test_a_denied_request_says_the_smallest_step_in_its_condition():
    built = paint()
    unknown = replace(built, snapshot=replace(built.snapshot, people={}))

    found = verdict(unknown)

    assert found.reason == "NoPolicy"
    assert "; the smallest step: policy domain-claims/analysts asks for job In (analyst)" in found.message


@pytest.mark.parametrize("output", ["text", "json"])
def test_it_is_asked_of_files_before_anything_is_vended(tmp_path: Path, output: str):
    write(tmp_path, "objects/all.yaml", platform(), analysts(), valid("UserAttributes"))
    held = write(tmp_path, "catalog.yaml", catalog_text(WAREHOUSE, CATALOGS[WAREHOUSE], "yaml"))
    words = ["explain", "--user", "anna", "--files", str(tmp_path / "objects"), "--catalog", str(held), "-o", output]

    answer = CliRunner().invoke(cli, words, catch_exceptions=False)

    assert answer.exit_code == 0, answer.output
    if output == "json":
        found = json.loads(answer.stdout)
        assert found["granted"]
        assert [each["table"] for each in found["policies"][0]["grants"]] == ["claims.claims", "claims.people"]
    else:
        assert "any agent on warehouse: 2 tables" in answer.stdout
    assert CliRunner().invoke(cli, ["explain", "--catalog", str(held)]).exit_code == 2


def told(folder: Path, *words: str) -> str:
    answer = CliRunner().invoke(cli, ["explain", "--user", "anna", "--files", str(folder), *words], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def refused(folder: Path, *words: str) -> str:
    held = write(folder, "catalog.txt", catalog_text(WAREHOUSE, CATALOGS[WAREHOUSE], "yaml"))
    answer = CliRunner().invoke(cli, ["explain", "--files", str(folder), "--catalog", str(held), *words])
    assert answer.exit_code != 0
    return answer.stderr + str(answer.exception)


def test_who_or_what_is_not_there_is_not_made_up(tmp_path: Path):
    write(tmp_path, "all.yaml", platform(), analysts(), valid("UserAttributes"), valid("Agent", "finbot"))

    for words, told in (
        (
            ("--user", "anna", "--agent", "finbott", "-n", "agents"),
            "no accepted Agent is named agents/finbott; did you mean agents/finbot?",
        ),
        (("--user", "anna", "--agent", "finbot"), "no accepted Agent is named default/finbot; did you mean agents/finbot?"),
        (("--user", "anna", "--agent", "x"), "no accepted Agent is named default/x (--namespace"),
        (("--user", "annna"), "0 known users have the subject annna: name the --issuer; did you mean anna?"),
        (("--user", "anna", "--platform", "warehose"), "no DataPlatform is named warehose; did you mean warehouse?"),
    ):
        assert told in refused(tmp_path, *words)


@pytest.mark.parametrize("output", ["text", "json"])
def test_what_is_not_known_is_told_beside_the_answer(tmp_path: Path, output: str):
    open_to_all = changed(valid("Agent", "finbot"), "spec.onBehalfOf", {"assertion": "Trusted"})
    write(tmp_path, "objects/all.yaml", platform(), analysts(), valid("UserAttributes"), open_to_all)
    held = write(tmp_path, "catalog.yaml", catalog_text(WAREHOUSE, CATALOGS[WAREHOUSE], "yaml"))
    words = ["--issuer", "https://idp.example.com", "--agent", "finbot", "-n", "agents", "--catalog", str(held), "-o", output]

    answer = told(tmp_path / "objects", *words)

    notes = json.loads(answer)["notes"] if output == "json" else [line[6:] for line in answer.splitlines() if line.startswith("note: ")]
    somebody, somewhere = notes
    assert somebody == (
        "no accepted UserAttributes names anna (https://idp.example.com), so nothing is known of them; "
        "did you mean anna (https://idp.example.org)?"
    )
    assert "put the manifest of the Namespace agents among the files" in somewhere


def test_where_several_meet_on_a_table_it_is_told_cell_by_cell_what_comes_of_it(tmp_path: Path):
    names = analysts(("spec.columns", {"matchNames": ["full_name", "birth_date"]}), ("spec.rowFilter", "country = 'US'"), name="names")
    hidden = ("spec.masks", [{"name": "n", "columns": {"matchNames": ["full_name"]}, "type": "Nullify"}])
    floor = {"name": "b", "columns": {"matchNames": ["birth_date"]}, "type": "DateTrunc", "dateTrunc": {"unit": "Year"}}
    spec = {
        "platformRefs": [{"name": WAREHOUSE}],
        "tables": {"matchNames": [{"schema": "claims", "name": "people"}]},
        "maskFloors": [floor],
    }
    write(tmp_path, "objects/all.yaml", platform(), analysts(hidden), names, valid("Guardrail") | {"spec": spec}, valid("UserAttributes"))
    held = write(tmp_path, "catalog.yaml", catalog_text(WAREHOUSE, CATALOGS[WAREHOUSE], "yaml"))

    lines = told(tmp_path / "objects", "--catalog", str(held)).splitlines()

    place = lines.index("Together on claims.people")
    assert lines[place + 1 :] == [
        """  rows where ("country" = 'US') or ("country" IN (user_attr('countries')))""",
        """  full_name: Clear where ("country" = 'US') else Nullify""",
        """  birth_date: DateTrunc(Year)""",
        """  country: Clear where ("country" IN (user_attr('countries'))) else Nullify""",
    ]
    assert "Together on claims.claims" not in lines, "one policy alone grants it"


@pytest.mark.parametrize("output", ["text", "json"])
def test_the_tools_of_the_agent_are_told_and_those_that_it_does_not_have(tmp_path: Path, output: str):
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "agents", "labels": {"team": "claims"}}}
    agent = changed(changed(valid("Agent", "finbot", "agents"), "spec.onBehalfOf", {"assertion": "Trusted"}), "spec.combination", MISSING)
    adding = changed(platform(), "spec.agents[0].widestCombination", "Union")
    write(tmp_path, "objects/all.yaml", adding, analysts(), valid("UserAttributes"), agent, namespace)
    notes = table("finbot.notes", column("note")), replace(table("finbot.seen", column("note")), obstacle="is a view")
    score, leak = FunctionId("tools", "risk_score", "numeric"), FunctionId("tools", "risk_score", "")
    held = Catalog.of((*CATALOGS[WAREHOUSE].tables.values(), *notes), (Function(score), Function(leak, "is LEAKPROOF")))
    file = write(tmp_path, "catalog.yaml", catalog_text(WAREHOUSE, held, "yaml"))
    words = ["explain", "--user", "anna", "--agent", "finbot", "-n", "agents", "--files", str(tmp_path / "objects"), "--catalog", str(file)]

    answer = CliRunner().invoke(cli, [*words, "-o", output], catch_exceptions=False)

    missing = "spec.tools: function tools.risk_score() is LEAKPROOF (on warehouse); finbot.seen is a view: it is not granted (on warehouse)"
    if output == "json":
        found = json.loads(answer.stdout)
        assert (found["functions"], found["toolsMissing"]) == (["tools.risk_score(numeric)"], missing)
    else:
        assert "Agent agents/finbot has tables of its own\n  grants finbot.notes where every row\n    note\n" in answer.stdout
        assert f"tool: function tools.risk_score(numeric)\ntools that Agent agents/finbot does not have: {missing}\n" in answer.stdout


SEEN = Tool(ToolId(ToolKind.SEMANTIC_VIEW, "CLAIMS", "SEM"), reads=(TableId("claims", "people"),))
BOTH = Tool(ToolId(ToolKind.SEMANTIC_VIEW, "BOTH", "SEM"), reads=(TableId("claims", "people"), TableId("hr", "staff")))
FIND = Tool(ToolId(ToolKind.SEARCH_SERVICE, "FIND", "SEM"), copies=((TableId("claims", "people"), "full_name"),))
LEAK = Tool(ToolId(ToolKind.PROCEDURE, "LEAK", "SEM", "NUMBER"), "acts with the rights of its owner")


@pytest.mark.parametrize("output", ["text", "json"])
def test_the_tools_of_an_account_are_told_and_which_of_them_this_user_does_not_get_and_why(tmp_path: Path, output: str):
    asked = {
        "semanticViews": [{"schema": "SEM", "name": "CLAIMS"}, {"schema": "SEM", "name": "BOTH"}],
        "searchServices": [{"schema": "SEM", "name": "FIND"}],
        "procedures": [{"schema": "SEM", "name": "LEAK", "arguments": "NUMBER"}],
    }
    account = on_snowflake({"account": "myorg-account1", "database": "SALES", "warehouse": "AGENTS_WH"}, {"snowflake": asked})
    account = changed(changed(account, "metadata.name", WAREHOUSE), "spec.agents[0].namespaceSelector.matchLabels", NAMED)
    agent = changed(valid("Agent", "finbot", "agents"), "spec.tools", [{"platformRef": {"name": WAREHOUSE}, "snowflake": asked}])
    agent = changed(agent, "spec.onBehalfOf", {"assertion": "Trusted"})
    write(tmp_path, "objects/all.yaml", account, analysts(), valid("UserAttributes"), agent)
    tables = (*CATALOGS[WAREHOUSE].tables.values(), table("hr.staff", column("name")))
    file = write(tmp_path, "catalog.yaml", catalog_text(WAREHOUSE, Catalog.of(tables, tools=(SEEN, BOTH, FIND, LEAK)), "yaml"))

    lines = told(tmp_path / "objects", "--agent", "finbot", "-n", "agents", "--catalog", str(file), "-o", output)

    missing = "spec.tools: procedure SEM.LEAK(NUMBER) acts with the rights of its owner (on warehouse)"
    of_both = "reads hr.staff, which is not granted"
    of_find = "shows claims.people.full_name to everybody alike, and it is not granted in every row and in clear"
    if output == "json":
        found = json.loads(lines)
        assert (found["functions"], found["toolsMissing"]) == (["semantic view SEM.CLAIMS"], missing)
        assert found["toolsWithheld"] == [
            {"tool": "search service SEM.FIND", "why": of_find},
            {"tool": "semantic view SEM.BOTH", "why": of_both},
        ]
    else:
        assert [line for line in lines.splitlines() if line.startswith("tool")] == [
            "tool: semantic view SEM.CLAIMS",
            f"tool withheld: search service SEM.FIND {of_find}",
            f"tool withheld: semantic view SEM.BOTH {of_both}",
            f"tools that Agent agents/finbot does not have: {missing}",
        ]


def test_what_is_null_since_two_masks_hide_what_the_other_shows_is_told():
    last, pattern = (masked(Partial(4), "ssn"),), (masked(Regex("^.", ""), "ssn"),)
    floored = [guardrail("limits", mask_floors=last), guardrail("others", mask_floors=(masked(Hash(), "country"),))]
    agents_own = policy("own", users=(), agents=asks(trust="high"), grants_to=GrantTarget.AGENTS, masks=last)
    both = RequestContext(agent_attributes=Attributes.of([("trust", ["high"])]), combination=Combination.INTERSECTION)

    def told(given, guardrails=(), asking=None):
        found = explain(user(), compile_policies(catalog(PEOPLE), given, guardrails), asking)
        assert {each.table for each in found.clashes} <= {PEOPLE.id}
        return [each.sentence for each in found.clashes]

    assert told([policy("a", masks=pattern), policy("b")], floored) == [
        "claims.people.ssn: nothing through domain/a, since of Regex of domain/a and Partial of Guardrail limits"
        " each shows what the other hides"
    ]
    assert told([policy("a", masks=pattern), agents_own], asking=both) == [
        "claims.people.ssn: nothing through domain/a and domain/own, since of Regex of domain/a and Partial of domain/own"
        " each shows what the other hides"
    ]
    assert told([policy("a", masks=pattern), agents_own]) == []
    assert (
        told([policy("a", masks=pattern, columns=ColumnSelector(names=("ssn",))), policy("b", columns=ColumnSelector(names=("country",)))])
        == []
    )
    assert told([policy("a", masks=pattern)], [*floored, guardrail("z", denied_columns=ColumnSelector(names=("ssn",)))]) == []


@pytest.mark.parametrize("output", ["text", "json"])
def test_and_so_it_is_on_the_command_line(tmp_path: Path, output: str):
    last = {"columns": {"matchNames": ["full_name"]}, "type": "Partial", "partial": {"keepLast": 4}, "name": "last"}
    pattern = {"columns": {"matchNames": ["full_name"]}, "type": "Regex", "regex": {"pattern": "^.", "replacement": ""}, "name": "pattern"}
    spec = {"platformRefs": [{"name": WAREHOUSE}], "tables": {"matchNames": [{"schema": "claims", "name": "people"}]}, "maskFloors": [last]}
    write(
        tmp_path,
        "objects/all.yaml",
        platform(),
        analysts(("spec.masks", [pattern])),
        valid("Guardrail", "limits") | {"spec": spec},
        valid("UserAttributes"),
    )
    held = write(tmp_path, "catalog.yaml", catalog_text(WAREHOUSE, CATALOGS[WAREHOUSE], "yaml"))
    objects = tmp_path / "objects"
    policy_name = "domain-claims/analysts"
    sentence = f"claims.people.full_name: nothing through {policy_name}, since of Regex of {policy_name} and Partial of Guardrail limits"

    assert sentence in told(objects, "--catalog", str(held), "-o", output)


def test_what_guardrails_take_away_is_told_of_those_that_concern_the_user():
    people = table("claims.people", column("id", Family.INTEGER), column("ssn"), column("note"))
    one = guardrail(
        "a",
        row_restriction=parse("id > 0"),
        denied_columns=ColumnSelector(names=("note",)),
        mask_floors=(masked(Hash(), "ssn"),),
    )
    other = guardrail("b", users=asks(department="hr"), denies_tables=True)

    found = explain(user(), compile_policies(catalog(people), [policy()], [one, other]))
    closed = explain(user(), compile_policies(catalog(people), [policy()], [guardrail("c", denies_tables=True)]))

    assert [(each.guardrail, [taken.sentence for taken in each.takes]) for each in found.guardrails] == [
        ("a", ["claims.people.note: not there", 'claims.people: only rows where "id" > 0', "claims.people.ssn: at least Hash"])
    ]
    assert {taken.table for taken in found.guardrails[0].takes} == {people.id}
    assert closed.denial is not None
    assert closed.missing == closed.denial.message == "guardrails deny every table that policies grant the user here: c"


@settings(max_examples=by_tier(25, 100), deadline=None)
@given(policies=of_both_sides(), user=users(), agent=agents(), combination=st.sampled_from(Combination))
def test_policies_on_a_table_are_those_that_the_decision_counts(policies, user, agent, combination):
    compiled = compile_policies(Catalog.of([EVERY_FAMILY]), policies)
    asking = RequestContext(agent_attributes=agent, combination=combination)
    decision = decide(user, compiled, asking)

    found = policies_on(0, user, compiled, asking)

    assert {each.policy for each in found} == {each.id for each in compiled.policies if grants_table(each, 0)}
    counted = {each.policy: each.grant for each in found if each.grants}
    if not isinstance(decision, Denial):
        grants = {grant.policy: grant for each in decision.tables for grant in each.grants + (each.agent_grants or ())}
        assert counted == grants
    elif combination is not Combination.INTERSECTION:
        assert not counted
    assert all(each.off == "" for each in found if each.grants)
    assert [each.grants for each in found] == sorted((each.grants for each in found), reverse=True)
