"""An open transaction of a vended role locks what the end of another role needs, or a build: it holds neither up. Those of anybody else
are left alone, and named."""

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest

from rolevend.catalog import FunctionId
from rolevend.errors import PlatformBusy, PlatformLocked
from rolevend.model import ProfileName
from rolevend.plan import Lease
from rolevend.platforms.postgres import PostgresLimits
from rolevend.platforms.protocol import Credential, DropRequest, DropResult, EndReason, InstallMode, LimitAction
from tests.conformance.bench import (
    CLUSTER,
    OTHER_CLUSTER,
    PostgresBench,
    PostgresSession,
    equal,
    lease,
    profile,
    quoted,
    refused,
    shape,
    vend,
    vended,
)
from tests.support.waiting import DEADLINE, eventually

pytestmark = pytest.mark.both_installs

SHUT_DOWN = "57P01"
IMPATIENT = PostgresLimits(build_attempts=1, wait_for_connection=0.5)


@pytest.fixture(autouse=True)
def nothing_is_left_to_tell(bench: PostgresBench) -> Iterator[None]:
    """Of an earlier test, or for a later one: they share a platform."""
    bench.platform.curb()
    yield
    bench.platform.curb()


@pytest.fixture
def victim(bench: PostgresBench) -> tuple[Lease, Credential]:
    return vended(bench.platform, profile(shape(bench.people())))


@pytest.fixture
def eve(bench: PostgresBench) -> tuple[Lease, Credential]:
    return vended(bench.platform, profile(shape(bench.people())))


def gives_to(role: str) -> str:
    return f'ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO "{role}"'


def drop(bench: PostgresBench, of: Lease) -> DropResult:
    (answer,) = bench.platform.drop([DropRequest(of.role, of.uid, EndReason.REVOKED)])
    return answer


def was_ended(session: PostgresSession) -> bool:
    return refused(lambda: session.rows("SELECT 1")) == SHUT_DOWN


class TestAnEnd:
    def test_is_not_held_up_by_an_open_transaction_of_another_role(self, bench: PostgresBench, eve, victim):
        session = bench.log_in(eve[1])
        session.run(f"BEGIN; {gives_to(victim[0].role)}")

        answer = drop(bench, victim[0])

        assert answer.error is None
        assert not bench.exists(victim[0].role)
        assert was_ended(session)
        (told,) = bench.platform.curb()
        assert (told.role, told.uid, told.act) == (eve[0].role, eve[0].uid, LimitAction.TERMINATED)
        assert "blocked the attempt to drop" in told.why
        assert bench.platform.curb() == [], "it is told once"

    def test_is_not_held_up_by_a_role_of_another_cluster(self, bench: PostgresBench, victim):
        elsewhere, of = bench.platform_of(OTHER_CLUSTER), profile(shape(bench.people()))
        stranger = lease(of, cluster=OTHER_CLUSTER)
        session = bench.log_in(vend(elsewhere, of, stranger))
        session.run(f"BEGIN; {gives_to(victim[0].role)}")

        assert drop(bench, victim[0]).error is None
        assert was_ended(session)
        assert bench.platform.curb() == [], "its own operator tells of it"

    def test_is_not_held_up_by_a_change_of_what_was_given_before(self, bench: PostgresBench, eve, victim):
        """Here a row is locked, and not the role."""
        session = bench.log_in(eve[1])
        session.run(gives_to(victim[0].role))
        session.run(f'BEGIN; ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM "{victim[0].role}"')

        assert drop(bench, victim[0]).error is None
        assert was_ended(session)

    def test_is_not_held_up_by_who_gives_anew_as_fast_as_it_can(self, bench: PostgresBench, eve, victim):
        with insisting(bench, eve[1], gives_to(victim[0].role), sessions=6):
            eventually(lambda: drop(bench, victim[0]).error is None)

    def test_closes_at_once_where_the_role_changes_itself(self, bench: PostgresBench, victim):
        """The transaction that closes would wait for it, and is not seen before it commits."""
        session = bench.log_in(victim[1])
        session.run("BEGIN; ALTER ROLE CURRENT_USER PASSWORD 'mine'")

        assert drop(bench, victim[0]).error is None
        assert was_ended(session)
        assert [told.uid for told in bench.platform.curb()] == [victim[0].uid]

    def test_names_anybody_else_who_is_in_its_way_and_leaves_them_alone(self, bench: PostgresBench, victim):
        blocking = bench.as_superuser()
        blocking.run(f"BEGIN; {gives_to(victim[0].role)}")

        answer = drop(bench, victim[0])

        assert isinstance(answer.error, PlatformBusy)
        assert f"the role is locked by session {blocking.connection.info.backend_pid}" in str(answer.error)
        assert blocking.rows("SELECT 1") == [(1,)]
        blocking.run("ROLLBACK")
        assert drop(bench, victim[0]).error is None

    def test_leaves_a_role_alone_that_is_only_named_like_ours(self, bench: PostgresBench, victim):
        password = secrets.token_urlsafe(16)
        bench.run(f"CREATE ROLE somebody LOGIN PASSWORD '{password}' IN ROLE rv_public")
        session = bench.session("somebody", password)
        bench.run('ALTER ROLE somebody RENAME TO "IMMUTA_VENDED_SOMEBODYS_OWN"')
        session.run(f"BEGIN; {gives_to(victim[0].role)}")

        assert isinstance(drop(bench, victim[0]).error, PlatformBusy)
        assert session.rows("SELECT 1") == [(1,)]

    def test_by_the_platforms_own_scheduler_is_not_held_up_either(self, bench: PostgresBench, eve, victim):
        session = bench.log_in(eve[1])
        session.run(f"SET idle_in_transaction_session_timeout = 0; BEGIN; {gives_to(victim[0].role)}")
        bench.expire(victim[0])

        def swept() -> bool:
            bench.sweep()
            return not bench.exists(victim[0].role)

        eventually(swept)
        assert was_ended(session)


