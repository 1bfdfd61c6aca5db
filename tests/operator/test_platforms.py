"""A DataPlatform says whether it can be used, and why not; what is mended heals by itself, and no fault of one is another's."""

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import yaml
from psycopg import sql
from psycopg.errors import UndefinedTable

from rolevend.app.platform import install, plan
from testbed.installation import NAMESPACE
from tests.support.governed import Governed
from tests.support.installed import Body
from tests.support.site import ANNEX, SCHEMA, WAREHOUSE, Site, data_platform
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually


@pytest.fixture
def annex(site: Site) -> Iterator[Body]:
    """The platform for faults, in order before the test, and in order again after it."""
    site.wait_for_platform(ANNEX)
    yield {"kind": "DataPlatform", "metadata": {"name": ANNEX}}
    site.annex.server.start()
    site.wait_for_platform(ANNEX)


def condition(site: Site, platform: Body, type_: str) -> tuple[str, str]:
    found = site.condition(platform, type_)
    return found["status"], found["reason"]


def test_it_says_what_it_found(site: Site):
    platform = {"kind": "DataPlatform", "metadata": {"name": WAREHOUSE}}

    status = site.cluster.read(platform).body["status"]

    assert status["serverVersion"].startswith("17.")
    assert status["tableCount"] >= 4
    assert condition(site, platform, "Accepted") == ("True", "Valid")
    eventually(lambda: condition(site, platform, "InSync") == ("True", "AsProgrammed"))
    assert status["installMode"] == "Superuser"


def test_a_platform_that_was_never_reached_is_unknown_and_no_alert_of_a_changed_table_fires(site: Site):
    never = data_platform("never", site.warehouse)  # whose logins are not there
    site.apply(never)

    site.told(never, "InSync", "Unknown", "NotReached")

    site.told(never, "Ready", "False")
    ready = 'rolevend_platform_condition{condition="Ready",platform="never"} 0.0'
    shown = eventually(lambda: [line for line in site.operator.probe("/metrics")[1].splitlines() if 'platform="never"' in line])
    assert [line for line in shown if line.startswith("rolevend_platform_condition")].count(ready) == 1
    assert not [line for line in shown if "InSync" in line], "0 fires RolevendGovernedTableChanged at once"
    why = "Ready is False: InvalidInput; the conditions of DataPlatform never say why"
    eventually(lambda: ("InvalidInput", why) in site.events("default", "never"))
    site.remove(never)
    eventually(lambda: site.cluster.read(never).status == 404)


def test_it_says_when_there_is_no_superuser_and_what_that_leaves_open(site: Site, annex: Body):
    status = site.cluster.read(annex).body["status"]

    assert status["installMode"] == "Managed"
    assert any("DO blocks" in text for text in status["limitations"])
    assert any("live roles at a time" in text for text in status["limitations"])


def test_a_second_platform_on_the_same_server_is_not_accepted(site: Site):
    twin = data_platform("warehouse-twin", site.warehouse)
    twin["spec"] = data_platform(WAREHOUSE, site.warehouse)["spec"]
    site.apply(twin)

    message = site.told(twin, "Accepted", "False", "Conflict")

    assert f"spec.postgres: this is the server of DataPlatform {WAREHOUSE}" in message
    site.wait_for_platform(WAREHOUSE)
    site.remove(twin)
    eventually(lambda: site.cluster.read(twin).status == 404)


def test_a_missing_secret_is_named_and_the_platform_heals_when_it_comes(site: Site, annex: Body, tenant: Tenant):
    tenant.ready_to_ask(ANNEX)
    login = site.text_of(site.secret(NAMESPACE, "annex-vendor"))
    site.cluster.call("DELETE", f"/api/v1/namespaces/{NAMESPACE}/secrets/annex-vendor")

    message = site.wait_for_platform(ANNEX, "False", "InvalidInput")

    assert f"spec.credentials.vendorSecretRef: there is no Secret annex-vendor in namespace {NAMESPACE}" in message
    site.put_secret(NAMESPACE, "annex-vendor", **login)
    site.wait_for_platform(ANNEX)
    tenant.ask(platform=ANNEX).ready()


def test_a_secret_without_a_password_is_named_with_the_key_that_is_missing(site: Site, annex: Body):
    login = site.text_of(site.secret(NAMESPACE, "annex-programmer"))
    site.put_secret(NAMESPACE, "annex-programmer", username=login["username"])

    # A moment before there was no Secret at all, which is told, too.
    told = f"spec.credentials.programmerSecretRef: Secret {NAMESPACE}/annex-programmer has no usable key password"
    eventually(lambda: told in site.wait_for_platform(ANNEX, "False", "InvalidInput"))
    site.put_secret(NAMESPACE, "annex-programmer", **login)
    site.wait_for_platform(ANNEX)


