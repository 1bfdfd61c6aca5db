"""What a login that only looks sees of vended roles, and everything that it cannot do. With a superuser's installation and without one."""

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg import sql

from rolevend.catalog import TableId
from rolevend.errors import Conflict, InvalidInput, PlatformUnavailable
from rolevend.model import ClusterId
from rolevend.platforms.attestation.canaries import cluster_of_canaries
from rolevend.platforms.postgres import Passwords, PostgresInstallOptions, PostgresLogin, PostgresPlatform, install, plan
from rolevend.platforms.postgres.attest import CHECKS, PostgresAttestEnvironment, deployed_canaries, examine
from rolevend.platforms.postgres.observing import CHARACTERS, ROLES, RoleSession, sessions_of
from rolevend.platforms.protocol import DropRequest, EndReason, InstallMode, Outcome, Secret
from tests.conformance.bench import CLUSTER, profile, shape, vended
from tests.support.postgres_site import OPTIONS, PASSWORDS, Before, Site, site
from tests.support.waiting import eventually

OBSERVED = replace(OPTIONS, observer="rv_observer")
LOGIN = PostgresLogin("rv_observer", Secret("for the console"))
CHECK = [each for each in CHECKS if each.name.startswith("observer: ")]


class Looked:
    """A site with an observer and two vended roles."""

    def __init__(self, there: Site, platform: PostgresPlatform) -> None:
        self.there, self.platform = there, platform
        people = platform.catalog(frozenset({"raw"})).tables[TableId("raw", "people")]
        self.profile = profile(shape(people))
        (self.role, self.credential), (self.other, other) = (vended(platform, self.profile) for _ in range(2))
        self.session, self.others = self.log_in(self.credential), self.log_in(other)

    def log_in(self, credential: Any) -> psycopg.Connection:
        return self.there.connect(credential.role, password=credential.password.reveal())

    def ask(self, roles: list[str] | None = None, characters: int = CHARACTERS) -> list[RoleSession]:
        return sessions_of(self.there.address, LOGIN, [self.role.role, self.other.role] if roles is None else roles, characters)

    def of(self, role: str) -> RoleSession:
        (found,) = self.ask([role])
        return found

    @contextmanager
    def observer(self) -> Iterator[psycopg.Connection]:
        with closing(self.there.connect("rv_observer", password="for the console")) as session:
            yield session


def observed(there: Site, options: PostgresInstallOptions = OBSERVED) -> None:
    passwords = Passwords(PASSWORDS.vendor, PASSWORDS.programmer, LOGIN.password)
    install(there.admin, options, accept=plan(there.admin, options).digest, passwords=passwords, randomness=secrets.token_bytes)


@pytest.fixture(scope="module", params=["", "cloud_admin"], ids=["superuser", "managed"])
def looked(request: pytest.FixtureRequest) -> Iterator[Looked]:
    with site(18, request.param) as there:
        there.run("CREATE ROLE chief LOGIN PASSWORD 'x'; GRANT SELECT ON raw.people TO chief; GRANT USAGE ON SCHEMA raw TO chief")
        observed(there)
        with there.platform() as platform:
            yield Looked(there, platform)


def test_it_sees_what_a_vended_role_runs(looked: Looked):
    with looked.session.transaction():
        looked.session.execute("SELECT count(*) FROM people WHERE email = 'jane@example.org'")
        looked.platform.curb()

        open_transaction = looked.of(looked.role.role)
        eventually(lambda: looked.of(looked.other.role).state == "idle")

    assert open_transaction.uid == looked.role.uid
    assert open_transaction.pid == looked.session.info.backend_pid
    assert (open_transaction.state, open_transaction.shown, open_transaction.runs) == ("idle in transaction", True, False)
    assert open_transaction.statement == "SELECT count(*) FROM people WHERE email = 'jane@example.org'"
    idle = looked.of(looked.role.role)
    assert (idle.state, idle.statement, idle.waits_for) == ("idle", None, None), "what is over is not told"
    assert {each.role for each in looked.ask()} == {looked.role.role, looked.other.role}
    assert looked.ask(["IMMUTA_VENDED_NO_ONE", "chief", "postgres", "rv_vendor"]) == looked.ask([]) == []


