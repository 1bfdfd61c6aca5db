"""Tools: what an agent has whoever it acts for, as far as the platform permits it, guardrails leave it and it is no way around policies."""

from dataclasses import replace

import pytest

from rolevend.catalog import Catalog, Family, Function, FunctionId, digest
from rolevend.decision.outcome import Denied, Granted, withdrawal_reason
from rolevend.decision.tools import FunctionName, Permitted, ToolRefusal, Tools, functions_of, permitted, refused_functions
from rolevend.kinds import Agent, DataPlatform, Guardrail, parse
from rolevend.model import ObjectName, PlatformName
from rolevend.plan import contains
from rolevend.snapshot.builder import SnapshotBuild
from tests.support.manifests import MISSING, Body, changed
from tests.support.painted import CRM, OBJECTS, STATES, TABLES, WAREHOUSE, made, message, paint, raw_agent, said, verdict
from tests.support.policies import catalog, column, table

SCORE, RESCORE = FunctionId("tools", "score", "text"), FunctionId("tools", "score", "integer")
UNFIT = Function(FunctionId("tools", "leak", ""), "acts with the rights of its owner")
THERE = (Function(RESCORE), Function(SCORE), UNFIT)
NOTES = table("notes.notes", column("id", Family.INTEGER), column("note"))
DOMAINS = {"claims": "domain-claims"}


def tools(*functions: str, schemas: tuple[str, ...] = ()) -> Tools:
    return Tools(frozenset(FunctionName(*each.split(".")) for each in functions), frozenset(schemas))


class TestWhatAnAgentMayHave:
    def test_is_what_the_platform_lets_it_have(self):
        most = tools("tools.sc*", "tools.leak", schemas=("notes",))

        wanted = tools("tools.score", "tools.leak", schemas=("notes",))

        assert permitted(wanted, most, DOMAINS, "warehouse", adds=True) == Permitted(wanted)

    @pytest.mark.parametrize("wanted", ["tools.drop", "tool.score", "tools.SCORE", "tools.*"])
    def test_is_no_function_beyond_that(self, wanted: str):
        found = permitted(tools(wanted), tools("tools.sc*"), DOMAINS, "warehouse", adds=True)

        why = f"DataPlatform warehouse does not let the agent have function {wanted}; see the tools in its spec.agents"
        assert found == Permitted(refusals=(ToolRefusal("NotPermitted", why),))

    def test_is_no_schema_beyond_that(self):
        found = permitted(tools(schemas=("notes", "other")), tools(schemas=("notes", "not*", "*")), DOMAINS, "warehouse", adds=True)

        assert found.tools == tools(schemas=("notes",))
        assert [each.reason for each in found.refusals] == ["NotPermitted"]

    def test_is_nothing_of_a_domain_whatever_the_platform_lets_it_have(self):
        wanted = tools("claims.age", schemas=("claims",))

        found = permitted(wanted, wanted, DOMAINS, "warehouse", adds=True)

        assert found.tools == Tools()
        assert all("in the domain of domain-claims" in each.message for each in found.refusals)

    def test_is_no_table_of_its_own_where_nothing_adds_to_what_the_user_is_granted(self):
        wanted = tools("tools.score", schemas=("notes",))

        found = permitted(wanted, wanted, DOMAINS, "warehouse", adds=False)

        assert found.tools == tools("tools.score")
        assert [(each.reason, "combination Union" in each.message) for each in found.refusals] == [("NotPermitted", True)]

    def test_is_every_function_of_the_name_that_is_no_way_around_policies(self):
        wanted = tools("tools.score", "tools.leak", "tools.gone")

        assert functions_of(wanted, THERE) == (RESCORE, SCORE)
        assert list(refused_functions(wanted, THERE)) == [
            ToolRefusal("ToolMissing", "there is no function tools.gone"),
            ToolRefusal("ToolRefused", "function tools.leak() acts with the rights of its owner"),
        ]

    def test_is_no_function_that_it_does_not_name(self):
        assert functions_of(tools("tools.sc*", "Tools.score"), THERE) == ()


def agent(*asked: Body, **more: object) -> Agent:
    return parse(Agent, changed(changed(raw_agent(**more), "spec.combination", MISSING), "spec.tools", list(asked)))


