"""At its expiry a role is dead without anybody: no operator runs in these tests."""

import threading

import psycopg
import pytest

from rolevend.plan import Lease
from testbed.brief import in_time
from tests.conformance.bench import PostgresBench, PostgresSession, own, profile, refused, shape, vended
from tests.support.waiting import eventually

pytestmark = pytest.mark.both_installs

INSUFFICIENT_PRIVILEGE = "42501"


def expire(bench: PostgresBench, role: str) -> None:
    """What the clock would do: the lease is over."""
    bench.run(f"UPDATE rolevend.lease SET expires_at = clock_timestamp() WHERE role = '{role}'")


def test_the_next_statement_is_refused(bench: PostgresBench):
    people = bench.people()
    made, credential = vended(bench.platform, profile(shape(people, own(people, "region", "regions"))), regions=["EU"])
    session = bench.log_in(credential)
    assert session.rows("SELECT count(*) FROM people") == [(2,)]
    expire(bench, made.role)
    assert refused(lambda: session.rows("SELECT count(*) FROM people")) == INSUFFICIENT_PRIVILEGE
    assert refused(lambda: session.rows("SELECT region FROM people WHERE id = 0")) == INSUFFICIENT_PRIVILEGE


def test_within_a_transaction_whose_snapshot_is_older_too(bench: PostgresBench):
    """Its snapshot would not show that somebody changed the lease, so the time must really pass."""
    people = profile(shape(bench.people()))

    def begun(seconds: int) -> tuple[Lease, PostgresSession]:
        made, credential = vended(bench.platform, people, seconds=seconds)
        session = bench.log_in(credential)
        session.run("BEGIN ISOLATION LEVEL REPEATABLE READ")
        assert session.rows("SELECT count(*) FROM people") == [(6,)]
        return made, session

    made, session = in_time(begun, 2)

    def is_over() -> bool:
        return bool(bench.value(f"SELECT expires_at < clock_timestamp() FROM rolevend.lease WHERE role = '{made.role}'"))

    eventually(is_over)
    assert refused(lambda: session.rows("SELECT count(*) FROM people")) == INSUFFICIENT_PRIVILEGE


def test_a_prepared_statement_does_not_outlive_it(bench: PostgresBench):
    made, credential = vended(bench.platform, profile(shape(bench.people())))
    session = bench.log_in(credential)
    session.run("SET plan_cache_mode = force_generic_plan; PREPARE kept AS SELECT count(*) FROM people")
    assert session.rows("EXECUTE kept") == [(6,)]
    expire(bench, made.role)
    assert refused(lambda: session.rows("EXECUTE kept")) == INSUFFICIENT_PRIVILEGE


def test_a_login_is_refused(bench: PostgresBench):
    """By the login trigger; where there is none, VALID UNTIL ends logins by password."""
    made, credential = vended(bench.platform, profile(shape(bench.people())))
    expire(bench, made.role)
    if not bench.has_login_trigger:
        bench.run(f"ALTER ROLE \"{made.role}\" VALID UNTIL 'yesterday'")
    with pytest.raises(psycopg.OperationalError, match=r"no live lease|authentication failed"):
        bench.log_in(credential)


def test_valid_until_is_the_leases_expiry(bench: PostgresBench):
    made, _ = vended(bench.platform, profile(shape(bench.people())))
    row = bench.admin.execute("SELECT rolvaliduntil FROM pg_roles WHERE rolname = %s", [made.role]).fetchone()
    assert row == (made.expires_at,)


def test_the_platforms_own_scheduler_ends_sessions_and_drops_the_role(bench: PostgresBench):
    made, credential = vended(bench.platform, profile(shape(bench.people())))
    survivor, _ = vended(bench.platform, profile(shape(bench.people())))
    session = bench.log_in(credential)
    session.run("BEGIN; DECLARE c CURSOR FOR SELECT * FROM people; FETCH 1 FROM c")
    scheduler = bench.login_of(bench.vendor)
    stop = threading.Event()

    def schedule() -> None:
        while not stop.wait(0.02):
            scheduler.run("CALL rolevend.sweep()")

    thread = threading.Thread(target=schedule)
    thread.start()
    try:
        expire(bench, made.role)
        eventually(lambda: not bench.exists(made.role))
    finally:
        stop.set()
        thread.join()
    with pytest.raises(psycopg.OperationalError):
        session.rows("FETCH 1 FROM c")
    assert [role.role for role in bench.platform.live()] == [survivor.role]
    stone = bench.platform.tombstone(made.role)
    assert stone is not None
    assert stone.reason == "Expired"
    assert not any("sweep" in text for text in bench.platform.facts().limitations)


def test_switching_row_security_off_does_not_open_an_expired_lease(bench: PostgresBench):
    people = bench.people()
    made, credential = vended(bench.platform, profile(shape(people)))
    session = bench.log_in(credential)
    bench.run(f"ALTER TABLE {people.id} DISABLE ROW LEVEL SECURITY")
    expire(bench, made.role)
    assert refused(lambda: session.rows("SELECT * FROM people")) == INSUFFICIENT_PRIVILEGE