def test_a_rotated_password_is_used_as_soon_as_both_sides_have_it(site: Site, annex: Body, tenant: Tenant):
    tenant.ready_to_ask(ANNEX)
    live = tenant.ask(platform=ANNEX).ready()
    login = site.text_of(site.secret(NAMESPACE, "annex-vendor"))
    site.put_secret(NAMESPACE, "annex-vendor", username=login["username"], password="rotated-in-Kubernetes-first")

    message = site.wait_for_platform(ANNEX, "False", "PlatformUnavailable")

    assert "password authentication failed" in message
    assert "rotated-in-Kubernetes-first" not in message
    site.issued.add("rotated-in-Kubernetes-first")
    site.annex.ask(f"ALTER ROLE {login['username']} PASSWORD 'rotated-in-Kubernetes-first'")
    site.wait_for_platform(ANNEX)
    assert live.is_ready()
    tenant.ask(platform=ANNEX).ready()


def test_passwords_are_hashed_as_often_as_the_platform_says(site: Site, annex: Body, tenant: Tenant):
    tenant.ready_to_ask(ANNEX)
    assert tenant.ask(platform=ANNEX).ready().iterations() == "4096"
    assert site.cluster.patch(annex, {"spec": {"postgres": {"scramIterations": 7}}}).ok
    try:
        eventually(lambda: tenant.ask(platform=ANNEX).ready().iterations() == "7")
        assert tenant.ask(platform=ANNEX).ready().rows("SELECT 1") == [(1,)]
    finally:
        site.cluster.patch(annex, {"spec": {"postgres": {"scramIterations": None}}})


def test_qualified_names_hold_for_the_next_role_and_end_the_others(site: Site, annex: Body, tenant: Tenant):
    tenant.ready_to_ask(ANNEX)
    live = tenant.ask(platform=ANNEX).ready()
    assert live.rows("SELECT count(*) FROM people") == [(2,)]
    assert site.cluster.patch(annex, {"spec": {"tableNames": "Qualified"}}).ok
    try:
        eventually(lambda: not live.has_role())
        qualified = tenant.ask(platform=ANNEX, name=f"{tenant.name}-new").ready()
        assert qualified.rows(f"SELECT count(*) FROM {SCHEMA}__people") == [(2,)]
        with pytest.raises(UndefinedTable):
            qualified.rows("SELECT count(*) FROM people")
    finally:
        site.cluster.patch(annex, {"spec": {"tableNames": None}})


@pytest.mark.long
def test_a_catalog_that_somebody_locks_is_named_with_the_way_out_and_takes_no_role_away(site: Site, annex: Body, tenant: Tenant):
    tenant.ready_to_ask(ANNEX)
    live = tenant.ask(platform=ANNEX).ready()
    with psycopg.connect(site.annex.superuser.dsn) as maintenance:
        maintenance.execute("LOCK TABLE pg_description IN ACCESS EXCLUSIVE MODE")

        message = site.wait_for_platform(ANNEX, "False", "PlatformLocked")

        assert "cannot read the catalog of" in message
        assert "a transaction there locks a table or a system catalog" in message
        (query,) = re.findall(r"See which: (SELECT .*?);", message)
        assert (maintenance.info.backend_pid, "pg_description") in site.annex.ask(query)
        assert live.is_ready()
    site.wait_for_platform(ANNEX)
    tenant.ask(platform=ANNEX).ready()


def test_while_the_server_is_down_requests_wait_endings_wait_and_nothing_is_lost(site: Site, annex: Body, tenant: Tenant):
    tenant.ready_to_ask(ANNEX)
    staying, leaving = tenant.ask(platform=ANNEX).ready(), tenant.ask(platform=ANNEX).ready()
    login = staying.login()
    site.annex.server.kill()
    message = site.wait_for_platform(ANNEX, "False", "PlatformUnavailable")
    assert str(site.annex.superuser.port) in message

    leaving.delete()
    waiting = tenant.ask(platform=ANNEX)

    eventually(lambda: "PlatformUnavailable" in leaving.refused("Dropping"))
    assert "rolevend.dev/drop" in (leaving.now() or {})["metadata"]["finalizers"]
    waiting.refused("PlatformUnavailable")
    assert staying.is_ready(), "an outage is no reason to end a role"
    site.annex.server.start()
    leaving.gone()
    assert not leaving.has_role()
    assert waiting.ready().rows("SELECT count(*) FROM people") == [(2,)]
    with site.annex.session(login) as session:
        assert session.execute("SELECT count(*) FROM people").fetchall() == [(2,)]
    eventually(lambda: site.annex.roles() == {staying.role, waiting.role})