class TestDefaultPrivileges:
    def test_of_whichever_role_do_not_outlive_the_role_that_made_them(self, bench: PostgresBench):
        of = profile(shape(bench.people()))
        eve, credential = vended(bench.platform, of)
        session = bench.log_in(credential)
        for whose in ("rv_connect", of.name, eve.role):
            change = f"ALTER DEFAULT PRIVILEGES FOR ROLE {quoted(whose)}"
            session.run(f"{change} GRANT SELECT ON TABLES TO PUBLIC; {change} GRANT ALL ON SEQUENCES TO rv_vendor")
            session.run(f"{change} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC; {change} REVOKE ALL ON TYPES FROM PUBLIC, {quoted(whose)}")
            session.run(f"{change} IN SCHEMA {quoted(of.name)} GRANT SELECT ON TABLES TO PUBLIC; {change} GRANT ALL ON SCHEMAS TO PUBLIC")
        assert bench.value("SELECT count(*) FROM pg_default_acl") == 18

        assert drop(bench, eve).error is None

        assert bench.admin.execute("SELECT defaclrole::regrole, defaclobjtype, defaclacl FROM pg_default_acl").fetchall() == []

    def test_of_others_stay(self, bench: PostgresBench, eve):
        bench.run("ALTER DEFAULT PRIVILEGES FOR ROLE app_owner GRANT SELECT ON TABLES TO rv_public")
        try:
            assert drop(bench, eve[0]).error is None
            assert bench.value("SELECT count(*) FROM pg_default_acl") == 1
        finally:
            bench.run("ALTER DEFAULT PRIVILEGES FOR ROLE app_owner REVOKE SELECT ON TABLES FROM rv_public")


