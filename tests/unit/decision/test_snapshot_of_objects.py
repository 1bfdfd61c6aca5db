"""From objects and what platforms answered to one picture: who came first keeps a name, and what is wrong is said where it is written."""

from dataclasses import replace

import pytest

from rolevend.catalog import Catalog, Table, digest
from rolevend.decision.outcome import Denied, Granted, Pending, withdrawal_reason
from rolevend.kinds import AccessPolicy, Agent, DataPlatform, TagBinding, UserAttributes, parse, values
from rolevend.model import AgentHandle, Claim, ObjectName, Tag, User, UserHandle, agent_claim, user_claim
from rolevend.platform_runtime.state import SERVER_CHANGED, PlatformState
from rolevend.platforms.protocol import Drift
from rolevend.snapshot.builder import SnapshotBuild, SnapshotBuilder, SnapshotInputs
from tests.support.manifests import MISSING, NO_POSTGRES, Body
from tests.support.painted import (
    ANNA,
    CLUSTER,
    CRM,
    KEY,
    OBJECTS,
    REQUEST,
    STATES,
    TABLES,
    WAREHOUSE,
    answering,
    judged,
    made,
    message,
    paint,
    raw,
    raw_policy,
    said,
    verdict,
)

ACCOUNT = {"account": "myorg-account1", "database": "SALES", "warehouse": "AGENTS_WH"}
EVERYTHING = {"tables": {"matchNames": [{"schema": "*", "name": "*"}]}, "columns": {"matchNames": ["*"]}, "rowFilter": None, "masks": []}


def test_what_everybody_agrees_on_is_granted():
    assert isinstance(verdict(paint()), Granted)


def test_nothing_is_decided_while_something_is_still_to_be_read():
    built = SnapshotBuilder(CLUSTER, KEY).build(SnapshotInputs(), {}, "the operator has not listed all agents yet")

    assert built.snapshot.pending == "the operator has not listed all agents yet"


@pytest.mark.parametrize(
    ("name", "claim"),
    [
        ("finbot", agent_claim(AgentHandle("FINBOT"), ObjectName("agents", "finbot"))),
        ("anna", user_claim(UserHandle("ANNA"), ANNA)),
    ],
)
def test_a_handle_that_was_refused_is_shown_where_it_is_written_and_each_request_is_still_told_why(name: str, claim: Claim):
    built = paint(replace(OBJECTS, refused_handles={claim: "it is somebody else's"}))

    assert (said(built, name, "Accepted"), said(built, name, "Ready")) == (("True", "Valid"), ("False", "Conflict"))
    assert message(built, name, "Ready") == "spec.handle: it is somebody else's"
    assert isinstance(verdict(built), Granted), "the claim itself refuses"
    assert said(paint(replace(OBJECTS, refused_handles={(*claim, "of another"): ""})), name, "Ready") == ("True", "Valid")


