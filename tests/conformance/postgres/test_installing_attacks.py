"""Somebody without superuser prepares a database for the administrator who installs or uninstalls: no code of theirs runs, they get no
role of rolevend, and the plan shows what runs."""

import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import sql

from rolevend.cli import cli
from rolevend.errors import Conflict, RolevendError
from rolevend.platforms.postgres import PostgresInstallOptions, install, plan, plan_uninstall
from rolevend.platforms.postgres.install.installer import set_hash_key
from rolevend.platforms.postgres.install.survey import VERSION
from rolevend.platforms.protocol import Secret
from tests.support.catalogs import difference, state
from tests.support.postgres_site import DATABASES, OPTIONS, PASSWORDS, Before, Site, site
from tests.support.waiting import eventually

_RUNS = "BEGIN RAISE EXCEPTION 'ran with the rights of %', current_user; END"
_LIKE_OURS = "version integer, vendor name, programmer name, schemas name[], installed_at timestamptz"
_VALUES = f"{VERSION}, 'rv_vendor', 'rv_programmer', '{{raw}}', now()"
PLANTED = {
    "a view that calls a function": (
        f"CREATE FUNCTION rolevend.f() RETURNS integer LANGUAGE plpgsql AS $${_RUNS}$$;"
        "CREATE VIEW rolevend.version AS SELECT rolevend.f() AS version, 'rv_vendor'::name AS vendor, 'rv_programmer'::name AS programmer;"
        "CREATE VIEW rolevend.salt AS SELECT NULL::text AS domain"
    ),
    "a column with a cast of its own": (
        "CREATE TYPE rolevend.t AS ENUM ('database');"
        f"CREATE FUNCTION rolevend.f(rolevend.t) RETURNS json LANGUAGE plpgsql AS $${_RUNS}$$;"
        "CREATE CAST (rolevend.t AS json) WITH FUNCTION rolevend.f(rolevend.t);"
        f"CREATE TABLE rolevend.version ({_LIKE_OURS}, reach rolevend.t);"
        f"INSERT INTO rolevend.version VALUES ({_VALUES}, 'database')"
    ),
    "a trigger on a table like ours": (
        f"CREATE TABLE rolevend.version ({_LIKE_OURS}, reach text, logins_before name[], one boolean PRIMARY KEY DEFAULT true);"
        f"INSERT INTO rolevend.version VALUES ({_VALUES}, 'server', '{{}}');"
        f"CREATE FUNCTION rolevend.f() RETURNS trigger LANGUAGE plpgsql AS $${_RUNS}$$;"
        "CREATE TRIGGER t BEFORE INSERT OR UPDATE ON rolevend.version EXECUTE FUNCTION rolevend.f()"
    ),
}


def test_nobody_prepares_an_installation(tmp_path: Path):
    with site() as there:
        there.run("CREATE ROLE mallory LOGIN CREATEROLE PASSWORD 'x'; GRANT CREATE ON DATABASE claims TO mallory")
        before = state(there.server, *DATABASES)
        mallory = there.connect("mallory")
        for planted in PLANTED.values():
            _a_schema_of_somebody_else_is_not_read(there, mallory, planted)
        _the_catalog_calls_no_function_of_somebody_else(there, mallory, tmp_path)
        _a_schema_that_appears_after_the_plan_is_not_used(there, mallory)
        _roles_that_somebody_made_are_refused(there, mallory)
        assert difference(before, state(there.server, *DATABASES)) == []


def _run(session: psycopg.Connection, statements: str) -> None:
    session.execute(sql.SQL(statements))


def _a_schema_of_somebody_else_is_not_read(there: Site, mallory: psycopg.Connection, planted: str) -> None:
    _run(mallory, f"CREATE SCHEMA rolevend; {planted}")
    with pytest.raises(Conflict, match="not that of an installation"):
        there.install()
    with pytest.raises(Conflict, match="not that of an installation"):
        plan_uninstall(there.admin, OPTIONS)
    with pytest.raises(Conflict, match="must be installed first"):
        set_hash_key(there.admin, "claims", Secret("x" * 32))
    _run(mallory, "DROP SCHEMA rolevend CASCADE")