def test_a_server_that_restarts_loses_no_role(site: Site, annex: Body, tenant: Tenant):
    tenant.ready_to_ask(ANNEX)
    asked = tenant.ask(platform=ANNEX).ready()

    site.annex.server.restart()

    assert tenant.ask(platform=ANNEX).ready()
    assert asked.is_ready()
    assert asked.rows("SELECT count(*) FROM people") == [(2,)]


@pytest.mark.long
def test_an_operator_that_starts_before_the_server_does_catches_up(site: Site, annex: Body, tenant: Tenant):
    tenant.ready_to_ask(ANNEX)
    leaving, staying = tenant.ask(platform=ANNEX).ready(), tenant.ask(platform=ANNEX).ready()
    site.operator.kill()
    site.annex.server.stop()
    leaving.delete()
    waiting = tenant.ask(platform=ANNEX)

    site.start_operator()

    site.wait_for_platform(ANNEX, "False", "PlatformUnavailable")
    tenant.site.wait_for_platform(WAREHOUSE)
    assert staying.is_ready()
    site.annex.server.start()
    waiting.ready()
    leaving.gone()
    eventually(lambda: site.annex.roles() == {staying.role, waiting.role})


@pytest.mark.long
def test_an_operator_that_was_rolled_back_vends_nothing_over_newer_sql_and_ends_what_lives(site: Site, annex: Body, tenant: Tenant):
    tenant.ready_to_ask(ANNEX)
    leaving, staying = tenant.ask(platform=ANNEX).ready(), tenant.ask(platform=ANNEX).ready()
    site.operator.stop()
    site.annex.ask("UPDATE rolevend.version SET version = version + 1")
    try:
        site.start_operator()

        assert "of rolevend's SQL is installed in this database, and this rolevend knows" in site.wait_for_platform(
            ANNEX, "False", "PlatformUnavailable"
        )
        assert "use a newer rolevend" in tenant.ask(platform=ANNEX, name=f"{tenant.name}-new").refused(
            "PlatformUnavailable", granted="Unknown"
        )
        leaving.delete()
        leaving.gone()
        assert not leaving.has_role()
        assert site.annex.ended(leaving.role) == "Released"
        assert staying.is_ready()
        assert staying.rows("SELECT count(*) FROM people") == [(2,)]
    finally:
        site.annex.ask("UPDATE rolevend.version SET version = version - 1")
    site.wait_for_platform(ANNEX)
    assert tenant.ask(platform=ANNEX).ready()


@pytest.mark.long
def test_a_platform_that_is_deleted_waits_for_its_last_role(site: Site, annex: Body, tenant: Tenant):
    tenant.agent()
    tenant.person()
    policy = tenant.policy(platform=ANNEX)
    asked = tenant.ask(platform=ANNEX).ready()

    site.remove(annex)

    assert site.cluster.read(annex).body["metadata"]["deletionTimestamp"]
    site.told(policy, "Accepted", "False", "PlatformUnknown")
    assert "DataPlatform annex: it is being deleted" in tenant.ask(platform=ANNEX).refused("PlatformClosed", granted="Unknown")
    assert site.cluster.read(annex).ok
    assert asked.rows("SELECT count(*) FROM people") == [(2,)]
    eventually(lambda: site.metric("rolevend_platform_up", platform=ANNEX) == 1)
    asked.delete()
    asked.gone()
    eventually(lambda: site.annex.roles() == set())
    eventually(lambda: site.cluster.read(annex).status == 404)
    eventually(lambda: not told_of_now(site, ANNEX))
    assert told_of_now(site, WAREHOUSE)
    site.apply(data_platform(ANNEX, site.annex))
    site.wait_for_platform(ANNEX)


def told_of_now(site: Site, platform: str) -> list[str]:
    """The gauges of this platform, as a scrape sees them."""
    lines = site.operator.probe("/metrics")[1].splitlines()
    gauges = {name for line in lines if line.startswith("# TYPE ") for _, _, name, kind in [line.split()] if kind == "gauge"}
    return [line for line in lines if f'platform="{platform}"' in line and line.partition("{")[0] in gauges]