@pytest.mark.parametrize("newest_first", [False, True])
class TestOfTwoThatClaimTheSame:
    def test_the_older_agent_keeps_the_handle(self, newest_first: bool):
        agents = [made(Agent, "elder", "agents", age=60), made(Agent, "finbot", "agents")]

        built = paint(replace(OBJECTS, agents=agents[::-1] if newest_first else agents))

        assert list(built.snapshot.agents) == [ObjectName("agents", "elder")]
        assert said(built, "elder", "Accepted") == ("True", "Valid")
        assert said(built, "finbot", "Accepted") == ("False", "Conflict")
        assert message(built, "finbot", "Accepted") == "spec.handle: agents/elder has it already; choose another one"

    def test_the_older_description_of_a_person_counts_and_the_older_person_keeps_the_handle(self, newest_first: bool):
        people = [
            made(UserAttributes, "anna", age=60, user={"issuer": "idp", "subject": "anna"}),
            made(UserAttributes, "again", age=30, user={"issuer": "idp", "subject": "anna"}),
            made(UserAttributes, "beth", user={"issuer": "idp", "subject": "beth"}),
        ]

        built = paint(replace(OBJECTS, people=people[::-1] if newest_first else people))

        assert list(built.snapshot.people) == [ANNA] == [User("idp", "anna")]
        assert message(built, "again", "Accepted").startswith("spec.user: anna has it already")
        assert said(built, "beth", "Accepted") == ("False", "Conflict")
        assert message(built, "beth", "Accepted").startswith("spec.handle: anna has it already")

    def test_the_older_platform_keeps_the_server_and_the_other_one_vends_nothing(self, newest_first: bool):
        platforms = [made(DataPlatform, CRM, age=60), made(DataPlatform, WAREHOUSE)]
        one_server = {WAREHOUSE: answering("one"), CRM: answering("one")}

        built = paint(replace(OBJECTS, platforms=platforms[::-1] if newest_first else platforms), one_server)

        assert said(built, CRM, "Accepted") == ("True", "Valid")
        assert said(built, WAREHOUSE, "Ready") == said(built, WAREHOUSE, "Accepted") == ("False", "Conflict")
        assert "this is the server of DataPlatform crm" in message(built, WAREHOUSE, "Accepted")
        assert isinstance(verdict(built), Pending)

    def test_of_two_platforms_in_one_account_the_later_one_is_told_its_own_field(self, newest_first: bool):
        account = *NO_POSTGRES, ("spec.snowflake", ACCOUNT), ("spec.agents[0].tools", MISSING)
        platforms = [parse(DataPlatform, raw("DataPlatform", name, "", *account, age=age)) for name, age in ((CRM, 60), (WAREHOUSE, 0))]
        one_account = {WAREHOUSE: answering("one"), CRM: answering("one")}

        built = paint(replace(OBJECTS, platforms=platforms[::-1] if newest_first else platforms), one_account)

        assert message(built, WAREHOUSE, "Accepted").startswith("spec.snowflake: this is the account of DataPlatform crm")


def test_a_platform_that_does_not_answer_keeps_its_catalog_and_says_what_is_wrong():
    down = replace(STATES[WAREHOUSE], problem=("PlatformUnavailable", "no route"))

    built = paint(states={**STATES, WAREHOUSE: down})

    assert said(built, WAREHOUSE, "Ready") == ("False", "PlatformUnavailable")
    assert WAREHOUSE in built.snapshot.shapes, "an outage is no reason to end a role"


def test_nothing_is_known_of_row_policies_before_the_platform_was_reached():
    never = PlatformState(("PlatformUnavailable", "no route"))

    built = paint(states={**STATES, WAREHOUSE: never})

    assert said(built, WAREHOUSE, "InSync") == ("Unknown", "NotReached")
    assert said(built, WAREHOUSE, "Ready") == ("False", "PlatformUnavailable")
    down = replace(STATES[WAREHOUSE], problem=("PlatformUnavailable", "no route"))
    assert said(paint(states={**STATES, WAREHOUSE: down}), WAREHOUSE, "InSync") == ("True", "AsProgrammed"), "as it was last read"


def test_drift_is_told_with_the_table_and_more_than_five_are_counted():
    drifts = [Drift(TABLES[0].id, f"finding {number}", ()) for number in range(7)]

    built = paint(states={**STATES, WAREHOUSE: answering("server-1", *drifts)})

    assert said(built, WAREHOUSE, "InSync") == ("False", "Drift")
    assert "claims.people: finding 4 (and 2 more)" in message(built, WAREHOUSE, "InSync")


CLOSED = {
    "it is being deleted": (
        replace(OBJECTS, platforms=[parse(DataPlatform, raw("DataPlatform", WAREHOUSE, "", deletionTimestamp="2026-11-24T12:00:00Z"))]),
        STATES,
    ),
    "it is not accepted": (OBJECTS, {**STATES, WAREHOUSE: replace(STATES[WAREHOUSE], problem=(SERVER_CHANGED, "another server"))}),
}


