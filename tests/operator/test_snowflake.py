"""Roles on Snowflake by a real operator: tools of agents, users of agents' own, and what is wrong with an account, said where its owner
looks. On the stand-in for Snowflake."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from snowflake.connector import errors as vendor

from rolevend.cli import cli
from rolevend.kinds.shared import ATTEST
from rolevend.platforms.snowflake.vend.keys import new_key, public_key
from testbed.installation import NAMESPACE
from tests.conformance.snowflake_bench import DATABASE, WAREHOUSE, SnowflakeSession, not_lent, suspended
from tests.conformance.snowflake_tools import BEFORE, TOOLS
from tests.support.installed import Body
from tests.support.lake import OWN, PATIENCE, SCHEMA, TAKEN, Lake, registered
from tests.support.requesting import Requester, on_request_of
from tests.support.site import AGENTS, Site
from tests.support.snowflake import Account, Fault, Harm
from tests.support.snowflake.using import administrators_connection
from tests.support.tenancy import Asked, Tenant
from tests.support.waiting import eventually

pytestmark = pytest.mark.long

PEOPLE_VIEW, CLAIMS_VIEW, GONE_VIEW = ({"schema": "SEM", "name": name} for name in ("PEOPLE", "CLAIMS", "GONE"))
"""Semantic views: of PEOPLE, of PEOPLE and PRICES, and one that is not there."""
FIND_PRICES = {"schema": "SEM", "name": "FIND_PRICES"}
AS_CALLER, AS_OWNER = (
    {"schema": "SEM", "name": "AS_CALLER", "arguments": "NUMBER, VARCHAR"},
    {"schema": "SEM", "name": "AS_OWNER", "arguments": ""},
)
MOST = {
    "warehouses": ["EXTRA_WH"],
    "semanticViews": [PEOPLE_VIEW, CLAIMS_VIEW, GONE_VIEW],
    "procedures": [AS_CALLER, AS_OWNER],
    "searchServices": [FIND_PRICES],
    "databaseRoles": ["SNOWFLAKE.CORTEX_USER"],
}
"""What the platform lets agents have."""
OWN_REGIONS = "\"REGION\" IN (user_attr('countries'))"
REGIONS = {"name": "regions", "columns": {"matchNames": ["REGION"]}}
SSN = 'SELECT "SSN" FROM "PEOPLE" ORDER BY "ID"'
USES = {
    "EXTRA_WH": "USE WAREHOUSE EXTRA_WH",
    "PEOPLE": f"SELECT ID FROM {DATABASE}.{SCHEMA}.PEOPLE ORDER BY ID",
    "CLAIMS": f"DESCRIBE SEMANTIC VIEW {DATABASE}.SEM.CLAIMS",
    "AS_CALLER": f"DESCRIBE PROCEDURE {DATABASE}.SEM.AS_CALLER(NUMBER, VARCHAR)",
    "AS_OWNER": f"DESCRIBE PROCEDURE {DATABASE}.SEM.AS_OWNER()",
    "FIND_PRICES": f"DESCRIBE CORTEX SEARCH SERVICE {DATABASE}.SEM.FIND_PRICES",
}
"""What a role can do that has the tool."""


@pytest.fixture(scope="module")
def lake(site: Site) -> Iterator[Lake]:
    site.ensure_operator()
    with registered(site, "lake", Account(), (*BEFORE, *TAKEN), TOOLS, MOST) as lake:
        site.told(lake.body, "Attested", "True", within=PATIENCE)  # what tests do to the account is none of its business
        site.wait_for_platform("lake")
        yield lake


def used(session: SnowflakeSession) -> set[str]:
    """The tools that it can use."""
    found = set()
    for name, statement in USES.items():
        try:
            session.run(statement)
        except vendor.ProgrammingError:
            continue
        found.add(name)
    return found


class TestTools:
    def test_a_role_uses_those_of_its_agent_that_its_user_may_have_and_explain_says_which_and_why(
        self, site: Site, lake: Lake, tenant: Tenant, tmp_path: Path
    ):
        good = {**MOST, "semanticViews": [PEOPLE_VIEW, CLAIMS_VIEW], "procedures": [AS_CALLER]}
        agent = tenant.agent(tools=lake.asking(**good))
        site.told(tenant.person(countries=["EU"], desk=["pricing"]), "Ready", "True")
        site.told(tenant.person("bob", countries=["US"]), "Ready", "True")
        lake.grant(tenant, "PEOPLE", rowFilter=OWN_REGIONS)
        pricing = {"key": "desk", "operator": "In", "values": ["pricing"]}
        mine = {"key": "tenant", "operator": "In", "values": [tenant.name]}
        lake.grant(tenant, "PRICES", users={"matchAttributes": [mine, pricing]})
        assert site.told(agent, "Ready", "True") == "in use, with every tool that it asks for"

        anna, bob = tenant.ask(platform="lake").ready(), tenant.ask("bob", platform="lake").ready()

        hers, his = lake.log_in(anna), lake.log_in(bob)
        assert used(hers) == USES.keys() - {"AS_OWNER"}
        assert used(his) == {"EXTRA_WH", "PEOPLE", "AS_CALLER"}
        assert [session.run(USES["PEOPLE"]) for session in (hers, his)] == [[(0,), (1,)], [(2,)]], "under policies, also behind a tool"
        assert [session.run("SELECT IS_ROLE_IN_SESSION('RV_CORTEX_USER')") for session in (hers, his)] == [[(True,)], [(True,)]]
        told = explained(site, lake, tmp_path, anna, bob)
        both = ["database role SNOWFLAKE.CORTEX_USER", "procedure SEM.AS_CALLER(NUMBER, VARCHAR)"]
        views = ["semantic view SEM.CLAIMS", "semantic view SEM.PEOPLE"]
        assert told[0]["functions"] == [*both, "search service SEM.FIND_PRICES", *views, "warehouse EXTRA_WH"]
        assert told[1]["functions"] == [*both, views[1], "warehouse EXTRA_WH"]
        why = f"reads {SCHEMA}.PRICES, which is not granted"
        assert [each["toolsWithheld"] for each in told] == [
            [],
            [{"tool": "search service SEM.FIND_PRICES", "why": why}, {"tool": views[0], "why": why}],
        ]
        assert [each["toolsMissing"] for each in told] == ["", ""]
        granted = [each for each in site.log_lines() if each.get("type") == "dev.rolevend.granted" and each["subject"] == bob.role]
        assert granted[-1]["data"]["functions"] == told[1]["functions"]

    def test_those_that_an_agent_does_not_get_are_in_its_condition_and_its_roles_are_vended_without(
        self, site: Site, lake: Lake, tenant: Tenant
    ):
        wanted = {"warehouses": ["EXTRA_WH", WAREHOUSE], "semanticViews": [GONE_VIEW], "procedures": [AS_OWNER]}
        agent = tenant.agent(tools=lake.asking(**wanted))
        site.told(tenant.person(), "Ready", "True")
        lake.grant(tenant, "PRICES")

        told = site.told(agent, "Ready", "False", "NotPermitted")

        assert f"DataPlatform lake does not let the agent have warehouse {WAREHOUSE}" in told
        assert "procedure SEM.AS_OWNER() acts with the rights of its owner, whom no policy binds: make it with EXECUTE AS CALLER" in told
        assert "there is no semantic view SEM.GONE, or the operator may not see it: plan and install again, which lets it (on lake)" in told
        assert used(lake.log_in(tenant.ask(platform="lake").ready())) == {"EXTRA_WH"}


class TestWhatAToolSeesLessOf:
    def test_it_is_told_of_the_policy_and_of_the_role_until_the_policy_is_mended(self, site: Site, lake: Lake, tenant: Tenant):
        tenant.agent(tools=lake.asking(semanticViews=[PEOPLE_VIEW]))
        site.told(tenant.person(countries=["EU"]), "Ready", "True")
        policy = lake.grant(tenant, "PEOPLE", rowFilter=OWN_REGIONS, masks=[{**REGIONS, "type": "Hash"}])
        why = f"{SCHEMA}.PEOPLE shows no row to tools: its rows are filtered by REGION, which is masked or not granted"

        assert site.told(policy, "StricterForTools", "True", "TablePolicies") == why
        before = tenant.ask(platform="lake").ready()
        assert site.told(before.body, "StricterForTools", "True", "TablePolicies") == why
        assert seen(lake, before) == (2, [])

        site.patch(policy, {"masks": []})

        eventually(lambda: site.conditions(policy).keys() >= {"Ready"} and "StricterForTools" not in site.conditions(policy))
        before.gone()  # what it was made with is no longer granted unchanged
        after = tenant.ask(platform="lake").ready()
        assert "StricterForTools" not in site.conditions(after.body)
        assert seen(lake, after) == (2, [(0,), (1,)])

    def test_it_is_not_told_of_a_role_that_has_no_such_tool(self, site: Site, lake: Lake, tenant: Tenant):
        tenant.agent()
        site.told(tenant.person(countries=["EU"]), "Ready", "True")
        policy = lake.grant(tenant, "PEOPLE", rowFilter=OWN_REGIONS, masks=[{**REGIONS, "type": "Hash"}])

        asked = tenant.ask(platform="lake").ready()

        site.told(policy, "StricterForTools", "True")  # some agent's tool reads the table
        assert "StricterForTools" not in site.conditions(asked.body)


def seen(lake: Lake, asked: Asked) -> tuple[int, list[tuple[object, ...]]]:
    """How many people the role reads, and what a tool of it does."""
    session = lake.log_in(asked)
    return len(session.rows('SELECT * FROM "PEOPLE"')), session.run(USES["PEOPLE"])


def test_a_constant_that_a_column_has_no_room_for_is_null_until_the_policy_is_mended(site: Site, lake: Lake, tenant: Tenant):
    table, levels = f"LEVELS{tenant.handle}", {"name": "levels", "columns": {"matchNames": ["LEVEL"]}, "type": "Constant"}
    lake.run(f"CREATE TABLE {DATABASE}.{SCHEMA}.{table} (ID NUMBER, LEVEL NUMBER(5,0))")
    lake.run(f"INSERT INTO {DATABASE}.{SCHEMA}.{table} VALUES (1, 7)")
    tenant.agent()
    tenant.person()
    policy = lake.grant(tenant, table, masks=[{**levels, "constant": {"value": "100000"}}])
    why = "is NUMBER(5,0), which cannot show Constant, since 100000 is more than 99999: it is NULL instead"

    assert site.told(policy, "MaskFallback", "True", "Nullified") == f"column LEVEL of {SCHEMA}.{table} {why}"
    assert lake.log_in(tenant.ask(platform="lake").ready()).rows(f'SELECT * FROM "{table}"') == [(1, None)]

    site.patch(policy, {"masks": [{**levels, "constant": {"value": "99999"}}]})

    site.told(policy, "MaskFallback", "False", "AsWritten")
    assert lake.log_in(tenant.ask(platform="lake").ready()).rows(f'SELECT * FROM "{table}"') == [(1, 99999)]


def explained(site: Site, lake: Lake, folder: Path, *roles: Asked) -> list[Body]:
    """What `rolevend explain` says of them, by a catalog that an administrator wrote."""
    connection = administrators_connection(lake.bench.snowflake, folder, WAREHOUSE)
    environment = {"SNOWFLAKE_HOME": str(folder), "KUBECONFIG": str(site.control_plane.kubeconfig)}

    def rolevend(*words: str) -> str:
        done = CliRunner(env=environment).invoke(cli, words, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    catalog = str(folder / "catalog.yaml")
    rolevend("platform", "catalog", "-f", str(lake.manifest(folder / "lake.yaml")), "--connection", connection, "-o", catalog)
    return [json.loads(rolevend("explain", each.name, "-n", AGENTS, "--catalog", catalog, "-o", "json")) for each in roles]


class TestWithAnApproval:
    def test_one_role_shows_the_offer_until_the_yes_is_deleted_and_others_show_nothing_of_it(self, site: Site, lake: Lake, tenant: Tenant):
        tenant.agent()
        site.told(tenant.person(countries=["EU"]), "Ready", "True")
        hidden = {"name": "ids", "columns": {"matchNames": ["SSN"]}, "type": "Nullify"}
        lake.grant(tenant, "PEOPLE", rowFilter=OWN_REGIONS, masks=[hidden])
        requester = Requester(tenant, "lake")
        offer = {"name": requester.offer_name, "rowFilter": OWN_REGIONS, "onRequest": on_request_of()}
        requester.offers(lake.grant(tenant, "PEOPLE", **offer))
        request = requester.ask()
        request.is_now("Pending")
        standing = tenant.ask(platform="lake").ready(PATIENCE)

        yes = requester.vote(request)
        role = requester.role(request, platform="lake").ready(PATIENCE)

        hers, without = lake.log_in(role), lake.log_in(standing)
        assert hers.run(SSN) == [("123",), ("456",)]
        assert without.run(SSN) == [(None,), (None,)]
        assert [each["roleUid"] for each in request.is_now("Used")["uses"]] == [role.uid]
        requester.role(request, platform="lake").refused("UsesGone", granted="False")
        site.remove(yes)
        role.gone(PATIENCE)
        request.is_now("Revoked")
        with pytest.raises(vendor.Error):
            hers.run(SSN)
        assert without.run(SSN) == [(None,), (None,)]


class TestWhatIsWrongWithAnAccount:
    def test_a_table_with_somebody_elses_policy_is_named_and_nobody_is_granted_it(self, site: Site, lake: Lake, tenant: Tenant):
        tenant.agent()
        site.told(tenant.person(), "Ready", "True")
        spec = tenant.policy_spec(
            platform="lake", tables={"matchNames": [{"schema": SCHEMA, "name": "TAKEN"}]}, masks=[], rowFilter='"ID" = 1'
        )
        policy = tenant.make("AccessPolicy", spec, namespace="domain-claims")
        why = f"{SCHEMA}.TAKEN has a masking policy on column SSN of somebody else's ({OWN})"

        eventually(lambda: why in site.wait_for_platform("lake"))
        assert why in site.told(policy, "Ready", "False", "NotGranted")
        tenant.ask(platform="lake").refused("NoTable", granted="False")
        assert not lake.bench.exists(f"IMMUTA_VENDED_{tenant.handle}_")

    def test_a_warehouse_that_does_not_run_is_named_by_its_field_and_the_role_is_whole_when_it_does(
        self, site: Site, lake: Lake, tenant: Tenant
    ):
        tenant.agent()
        site.told(tenant.person(), "Ready", "True")
        lake.grant(tenant, "PRICES")
        tenant.ask(platform="lake").ready()  # its profile is built

        with suspended(lake.bench):
            asked = tenant.ask(platform="lake")
            message = asked.refused("PlatformUnavailable")

        assert "spec.snowflake.warehouse must name a warehouse that RV_VENDOR and RV_PROGRAMMER may use, and that runs or has" in message
        assert len(lake.log_in(asked.ready()).rows('SELECT * FROM "PRICES"')) == 2

    def test_a_warehouse_that_the_logins_may_not_use_is_named_by_its_field(self, site: Site, lake: Lake):
        """It is needed when there is something new to read."""
        before = lake.status["tableCount"]
        with not_lent(lake.bench):
            lake.run(f"CREATE TABLE {DATABASE}.{SCHEMA}.INVOICES (ID NUMBER)")
            message = site.wait_for_platform("lake", "False", "PlatformUnavailable")
        assert "spec.snowflake.warehouse must name a warehouse that RV_VENDOR and RV_PROGRAMMER may use" in message
        site.wait_for_platform("lake")
        eventually(lambda: lake.status["tableCount"] == before + 1)

    def test_what_public_has_is_said(self, site: Site, lake: Lake):
        assert lake.status.get("limitations", []) == []
        lake.run(f"GRANT USAGE ON WAREHOUSE {WAREHOUSE} TO ROLE PUBLIC")
        try:
            wanted = f"every vended role has what PUBLIC has: USAGE on WAREHOUSE {WAREHOUSE}"
            eventually(lambda: lake.status.get("limitations") == [wanted])
        finally:
            lake.run(f"REVOKE USAGE ON WAREHOUSE {WAREHOUSE} FROM ROLE PUBLIC")
        eventually(lambda: lake.status.get("limitations", []) == [])

    def test_a_schema_that_vanishes_ends_the_roles_that_read_it_and_is_named(self, site: Site, lake: Lake, tenant: Tenant):
        schema = lake.bench.schema("PASSING")
        lake.run(f"CREATE TABLE {DATABASE}.{schema}.T (ID NUMBER)")
        tenant.agent()
        site.told(tenant.person(), "Ready", "True")
        (domain,) = lake.body["spec"]["domains"]
        with lake.changed(domains=[{**domain, "schemas": [SCHEMA, schema]}]):
            policy = lake.grant(tenant, "T", schema=schema)
            asked = tenant.ask(platform="lake").ready()

            lake.run(f"DROP SCHEMA {DATABASE}.{schema}")

            asked.gone()
            assert not lake.bench.exists(asked.role)
            named = f"schema {schema} does not exist, or has no table that the operator can see"
            eventually(lambda: named in site.wait_for_platform("lake"))
            site.told(policy, "Ready", "False", "NotGranted")
            tenant.ask(platform="lake").refused("NoTable", granted="False")

    def test_a_warehouse_that_is_not_there_is_named_by_its_field(self, site: Site, lake: Lake):
        with lake.changed(snowflake={"warehouse": "MISSPELLED"}):
            message = site.wait_for_platform("lake", "False", "PlatformUnavailable")
        assert "spec.snowflake.warehouse must name a warehouse" in message

    def test_a_network_policy_that_keeps_us_out_is_named(self, site: Site, lake: Lake):
        lake.bench.snowflake.account.lets_nobody_in = True
        log_everybody_out(lake)
        try:
            message = site.wait_for_platform("lake", "False", "PlatformUnavailable")
        finally:
            lake.bench.snowflake.account.lets_nobody_in = False
        assert "its network policy must let the operator in" in message
        site.wait_for_platform("lake")

    def test_a_key_that_was_replaced_is_named_and_the_new_secret_heals_it(self, site: Site, lake: Lake):
        user, key = lake.bench.vendor.user, new_key()
        lake.run(f"ALTER USER \"{user}\" SET RSA_PUBLIC_KEY = '{public_key(key)}'")
        log_everybody_out(lake)

        message = site.wait_for_platform("lake", "False", "PlatformUnavailable")

        assert "the private key of the Secret must belong to the RSA_PUBLIC_KEY of the user" in message
        site.put_secret(NAMESPACE, "lake-vendor", username=user, private_key=key.reveal())
        site.wait_for_platform("lake")

    def test_standard_edition_is_told_before_anything_is_built(self, site: Site):
        with registered(site, "standard", Account(edition="STANDARD")):
            message = site.wait_for_platform("standard", "False", "PlatformUnavailable")
        assert "need Enterprise Edition: nothing can be governed in this account" in message


def test_killed_in_the_middle_of_an_attestation_it_attests_again_when_it_is_back(site: Site, lake: Lake):
    """Though what it left counts as under way for ten minutes, for whoever may not be alone."""
    account, caught = lake.bench.snowflake.account, threading.Event()

    def of_a_canary(_: str, sql: str) -> bool:
        found = "SECURE VIEW" in sql and "RV_P_CANARY" in sql
        return found and not caught.set()

    account.faults.inject(Fault(Harm.SILENT_AFTER, of_a_canary))
    assert site.cluster.patch(lake.body, {"metadata": {"annotations": {ATTEST: "killed"}}}).ok
    assert caught.wait(PATIENCE)
    site.operator.kill()
    account.faults.silence.set()
    account.faults.silence.clear()
    assert canaries(account)

    site.start_operator()

    assert eventually(lambda: lake.status["attestation"].get("request") == "killed", within=PATIENCE)
    assert lake.status["attestation"].get("failed", []) == []
    assert canaries(account) == []


@pytest.mark.full
def test_stopped_in_the_middle_of_an_attestation_it_ends_soon_and_leaves_no_canary(site: Site, lake: Lake):
    """Or it would be killed when its time to end is over, and nobody would lead until then."""
    account = lake.bench.snowflake.account
    account.faults.latency = 0.25  # so that it takes minutes, as on an account
    try:
        assert site.cluster.patch(lake.body, {"metadata": {"annotations": {ATTEST: "stopped"}}}).ok
        eventually(lambda: canaries(account), within=PATIENCE)
        assert site.operator.process.stop(grace=PATIENCE / 2), "it was killed"
    finally:
        account.faults.latency = 0.0
        site.operator.stop()
        left = canaries(account)
        site.start_operator()
    assert left == []
    assert eventually(lambda: lake.status["attestation"].get("request") == "stopped", within=PATIENCE)


def canaries(account: Account) -> list[str]:
    return [thing.name[-1] for thing in account.catalog.of("SCHEMA", "ROLE", "USER") if "CANARY" in thing.name[-1]]


def test_an_agents_own_user_is_granted_its_roles_under_a_warning_and_loses_them_at_their_end(site: Site, lake: Lake, tenant: Tenant):
    tenant.agent()
    tenant.person(countries=["EU"])
    lake.grant(tenant, "PEOPLE", rowFilter=OWN_REGIONS)
    user, key = f"{tenant.handle}_SVC", new_key()
    lake.run(f"CREATE USER {user} TYPE = SERVICE RSA_PUBLIC_KEY = '{public_key(key)}'")
    (terms,) = lake.body["spec"]["agents"]
    of_one_namespace = {"matchLabels": {"kubernetes.io/metadata.name": AGENTS}}
    own = {**terms, "namespaceSelector": of_one_namespace, "agentNames": [tenant.name], "agentUser": user}
    site.told(lake.body, "Isolated", "True", "EphemeralUser")

    with lake.changed(snowflake={"principal": "AgentUser"}, agents=[own, terms]):
        warning = site.told(lake.body, "Isolated", "False", "AgentUser")
        site.wait_for_platform("lake")
        asked = tenant.ask(platform="lake").ready()
        login, (where,) = asked.login(), asked.status["platforms"]
        session = lake.bench.session(user, key, role=asked.role)

        assert f"roles are granted to the user {user} of agent {AGENTS}/{tenant.name}" in warning
        assert "nothing but the agent keeps two people apart" in warning
        assert (login["username"], login["role"], "private_key" in login) == (user, asked.role, False)
        people = f'SELECT ID FROM ROLEVEND.{where["profile"].upper()}."PEOPLE" ORDER BY ID'
        assert session.run(people) == [(0,), (1,)]
        asked.delete()
        asked.gone()
        with pytest.raises(vendor.ProgrammingError):
            session.run(people)
        with pytest.raises(vendor.ProgrammingError):
            lake.bench.session(user, key).run(f'USE ROLE "{asked.role}"')
        assert lake.bench.admin.run(f"SHOW GRANTS TO USER {user}") == []
        assert not lake.bench.exists(asked.role)
        assert len(lake.bench.admin.run(f"SHOW USERS STARTS WITH '{user}'")) == 1, "the user is the agent's"
    site.told(lake.body, "Isolated", "True", "EphemeralUser")


def log_everybody_out(lake: Lake) -> None:
    """Of the operator: its next request is a login."""
    for session in list(lake.bench.snowflake.account.sessions.values()):
        session.closed = session.closed or session.user.startswith("ROLEVEND_")