@pytest.mark.long
def test_a_platform_that_comes_last_serves_who_waited(site: Site, annex: Body, tenant: Tenant):
    site.remove(annex)
    eventually(lambda: site.cluster.read(annex).status == 404)
    tenant.agent()
    tenant.person()
    policy = tenant.policy(platform=ANNEX)
    asked = tenant.ask(platform=ANNEX)
    asked.refused("PlatformUnknown", granted="Unknown")
    site.told(policy, "Accepted", "False", "PlatformUnknown")

    site.apply(data_platform(ANNEX, site.annex))

    site.told(policy, "Ready", "True")
    assert asked.ready().rows("SELECT count(*) FROM people") == [(2,)]


@pytest.fixture
def elsewhere(annex: Body, site: Site, tmp_path: Path) -> Iterator[Governed]:
    """Another server with rolevend in it, for the logins of `annex`, which is where it was again after the test."""
    with Governed() as other:
        manifest = tmp_path / "elsewhere.yaml"
        manifest.write_text(yaml.safe_dump(data_platform(ANNEX, other)))
        install(manifest, other.superuser.dsn, plan(manifest, other.superuser.dsn).digest, NAMESPACE)
        own, theirs = site.text_of(site.secret(NAMESPACE, "annex-ca")), other.superuser.authority or ""
        site.put_secret(NAMESPACE, "annex-ca", **{"ca.crt": own["ca.crt"] + theirs})
        for login in ("programmer", "vendor"):
            names = site.text_of(site.secret(NAMESPACE, f"annex-{login}"))
            other.ask(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(names["username"]), names["password"]).as_string())
        try:
            yield other
        finally:
            point(site, annex, site.annex)
            site.put_secret(NAMESPACE, "annex-ca", **own)


def point(site: Site, platform: Body, to: Governed) -> None:
    site.patch(platform, {"postgres": {"host": to.superuser.host, "port": to.superuser.port}})


def test_another_server_at_the_address_is_not_taken_for_the_one_that_roles_are_on(
    site: Site, annex: Body, elsewhere: Governed, tenant: Tenant
):
    tenant.ready_to_ask(ANNEX)
    leaving, staying = tenant.ask(platform=ANNEX).ready(), tenant.ask(platform=ANNEX).ready()

    point(site, annex, elsewhere)

    assert "Point it back" in site.told(annex, "Accepted", "False", "ServerChanged")
    leaving.delete()
    eventually(lambda: "PlatformUnavailable" in leaving.refused("Dropping"))
    tenant.ask(platform=ANNEX, name=f"{tenant.name}-new").refused("PlatformClosed", granted="Unknown")
    assert "rolevend.dev/drop" in (leaving.now() or {})["metadata"]["finalizers"]
    assert staying.is_ready(), "nobody took its grant away"
    assert {leaving.role, staying.role} <= site.annex.roles()
    assert not elsewhere.roles()

    point(site, annex, site.annex)

    site.told(annex, "Accepted", "True", "Valid")
    leaving.gone()
    assert not leaving.has_role()
    assert site.annex.ended(leaving.role) == "Released"
    assert staying.rows("SELECT count(*) FROM people") == [(2,)]


@pytest.mark.long
def test_a_platform_whose_secrets_are_rotated_again_and_again_leaves_the_operator_alive(site: Site, annex: Body, tenant: Tenant):
    tenant.ready_to_ask(ANNEX)
    site.operator.stop()
    site.start_operator({"SWEEP_SECONDS": "0.05", "PLATFORM_POLL_SECONDS": "0.05", "PLATFORM_RETRY_SECONDS": "0.05"})
    try:
        live = tenant.ask(platform=ANNEX).ready()
        for count in range(12):
            for name in ("annex-vendor", "annex-programmer"):
                login = site.text_of(site.secret(NAMESPACE, name))
                login["password"] = f"rotation-{count}-of-{name}"
                site.issued.add(login["password"])
                site.annex.ask(
                    sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(login["username"]), login["password"]).as_string()
                )
                site.put_secret(NAMESPACE, name, **login)
            asked = tenant.ask(platform=ANNEX).ready()
            asked.delete()
            asked.gone()

        assert site.operator.process.running
        eventually(site.is_healthy)
        site.wait_for_platform(ANNEX)
        assert live.rows("SELECT count(*) FROM people") == [(2,)]
        faults = [line for line in site.operator.log.read_text().splitlines() if "Traceback" in line]
        assert not faults
    finally:
        site.operator.stop()
        site.start_operator()


@pytest.mark.long
def test_a_role_whose_agent_goes_while_its_platform_is_being_deleted_ends(site: Site, annex: Body, tenant: Tenant):
    agent = tenant.agent()
    tenant.person()
    policy = tenant.policy(platform=ANNEX)
    asked = tenant.ask(platform=ANNEX).ready()
    site.remove(annex)
    site.told(policy, "Accepted", "False", "PlatformUnknown")
    assert asked.is_ready()

    site.remove(agent)

    asked.gone()
    assert site.annex.ended(asked.role) == "Revoked"
    eventually(lambda: site.cluster.read(annex).status == 404)
    site.apply(data_platform(ANNEX, site.annex))


