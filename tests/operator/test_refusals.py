"""Whatever is missing or not allowed is said on the object, with the field and the way out; when it is mended, the role comes by itself."""

import itertools

import psycopg
import pytest

from tests.support.governed import Governed
from tests.support.installed import Body
from tests.support.manifests import HOSTILE
from tests.support.site import AGENTS, ANNEX, DOMAIN, NOBODY, UNADMITTED, WAREHOUSE
from tests.support.tenancy import ISSUER, Asked, Tenant
from tests.support.waiting import eventually


def nothing_was_made_for(asked: Asked) -> bool:
    """On no platform and in no Secret."""
    leases = asked.site.warehouse.ask("SELECT role FROM rolevend.lease WHERE uid = %s", asked.uid)
    return not leases and asked.site.secret(asked.namespace, asked.name).status == 404


def test_an_unknown_agent_is_waited_for(tenant: Tenant):
    tenant.person()
    tenant.policy()
    asked = tenant.ask()

    message = asked.refused("AgentUnknown", granted="Unknown")

    assert f"spec.agentRef: no accepted Agent is named {tenant.name} in namespace {AGENTS}" in message
    assert nothing_was_made_for(asked)
    tenant.agent()
    assert asked.ready().rows("SELECT count(*) FROM people") == [(2,)]


def test_an_unknown_platform_is_waited_for_and_named(tenant: Tenant):
    tenant.ready_to_ask()

    asked, message = tenant.ask_briefly(lambda asked: asked.refused("PlatformUnknown", granted="Unknown"), platform="nowhere")

    known = f"Agent {tenant.name} may use {ANNEX}, {WAREHOUSE}"
    assert message == f"spec.platformRefs: no DataPlatform is named nowhere; {known}"
    asked.expired()


def test_a_person_whom_nobody_described_is_denied_until_somebody_does(tenant: Tenant):
    tenant.agent()
    tenant.site.told(tenant.policy(), "Ready", "True")
    asked = tenant.ask()

    message = asked.refused("NoPolicy", granted="False")

    assert "no policy covers the user; policies here ask for the user attributes" in message
    assert f"no accepted UserAttributes names anna.{tenant.name} ({ISSUER})" in message
    assert nothing_was_made_for(asked)
    eventually(lambda: any(reason == "Denied" and "no policy covers the user" in text for reason, text in asked.events()))
    tenant.person()
    asked.ready()


def test_without_a_policy_there_is_no_role_and_with_one_there_is(tenant: Tenant):
    tenant.agent()
    tenant.person()
    asked = tenant.ask()

    asked.refused("NoPolicy", granted="False")

    assert nothing_was_made_for(asked)
    tenant.policy()
    asked.ready()


def test_an_attribute_that_a_row_filter_reads_and_the_person_lacks_is_named(tenant: Tenant):
    tenant.agent()
    tenant.policy()
    person = tenant.person(countries=[])
    asked = tenant.ask()

    message = asked.refused("AttributeMissing", granted="False")

    assert f"the row filter of policy {DOMAIN}/{tenant.name} reads the user attribute 'countries'" in message
    assert "add it to the user's attributes" in message
    assert nothing_was_made_for(asked)
    tenant.site.patch(person, tenant.person_spec(countries=["US"]))
    assert asked.ready().rows("SELECT person_id FROM people") == [(3,)]


def test_a_longer_life_than_the_agent_may_have_is_denied_with_the_longest(tenant: Tenant):
    tenant.person()
    tenant.policy()
    agent = tenant.agent(limits={"maxExpirationSeconds": 60})
    asked = tenant.ask(seconds=61)

    message = asked.refused("ExpirationTooLong", granted="False")

    assert f"spec.expirationSeconds: 61 is longer than the 60 that Agent {tenant.name} and DataPlatform {WAREHOUSE} allow" in message
    tenant.site.patch(agent, {"limits": {"maxExpirationSeconds": 3600}})
    asked.ready()


def test_a_longer_life_than_the_platform_allows_is_denied_too(tenant: Tenant):
    tenant.person()
    tenant.policy()
    tenant.agent(limits={"maxExpirationSeconds": 86400})

    assert "is longer than the 3600" in tenant.ask(seconds=3601).refused("ExpirationTooLong", granted="False")


def test_a_namespace_that_the_platform_does_not_admit_is_denied_until_it_carries_the_label(tenant: Tenant):
    tenant.ready_to_ask(namespace=UNADMITTED)
    asked = tenant.ask(namespace=UNADMITTED)

    message = asked.refused("NotPermitted", granted="False")

    assert f"DataPlatform {WAREHOUSE} admits no agents of namespace {UNADMITTED}; its spec.agents would have to select it" in message
    assert nothing_was_made_for(asked)
    tenant.site.cluster.kubectl("label", "namespace", UNADMITTED, "team=claims")
    asked.ready()
    tenant.site.cluster.kubectl("label", "namespace", UNADMITTED, "team-")
    asked.gone()
    assert tenant.site.warehouse.ended(asked.role) == "Revoked"