@pytest.mark.parametrize("why", CLOSED)
class TestAPlatformThatIsClosed:
    def test_vends_nothing_new(self, why: str):
        found = verdict(paint(*CLOSED[why]))

        assert isinstance(found, Pending)
        assert (found.reason, found.withdrawn) == ("PlatformClosed", False)
        assert f"DataPlatform warehouse: {why}" in found.message

    def test_still_grants_live_roles_what_they_were_granted(self, why: str):
        live = verdict(paint())
        assert isinstance(live, Granted)

        found = verdict(paint(*CLOSED[why]), role_exists=True)

        assert found == live
        assert not withdrawal_reason(found, live)

    def test_still_ends_live_roles_whose_grant_was_taken_away(self, why: str):
        live = verdict(paint())
        assert isinstance(live, Granted)
        objects, states = CLOSED[why]

        without_policy = verdict(paint(replace(objects, policies=[]), states), role_exists=True)
        without_agent = verdict(paint(replace(objects, agents=[]), states), role_exists=True)
        narrowed = verdict(paint(replace(objects, policies=[parse(AccessPolicy, raw_policy("country = 'AT'"))]), states), role_exists=True)

        assert isinstance(without_policy, Denied)
        assert all(withdrawal_reason(each, live) for each in (without_policy, without_agent, narrowed))


class TestAPolicy:
    @staticmethod
    def policy(name: str = "analysts", namespace: str = "domain-claims", **spec: object) -> AccessPolicy:
        return made(AccessPolicy, name, namespace, **(EVERYTHING | spec))

    def test_reaches_the_schemas_of_its_namespace_and_no_others(self):
        built = paint(replace(OBJECTS, policies=[self.policy()]))

        assert said(built, "analysts", "Ready") == ("True", "InForce")
        assert judged(built, "analysts").counts == {"matchedTables": 1, "matchedColumns": 3, "matchedUsers": 1}

    def test_of_a_namespace_without_a_schema_is_not_accepted_and_grants_nothing(self):
        built = paint(replace(OBJECTS, policies=[self.policy(namespace="elsewhere")]))

        assert said(built, "analysts", "Accepted") == ("False", "NotPermitted")
        assert not built.snapshot.shapes[WAREHOUSE].index.policies

    def test_whose_filter_cannot_be_read_spoils_no_other(self):
        built = paint(replace(OBJECTS, policies=[self.policy("broken", rowFilter="country ="), self.policy("sound")]))

        assert said(built, "broken", "Accepted") == ("False", "InvalidInput")
        assert [policy.id.name for policy in built.snapshot.shapes[WAREHOUSE].index.policies] == ["sound"]

    def test_waits_for_a_platform_that_is_not_there_and_for_a_catalog_that_was_not_read(self):
        objects = replace(OBJECTS, policies=[self.policy()])
        unread = {WAREHOUSE: PlatformState()}

        assert said(paint(replace(objects, platforms=[])), "analysts", "Accepted") == ("False", "PlatformUnknown")
        assert said(paint(objects, unread), "analysts", "Ready") == ("Unknown", "CatalogUnread")


class TestARowFilter:
    """Whether one was parsed again shows in the statement: it is another object then."""

    @staticmethod
    def parsed(painter: SnapshotBuilder, body: Body) -> object:
        objects = replace(OBJECTS, policies=[parse(AccessPolicy, body)])
        shapes = painter.build(objects, STATES, "").snapshot.shapes[WAREHOUSE]
        return shapes.index

    def test_is_parsed_once_however_often_a_picture_is_painted(self):
        painter = SnapshotBuilder(CLUSTER, KEY)
        first = self.parsed(painter, raw_policy())

        assert self.parsed(painter, raw_policy(resourceVersion="2", labels={"new": "label"})) is first

    def test_of_the_same_generation_is_not_looked_at_again(self):
        painter = SnapshotBuilder(CLUSTER, KEY)
        first = self.parsed(painter, raw_policy())

        assert self.parsed(painter, raw_policy("this is no condition")) is first

    def test_of_a_new_generation_counts(self):
        painter = SnapshotBuilder(CLUSTER, KEY)
        first = self.parsed(painter, raw_policy())

        assert self.parsed(painter, raw_policy("country = 'AT'", generation=2)) != first

    def test_of_a_policy_that_was_made_again_under_its_name_counts(self):
        painter = SnapshotBuilder(CLUSTER, KEY)
        first = self.parsed(painter, raw_policy())

        assert self.parsed(painter, raw_policy("country = 'AT'", uid="another")) != first

    def test_that_cannot_be_read_is_refused_by_name_in_every_picture(self):
        painter = SnapshotBuilder(CLUSTER, KEY)
        broken = replace(OBJECTS, policies=[parse(AccessPolicy, raw_policy("country ="))])

        for _ in range(2):
            built = painter.build(broken, STATES, "")
            assert said(built, "analysts", "Accepted") == ("False", "InvalidInput")
            assert message(built, "analysts", "Accepted").startswith("spec.rowFilter: ")
            assert isinstance(verdict(built), Denied)


