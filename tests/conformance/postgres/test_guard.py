"""Row security that is switched off by hand locks out, with the same commit, who would see rows by it. It takes a superuser's trigger."""

import pytest

from rolevend.errors import PlatformBusy
from rolevend.model import ProfileName
from rolevend.plan import TableShape
from tests.conformance.bench import PostgresBench, PostgresSession, moved, own, profile, refused, shape, vended
from tests.conformance.bench import lease as new_lease


@pytest.fixture
def people(bench: PostgresBench) -> TableShape:
    table = bench.people()
    return shape(table, own(table, "region", "regions"))


@pytest.fixture
def dba(bench: PostgresBench) -> PostgresSession:
    """Unlike the bench's own, the changes of this session are seen by event triggers."""
    return bench.as_superuser()


@pytest.fixture
def eve(bench: PostgresBench, people: TableShape) -> PostgresSession:
    """Has a prepared statement and knows that it works."""
    session = bench.log_in(vended(bench.platform, profile(people), regions=["EU"])[1])
    session.run("PREPARE kept AS SELECT count(*) FROM people")
    assert session.rows("EXECUTE kept") == [(2,)]
    return session


def test_switching_row_security_off_locks_out_with_the_same_commit_whoever_reads_the_table_and_nobody_else(bench, people, dba, eve):
    other = bench.log_in(vended(bench.platform, profile(shape(bench.people())))[1])
    told: list[str] = []
    dba.connection.add_notice_handler(lambda notice: told.append(str(notice.message_primary)))

    dba.run(f"ALTER TABLE {people.table} DISABLE ROW LEVEL SECURITY")

    for statement in ("EXECUTE kept", "SELECT * FROM people"):
        assert refused(lambda statement=statement: eve.rows(statement)) == "42501"
    assert other.rows("SELECT count(*) FROM people") == [(6,)]
    assert told == ["rolevend locks out 1 vended roles that read a table whose row level security was switched off"]


def test_switching_it_off_as_the_tables_owner_who_knows_nothing_of_rolevend_does_so_too(bench, people, dba, eve):
    dba.run(f"SET ROLE {bench.owner}; ALTER TABLE {people.table} DISABLE ROW LEVEL SECURITY; RESET ROLE")

    assert refused(lambda: eve.rows("EXECUTE kept")) == "42501"


def test_switching_it_off_and_rolling_back_locks_nobody_out(bench, people, dba, eve):
    dba.run(f"BEGIN; ALTER TABLE {people.table} DISABLE ROW LEVEL SECURITY; ROLLBACK")

    assert eve.rows("EXECUTE kept") == [(2,)]


def test_other_changes_of_the_table_lock_nobody_out(bench, people, dba, eve):
    dba.run(f"ALTER TABLE {people.table} ADD COLUMN more integer, ALTER COLUMN ssn SET STATISTICS 10")

    assert eve.rows("EXECUTE kept") == [(2,)]


def test_nothing_new_is_vended_and_those_are_named_that_are_locked_out_until_they_are_dropped(bench, people, dba, eve):
    (role,) = [each.role for each in bench.platform.live()]
    dba.run(f"ALTER TABLE {people.table} DISABLE ROW LEVEL SECURITY")

    late = new_lease(profile(people), regions=["EU"])
    (answer,) = bench.platform.vend([(moved(late, profile=built(bench)), bench.platform.credential(late, bytes))])
    assert isinstance(answer.error, PlatformBusy)
    assert {drift.roles for drift in bench.platform.drift()} == {(role,)}
    assert [(each.role, each.closed) for each in bench.platform.live()] == [(role, True)]


def test_switching_it_off_and_on_again_at_once_leaves_roles_that_the_sweep_finds_locked_out(bench, people, dba, eve):
    dba.run(f"ALTER TABLE {people.table} DISABLE ROW LEVEL SECURITY; ALTER TABLE {people.table} ENABLE ROW LEVEL SECURITY")

    assert bench.platform.drift() == []
    assert [each.closed for each in bench.platform.live()] == [True]
    assert refused(lambda: eve.rows("EXECUTE kept")) == "42501"


@pytest.mark.parametrize("how", ["locked", "broken"])
def test_it_works_for_whoever_does_it_also_where_rolevend_cannot(bench, people, dba, eve, how):
    told: list[str] = []
    dba.connection.add_notice_handler(lambda notice: told.append(str(notice.message_primary)))
    other = bench.as_superuser()
    other.run("BEGIN; SELECT FROM rolevend.lease FOR UPDATE" if how == "locked" else "ALTER TABLE rolevend.lease RENAME TO away")
    try:
        dba.run(f"ALTER TABLE {people.table} DISABLE ROW LEVEL SECURITY")
    finally:
        other.run("ROLLBACK" if how == "locked" else "ALTER TABLE rolevend.away RENAME TO lease")

    assert not bench.value(f"SELECT relrowsecurity FROM pg_class WHERE oid = '{people.table}'::regclass")
    assert any("could not lock out" in text for text in told)
    assert len(bench.platform.drift()) == 1, "the next look finds it"


def built(bench: PostgresBench) -> ProfileName:
    return ProfileName(bench.value("SELECT profile FROM rolevend.profile"))
