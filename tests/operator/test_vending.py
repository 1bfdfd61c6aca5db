"""A VendedRole becomes a role that can log in, and is gone when the object is."""

from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.support.governed import SCHEMA
from tests.support.site import AGENTS, Site
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually


def test_whoever_asks_gets_a_secret_with_a_login_that_reads_what_policy_grants_and_nothing_else(tenant: Tenant):
    tenant.ready_to_ask()

    asked = tenant.ask().ready()
    login = asked.login()

    assert set(login) == {"username", "password", "host", "port", "dbname", "schema", "sslmode", "ca.crt", "uri"}
    assert login["username"] == asked.role
    assert asked.rows("SELECT current_schema()::text") == [(login["schema"],)]
    assert asked.role.startswith(f"IMMUTA_VENDED_{tenant.handle}_")
    assert asked.rows("SELECT person_id, full_name, ssn FROM people ORDER BY 1") == [(1, "Lena Bauer", None), (2, "Anton Huber", None)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        asked.rows("SELECT * FROM claims.people")
    with pytest.raises(psycopg.errors.UndefinedTable):
        asked.rows("SELECT * FROM payments")


def test_the_single_keys_of_the_secret_log_in_as_the_uri_does(tenant: Tenant, tmp_path: Path):
    login = tenant.ready_to_ask().ask().ready().login()
    authority = tmp_path / "ca.crt"
    authority.write_text(login["ca.crt"])

    dsn = make_conninfo(host=login["host"], port=login["port"], dbname=login["dbname"], user=login["username"], password=login["password"])
    with psycopg.connect(dsn, sslmode=login["sslmode"], sslrootcert=str(authority)) as session:
        assert session.execute("SELECT session_user::text").fetchone() == (login["username"],)


def test_the_secret_belongs_to_the_object_and_cannot_be_changed(tenant: Tenant):
    asked = tenant.ready_to_ask().ask().ready()

    secret = tenant.site.secret(AGENTS, asked.name).body

    (owner,) = secret["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == ("VendedRole", asked.name, asked.uid, True)
    assert secret["immutable"] is True
    assert secret["type"] == "rolevend.dev/credential"


def test_the_status_says_what_was_made_and_for_whom(tenant: Tenant):
    tenant.person(handle=f"P{tenant.handle}")
    tenant.agent()
    tenant.policy()

    status = tenant.ask().ready().status

    assert status["user"]["handle"] == f"P{tenant.handle}"
    assert status["user"]["proof"] == "Asserted"
    assert status["user"]["attributes"] == [{"key": "countries", "values": ["AT", "DE"]}], "only what a policy reads"
    (platform,) = status["platforms"]
    assert (platform["name"], platform["state"], platform["tableCount"]) == ("warehouse", "Live", 1)
    conditions = {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}
    assert conditions == {"Granted": ("True", "PolicyGrants"), "Ready": ("True", "Live"), "UserProven": ("False", "Asserted")}


def test_the_life_of_a_role_is_told_in_kubernetes_events(tenant: Tenant):
    asked = tenant.ready_to_ask().ask().ready()
    eventually(lambda: any(reason == "Vended" and asked.role in message for reason, message in asked.events()))

    asked.delete()
    asked.gone()

    eventually(lambda: any(reason == "Dropped" and "Released" in message for reason, message in asked.events()))


def test_a_role_that_waits_for_its_profile_says_how_far_that_is_until_it_is_built(site: Site, tenant: Tenant):
    """Somebody's transaction holds the table."""
    tenant.agent()
    tenant.person()
    of_its_own = "country IN (user_attr('countries')) AND person_id < 7100"  # or another test might have built it
    site.told(tenant.policy(rowFilter=of_its_own), "Ready", "True")
    with psycopg.connect(site.warehouse.superuser.dsn) as holder:
        holder.execute(f"LOCK TABLE {SCHEMA}.people IN ACCESS SHARE MODE")
        asked = tenant.ask()
        assert asked.refused("Building") == "building its profile: 0 of 1 tables have their template"
    assert asked.ready().rows("SELECT count(*) FROM people") == [(2,)]


def test_kubectl_get_answers_what_a_person_asks(tenant: Tenant):
    tenant.person(handle=f"P{tenant.handle}")
    tenant.agent()
    tenant.policy()
    asked = tenant.ask().ready()

    heading, row = tenant.site.cluster.kubectl("get", "vr", asked.name, "--namespace", AGENTS).splitlines()

    assert heading.split() == ["NAME", "READY", "REASON", "AGENT", "USER", "ROLE", "EXPIRES", "AGE"]
    assert row.split()[:7] == [
        *(asked.name, "True", "Live", tenant.name, f"P{tenant.handle}", asked.role),
        asked.status["expirationTimestamp"],
    ]


def test_two_people_behind_one_agent_see_their_own_rows(tenant: Tenant):
    tenant.agent()
    tenant.policy()
    tenant.person("anna")
    tenant.person("bob", countries=["US"])

    anna, bob = tenant.ask("anna").ready(), tenant.ask("bob").ready()

    assert anna.rows("SELECT person_id FROM people ORDER BY 1") == [(1,), (2,)]
    assert bob.rows("SELECT person_id FROM people ORDER BY 1") == [(3,)]


def test_the_time_to_live_counts_from_the_creation_of_the_object(tenant: Tenant):
    asked = tenant.ask(seconds=600)  # nobody is registered yet
    asked.refused("AgentUnknown")
    tenant.ready_to_ask()
    asked.ready()

    (created, expires), *_ = tenant.site.warehouse.ask(
        "SELECT %s::timestamptz + interval '600 s', expires_at FROM rolevend.lease WHERE role = %s",
        asked.body["metadata"]["creationTimestamp"],
        asked.role,
    )
    assert expires == created


def test_what_is_asked_for_and_through_which_agent_decides_what_is_granted(tenant: Tenant):
    tenant.agent()
    tenant.person()
    users = tenant.policy_spec()["users"] | {"matchConditions": [{"name": "purpose", "expression": "request.purpose == 'fraud-review'"}]}
    agents = {"matchAttributes": [{"key": "team", "operator": "In", "values": ["claims"]}]}
    tenant.site.told(tenant.policy("", "people", "claims", users=users, agents=agents), "Ready", "True")
    fraud, tables = {"purpose": "fraud-review"}, [{"schema": "claims", "table": "people"}]

    narrow = tenant.ask(wanted=fraud | {"resources": tables}).ready()
    wide = tenant.ask(wanted=fraud).ready()

    assert narrow.rows("SELECT person_id FROM people ORDER BY 1") == [(1,), (2,)]
    assert wide.rows("SELECT count(*) > 0 FROM claims") == [(True,)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=r"is narrowed to other tables than claims\.claims"):
        narrow.rows("SELECT * FROM claims")
    (one,), (all_of_them,) = narrow.status["platforms"], wide.status["platforms"]
    assert one["profile"] == all_of_them["profile"]
    assert (one["tableCount"], all_of_them["tableCount"]) == (1, 2)
    for asked, reads in ((narrow, "reads 1 table until"), (wide, "reads 2 tables until")):
        eventually(lambda asked=asked, reads=reads: any(reads in message for reason, message in asked.events() if reason == "Vended"))
    assert "its condition purpose does not hold" in tenant.ask(wanted={"purpose": "reporting"}).refused("ConditionUnmet", granted="False")
    assert "purpose, which is not known" in tenant.ask().refused("ConditionUnmet", granted="False")
    assert "does not let Agent" in tenant.ask(wanted={"purpose": "curiosity"}).refused("NotPermitted", granted="False")
    absent = {"resources": [{"schema": "claims", "table": "absent"}]}
    assert "or is not there" in tenant.ask(wanted=fraud | absent).refused("ResourceNotGranted", granted="False")
