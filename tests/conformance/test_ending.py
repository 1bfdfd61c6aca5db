"""A drop locks out, ends what runs, and leaves nothing; it may run twice, and it never touches what is somebody else's."""

import secrets
import threading
from dataclasses import replace

import psycopg
import pytest

from rolevend.errors import Conflict, PlatformBusy
from rolevend.model import Uid
from rolevend.platforms.protocol import DropRequest, EndReason, InstallMode
from tests.conformance.bench import CLUSTER, OTHER_CLUSTER, PostgresBench, lease, profile, shape, vended
from tests.conformance.protocol import Bench
from tests.support.waiting import DEADLINE, eventually

pytestmark = pytest.mark.both_installs


def ending(of, reason: EndReason = EndReason.RELEASED) -> DropRequest:
    return DropRequest(of.role, of.uid, reason)


def test_a_dropped_role_is_gone_and_cannot_log_in(bench: Bench):
    made, credential = vended(bench.platform, profile(shape(bench.people())))
    (answer,) = bench.platform.drop([ending(made)])
    assert answer.error is None
    assert bench.platform.live() == []
    with pytest.raises(Exception, match=r"does not exist|authentication failed|JWT token is invalid"):
        bench.log_in(credential)


def test_what_is_closed_stays_closed(bench: Bench):
    wanted = profile(shape(bench.people()))
    made, credential = vended(bench.platform, wanted)
    bench.platform.drop([ending(made)])
    (answer,) = bench.platform.vend([(made, credential)])
    assert isinstance(answer.error, Conflict)
    assert bench.platform.live() == []


def test_a_vend_that_arrives_after_its_drop_is_refused(bench: Bench):
    wanted = profile(shape(bench.people()))
    bench.platform.ensure(wanted)
    late = lease(wanted)
    assert bench.platform.drop([ending(late)])[0].error is None
    (answer,) = bench.platform.vend([(late, bench.platform.credential(late, secrets.token_bytes))])
    assert isinstance(answer.error, Conflict)


def test_dropping_twice_and_dropping_what_never_was_are_successes(bench: Bench):
    made, _ = vended(bench.platform, profile(shape(bench.people())))
    never = lease(profile())
    for _ in range(2):
        assert [answer.error for answer in bench.platform.drop([ending(made), ending(never)])] == [None, None]


def test_sessions_and_running_statements_and_cursors_end(bench: PostgresBench):
    made, credential = vended(bench.platform, profile(shape(bench.people())))
    idle, running, reading = (bench.log_in(credential) for _ in range(3))
    reading.run("BEGIN; DECLARE c CURSOR FOR SELECT * FROM people; FETCH 1 FROM c")
    ended: list[BaseException] = []

    def run() -> None:
        try:
            running.rows("SELECT pg_sleep(600)")
        except psycopg.Error as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    sleeping = f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{made.role}' AND query = 'SELECT pg_sleep(600)'"
    eventually(lambda: bench.value(sleeping) == 1)
    (answer,) = bench.platform.drop([ending(made)])
    assert (answer.error, len(answer.sessions)) == (None, 3)
    thread.join(DEADLINE)
    assert len(ended) == 1
    for session, statement in ((idle, "SELECT 1"), (reading, "FETCH 1 FROM c")):
        with pytest.raises(psycopg.OperationalError):
            session.rows(statement)


def test_a_session_of_a_role_that_somebody_dropped_by_hand_ends_too(bench: PostgresBench):
    made, credential = vended(bench.platform, profile(shape(bench.people())))
    session = bench.log_in(credential)
    bench.run(f'DROP OWNED BY "{made.role}"; DROP ROLE "{made.role}"')
    assert [role.role for role in bench.platform.live()] == [made.role]
    if bench.mode is InstallMode.MANAGED:
        assert any("pg_signal_backend" in text for text in bench.platform.facts().limitations)
        (answer,) = bench.platform.drop([ending(made)])
        assert isinstance(answer.error, PlatformBusy)
        assert "sessions remain" in str(answer.error)
        bench.run("GRANT pg_signal_backend TO rv_owner WITH INHERIT TRUE, SET FALSE")
    (answer,) = bench.platform.drop([ending(made)])
    assert (answer.error, len(answer.sessions)) == (None, 1)
    with pytest.raises(psycopg.OperationalError):
        session.rows("SELECT 1")
    assert not any("pg_signal_backend" in text for text in bench.platform.facts().limitations)
    bench.run("REVOKE pg_signal_backend FROM rv_owner")