def test_a_person_for_whom_the_agent_may_not_act_is_denied(tenant: Tenant):
    tenant.policy()
    tenant.person()
    wanted = {"matchAttributes": [{"key": "department", "operator": "In", "values": ["claims"]}]}
    tenant.agent(onBehalfOf={"assertion": "Trusted", "users": wanted})
    asked = tenant.ask()

    message = asked.refused("UserNotCovered", granted="False")

    assert f"spec.user: Agent {tenant.name} may not act for anna.{tenant.name} ({ISSUER}); see its spec.onBehalfOf.users" in message
    assert nothing_was_made_for(asked)
    tenant.site.patch(tenant.described("UserAttributes", {}, f"anna.{tenant.name}"), tenant.person_spec(department=["claims"]))
    asked.ready()


def test_a_policy_that_grants_no_table_is_named_in_the_denial(tenant: Tenant):
    tenant.agent()
    tenant.person()
    tenant.site.told(tenant.policy("", "no_such_table"), "Ready", "False")

    assert f"see the conditions of {DOMAIN}/{tenant.name}" in tenant.ask().refused("NoTable", granted="False")


def test_the_younger_of_two_agents_with_one_handle_is_not_accepted_until_the_older_is_gone(tenant: Tenant):
    older, younger, asked = twins(tenant)

    message = tenant.site.told(younger, "Accepted", "False", "Conflict")

    assert f"spec.handle: {AGENTS}/{tenant.name} has it already; choose another one" in message
    asked.refused("AgentUnknown", granted="Unknown")
    tenant.site.remove(older)
    tenant.site.told(younger, "Accepted", "True")
    asked.ready()


def test_a_handle_that_stands_in_a_role_name_is_never_anothers(tenant: Tenant):
    older, younger, asked = twins(tenant)
    tenant.ask().ready()
    tenant.site.remove(older)
    tenant.site.told(younger, "Accepted", "True")

    message = asked.refused("Conflict")

    assert f"is that of Agent {AGENTS}/{tenant.name} for ever" in message


def twins(tenant: Tenant) -> tuple[Body, Body, Asked]:
    """Two agents with one handle, and what the younger one asks."""
    tenant.person()
    tenant.policy()
    older = tenant.agent()
    tenant.site.told(older, "Accepted", "True")
    younger = tenant.agent(f"{tenant.name}-twin")
    return older, younger, tenant.ask(agent=f"{tenant.name}-twin")


def test_the_second_description_of_a_person_changes_nothing_and_says_so(tenant: Tenant):
    tenant.ready_to_ask()
    asked = tenant.ask().ready()

    second = tenant.make("UserAttributes", tenant.person_spec(countries=["US"]), f"second.{tenant.name}")

    assert f"spec.user: anna.{tenant.name} has it already" in tenant.site.told(second, "Accepted", "False", "Conflict")
    assert tenant.ask().ready().rows("SELECT person_id FROM people ORDER BY 1") == [(1,), (2,)]
    assert asked.is_ready()


@pytest.mark.long
def test_all_orders_in_which_the_objects_can_come_end_in_the_same_role(tenant: Tenant):
    """One VendedRole per order, step by step side by side, so that each order is seen at each step."""
    orders = list(itertools.permutations(["agent", "person", "policy", "ask"]))
    tenants = [Tenant(tenant.site) for _ in orders]
    asked: dict[int, Asked] = {}
    for step in range(4):
        for number, (each, order) in enumerate(zip(tenants, orders, strict=True)):
            match order[step]:
                case "agent":
                    each.agent()
                case "person":
                    each.person()
                case "policy":
                    each.policy()
                case "ask":
                    asked[number] = each.ask()

    for each in asked.values():
        assert each.ready().rows("SELECT person_id FROM people ORDER BY 1") == [(1,), (2,)]
    for each in tenants:
        each.leave()