class TestABuild:
    def test_is_not_held_up_by_transactions_that_overlap(self, bench: PostgresBench):
        people = bench.people()
        _, credential = vended(bench.platform, profile(shape(people)))
        of = profile(shape(people, equal(people, "id", "3")))

        with overlapping(bench, credential):
            started = time.monotonic()
            bench.platform.ensure(of)
            seconds = time.monotonic() - started

        assert seconds < 60, "82 s and more before, on a machine that did nothing else"
        assert bench.log_in(vended(bench.platform, of)[1]).rows("SELECT id FROM people") == [(3,)]

    @pytest.mark.thinned(2, "long")
    @pytest.mark.parametrize("what", ["EXECUTE ON FUNCTION {}.tool()", "USAGE ON SCHEMA {}"])
    def test_is_not_held_up_by_a_grant_that_grants_nothing(self, bench: PostgresBench, what: str):
        """It locks a row of the catalog all the same, which a build changes where a profile has tools."""
        people, schema = bench.people(), bench.schema()
        bench.run(f"CREATE FUNCTION {schema}.tool() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
        bench.run(f"ALTER FUNCTION {schema}.tool() OWNER TO {bench.owner}")
        tools = (FunctionId(schema, "tool", ""),)
        session = bench.log_in(vended(bench.platform, replace(profile(shape(people)), functions=tools))[1])
        session.run(f"BEGIN; GRANT {what.format(schema)} TO PUBLIC")

        bench.platform.ensure(replace(profile(shape(people, equal(people, "id", "3"))), functions=tools))

        assert was_ended(session)

    def test_waits_for_a_transaction_that_is_soon_over(self, bench: PostgresBench):
        people = bench.people()
        _, credential = vended(bench.platform, profile(shape(people)))
        session = bench.log_in(credential)
        session.run("BEGIN; SELECT count(*) FROM people")
        building = threading.Thread(target=lambda: bench.platform.ensure(profile(shape(people, equal(people, "id", "3")))))
        building.start()
        in_line = f"SELECT count(*) FROM pg_locks WHERE relation = '{people.id}'::regclass AND NOT granted"
        eventually(lambda: bench.value(in_line))

        session.run("COMMIT")

        building.join()
        assert session.rows("SELECT 1") == [(1,)]

    def test_tells_who_was_in_its_way(self, bench: PostgresBench):
        people = bench.people()
        made, credential = vended(bench.platform, profile(shape(people)))
        session = bench.log_in(credential)
        session.run("BEGIN; SELECT count(*) FROM people")
        impatient, of = bench.platform_of(CLUSTER, IMPATIENT), profile(shape(people, equal(people, "id", "3")))

        impatient.ensure(of)

        assert was_ended(session)
        (told,) = impatient.curb()
        assert (told.role, told.act) == (made.role, LimitAction.TERMINATED)
        assert f"blocked the attempt to build profile {of.name}" in told.why

    def test_names_anybody_else_who_is_in_its_way_and_leaves_them_alone(self, bench: PostgresBench):
        people = bench.people()
        blocking = bench.as_superuser()
        blocking.run(f"BEGIN; LOCK TABLE {people.id} IN ACCESS SHARE MODE")
        named = f"table {people.id} is locked by session {blocking.connection.info.backend_pid} of {bench.superuser}"

        with pytest.raises(PlatformLocked, match=named):
            bench.platform_of(CLUSTER, IMPATIENT).ensure(profile(shape(people)))

        assert blocking.rows("SELECT 1") == [(1,)]

    def test_is_not_held_up_by_its_turn_in_the_hands_of_a_role(self, bench: PostgresBench, eve):
        """Where no superuser installed us, everybody may take advisory locks."""
        of = profile(shape(bench.people()))
        session = bench.log_in(eve[1])
        statement = f"SELECT pg_advisory_lock({turn_of(bench, of.name)})"
        if bench.mode is InstallMode.SUPERUSER:
            assert refused(lambda: session.rows(statement)) == "42501"
            return
        session.rows(statement)

        bench.platform.ensure(of)

        assert was_ended(session)


def turn_of(bench: PostgresBench, name: ProfileName) -> int:
    """The key of the advisory lock that a build of this profile takes."""
    return int(bench.value(f"SELECT ('x' || encode(substring(sha256('{name}') FOR 8), 'hex'))::bit(64)::bigint"))


@contextmanager
def insisting(bench: PostgresBench, credential: Credential, statement: str, sessions: int) -> Iterator[None]:
    """So many threads that run `statement` in transactions one after another, and log in again where they are ended."""
    done = threading.Event()

    def run() -> None:
        while not done.is_set():
            try:
                with _connected(bench, credential) as connection:
                    while not done.is_set():
                        connection.execute(f"BEGIN; {statement}".encode())
                        done.wait(0.05)
                        connection.execute("COMMIT")
            except psycopg.Error:
                continue

    threads = [threading.Thread(target=run) for _ in range(sessions)]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: bench.value(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{credential.role}'"))
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


@contextmanager
def overlapping(bench: PostgresBench, credential: Credential) -> Iterator[None]:
    """Three threads that read in transactions of 10 s, one begun before another one ends."""
    done = threading.Event()
    begun = threading.Semaphore(0)

    def run(place: int) -> None:
        while not done.is_set():
            try:
                with _connected(bench, credential) as connection:
                    while not done.is_set():
                        connection.execute("BEGIN; SELECT count(*) FROM people")
                        begun.release()
                        done.wait(10 + place)
                        connection.execute("COMMIT")
            except psycopg.Error:
                continue

    threads = [threading.Thread(target=run, args=(place,)) for place in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in threads:
            assert begun.acquire(timeout=DEADLINE)
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def _connected(bench: PostgresBench, credential: Credential) -> psycopg.Connection:
    return psycopg.connect(
        host=bench.address.host,
        port=bench.address.port,
        dbname=bench.address.database,
        user=credential.role,
        password=credential.password.reveal(),
        autocommit=True,
        connect_timeout=10,
        **bench.trust.parameters(),
    )