def test_what_ended_as_nobodys_is_remembered_so_whatever_had_closed_it_before(bench: PostgresBench):
    made, _ = vended(bench.platform, profile(shape(bench.people())))
    released, _ = vended(bench.platform, profile(shape(bench.people())))
    bench.login_of(bench.vendor).run(f"SELECT rolevend.close('{made.role}', '{CLUSTER}', '{made.uid}', 'Released')")

    for answer in bench.platform.drop([replace(ending(made), reason=EndReason.ORPHANED), ending(released)]):
        assert answer.error is None
    bench.platform.drop([replace(ending(released), reason=EndReason.ORPHANED)])

    remembered = {each.role: each for each in bench.platform.ended(EndReason.ORPHANED)}
    assert remembered[made.role].uid == made.uid
    assert remembered[made.role].closed_at <= remembered[made.role].dropped_at
    assert released.role not in remembered, "it was gone before"


def test_many_roles_end_at_once_and_each_answers_for_itself(bench: Bench):
    wanted = profile(shape(bench.people()))
    bench.platform.ensure(wanted)
    leases = [lease(wanted) for _ in range(bench.crowd)]
    bench.platform.vend([(each, bench.platform.credential(each, secrets.token_bytes)) for each in leases])
    wrong = DropRequest(leases[7].role, Uid("another"), EndReason.REVOKED)
    answers = bench.platform.drop([wrong if each is leases[7] else ending(each) for each in leases])
    assert [answer.role for answer in answers] == [each.role for each in leases]
    (refused,) = [answer for answer in answers if answer.error is not None]
    assert refused.role == leases[7].role
    assert isinstance(refused.error, Conflict)
    assert [role.role for role in bench.platform.live()] == [leases[7].role]


@pytest.mark.parametrize("cluster", [OTHER_CLUSTER])
def test_the_role_of_another_cluster_or_uid_is_never_touched(bench: Bench, cluster):
    made, credential = vended(bench.platform, profile(shape(bench.people())))
    (by_cluster,) = bench.platform_of(cluster).drop([ending(made)])
    (by_uid,) = bench.platform.drop([replace(ending(made), uid=Uid("another"))])
    assert isinstance(by_cluster.error, Conflict)
    assert isinstance(by_uid.error, Conflict)
    bench.log_in(credential)
    assert [role.closed for role in bench.platform.live()] == [False]


def test_default_privileges_of_the_role_do_not_block_its_end(bench: PostgresBench):
    made, credential = vended(bench.platform, profile(shape(bench.people())))
    bench.log_in(credential).run(f'ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO "{made.role}"')
    assert bench.platform.drop([ending(made)])[0].error is None


def test_an_object_in_another_database_blocks_the_drop_but_not_the_closing(bench: PostgresBench):
    """Somebody must have opened the other database to the role by hand."""
    made, credential = vended(bench.platform, profile(shape(bench.people())))
    bench.run("CREATE DATABASE elsewhere")
    try:
        elsewhere = bench.as_superuser("elsewhere")
        elsewhere.run(f'CREATE TABLE kept (); ALTER TABLE kept OWNER TO "{made.role}"')
        quick = bench.platform_of(made.cluster)
        (answer,) = quick.drop([ending(made)])
        assert isinstance(answer.error, PlatformBusy)
        assert "elsewhere" in str(answer.error)
        assert [role.closed for role in bench.platform.live()] == [True]
        with pytest.raises(psycopg.OperationalError):
            bench.log_in(credential)
        elsewhere.run("DROP TABLE kept")
        elsewhere.close()
        assert quick.drop([ending(made)])[0].error is None
    finally:
        bench.run("DROP DATABASE elsewhere WITH (FORCE)")


def test_what_a_role_leaves_in_another_database_keeps_it_closed_until_somebody_cleans_up(bench: PostgresBench):
    """Where PUBLIC may connect to one, and nobody could prevent it, the role does so itself."""
    made, credential = vended(bench.platform, profile(shape(bench.people())))
    if bench.mode is InstallMode.SUPERUSER:
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            bench.session(made.role, credential.password.reveal(), "postgres")
        return
    elsewhere = bench.session(made.role, credential.password.reveal(), "postgres")
    elsewhere.run("SELECT lo_create(0)")
    (answer,) = bench.platform.drop([ending(made)])
    assert isinstance(answer.error, PlatformBusy)
    assert "database postgres" in str(answer.error)
    with pytest.raises(psycopg.OperationalError):
        elsewhere.rows("SELECT 1")
    for database in ("postgres", None):
        with pytest.raises(psycopg.OperationalError):
            bench.session(made.role, credential.password.reveal(), database)
    assert [role.closed for role in bench.platform.live()] == [True]
    bench.as_superuser("postgres").run(f'DROP OWNED BY "{made.role}"')
    assert bench.platform.drop([ending(made)])[0].error is None