def asking(platform: str = WAREHOUSE, functions: tuple[str, ...] = (), schemas: tuple[str, ...] = ()) -> Body:
    return {"platformRef": {"name": platform}, "postgres": spelled(functions, schemas)}


def spelled(functions: tuple[str, ...] = (), schemas: tuple[str, ...] = ()) -> Body:
    names = [{"schema": each.split(".")[0], "name": each.split(".")[1]} for each in functions]
    return {member: listed for member, listed in (("functions", names), ("schemas", list(schemas))) if listed}


def permitting(most: Body | None = None, name: str = WAREHOUSE) -> DataPlatform:
    terms = [
        {**each, "widestCombination": "Union", **({"tools": {"postgres": most}} if most else {})}
        for each in made(DataPlatform, name).model_dump(mode="json", by_alias=True, exclude_none=True)["spec"]["agents"]
    ]
    return made(DataPlatform, name, agents=terms)


EVERYTHING = spelled(("tools.*",), ("notes",))


def painted(*asked: Body, most: Body | None = EVERYTHING, functions: tuple[Function, ...] = THERE, **objects: object) -> SnapshotBuild:
    held = Catalog.of((*TABLES, NOTES, replace(NOTES, id=replace(NOTES.id, name="seen"), obstacle="is a view")), functions)
    states = {**STATES, WAREHOUSE: replace(STATES[WAREHOUSE], catalog=held)}
    platforms = [permitting(most), permitting(name=CRM)]
    return paint(replace(OBJECTS, agents=[agent(*asked)], platforms=platforms, **objects), states)


def given(built: SnapshotBuild) -> Granted:
    found = verdict(built)
    assert isinstance(found, Granted), found
    return found