def test_a_statement_is_bounded(looked: Looked):
    text = f"SELECT '{'x' * 900}'"
    with looked.session.transaction():
        looked.session.execute(text)
        looked.platform.curb()
        assert looked.of(looked.role.role).statement == text
        assert [each.statement for each in looked.ask([looked.role.role], 10)] == [text[:10]]
        assert [each.statement for each in looked.ask([looked.role.role], 0)] == [None]
    for characters in (-1, CHARACTERS + 1):
        with pytest.raises(InvalidInput, match="at most 20000 roles"):
            looked.ask(characters=characters)
    with pytest.raises(InvalidInput, match="at most 20000 roles"):
        looked.ask(["x"] * (ROLES + 1))
    with looked.observer() as session, pytest.raises(psycopg.errors.InvalidParameterValue):
        session.execute("SELECT rolevend.running(NULL, 100)")


@pytest.mark.parametrize(("length", "kept"), [(900, None), (1100, 1024)])
def test_an_agent_hides_nothing_behind_a_long_comment_untold(looked: Looked, length: int, kept: int | None):
    with looked.session.transaction():
        looked.session.execute(sql.SQL(f"/* {'x' * length} */ SELECT 1"))
        looked.platform.curb()
        found = looked.of(looked.role.role)
    assert found.kept == kept
    assert (found.statement or "").endswith("SELECT 1") == (kept is None)


def test_its_sessions_end_by_themselves_and_those_that_last_are_ended(looked: Looked):
    """Somebody who has its password can change the settings of a session: the operator's look ends the session then."""
    settings = looked.there.rows("SELECT unnest(rolconfig) FROM pg_roles WHERE rolname = 'rv_observer'")
    assert {("statement_timeout=5s",), ("idle_in_transaction_session_timeout=5s",), ("idle_session_timeout=5s",)} <= set(settings)
    with closing(looked.there.connect("rv_observer", password="for the console")) as session:
        session.execute("SET statement_timeout = 0; SET idle_session_timeout = 0; SET idle_in_transaction_session_timeout = 0")
        session.execute("BEGIN READ WRITE; SELECT 1")
        looked.platform.curb()
        session.execute("SELECT 1")
        (text,) = looked.there.rows("SELECT pg_get_functiondef('rolevend.curb(text)'::regprocedure)")[0]
        of_any_age = str(text).replace("interval '20 seconds'", "interval '0'")
        assert of_any_age != text
        looked.there.run(of_any_age)  # instead of a wait
        try:
            looked.platform.curb()
            with pytest.raises(psycopg.OperationalError, match="terminat"):
                session.execute("SELECT 1")
        finally:
            looked.there.run(str(text))


def test_without_a_look_of_the_operator_a_managed_server_tells_nothing(looked: Looked):
    made, credential = vended(looked.platform, looked.profile)
    with closing(looked.log_in(credential)) as session, session.transaction():
        session.execute("SELECT 'soon'")
        assert looked.of(made.role).shown == (looked.there.administrator == "")
        looked.platform.curb()
        assert (looked.of(made.role).shown, looked.of(made.role).statement) == (True, "SELECT 'soon'")
    (dropped,) = looked.platform.drop([DropRequest(made.role, made.uid, EndReason.RELEASED)])
    assert dropped.error is None
    assert looked.ask([made.role]) == []