def test_roles_that_are_locked_use_up_the_time_of_no_other_and_are_dropped_once_it_is_over(bench: PostgresBench):
    wanted = profile(shape(bench.people()))
    bench.platform.ensure(wanted)
    leases = [lease(wanted) for _ in range(30)]
    bench.platform.vend([(each, bench.platform.credential(each, secrets.token_bytes)) for each in leases])
    locked = sorted(each.role for each in leases)[:20]
    holder = bench.as_superuser()
    holder.run("BEGIN")
    for role in locked:
        holder.run(f"COMMENT ON ROLE \"{role}\" IS 'under audit'")

    answers = bench.platform.drop([ending(each) for each in leases])

    assert {answer.role for answer in answers if answer.error is not None} == set(locked)
    assert all(isinstance(answer.error, PlatformBusy | None) for answer in answers)
    assert {live.role for live in bench.platform.live() if live.closed} == set(locked), "locked out all the same"
    holder.run("ROLLBACK")
    assert [answer.error for answer in bench.platform.drop([ending(each) for each in leases])] == [None] * 30


@pytest.mark.long
@pytest.mark.parametrize("catalog", ["pg_authid", "pg_auth_members"])
def test_a_locked_catalog_delays_the_drop_but_not_the_end_of_reading_and_who_holds_it_is_named(bench: PostgresBench, catalog: str):
    made, credential = vended(bench.platform, profile(shape(bench.people())))
    session = bench.log_in(credential)
    session.rows("SELECT count(*) FROM people")
    bench.platform.live()
    holder = bench.as_superuser()
    holder.run(f"BEGIN; LOCK TABLE {catalog} IN ACCESS EXCLUSIVE MODE")

    (answer,) = bench.platform.drop([ending(made)])

    assert isinstance(answer.error, PlatformBusy)
    assert f"{catalog} is locked by session" in str(answer.error)
    with pytest.raises(psycopg.Error):
        session.rows("SELECT count(*) FROM people")
    holder.run("ROLLBACK")
    assert bench.platform.drop([ending(made)])[0].error is None
    with pytest.raises(psycopg.OperationalError):
        session.rows("SELECT 1")


def test_a_role_by_that_name_that_is_not_the_one_that_was_vended_is_left_alone(bench: PostgresBench):
    made, _ = vended(bench.platform, profile(shape(bench.people())))
    bench.run(f'DROP OWNED BY "{made.role}"; DROP ROLE "{made.role}"; CREATE ROLE "{made.role}"')
    (answer,) = bench.platform.drop([ending(made)])
    assert isinstance(answer.error, PlatformBusy)
    assert bench.exists(made.role)


def test_the_tombstone_tells_who_it_was_and_what_ended_it(bench: PostgresBench):
    made, _ = vended(bench.platform, profile(shape(bench.people())))
    bench.platform.drop([ending(made, EndReason.REVOKED)])
    stone = bench.platform.tombstone(made.role)
    assert stone is not None
    assert (stone.agent, stone.user, stone.uid, stone.expires_at) == (made.agent, made.user, made.uid, made.expires_at)
    assert stone.reason == "Revoked"
    assert stone.dropped_at is not None
    assert bench.platform.tombstone(lease(profile()).role) is None


def test_tombstones_are_forgotten_after_a_day_and_not_before(bench: PostgresBench):
    wanted = profile(shape(bench.people()))
    old, young = vended(bench.platform, wanted)[0], vended(bench.platform, wanted)[0]
    bench.platform.drop([ending(old), ending(young)])
    bench.run(f"UPDATE rolevend.lease SET revoked_at = revoked_at - interval '25 hours' WHERE role = '{old.role}'")
    bench.platform.collect(frozenset(), old.expires_at)
    assert bench.platform.tombstone(old.role) is None
    assert bench.platform.tombstone(young.role) is not None


def test_vending_and_dropping_side_by_side_lose_nothing(bench: Bench):
    wanted = profile(shape(bench.people()))
    bench.platform.ensure(wanted)
    leases = [lease(wanted) for _ in range(min(bench.crowd, 40))]
    credentials = [bench.platform.credential(each, secrets.token_bytes) for each in leases]
    failures: list[object] = []

    def vend_them() -> None:
        for pair in zip(leases, credentials, strict=True):
            failures.extend(answer.error for answer in bench.platform.vend([pair]) if not isinstance(answer.error, Conflict | None))

    def drop_them() -> None:
        for each in reversed(leases):
            failures.extend(answer.error for answer in bench.platform.drop([ending(each)]) if answer.error is not None)

    threads = [threading.Thread(target=work) for work in (vend_them, drop_them)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert bench.platform.live() == []