class TestOfAnAgent:
    def test_the_functions_are_in_the_profile_and_so_in_its_name(self):
        without, with_one = given(painted()), given(painted(asking(functions=("tools.score",))))

        assert (without.profile.functions, with_one.profile.functions) == ((), (RESCORE, SCORE))
        assert without.profile.tables == with_one.profile.tables
        assert without.profile.name != with_one.profile.name

    def test_a_profile_without_functions_has_the_name_that_it_has_without_tools(self):
        assert given(painted()).profile.name == given(paint()).profile.name

    def test_the_tables_of_its_own_schema_are_read_whoever_it_acts_for(self):
        built = painted(asking(schemas=("notes",)), policies=[])

        assert [str(each.table) for each in given(built).tables] == ["notes.notes"]

    @pytest.mark.parametrize("combination", ["UserCeiling", "Intersection"])
    def test_under_a_narrower_combination_it_reads_nothing_of_its_own_and_is_told_so(self, combination: str):
        narrow = parse(Agent, changed(changed(raw_agent(), "spec.tools", [asking(schemas=("notes",))]), "spec.combination", combination))
        held = replace(STATES[WAREHOUSE], catalog=Catalog.of((*TABLES, NOTES)))
        built = paint(replace(OBJECTS, agents=[narrow], platforms=[permitting(EVERYTHING)]), {WAREHOUSE: held})

        found = verdict(built)

        assert not isinstance(found, Granted) or NOTES.id not in {each.table for each in found.tables}
        assert "which takes the combination Union" in message(built, "finbot", "Ready")

    def test_another_agents_tables_are_not_there_and_are_no_reason_of_a_denial(self):
        elder = parse(Agent, changed(changed(raw_agent("elder"), "spec.handle", "ELDER"), "spec.tools", [asking(schemas=("notes",))]))
        objects = replace(OBJECTS, agents=[elder, agent()], platforms=[permitting(EVERYTHING)], policies=[])
        held = replace(STATES[WAREHOUSE], catalog=Catalog.of((*TABLES, NOTES)))

        found = verdict(paint(objects, {WAREHOUSE: held}))

        assert isinstance(found, Denied)
        assert (found.reason, "elder" in found.message) == ("NoPolicy", False)

    def test_a_guardrail_wins_over_the_tables_of_its_own_schema(self):
        denied = {"type": "Columns", "columns": {"matchNames": ["note"]}}
        about = {"matchNames": [{"schema": "notes", "name": "*"}]}
        guardrail = made(Guardrail, "quiet", tables=about, deny=denied, users=None, rowRestriction="id > 1", maskFloors=None)

        (notes,) = [each for each in given(painted(asking(schemas=("notes",)), guardrails=[guardrail])).tables if each.table == NOTES.id]

        assert [each.name for each in notes.columns] == ["id"]
        assert len(notes.rows) == len(notes.restrictions) == 1

    @pytest.mark.parametrize(
        ("changes", "kept"),
        [
            ({"functions": (*THERE, Function(FunctionId("tools", "score", "date")))}, True),
            ({"functions": (Function(SCORE),)}, False),
            ({"functions": (Function(RESCORE, "is LEAKPROOF"), Function(SCORE))}, False),
            ({"most": spelled(("tools.other",))}, False),
        ],
    )
    def test_a_live_role_ends_where_a_function_that_it_has_is_no_longer_given(self, changes: dict[str, object], kept: bool):
        asked = asking(functions=("tools.score",))
        held = given(painted(asked))

        now = given(painted(asked, **changes))  # type: ignore[arg-type]

        assert (not withdrawal_reason(now, held)) is kept
        assert contains(now.profile, held.profile) is kept

    def test_one_that_gets_all_its_tools_is_ready_and_so_is_one_that_asks_for_none(self):
        built = painted(asking(functions=("tools.score",)))

        assert message(built, "finbot", "Ready") == "in use, with every tool that it asks for"
        assert message(painted(), "finbot", "Ready") == "in use"

    @pytest.mark.parametrize(
        ("asked", "reason", "told"),
        [
            (asking(functions=("other.score",)), "NotPermitted", "DataPlatform warehouse does not let the agent have function other.score"),
            (asking(schemas=("claims",)), "NotPermitted", "schema claims is in the domain"),
            (asking(CRM, functions=("tools.score",)), "NotPermitted", "DataPlatform crm does not let the agent have"),
            (asking("nowhere", functions=("tools.score",)), "PlatformUnknown", "no DataPlatform is named nowhere"),
            (asking(functions=("tools.gone",)), "ToolMissing", "there is no function tools.gone (on warehouse)"),
            (asking(functions=("tools.leak",)), "ToolRefused", "function tools.leak() acts with the rights of its owner (on warehouse)"),
            (asking(schemas=("notes",)), "ToolRefused", "notes.seen is a view: it is not granted (on warehouse)"),
        ],
    )
    def test_what_it_does_not_get_is_named_and_takes_nothing_else_from_it(self, asked: Body, reason: str, told: str):
        built = painted(asking(functions=("tools.score",)), asked)

        assert said(built, "finbot", "Accepted") == ("True", "Valid")
        assert said(built, "finbot", "Ready") == ("False", reason)
        assert message(built, "finbot", "Ready").startswith(f"spec.tools: {told}")
        assert given(built).profile.functions == (RESCORE, SCORE)

    def test_of_a_schema_that_is_not_there_is_told_so(self):
        built = painted(asking(schemas=("empty",)), most=spelled(schemas=("empty",)))

        assert message(built, "finbot", "Ready") == "spec.tools: schema empty holds no table, or is not there (on warehouse)"

    def test_nothing_is_said_of_what_was_not_read_yet(self):
        objects = replace(OBJECTS, agents=[agent(asking(functions=("tools.score",)))], platforms=[permitting(EVERYTHING)])
        unread = {WAREHOUSE: replace(STATES[WAREHOUSE], catalog=None)}

        assert said(paint(objects, unread), "finbot", "Ready") == ("Unknown", "CatalogUnread")
        assert said(paint(replace(objects, namespaces={})), "finbot", "Ready") == ("Unknown", "NamespaceUnknown")

    def test_the_items_for_one_platform_and_the_terms_that_select_it_add_up(self):
        two = agent(asking(functions=("tools.score",)), asking(functions=("tools.leak",), schemas=("notes",)))

        built = painted(*[each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in two.spec.tools])

        assert built.snapshot.agents[ObjectName("agents", "finbot")].tools == {
            PlatformName(WAREHOUSE): tools("tools.score", "tools.leak", schemas=("notes",))
        }


def test_a_catalog_with_a_function_more_is_another_one():
    one, two = Catalog.of(catalog(NOTES).tables.values()), Catalog.of(catalog(NOTES).tables.values(), [Function(SCORE)])

    assert digest(one) != digest(two)
    assert two.tagged([]).functions == (Function(SCORE),)