class TestDrift:
    @pytest.mark.parametrize(
        "mended", ["ALTER TABLE claims.reserves ENABLE ROW LEVEL SECURITY", "SELECT rolevend.accept('claims.reserves')"]
    )
    def test_row_security_that_is_switched_off_ends_the_roles_that_read_there_and_stops_vending_until_it_is_mended(
        self, site: Site, tenant: Tenant, mended: str
    ):
        warehouse = {"kind": "DataPlatform", "metadata": {"name": WAREHOUSE}}
        tenant.agent()
        tenant.person("anna", table=["reserves"])
        tenant.person("bob")
        only_anna = {
            "matchAttributes": [
                {"key": "tenant", "operator": "In", "values": [tenant.name]},
                {"key": "table", "operator": "In", "values": ["reserves"]},
            ]
        }
        tenant.policy(f"{tenant.name}-reserves", "reserves", users=only_anna, masks=[])
        tenant.policy()
        reader, other = tenant.ask("anna").ready(), tenant.ask("bob").ready()

        def in_sync() -> float:
            return site.metric("rolevend_platform_condition", platform=WAREHOUSE, condition="InSync")

        eventually(lambda: in_sync() == 1)

        site.warehouse.ask("ALTER TABLE claims.reserves DISABLE ROW LEVEL SECURITY")

        assert "claims.reserves" in site.told(warehouse, "InSync", "False", "Drift")
        eventually(lambda: in_sync() == 0)
        reader.gone()
        assert site.warehouse.ended(reader.role) == "Revoked"
        assert other.is_ready()
        waiting = tenant.ask("anna")
        eventually(lambda: "row level security was switched off" in site.condition(waiting.body, "Ready")["message"])
        assert not site.warehouse.ask("SELECT role FROM rolevend.lease WHERE uid = %s", waiting.uid)
        tenant.ask("bob").ready()
        site.warehouse.ask(mended)
        assert waiting.ready().rows("SELECT reserve_id FROM reserves") == [(31,)]
        site.told(warehouse, "InSync", "True")
        eventually(lambda: in_sync() == 1)

    def test_a_table_that_is_dropped_ends_the_roles_that_read_it_and_then_there_is_nothing_to_mend(self, site: Site, tenant: Tenant):
        warehouse = {"kind": "DataPlatform", "metadata": {"name": WAREHOUSE}}
        table = f"claims.{tenant.name}"

        def tables() -> int:
            return int(site.cluster.read(warehouse).body["status"]["tableCount"])

        before = tables()
        site.warehouse.ask(f"CREATE TABLE {table} AS SELECT * FROM claims.people; ALTER TABLE {table} OWNER TO app_owner")
        eventually(lambda: tables() == before + 1)
        tenant.ready_to_ask()
        site.told(tenant.policy(f"{tenant.name}-dropped", tenant.name), "Ready", "True")
        reader = tenant.ask().ready()
        assert reader.rows(f"SELECT count(*) FROM {tenant.name}") == [(2,)]

        site.warehouse.ask(f"DROP TABLE {table} CASCADE")

        reader.gone()
        assert site.warehouse.ended(reader.role) == "Revoked"
        site.told(warehouse, "InSync", "True")
        site.told(warehouse, "Ready", "True")
        assert tenant.ask().ready().rows("SELECT count(*) FROM people") == [(2,)]


def test_a_tag_that_cannot_be_read_ends_the_roles_that_read_its_table_and_is_named(tenant: Tenant):
    """It may be the one by which a column is masked."""
    site = tenant.site
    tenant.agent()
    tenant.person()
    policy = tenant.policy("", "reserves", masks=[])
    site.told(policy, "Ready", "True")
    asked = tenant.ask().ready()
    site.warehouse.ask("COMMENT ON COLUMN claims.reserves.amount IS 'rolevend: secret amount'")
    try:
        asked.gone()
        told = "claims.reserves has a comment on column amount in which 'secret amount' is no tag"
        assert told in site.told(policy, "Ready", "False", "NotGranted")
        eventually(lambda: told in site.wait_for_platform(WAREHOUSE))  # which is Ready before it says so
        tenant.ask().refused("NoTable", granted="False")
    finally:
        site.warehouse.ask("COMMENT ON COLUMN claims.reserves.amount IS NULL")
    tenant.ask().ready()
