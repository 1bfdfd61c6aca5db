"""An installation says everything first, does exactly that or nothing, and takes from nobody who was there."""

import json
import re
import secrets
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from rolevend.catalog import TableId
from rolevend.errors import Conflict, InvalidInput, PlatformUnavailable
from rolevend.plan import Lease
from rolevend.platforms.postgres import (
    Finding,
    FindingKind,
    InstallPlan,
    Passwords,
    PostgresInstallOptions,
    PostgresLogin,
    PostgresPlatform,
    connected,
    install,
    plan,
    plan_uninstall,
    uninstall,
)
from rolevend.platforms.postgres.install.installer import set_hash_key
from rolevend.platforms.postgres.install.survey import VERSION
from rolevend.platforms.protocol import Address, DropRequest, EndReason, InstallMode, Secret
from rolevend.policytools.embedded.database import PostgresServer
from tests.conformance.bench import CLUSTER, PostgresBench, PostgresSession, installed, profile, shape, vended
from tests.conformance.bench import refused as sqlstate

PASSWORDS = Passwords(Secret("for the vendor"), Secret("for the programmer"))
OPTIONS = PostgresInstallOptions(schemas=("raw",))


class Database:
    """A database before rolevend: an owner, tables, and people who live on what PUBLIC may."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self._platform: PostgresPlatform | None = None
        self.superuser = server.superuser
        self.admin = psycopg.connect(self.superuser.dsn, autocommit=True)
        self.run(
            "CREATE ROLE app_owner; CREATE ROLE reader LOGIN PASSWORD 'x'; CREATE ROLE app LOGIN PASSWORD 'x'; CREATE ROLE a_group;"
            "CREATE SCHEMA raw AUTHORIZATION app_owner; CREATE TABLE raw.customers (id integer); INSERT INTO raw.customers VALUES (1);"
            "ALTER TABLE raw.customers OWNER TO app_owner; GRANT USAGE ON SCHEMA raw TO reader; GRANT SELECT ON raw.customers TO reader;"
            "CREATE FUNCTION public.hello() RETURNS integer LANGUAGE sql AS 'SELECT 1'"
        )

    def run(self, statement: str) -> None:
        self.admin.execute(sql.SQL(statement))

    def value(self, statement: str):
        row = self.admin.execute(sql.SQL(statement)).fetchone()
        return None if row is None else row[0]

    def login(self, user: str, password: str = "x", database: str = "postgres") -> PostgresSession:
        return PostgresSession(psycopg.connect(self.superuser.as_user(user, password).to_database(database).dsn, autocommit=True))

    def plan(self, options: PostgresInstallOptions = OPTIONS) -> InstallPlan:
        return plan(self.admin, options)

    def install(self, options: PostgresInstallOptions = OPTIONS, accept: str = "") -> InstallPlan:
        digest = accept or self.plan(options).digest
        return install(self.admin, options, accept=digest, passwords=PASSWORDS, randomness=secrets.token_bytes)

    def platform(self) -> PostgresPlatform:
        self.close()
        self._platform = PostgresPlatform(
            Address(self.superuser.host, self.superuser.port, "postgres", self.superuser.tls),
            CLUSTER,
            PostgresLogin("rv_vendor", Secret("for the vendor")),
            PostgresLogin("rv_programmer", Secret("for the programmer")),
        )
        return self._platform

    def close(self) -> None:
        if self._platform is not None:
            self._platform.close()


@pytest.fixture
def database(server: PostgresServer) -> Iterator[Database]:
    made = Database(server)
    yield made
    made.close()
    made.admin.close()


def of_kind(found: InstallPlan, kind: FindingKind) -> dict[str, str]:
    return {finding.subject: finding.text for finding in found.findings if finding.kind is kind}


def test_the_whole_story(database: Database):
    """One server for all that an installation promises: a server takes a second to start."""
    nothing_changes_without_consent(database)
    the_plan_says_who_is_touched(database)
    superusers_tables_are_refused(database)
    a_failure_leaves_nothing(database)
    nobody_who_was_there_loses_anything(database)
    installing_again_changes_nothing(database)
    another_database_of_the_server_is_refused(database)
    another_version_is_not_touched_and_its_roles_end(database)


def nothing_changes_without_consent(database: Database):
    found = database.plan()
    assert found == database.plan()
    assert json.loads(json.dumps(found.as_json()))["digest"] == found.digest
    with pytest.raises(Conflict, match="read the new plan"):
        database.install(accept="0" * 64)
    database.run("CREATE ROLE newcomer LOGIN")
    with pytest.raises(Conflict, match="read the new plan"):
        database.install(accept=found.digest)
    assert database.value("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'rv\\_%'") == 0
    assert database.value("SELECT to_regnamespace('rolevend')") is None
    database.run("DROP ROLE newcomer")
    assert database.plan().digest == found.digest
    assert database.plan(PostgresInstallOptions(schemas=("raw",), vendor="another")).digest != found.digest


def the_plan_says_who_is_touched(database: Database):
    database.run(
        "CREATE VIEW raw.a_view AS SELECT 1 AS a; CREATE TABLE public.shared (a integer); GRANT SELECT ON public.shared TO PUBLIC;"
        "CREATE FUNCTION public.as_owner() RETURNS integer LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'"
    )
    found = database.plan()
    text = found.text()
    assert found.refusals == ()
    keeps = of_kind(found, FindingKind.KEEPS)
    for login in ("reader", "app"):
        for right in ("database postgres", "database template1", "schema public", "language plpgsql"):
            assert right in keeps[login]
    assert "rv_public" in keeps["database template1"]
    readers = of_kind(found, FindingKind.READERS)["raw.customers"]
    assert "reader" in readers
    assert "its owner app_owner" in readers
    assert "PostgreSQL has no row security for it" in of_kind(found, FindingKind.UNGOVERNED)["raw.a_view"]
    opened = of_kind(found, FindingKind.OPEN)
    assert "REVOKE ALL ON public.shared FROM PUBLIC" in opened["public.shared"]
    assert "acts with the rights of postgres" in opened["public.as_owner()"]
    for finding in found.findings:
        assert str(finding) in text
    for statement in found.statements:
        assert statement.text in text
    assert found.digest in text
    assert "SCRAM-SHA-256$4096" not in text
    database.run("DROP VIEW raw.a_view; DROP TABLE public.shared; DROP FUNCTION public.as_owner()")


def superusers_tables_are_refused(database: Database):
    database.run("CREATE TABLE raw.supers (); CREATE ROLE above; GRANT postgres TO above; CREATE TABLE raw.aboves ();")
    database.run("ALTER TABLE raw.aboves OWNER TO above")
    found = database.plan()
    assert {finding.subject for finding in found.refusals} == {"raw.supers", "raw.aboves"}
    assert "ALTER TABLE raw.supers OWNER TO" in of_kind(found, FindingKind.REFUSED)["raw.supers"]
    with pytest.raises(Conflict, match=r"raw\.supers"):
        database.install(accept=found.digest)
    assert database.value("SELECT to_regnamespace('rolevend')") is None
    database.run("DROP TABLE raw.supers, raw.aboves; DROP ROLE above")
    assert "no such schema" in of_kind(database.plan(PostgresInstallOptions(schemas=("raw", "nowhere"))), FindingKind.REFUSED)["nowhere"]
    for strength in ("SUPERUSER", "BYPASSRLS", "CREATEROLE"):
        database.run(f"CREATE ROLE rv_vendor LOGIN {strength}")
        assert of_kind(database.plan(), FindingKind.REFUSED).keys() == {"rv_vendor"}
        database.run("DROP ROLE rv_vendor")


def a_failure_leaves_nothing(database: Database):
    """As when a connection breaks in the middle: here the last statement fails."""
    with pytest.raises(InvalidInput, match="password"):
        install(
            database.admin,
            OPTIONS,
            accept=database.plan().digest,
            passwords=Passwords(vendor=Secret("pässword")),
            randomness=secrets.token_bytes,
        )
    database.run("CREATE FUNCTION public.stop() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'stop'; END $$")
    database.run("CREATE EVENT TRIGGER stop ON ddl_command_end WHEN TAG IN ('CREATE PROCEDURE') EXECUTE FUNCTION public.stop()")
    digest = database.plan().digest
    with pytest.raises(Exception, match="stop"):
        database.install(accept=digest)
    assert database.value("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'rv\\_%'") == 0
    assert database.value("SELECT has_database_privilege('app', 'template1', 'CONNECT')")
    database.run("DROP EVENT TRIGGER stop; DROP FUNCTION public.stop()")


def nobody_who_was_there_loses_anything(database: Database):
    with pytest.raises(PlatformUnavailable, match="authentication failed"):
        database.platform().facts()
    done = database.install()
    assert done.refusals == ()
    for login in ("reader", "app"):
        session = database.login(login)
        session.rows("SELECT public.hello()")
        session.run("CREATE TEMPORARY TABLE t (a integer); DO $$ BEGIN END $$; SELECT pg_advisory_lock(1); SELECT lo_create(0)")
        session.close()
        database.login(login, database="template1").close()
    group = database.login("reader")
    database.run("GRANT a_group TO reader")
    group.run("SET ROLE a_group; SELECT public.hello()")
    group.close()
    database.run("CREATE ROLE later LOGIN PASSWORD 'x'")
    assert sqlstate(lambda: database.login("later", database="template1")) in (None, "OperationalError")
    platform = database.platform()
    assert platform.facts().version.startswith(str(database.server.version))
    assert platform.catalog(frozenset({"raw"})).tables
    assert "for the vendor" not in database.server.log.read_text()


def installing_again_changes_nothing(database: Database):
    salt = database.value("SELECT salt FROM rolevend.salt")
    again = database.install()
    assert not any("PUBLIC" in each.text and "GRANT" in each.text and "ROUTINES" not in each.text for each in again.statements[-6:])
    assert again.digest == database.install().digest
    assert database.value("SELECT salt FROM rolevend.salt") == salt
    assert not any(each.text.startswith(("CREATE ROLE", "CREATE EVENT TRIGGER")) for each in again.statements)
    database.run("CREATE DATABASE opened")
    platform = database.platform()
    assert any("opened" in text for text in platform.facts().limitations)
    assert "REVOKE CONNECT ON DATABASE opened FROM PUBLIC" in [each.text for each in database.install().statements]
    assert not any("opened" in text for text in platform.facts().limitations)
    with pytest.raises(Conflict, match="use these"):
        database.plan(PostgresInstallOptions(schemas=("raw",), vendor="another"))


def another_database_of_the_server_is_refused(database: Database):
    elsewhere = psycopg.connect(database.superuser.to_database("opened").dsn, autocommit=True)
    elsewhere.execute("CREATE SCHEMA raw")
    with pytest.raises(Conflict, match="vends from the database postgres already"):
        plan(elsewhere, OPTIONS)
    elsewhere.close()


def another_version_is_not_touched_and_its_roles_end(database: Database):
    """As after a rollback of rolevend over SQL that stays, and as before an installation that an upgrade needs."""
    platform = database.platform()
    wanted = profile(shape(platform.catalog(frozenset({"raw"})).tables[TableId("raw", "customers")]))
    leases = [vended(platform, wanted)[0] for _ in range(2)]
    digest = database.plan().digest

    database.run("UPDATE rolevend.version SET version = version + 1")

    newer = (
        rf"version {VERSION + 1} of rolevend's SQL is installed in this database, and this rolevend knows {VERSION}: use a newer rolevend"
    )
    for attempt in (
        database.plan,
        lambda: database.install(accept=digest),
        lambda: plan_uninstall(database.admin, OPTIONS),
        lambda: uninstall(database.admin, OPTIONS, accept=digest),
        lambda: set_hash_key(database.admin, "claims", Secret("k" * 32)),
    ):
        with pytest.raises(Conflict, match=newer):
            attempt()
    assert database.value("SELECT version FROM rolevend.version") == VERSION + 1
    ends(database, leases[0], newer)
    database.run("UPDATE rolevend.version SET version = 1")
    ends(database, leases[1], f"version 1 of rolevend's SQL is installed in this database, and {VERSION} is needed: plan and run")
    with pytest.raises(Conflict, match="cannot set the hash key: version 1"):
        set_hash_key(database.admin, "claims", Secret("k" * 32))
    database.run("DROP SCHEMA rolevend CASCADE")
    with pytest.raises(PlatformUnavailable, match="not installed"):
        database.platform().facts()


def ends(database: Database, lease: Lease, unusable: str) -> None:
    """By an operator that starts now, and may vend nothing."""
    platform = database.platform()
    facts = platform.facts()
    assert re.search(unusable, facts.unusable or "")
    assert facts.install_mode is InstallMode.SUPERUSER
    assert lease.role in [each.role for each in platform.live()]
    assert [each.error for each in platform.drop([DropRequest(lease.role, lease.uid, EndReason.RELEASED)])] == [None]
    assert not database.value(f"SELECT count(*) FROM pg_roles WHERE rolname = '{lease.role}'")


def test_somebody_without_superuser_is_refused_clearly(bench: PostgresBench):
    with (
        connected(bench.address, bench.programmer) as connection,
        pytest.raises(Conflict, match="takes a superuser"),
    ):
        plan(connection, OPTIONS)


@pytest.mark.parametrize("schema", ["pg_catalog", "rolevend", "information_schema"])
def test_schemas_that_cannot_be_governed(schema: str):
    with pytest.raises(InvalidInput):
        PostgresInstallOptions(schemas=(schema,))


@pytest.mark.parametrize(
    "changes", [{"vendor": "x" * 64}, {"vendor": ""}, {"vendor": "pg_x"}, {"vendor": "a\0b"}, {"programmer": "rv_vendor"}]
)
def test_logins_that_cannot_be(changes: dict[str, str]):
    with pytest.raises(InvalidInput):
        PostgresInstallOptions(schemas=("raw",), **changes)


def test_the_logins_may_have_any_names(server: PostgresServer):
    superuser = server.superuser
    with installed(
        superuser.host,
        superuser.port,
        superuser.user,
        superuser.password,
        'My "DB"',
        server.version,
        tls=superuser.tls,
        vendor='The "vendor"',
        programmer="prógrammer",
    ) as bench:
        people = bench.people()
        _, credential = vended(bench.platform, profile(shape(people)))
        assert bench.log_in(credential).rows("SELECT count(*) FROM people") == [(6,)]


def test_findings_are_sentences():
    assert str(Finding(FindingKind.OPEN, "server", "is open")) == "server: is open"
