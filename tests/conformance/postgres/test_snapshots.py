"""A lock-out ends reading with its commit, also in a transaction that began before it and sees the database as it was then."""

from collections.abc import Callable, Iterator

import psycopg
import pytest

from rolevend.plan import Lease, TableShape
from rolevend.platforms.protocol import Credential, DropRequest, EndReason
from rolevend.policytools.embedded.database import PostgresServer
from tests.conformance.bench import PostgresBench, PostgresSession, installed, own, profile, refused, shape, vended
from tests.support.standby import has_caught_up
from tests.support.waiting import eventually

LEVELS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
NO_LONGER = ("42501", "42P01")
"""Without the profile the role has no right on the view, or does not find it in its search path."""

Lockout = Callable[[PostgresBench, TableShape, Lease], None]


def close(bench: PostgresBench, people: TableShape, lease: Lease) -> None:
    """What an end begins with, and nothing after it: the session lives on."""
    del people
    bench.login_of(bench.vendor).run(f"SELECT rolevend.close('{lease.role}', '{lease.cluster}', '{lease.uid}', 'Released')")


def close_many(bench: PostgresBench, people: TableShape, lease: Lease) -> None:
    del people
    endings = f'[{{"role": "{lease.role}", "cluster": "{lease.cluster}", "uid": "{lease.uid}", "reason": "Released"}}]'
    bench.login_of(bench.vendor).run(f"SELECT rolevend.close_many('{endings}')")


def switch_off(bench: PostgresBench, people: TableShape, lease: Lease) -> None:
    """By the owner of the table."""
    del lease
    bench.run(f"ALTER TABLE {people.table} DISABLE ROW LEVEL SECURITY")


LOCKOUTS = (close, close_many, switch_off)


@pytest.fixture
def people(bench: PostgresBench) -> TableShape:
    table = bench.people()
    return shape(table, own(table, "region", "regions"))


@pytest.mark.both_installs
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("lock_out", LOCKOUTS)
def test_a_snapshot_from_before_a_lock_out_reads_nothing_after_it(bench: PostgresBench, people: TableShape, level: str, lock_out: Lockout):
    lease, credential = vended(bench.platform, profile(people), regions=["EU"])
    eve = bench.log_in(credential)
    eve.run("PREPARE kept AS SELECT count(*) FROM people")
    assert eve.rows("EXECUTE kept") == [(2,)]
    eve.run(f"BEGIN ISOLATION LEVEL {level}; SELECT 1")

    lock_out(bench, people, lease)

    for statement in ("EXECUTE kept", "SELECT * FROM people"):
        assert_refused(eve, statement, level)


@pytest.fixture
def primary(server: PostgresServer) -> Iterator[PostgresBench]:
    superuser = server.superuser
    where = superuser.host, superuser.port, superuser.user, superuser.password
    with installed(*where, "followed", server.version, tls=superuser.tls) as made:
        yield made


@pytest.mark.thinned(3, "long")
@pytest.mark.parametrize("lock_out", LOCKOUTS)
def test_nor_does_one_on_a_standby(primary: PostgresBench, server: PostgresServer, lock_out: Lockout):
    table = primary.people()
    people = shape(table, own(table, "region", "regions"))
    lease, credential = vended(primary.platform, profile(people), regions=["EU"])
    with PostgresServer.standby_of(server) as standby:
        eventually(lambda: has_caught_up(standby, server))
        sessions = {level: on(standby, credential) for level in LEVELS[:2]}  # a standby has no SERIALIZABLE
        for level, eve in sessions.items():
            eve.run(f"BEGIN ISOLATION LEVEL {level}")
            assert eve.rows("SELECT 1") == [(1,)]

        lock_out(primary, people, lease)
        eventually(lambda: has_caught_up(standby, server))

        for level, eve in sessions.items():
            assert_refused(eve, "SELECT * FROM people", level)
            eve.close()


@pytest.mark.long
def test_on_a_standby_an_open_cursor_goes_on_and_nothing_else(primary: PostgresBench, server: PostgresServer):
    """Nobody ends sessions there. A cursor asks for the lease when it is first fetched from, and not again."""
    table = primary.people()
    people = shape(table, own(table, "region", "regions"))
    lease, credential = vended(primary.platform, profile(people), regions=["EU"])
    with PostgresServer.standby_of(server) as standby:
        eventually(lambda: has_caught_up(standby, server))
        begun, fresh, old = (on(standby, credential) for _ in range(3))
        for eve, level in ((begun, LEVELS[0]), (fresh, LEVELS[0]), (old, LEVELS[1])):
            eve.run(f"BEGIN ISOLATION LEVEL {level}; DECLARE kept CURSOR FOR SELECT id FROM people")
        assert begun.rows("FETCH 1 FROM kept") == [(0,)]

        (dropped,) = primary.platform.drop([DropRequest(lease.role, lease.uid, EndReason.RELEASED)])
        assert dropped.error is None
        eventually(lambda: has_caught_up(standby, server))

        assert begun.rows("FETCH ALL FROM kept") == [(1,)]
        for eve in (fresh, old):
            assert refused(lambda eve=eve: eve.rows("FETCH ALL FROM kept"))
        assert refused(lambda: begun.rows("SELECT id FROM people"))
        for eve in (begun, fresh, old):
            eve.close()


def on(standby: PostgresServer, credential: Credential) -> PostgresSession:
    address = standby.superuser
    return PostgresSession(
        psycopg.connect(
            host=address.host,
            port=address.port,
            dbname="followed",
            user=credential.role,
            password=credential.password.reveal(),
            autocommit=True,
        )
    )


def assert_refused(eve: PostgresSession, statement: str, level: str) -> None:
    """And the transaction goes on with the snapshot that it had."""
    eve.run("SAVEPOINT before")
    assert refused(lambda: eve.rows(statement)) in NO_LONGER, (level, statement)
    eve.run("ROLLBACK TO before")