class TestPolicies:
    def test_one_that_grants_says_how_much(self, tenant: Tenant):
        policy = tenant.policy("", "people", "claims")

        assert tenant.site.told(policy, "Ready", "True", "InForce") == "grants 10 columns of 2 tables"
        assert tenant.site.told(policy, "MaskFallback", "False", "AsWritten")

    def test_a_row_filter_on_a_column_that_is_not_there_grants_nothing_and_names_it(self, tenant: Tenant):
        policy = tenant.policy(rowFilter="region = 'DE'")

        message = tenant.site.told(policy, "Ready", "False", "NotGranted")

        assert "region" in message
        assert "claims.people is not granted" in message

    def test_a_row_filter_that_is_no_condition_is_not_accepted(self, tenant: Tenant):
        policy = tenant.policy(rowFilter="country = 'DE'; DROP TABLE people")

        assert "spec.rowFilter" in tenant.site.told(policy, "Accepted", "False", "InvalidInput")

    def test_one_in_a_namespace_that_owns_no_schema_is_not_accepted(self, tenant: Tenant):
        policy = tenant.policy(namespace=NOBODY)

        message = tenant.site.told(policy, "Accepted", "False", "NotPermitted")

        assert f"DataPlatform {WAREHOUSE} gives no schema to namespace {NOBODY}; see its spec.domains" in message

    def test_one_for_a_schema_of_somebody_else_grants_nothing(self, tenant: Tenant):
        policy = tenant.policy(tables={"matchNames": [{"schema": "rolevend", "name": "*"}]})

        tenant.site.told(policy, "Ready", "False")
        tenant.agent()
        tenant.person()
        tenant.ask().refused("NoTable", granted="False")

    def test_one_for_an_unknown_platform_waits_for_it(self, tenant: Tenant):
        policy = tenant.policy(platform="nowhere")

        assert "no accepted DataPlatform is named nowhere" in tenant.site.told(policy, "Accepted", "False", "PlatformUnknown")

    def test_a_mask_that_a_column_cannot_show_makes_it_null_and_the_policy_says_so(self, tenant: Tenant):
        mask = {"name": "ids", "columns": {"matchNames": ["person_id"]}, "type": "Partial", "partial": {"keepLast": 2}}
        policy = tenant.policy(masks=[mask])

        message = tenant.site.told(policy, "MaskFallback", "True", "Nullified")

        assert "column person_id of claims.people is bigint, which cannot show Partial: it is NULL instead" in message
        tenant.agent()
        tenant.person()
        assert tenant.ask().ready().rows("SELECT DISTINCT person_id FROM people") == [(None,)]

    def test_a_constant_that_a_column_has_no_room_for_makes_it_null_and_the_policy_says_why(self, tenant: Tenant):
        table = f"levels_{tenant.name}"
        tenant.site.warehouse.ask(f"CREATE TABLE claims.{table} (level smallint, country text)")
        tenant.site.warehouse.ask(f"ALTER TABLE claims.{table} OWNER TO app_owner; INSERT INTO claims.{table} VALUES (7, 'DE')")
        mask = {"name": "levels", "columns": {"matchNames": ["level"]}, "type": "Constant", "constant": {"value": "40000"}}
        policy = tenant.policy("", table, masks=[mask])

        message = tenant.site.told(policy, "MaskFallback", "True", "Nullified")

        assert message == (
            f"column level of claims.{table} is smallint, which cannot show Constant, since 40000 is more than 32767: it is NULL instead"
        )
        tenant.agent()
        tenant.person()
        assert tenant.ask().ready().rows(f"SELECT * FROM {table}") == [(None, "DE")]


@pytest.mark.parametrize("subject", [text for text in HOSTILE if "\x00" not in text], ids=lambda text: ascii(text)[:20])
def test_hostile_subjects_never_reach_the_operator(tenant: Tenant, subject: str):
    user = {"issuer": ISSUER, "subject": subject}
    body = tenant.described(
        "VendedRole", {"agentRef": {"name": tenant.name}, "user": user, "platformRefs": [{"name": WAREHOUSE}]}, "", AGENTS
    )

    refused = tenant.site.cluster.create(body)

    assert refused.status == 422
    assert "spec.user.subject" in refused.message


@pytest.mark.parametrize(
    "text",
    ["'; DROP ROLE postgres; --", 'a"b', "$$; SELECT 1; $$", "\\'; --", "%s%(x)s{0}", "O'Brien-Ünïcödé 🙂", "a,b{c}", "x" * 255],
    ids=lambda text: ascii(text)[:20],
)
def test_hostile_texts_that_are_legal_are_values_and_nothing_more(tenant: Tenant, text: str):
    user = {"issuer": f"https://{text}"[:512], "subject": text}
    facts = [{"key": "tenant", "values": [tenant.name]}, {"key": "countries", "values": ["DE", text]}]
    tenant.make("UserAttributes", {"user": user, "attributes": facts}, f"hostile.{tenant.name}")
    tenant.agent()
    tenant.policy()

    asked = tenant.ask(user=user).ready()

    assert asked.rows("SELECT person_id FROM people") == [(1,)]
    assert tenant.site.warehouse.ask("SELECT issuer, subject FROM rolevend.lease WHERE role = %s", asked.role) == [
        (user["issuer"], user["subject"])
    ]
    asked.delete()
    asked.gone()


def test_tables_and_columns_with_hostile_names_are_read_like_any_other(tenant: Tenant):
    hostile = 'x"; DROP TABLE claims.people; --'
    quoted = '"' + hostile.replace('"', '""') + '"'
    database: Governed = tenant.site.warehouse
    database.ask(f"CREATE TABLE claims.{quoted} ({quoted} text, country text)")
    database.ask(f"ALTER TABLE claims.{quoted} OWNER TO app_owner")
    database.ask(f"INSERT INTO claims.{quoted} VALUES ('seen', 'DE'), ('unseen', 'US')")
    tenant.agent()
    tenant.person()
    tenant.site.told(tenant.policy("", "x*", masks=[]), "Ready", "True")

    asked = tenant.ask().ready()

    assert asked.rows(f"SELECT {quoted} FROM {quoted}") == [("seen",)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        asked.rows(f"SELECT * FROM claims.{quoted}")