def _the_catalog_calls_no_function_of_somebody_else(there: Site, mallory: psycopg.Connection, scratch: Path) -> None:
    """Neither of a schema named like ours, nor of one that the owner of the database puts before `pg_catalog`."""
    manifest = scratch / "platform.yaml"
    manifest.write_text(
        "apiVersion: rolevend.dev/v1alpha1\nkind: DataPlatform\nmetadata: {name: warehouse}\nspec:\n"
        "  postgres: {host: db.example.org, database: claims}\n"
        "  credentials: {programmerSecretRef: {name: a}, vendorSecretRef: {name: b}}\n"
        "  domains:\n  - {namespace: domain-claims, schemas: [raw]}\n"
        "  agents:\n  - {namespaceSelector: {matchLabels: {a: b}}, assertions: [Trusted],"
        "     tools: {postgres: {functions: [{schema: more, name: hello}]}}}\n"
    )
    there.run("CREATE FUNCTION more.hello() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
    command = ("platform", "catalog", "-f", str(manifest), "--dsn", there.server.superuser.dsn)
    wanted = CliRunner().invoke(cli, command)
    assert (wanted.exit_code, "hello" in wanted.stdout) == (0, True), wanted.exception
    there.run("ALTER DATABASE claims OWNER TO mallory")
    functions = "".join(
        f"CREATE FUNCTION {name} RETURNS text LANGUAGE plpgsql AS $${_RUNS}$$;"
        for name in ("rolevend.no_tool(oid)", "rolevend.no_tools_in(oid)", "rolevend.no_tool_itself(oid)", "evil.pg_has_role(oid, text)")
    )
    _run(mallory, f"CREATE SCHEMA rolevend; CREATE SCHEMA evil; {functions} GRANT USAGE ON SCHEMA rolevend, evil TO PUBLIC")
    _run(mallory, "ALTER DATABASE claims SET search_path = evil, pg_catalog")
    found = CliRunner().invoke(cli, command)
    assert (found.exit_code, found.stdout) == (0, wanted.stdout), found.exception
    _run(mallory, "DROP SCHEMA rolevend CASCADE; DROP SCHEMA evil CASCADE; ALTER DATABASE claims RESET ALL")
    there.run("DROP FUNCTION more.hello()")
    there.run(
        "ALTER DATABASE claims OWNER TO postgres; REVOKE ALL ON DATABASE claims FROM mallory; GRANT CREATE ON DATABASE claims TO mallory"
    )


def _a_schema_that_appears_after_the_plan_is_not_used(there: Site, mallory: psycopg.Connection) -> None:
    """The installation waits where it creates its first role, and knows no schema rolevend then."""
    digest, blocking = plan(there.admin, OPTIONS).digest, there.connect()
    with ThreadPoolExecutor(1) as threads:
        with blocking.transaction():
            blocking.execute("LOCK TABLE pg_authid IN SHARE MODE")
            waiting = threads.submit(install, there.connect(), OPTIONS, accept=digest, passwords=PASSWORDS, randomness=secrets.token_bytes)
            eventually(lambda: blocking.execute("SELECT FROM pg_locks WHERE relation = 'pg_authid'::regclass AND NOT granted").fetchall())
            _run(mallory, f"CREATE SCHEMA rolevend; {PLANTED['a trigger on a table like ours']}")
        with pytest.raises(RolevendError, match='schema "rolevend" already exists'):
            waiting.result()
    _run(mallory, "DROP SCHEMA rolevend CASCADE")


def _roles_that_somebody_made_are_refused(there: Site, mallory: psycopg.Connection) -> None:
    """Who made a role can set its password, and make members of it."""
    for name in ("rv_vendor", "rv_programmer", "rv_connect", "rv_template", "rv_public"):
        _run(mallory, f"CREATE ROLE {name} LOGIN")
        assert f"REVOKE {name} FROM mallory" in there.installing_is_refused()[name].replace('"', "")
        with pytest.raises(Conflict, match="mallory"):
            there.install()
        _run(mallory, f"DROP ROLE {name}")
    there.run("CREATE ROLE rv_connect NOLOGIN; GRANT pg_read_all_data TO rv_connect")
    assert "member of nothing" in there.installing_is_refused()["rv_connect"]
    there.run("DROP ROLE rv_connect")


def test_an_uninstallation_gives_back_no_more_than_was_taken(tmp_path: Path):
    with site() as there:
        before = Before(there, tmp_path)
        there.install()
        _the_programmers_login_has_nothing_of_somebody_else_vended_or_dropped(there)
        _nobody_hides_a_vend_by_a_setting(there)
        # Settings that the owner of a database or of a role chooses.
        there.admin.execute("SET quote_all_identifiers = on")
        there.admin.execute("SET default_transaction_read_only = on")
        there.uninstall()
        there.admin.execute("RESET quote_all_identifiers")
        there.admin.execute("RESET default_transaction_read_only")
        before.expect()
        there.install()
        there.run("REVOKE CONNECT ON DATABASE neighbour FROM rv_public; REVOKE EXECUTE ON FUNCTION lo_create(oid) FROM rv_public")
        there.run("ALTER DATABASE template1 RENAME TO formerly")
        there.run("CREATE DATABASE template1 TEMPLATE template0")
        there.run("REVOKE CONNECT ON DATABASE template1 FROM PUBLIC")
        text = there.plan().text()
        for right in ("CONNECT ON DATABASE neighbour", "EXECUTE ON FUNCTION lo_create(oid)", "CONNECT ON DATABASE template1"):
            assert f"{right} was taken from PUBLIC, and since then from rv_public, too" in text
        there.uninstall()
        assert there.rows(
            "SELECT has_database_privilege('public', 'neighbour', 'CONNECT'), has_database_privilege('public', 'template1', 'CONNECT'),"
            " has_function_privilege('public', 'lo_create(oid)', 'EXECUTE'), has_database_privilege('public', 'claims', 'CONNECT')"
        ) == [(False, False, False, True)]


def _the_programmers_login_has_nothing_of_somebody_else_vended_or_dropped(there: Site) -> None:
    """A role, and a schema with a table, that are named like those of a profile."""
    programmer = there.connect("rv_programmer", password="for the programmer")
    record = "SELECT rolevend.record_profile('rv_p_mine', 'c', '', '{}', '{}', 2)"
    with pytest.raises(psycopg.errors.CheckViolation, match="no profile that was made here"):
        programmer.execute(record)
    _run(programmer, "SELECT rolevend.drop_profile('rv_p_mine')")
    programmer.close()
    eventually(lambda: there.refusals() == {})


def _nobody_hides_a_vend_by_a_setting(there: Site) -> None:
    """With another isolation level the survey would be older than the lock that it waits for."""
    digest, vending, uninstalling = there.plan().digest, there.connect(), there.connect()
    uninstalling.execute("SET default_transaction_isolation = 'repeatable read'")
    role = "IMMUTA_VENDED_A_B_C"
    with ThreadPoolExecutor(1) as threads, vending.transaction():
        vending.execute(sql.SQL("INSERT INTO rolevend.lease (role, cluster_id, uid, revoked_at) VALUES ({}, 'c', 'u', now())").format(role))
        vending.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        waiting = threads.submit(there.uninstall_with, uninstalling, digest)
        eventually(lambda: there.rows("SELECT FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted"))
    with pytest.raises(Conflict, match="read the new plan"):
        waiting.result()
    vending.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
    vending.execute("DELETE FROM rolevend.lease")


_HOSTILE = 'x";\n-- digest: 0\nCOMMIT;\n\x1b[2J\u202e\\'
"""A name with line breaks, a clear screen, and a character that turns the order of the others round."""


def test_a_name_cannot_show_another_plan_than_the_one_that_runs():
    name = sql.Identifier(_HOSTILE).as_string()
    with site() as there:
        there.run(f"CREATE DATABASE {name}")
        there.run(f"CREATE ROLE {name} LOGIN; CREATE TABLE raw.{name} (); ALTER TABLE raw.{name} OWNER TO {name}")
        there.run(
            f"GRANT USAGE ON SCHEMA raw TO {name}; CREATE FUNCTION raw.f() RETURNS integer SECURITY DEFINER LANGUAGE sql AS 'SELECT 1'"
        )
        there.run(f"ALTER FUNCTION raw.f() RENAME TO {name}")
        before = state(there.server, *DATABASES)
        for planned in (plan(there.admin, OPTIONS), plan(there.admin, PostgresInstallOptions((_HOSTILE, "raw")))):
            _expect_plain(planned.text())
            _expect_plain(planned.summary())
        there.install()
        there.run(f"SELECT rolevend.govern('raw.{name}'::regclass)")
        planned = there.plan()
        assert any("DROP POLICY rv_readers" in each.text and 'U&"' in each.text for each in planned.statements)
        _expect_plain(planned.text())
        there.uninstall()
        assert difference(before, state(there.server, *DATABASES)) == []


def _expect_plain(text: str) -> None:
    assert all(line.isprintable() for line in text.split("\n"))
    assert len(re.findall(r"^COMMIT;", text, re.MULTILINE)) <= 1
    assert len(re.findall(r"^-- digest: ", text, re.MULTILINE)) <= 1