def test_tags_that_match_nothing_are_told():
    nothing = [{"schema": "claims", "name": "nothing", "tags": [{"key": "a", "value": "b"}]}]
    binding = made(TagBinding, "pii", "domain-claims", tables=nothing, columns=None)

    assert said(paint(replace(OBJECTS, bindings=[binding])), "pii", "Ready") == ("False", "NoMatch")


def test_what_did_not_change_is_not_compiled_again():
    painter = SnapshotBuilder(CLUSTER, KEY)

    def shapes(objects: SnapshotInputs) -> object:
        return painter.build(objects, STATES, "").snapshot.shapes[WAREHOUSE]

    first = shapes(OBJECTS)

    assert shapes(replace(OBJECTS, platforms=list(OBJECTS.platforms))) is first
    assert shapes(replace(OBJECTS, policies=[])) is not first


def test_a_platform_decides_how_its_tables_are_called_also_after_a_change():
    painter = SnapshotBuilder(CLUSTER, KEY)

    def views(style: str) -> set[str]:
        platforms = [each.model_copy(update={"spec": each.spec.model_copy(update={"table_names": style})}) for each in OBJECTS.platforms]
        decided = painter.build(replace(OBJECTS, platforms=platforms), STATES, "").snapshot.decide(REQUEST)
        assert isinstance(decided, Granted)
        return {each.view for each in decided.profile.tables}

    short = views("Short")
    assert {each.rpartition("__")[2] for each in views("Qualified")} == short != views("Qualified")
    assert views("Short") == short


def test_a_picture_knows_the_versions_that_its_verdicts_are_made_of():
    elsewhere = made(AccessPolicy, "elsewhere", "nobody")

    snapshot = paint(replace(OBJECTS, policies=[*OBJECTS.policies, elsewhere])).snapshot

    sources = snapshot.sources[WAREHOUSE]
    assert sources.platform == values.version(OBJECTS.platforms[0])
    assert list(sources.policies.values()) == [values.version(OBJECTS.policies[0])], "what reaches it, and nothing else"
    assert sources.bindings == (values.version(OBJECTS.bindings[0]),)
    assert [each.version for each in snapshot.agents.values()] == [values.version(OBJECTS.agents[0])]
    assert [each.version for each in snapshot.people.values()] == [values.version(OBJECTS.people[0])]


def test_a_platform_names_the_tables_that_cannot_be_governed_also_where_no_policy_is_about_them():
    held = Catalog.of((TABLES[0], replace(TABLES[1], obstacle="has a comment in which 'pii' is no tag")))
    built = paint(states={**STATES, WAREHOUSE: replace(STATES[WAREHOUSE], catalog=held)})

    assert said(built, WAREHOUSE, "Ready") == ("True", "Connected")
    told = f"; 1 of 2 tables cannot be governed: {TABLES[1].id} has a comment in which 'pii' is no tag"
    assert message(built, WAREHOUSE, "Ready").endswith(told)
    assert "governed" not in message(built, CRM, "Ready")