def test_it_never_sees_anybody_else(looked: Looked):
    """Nor who has the name of a vended role, but not the number that its lease says."""
    chief, administrator = looked.there.connect("chief"), looked.there.connect()
    chief.execute("SELECT 'of the chief'")
    forged = f"{looked.role.role[:-4]}FORG"
    with chief.transaction(), administrator.transaction(), looked.observer() as observer:
        chief.execute("SELECT 'of the chief'")
        administrator.execute("SELECT 'of a superuser'")
        seen = looked.ask() + looked.ask(["chief", "postgres", "cloud_admin", "rv_programmer", "rv_vendor"])
        assert {each.role for each in seen} == {looked.role.role, looked.other.role}
        found = observer.execute("SELECT query FROM pg_stat_activity WHERE usename IN ('chief', 'postgres')").fetchall()
        assert len(found) >= 2
        assert set(found) == {("<insufficient privilege>",)}
    looked.there.run(f"INSERT INTO rolevend.lease (role, cluster_id, uid, role_oid, revoked_at) VALUES ('{forged}', 'c', 'u', 1, now())")
    looked.there.run(f'ALTER ROLE chief RENAME TO "{forged}"')
    assert looked.ask([forged]) == []
    looked.there.run(f'ALTER ROLE "{forged}" RENAME TO chief')
    looked.there.run(f"DELETE FROM rolevend.lease WHERE role = '{forged}'")


def test_nobody_passes_for_a_vended_role(looked: Looked):
    """Nor does an agent choose the name that its session is shown by."""
    with closing(looked.there.connect()) as administrator, administrator.transaction(), looked.session.transaction():
        administrator.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(looked.role.role)))
        administrator.execute("SELECT 'PASSWORD of another'")
        looked.session.execute(sql.SQL("SET LOCAL application_name = {}").format(sql.Literal(looked.other.role)))
        looked.session.execute("SELECT 'of the agent'")
        looked.platform.curb()
        (mine,) = looked.ask([looked.role.role])
        assert (mine.pid, mine.statement) == (looked.session.info.backend_pid, "SELECT 'of the agent'")
        assert {each.pid for each in looked.ask([looked.other.role])} == {looked.others.info.backend_pid}