def test_a_platform_names_schemas_of_domains_in_which_it_sees_no_table():
    """They are misspelled, or were dropped, or are for tables to come."""
    built = paint(states={**STATES, WAREHOUSE: replace(STATES[WAREHOUSE], catalog=Catalog.of(TABLES[:1]))})

    assert said(built, WAREHOUSE, "Ready") == ("True", "Connected")
    assert message(built, WAREHOUSE, "Ready").endswith(
        "; spec.domains: schema hr does not exist, or has no table that the operator can see"
    )
    assert "schema" not in message(built, CRM, "Ready")


@pytest.mark.parametrize(
    "other",
    [
        TABLES[:1],
        (replace(TABLES[0], columns=TABLES[0].columns[:2]), TABLES[1]),
        (replace(TABLES[0], obstacle="is a foreign table"), TABLES[1]),
        (replace(TABLES[0], tags=frozenset({Tag("pii", "id")})), TABLES[1]),
    ],
    ids=["table", "column", "obstacle", "tag"],
)
def test_another_catalog_has_another_digest_and_the_order_of_its_tables_is_none(other: tuple[Table, ...]):
    assert digest(Catalog.of(TABLES)) == digest(Catalog.of(TABLES[::-1])) != digest(Catalog.of(other))


def combining(combination: str | None, *widest: str) -> SnapshotBuild:
    """An agent that asks for this combination, on as many platforms."""
    named = zip((WAREHOUSE, CRM), widest, strict=False)
    platforms = [raw("DataPlatform", name, "", ("spec.agents[0].widestCombination", each)) for name, each in named]
    agent = made(Agent, "finbot", "agents", onBehalfOf={"assertion": "Trusted"}, tools=None, combination=combination)
    return paint(replace(OBJECTS, agents=[agent], platforms=[parse(DataPlatform, each) for each in platforms], policies=[], bindings=[]))


def test_an_agent_whose_combination_no_platform_permits_is_told_so_before_it_asks():
    refused = combining("Union", "UserCeiling", "Intersection")

    assert said(refused, "finbot", "Accepted") == ("True", "Valid")
    assert said(refused, "finbot", "Ready") == ("False", "NotPermitted")
    told = message(refused, "finbot", "Ready")
    assert told.startswith("spec.combination: Union of Agent finbot is wider than Intersection, which DataPlatform crm permits;")
    assert "wider than UserCeiling, which DataPlatform warehouse permits" in told


@pytest.mark.parametrize(
    ("combination", "widest"),
    [("Union", ["UserCeiling", "Union"]), ("Intersection", ["Union"]), (None, ["Intersection"]), ("Union", [])],
    ids=["one platform permits it", "it is narrower", "it takes what there is", "no platform is there"],
)
def test_an_agent_whose_combination_some_platform_permits_is_ready(combination: str | None, widest: list[str]):
    assert said(combining(combination, *widest), "finbot", "Ready") == ("True", "Valid")


def test_an_agent_may_have_as_many_roles_as_take_three_quarters_of_the_sessions_of_the_server_where_nobody_says_a_number():
    states = {name: replace(state, facts=replace(state.facts, sessions=97)) for name, state in STATES.items() if state.facts}
    unlimited = OBJECTS.platforms[0].spec.agents[0]
    built = paint(states=states)

    assert unlimited.max_live_roles is None
    assert built.snapshot.most_live(REQUEST) == 97 * 3 // 4 // unlimited.role_limits.max_connections
    assert paint().snapshot.most_live(REQUEST) is None, "the platform has no such number"


def test_a_suspended_policy_grants_nothing_and_a_mistake_in_it_is_still_named():
    suspended = made(AccessPolicy, "analysts", "domain-claims", suspend=True)
    mistaken = made(AccessPolicy, "analysts", "domain-claims", suspend=True, rowFilter="country IN (")

    built = paint(replace(OBJECTS, policies=[suspended]))
    assert isinstance(verdict(built), Denied)
    assert (said(built, "analysts", "Accepted"), said(built, "analysts", "Ready")) == (("True", "Valid"), ("False", "Suspended"))
    assert said(paint(replace(OBJECTS, policies=[mistaken])), "analysts", "Accepted") == ("False", "InvalidInput")