REFUSED = {
    "read a governed table": "SELECT * FROM raw.people",
    "read leases": "SELECT * FROM rolevend.lease",
    "read the version": "SELECT * FROM rolevend.version",
    "read the salt": "SELECT * FROM rolevend.salt",
    "become a vended role": 'SET ROLE "{role}"',
    "become the owner": "SET ROLE rv_owner",
    "become the vendor": "SET ROLE rv_vendor",
    "become the programmer": "SET ROLE rv_programmer",
    "take a vended role": 'GRANT "{role}" TO rv_observer',
    "log in as a vended role": 'SET SESSION AUTHORIZATION "{role}"',
    "create a schema": "CREATE SCHEMA mine",
    "create a table in the schema": "CREATE TABLE rolevend.mine (a int)",
    "replace the function": (
        "CREATE OR REPLACE FUNCTION rolevend.running(p_roles text[], p_characters integer) RETURNS text LANGUAGE sql AS 'SELECT 1'"
    ),
    "alter the function": "ALTER FUNCTION rolevend.running(text[], integer) RESET search_path",
    "create a role": "CREATE ROLE mine",
    "change another password": "ALTER ROLE rv_vendor PASSWORD 'x'",
    "read every statement": "GRANT pg_read_all_stats TO rv_observer",
    "read a file": "SELECT pg_read_file('/etc/passwd')",
    "run a program": "COPY (SELECT 1) TO PROGRAM 'true'",
    "end a session": "SELECT pg_terminate_backend({pid})",
    "cancel a statement": "SELECT pg_cancel_backend({pid})",
    "close a role": "SELECT rolevend.close('{role}', 'c', 'u', 'Expired')",
    "curb": "SELECT * FROM rolevend.curb('c')",
    "sweep": "CALL rolevend.sweep()",
    "end blocking sessions": "SELECT * FROM rolevend.clear_way({pid})",
    "read an attribute": "SELECT rolevend.attr('tenant')",
    "create a temporary table": "CREATE TEMP TABLE mine (a int)",
    "lock the leases": "BEGIN; LOCK TABLE rolevend.lease IN ACCESS SHARE MODE",
    "reset statistics": "SELECT pg_stat_reset()",
    "log no statements": "SET log_statement = 'none'",
    "lift the limit of connections": "ALTER ROLE rv_observer CONNECTION LIMIT -1",
    "become a member of profiles": "SET ROLE rv_connect",
}
OPEN_WITHOUT_A_SUPERUSER = {
    "create a large object": "SELECT lo_unlink(lo_create(0))",
    "take a lock": "SELECT pg_advisory_lock(1)",
    "fill the queue of NOTIFY": "SELECT pg_notify('x', 'y')",
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_can_do_nothing_else(looked: Looked, name: str):
    refused(looked, REFUSED[name])


@pytest.mark.parametrize("name", OPEN_WITHOUT_A_SUPERUSER)
def test_it_can_do_what_everybody_can_where_nobody_is_a_superuser(looked: Looked, name: str):
    """Only a superuser takes these functions of PostgreSQL from PUBLIC. `curb` ends the session that holds a lock."""
    if looked.there.administrator == "":
        refused(looked, OPEN_WITHOUT_A_SUPERUSER[name])
    else:
        with looked.observer() as session:
            session.execute("SET default_transaction_read_only = off")
            session.execute(sql.SQL(OPEN_WITHOUT_A_SUPERUSER[name]))


def refused(looked: Looked, statement: str) -> None:
    statement = statement.format(role=looked.role.role, pid=looked.session.info.backend_pid)
    with looked.observer() as session:
        session.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute(sql.SQL(statement))


def test_it_may_call_one_function_of_the_schema_and_lets_nobody_else(looked: Looked):
    with looked.observer() as session:
        session.execute("SET default_transaction_read_only = off")
        session.execute("GRANT EXECUTE ON FUNCTION rolevend.running TO PUBLIC")  # PostgreSQL warns, and grants nothing
    assert looked.there.rows("SELECT has_function_privilege('chief', 'rolevend.running(text[],integer)', 'EXECUTE')") == [(False,)]
    called = looked.there.rows(
        "SELECT proname::text FROM pg_proc WHERE pronamespace = 'rolevend'::regnamespace"
        " AND has_function_privilege('rv_observer', oid, 'EXECUTE')"
    )
    assert called == [("running",)]


def test_the_path_of_its_session_changes_nothing(looked: Looked):
    """Temporary tables and operators of others come first there, where a function looks for its names by the path."""
    looked.there.run(
        "CREATE SCHEMA trap; GRANT USAGE ON SCHEMA trap TO PUBLIC; CREATE VIEW trap.pg_stat_activity AS SELECT 'trapped'::text AS query;"
        "CREATE FUNCTION trap.left(text, integer) RETURNS text LANGUAGE sql AS $$ SELECT 'trapped' $$"
    )
    with looked.session.transaction(), looked.observer() as observer:
        looked.session.execute("SELECT 'plain'")
        looked.platform.curb()
        observer.execute("SET search_path = trap, pg_catalog")
        found = observer.execute("SELECT statement FROM rolevend.running(%s, 100)", [[looked.role.role]]).fetchall()
    assert found == [("SELECT 'plain'",)]


@pytest.mark.parametrize("user", ["rv_vendor", "rv_programmer", "chief", "an agent"])
def test_nobody_else_may_ask(looked: Looked, user: str):
    passwords = {"rv_vendor": "for the vendor", "rv_programmer": "for the programmer"}
    session = looked.others if user == "an agent" else looked.there.connect(user, password=passwords.get(user, "x"))
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute("SELECT * FROM rolevend.running(NULL, 100)")


def test_the_attestation_knows_it_and_sees_what_it_got_beside(looked: Looked):
    cluster: ClusterId = cluster_of_canaries(CLUSTER)
    with looked.there.platform(cluster) as driver:
        ground = PostgresAttestEnvironment(driver, cluster, looked.there.address, *looked.there.logins, secrets.token_bytes)
        with deployed_canaries(ground) as canaries:

            def told() -> dict[str, str]:
                return {each.detail: each.outcome.value for each in examine(CHECK, canaries, InstallMode.MANAGED)}

            assert [each.outcome for each in examine(CHECK, canaries, InstallMode.MANAGED)] == [Outcome.PASSED]
            for give, take, word in (
                ("GRANT SELECT ON raw.people TO rv_observer", "REVOKE SELECT ON raw.people FROM rv_observer", "raw.people"),
                ("GRANT pg_read_all_stats TO rv_observer", "REVOKE pg_read_all_stats FROM rv_observer", "pg_read_all_stats"),
                ("GRANT rv_observer TO chief", "REVOKE rv_observer FROM chief", "chief"),
                ("ALTER ROLE rv_observer BYPASSRLS", "ALTER ROLE rv_observer NOBYPASSRLS", "attribute"),
            ):
                looked.there.run(give)
                assert word in str(told())
                looked.there.run(take)
            assert [each.outcome for each in examine(CHECK, canaries, InstallMode.MANAGED)] == [Outcome.PASSED]


def test_it_comes_and_goes_with_the_manifest(tmp_path: Any):
    """One server for all of it: a server takes a second to start."""
    with site(18) as there:
        before = Before(there, tmp_path)
        there.install()
        assert there.rows("SELECT FROM pg_roles WHERE rolname = 'rv_observer'") == []
        with pytest.raises(PlatformUnavailable):
            sessions_of(there.address, LOGIN, [], 0)
        there.run("CREATE ROLE rv_observer LOGIN")
        refusals = {each.subject: each.text for each in plan(there.admin, OBSERVED).refusals}
        assert "no installation made it" in refusals["rv_observer"]
        with pytest.raises(Conflict, match="no installation made it"):
            observed(there)
        there.run("DROP ROLE rv_observer")
        planned = plan(there.admin, OBSERVED)
        assert "rv_observer" in planned.summary()
        assert any('GRANT EXECUTE ON FUNCTION rolevend.running TO "rv_observer"' in each.text for each in planned.statements)
        observed(there)
        assert sessions_of(there.address, LOGIN, [], 0) == []
        with there.platform() as platform:
            limitations = " ".join(platform.facts().limitations)
            assert "rv_observer" not in limitations
        observed(there)
        there.install()  # the manifest names it no more
        assert there.rows("SELECT FROM pg_roles WHERE rolname = 'rv_observer'") == []
        observed(there)
        session = there.connect("rv_observer", password="for the console")
        assert "the console is logged in" in there.refusals()["rv_observer"]
        session.close()
        eventually(lambda: there.refusals() == {})
        there.uninstall()
        before.expect()


def test_without_a_superuser_it_comes_and_goes_too(tmp_path: Any):
    with site(18, "cloud_admin") as there:
        before = Before(there, tmp_path)
        observed(there)
        observed(there)
        there.install()
        assert there.rows("SELECT FROM pg_roles WHERE rolname = 'rv_observer'") == []
        observed(there)
        there.uninstall()
        before.expect()


def test_an_installation_of_an_earlier_version_has_none():
    """Version 14 was released without it: its console's question fails with a sentence, and its operator goes on."""
    with site(18) as there:
        there.install()
        there.run("DROP FUNCTION rolevend.running; ALTER TABLE rolevend.version DROP COLUMN observer")
        there.run("CREATE ROLE rv_observer LOGIN PASSWORD 'for the console'; GRANT CONNECT ON DATABASE claims TO rv_observer")
        there.run("GRANT USAGE ON SCHEMA rolevend TO rv_observer")
        with pytest.raises(PlatformUnavailable, match="plan and run the installation"):
            sessions_of(there.address, LOGIN, [], 0)
        with there.platform() as platform:
            assert platform.facts().unusable is None
        there.run("DROP OWNED BY rv_observer; DROP ROLE rv_observer")
        observed(there)
        assert sessions_of(there.address, LOGIN, [], 0) == []
