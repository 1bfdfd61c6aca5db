"""The driver on the stand-in where things go wrong: cut short at each statement, unheard answers, no warehouse, others' policies.

It is a model of an account: what passes here was not tried on Snowflake.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import snowflake.connector

from rolevend.catalog import TableId
from rolevend.errors import Conflict, InvalidInput, Overtaken, PlatformBusy, PlatformUnavailable, RolevendError
from rolevend.model import ClusterId, ObjectName
from rolevend.plan import LeaseRecord
from rolevend.platforms.protocol import Credential, DropRequest, EndReason, KeyPairCredential, LimitAction
from rolevend.platforms.snowflake import SnowflakeLimits, SnowflakeLogin
from rolevend.platforms.snowflake.connections import Row, SnowflakeSession, connect
from rolevend.platforms.snowflake.sql import Sql
from rolevend.platforms.snowflake.vend.create import make
from rolevend.platforms.snowflake.vend.keys import new_key
from tests.conformance.bench import CLUSTER, lease, own, profile, shape, vend, vended
from tests.conformance.snowflake_bench import DATABASE, WAREHOUSE, SnowflakeBench, installed
from tests.support.snowflake import Account, Fault, Harm, StandIn
from tests.support.snowflake.grammar import split

VEND = ("CREATE ROLE", "GRANT ROLE", "INSERT INTO", "CREATE USER", "ALTER USER", "TO USER", "SHOW GRANTS")
"""A text that each statement of a vend has, and the ones before it have not."""
DROP = ("SHOW GRANTS", "INSERT INTO", "ALTER USER", "DROP USER", "DROP ROLE", "SHOW ROLES")
TOO_LATE = "000630", "Statement reached its statement or warehouse timeout of 60 second(s) and was canceled."


@pytest.fixture(scope="module")
def account() -> Iterator[SnowflakeBench]:
    with StandIn() as snowflake, installed(snowflake) as bench:
        yield bench


@pytest.fixture
def bench(account: SnowflakeBench) -> Iterator[SnowflakeBench]:
    yield account
    account.tidy()


def ending(of, reason: EndReason = EndReason.RELEASED) -> DropRequest:
    return DropRequest(of.role, of.uid, reason)


def refuse(bench: SnowflakeBench, text: str, times: int = 1) -> None:
    """The next statement with this text fails, as if the process ended there."""
    bench.snowflake.account.faults.inject(Fault(Harm.REFUSED, lambda _, sql: text in sql, times))


def reads(bench: SnowflakeBench, credential: Credential) -> bool:
    """Whether anything can be had with it."""
    try:
        return bench.log_in(credential).rows("SELECT * FROM people") != []
    except Exception:
        return False


def requests(bench: SnowflakeBench) -> int:
    return len([each for each in bench.snowflake.requests if "query" in each.path or "queries" in each.path])


def statements(bench: SnowflakeBench, work: Callable[[], object]) -> list[str]:
    """What the account ran meanwhile."""
    account = bench.snowflake.account
    account.forget()
    work()
    return [text for running in account.history for text in split(running.text)]


def test_every_statement_of_a_vend_and_of_a_drop_is_one_at_which_it_is_cut_short_here(bench: SnowflakeBench):
    wanted = profile(shape(bench.people()))
    vended(bench.platform, wanted)
    made = lease(wanted)
    credential = bench.platform.credential(made, secrets.token_bytes)

    for listed, ran in (
        (VEND, statements(bench, lambda: bench.platform.vend([(made, credential)]))),
        (DROP, statements(bench, lambda: bench.platform.drop([ending(made)]))),
    ):
        assert [next(place for place, text in enumerate(ran) if each in text) for each in listed] == list(range(len(ran)))


@pytest.mark.thinned(3, "full")
@pytest.mark.parametrize("statement", VEND)
def test_a_vend_that_is_cut_short_is_of_no_use_and_the_same_again_makes_it_whole(bench: SnowflakeBench, statement: str):
    wanted = profile(shape(bench.people()))
    bench.platform.ensure(wanted)
    made = lease(wanted)
    credential = bench.platform.credential(made, secrets.token_bytes)
    refuse(bench, statement)

    (answer,) = bench.platform.vend([(made, credential)])

    assert isinstance(answer.error, PlatformBusy)
    assert reads(bench, credential) is (statement == "SHOW GRANTS"), "it is whole then, and only nobody has looked"
    (again,) = bench.platform.vend([(made, credential)])
    assert (again.error, again.expires_at) == (None, made.expires_at)
    assert reads(bench, credential)


@pytest.mark.thinned(3, "full")
@pytest.mark.parametrize("statement", VEND)
def test_what_a_vend_that_was_cut_short_left_is_seen_and_dropped(bench: SnowflakeBench, statement: str):
    wanted = profile(shape(bench.people()))
    bench.platform.ensure(wanted)
    made = lease(wanted)
    refuse(bench, statement)
    bench.platform.vend([(made, bench.platform.credential(made, secrets.token_bytes))])

    assert [each.role for each in bench.platform.live()] == ([] if statement == "CREATE ROLE" else [made.role])
    assert [each.error for each in bench.platform.drop([ending(made)])] == [None]
    assert bench.platform.live() == []
    assert not bench.exists(made.role)


class Interrupted(SnowflakeSession):
    """In which something happens before the vend looks at what it made."""

    def __init__(self, session: SnowflakeSession, happens: Callable[[], object]) -> None:
        super().__init__(session._connection)
        self._happens = happens

    def rows(self, statement: Sql) -> list[Row]:
        if statement.startswith("SHOW GRANTS TO ROLE"):
            self._happens()
        return super().rows(statement)


def test_a_role_that_is_dropped_while_its_vend_looks_at_it_is_told_as_ended(bench: SnowflakeBench):
    wanted = profile(shape(bench.people()))
    bench.platform.ensure(wanted)
    made = lease(wanted)
    credential = bench.platform.credential(made, secrets.token_bytes)
    assert isinstance(credential, KeyPairCredential)
    session = connect(bench.account, bench.vendor, role="RV_VENDOR", statement_timeout=60, limits=SnowflakeLimits())

    with pytest.raises(Overtaken, match="was ended, and stays so"):
        make(Interrupted(session, lambda: bench.platform.drop([ending(made)])), made, credential, bench.account)

    session.close()


def test_one_session_that_cannot_be_closed_keeps_no_other_open(bench: SnowflakeBench, monkeypatch: pytest.MonkeyPatch):
    close, opened = snowflake.connector.SnowflakeConnection.close, []

    def fails_once(connection: snowflake.connector.SnowflakeConnection, *arguments: object) -> None:
        opened.append(connection)
        if len(opened) == 1:
            raise RuntimeError("no")
        close(connection)

    platform = bench.platform_of(CLUSTER)
    platform.facts()  # a session of each login
    with monkeypatch.context() as patched:
        patched.setattr(snowflake.connector.SnowflakeConnection, "close", fails_once)
        platform.close()
    first, *others = opened
    first.close()

    assert others
    assert all(each.is_closed() for each in others)


@pytest.mark.thinned(3, "full")
@pytest.mark.parametrize("statement", VEND)
def test_a_statement_of_a_vend_that_is_done_though_the_account_says_no_is_not_done_twice(bench: SnowflakeBench, statement: str):
    wanted = profile(shape(bench.people()))
    bench.platform.ensure(wanted)
    made = lease(wanted)
    credential = bench.platform.credential(made, secrets.token_bytes)
    bench.snowflake.account.faults.refuse(statement, *TOO_LATE, after=True)

    answers = [each for _ in range(2) for each in bench.platform.vend([(made, credential)])]

    assert [type(each.error) for each in answers] == [PlatformBusy, type(None)]
    assert [each.role for each in bench.platform.live()] == [made.role]
    assert bench.admin.run(f"SELECT COUNT(*) FROM ROLEVEND.CONTROL.LEASE WHERE ROLE = '{made.role}'") == [(1,)]
    assert reads(bench, credential)


@pytest.mark.thinned(3, "full")
@pytest.mark.parametrize("statement", DROP)
def test_a_statement_of_a_drop_that_is_done_though_the_account_says_no_is_no_obstacle(bench: SnowflakeBench, statement: str):
    made, credential = vended(bench.platform, profile(shape(bench.people())))
    bench.snowflake.account.faults.refuse(statement, *TOO_LATE, after=True)

    answers = [each for _ in range(2) for each in bench.platform.drop([ending(made)])]

    assert [type(each.error) for each in answers] == [PlatformBusy, type(None)]
    assert bench.platform.live() == []
    assert not reads(bench, credential)
    assert [each.role for each in bench.platform.ended(EndReason.RELEASED)] == [made.role]


@pytest.mark.thinned(2, "full")
@pytest.mark.parametrize(("path", "text"), [("query-request", "SHOW GRANTS"), ("/result", "")])
def test_a_look_of_a_vend_or_a_drop_that_nobody_heard_of_is_a_look_again(bench: SnowflakeBench, path: str, text: str):
    """The answer to the first of several statements is a look, too: it is asked for by itself."""
    wanted = profile(shape(bench.people()))
    bench.platform.ensure(wanted)
    made = lease(wanted)
    credential = bench.platform.credential(made, secrets.token_bytes)
    lost = Fault(Harm.LOST_AFTER, lambda came, sql: path in came and text in sql, SnowflakeLimits().attempts)

    bench.snowflake.account.faults.inject(lost)
    assert [each.error for each in bench.platform.vend([(made, credential)])] == [None]
    assert reads(bench, credential)

    bench.snowflake.account.faults.inject(lost)
    assert [each.error for each in bench.platform.drop([ending(made)])] == [None]
    assert bench.platform.live() == []


@pytest.mark.thinned(3, "full")
@pytest.mark.parametrize("statement", DROP)
def test_a_drop_that_is_cut_short_is_finished_by_the_next(bench: SnowflakeBench, statement: str):
    made, credential = vended(bench.platform, profile(shape(bench.people())))
    refuse(bench, statement)

    (answer,) = bench.platform.drop([ending(made)])

    assert isinstance(answer.error, PlatformBusy)
    assert reads(bench, credential) is (statement in ("SHOW GRANTS", "INSERT INTO"))
    assert [each.error for each in bench.platform.drop([ending(made)])] == [None]
    assert bench.platform.live() == []
    assert not reads(bench, credential)
    (late,) = bench.platform.vend([(made, credential)])
    assert isinstance(late.error, Overtaken)


@pytest.mark.thinned(3, "full")
@pytest.mark.parametrize("harm", [Harm.LOST_AFTER, Harm.LOST_BEFORE, Harm.STATUS_AFTER])
@pytest.mark.parametrize("times", [1, 2])
def test_a_vend_whose_answer_nobody_heard_is_made_again_and_is_one_role(bench: SnowflakeBench, harm: Harm, times: int):
    """The second time no session hears of it, so another one looks."""
    wanted = profile(shape(bench.people()))
    bench.platform.ensure(wanted)
    made = lease(wanted)
    credential = bench.platform.credential(made, secrets.token_bytes)
    bench.snowflake.account.faults.on_statement(harm, "CREATE ROLE", times=1 if times == 1 else SnowflakeLimits().attempts)

    (answer,) = bench.platform.vend([(made, credential)])

    assert (answer.error, answer.expires_at) == (None, made.expires_at)
    assert [each.role for each in bench.platform.live()] == [made.role]
    assert reads(bench, credential)


@pytest.mark.thinned(2, "full")
@pytest.mark.parametrize("harm", [Harm.LOST_AFTER, Harm.LOST_BEFORE])
def test_a_drop_whose_answer_nobody_heard_is_done_again(bench: SnowflakeBench, harm: Harm):
    made, credential = vended(bench.platform, profile(shape(bench.people())))
    bench.snowflake.account.faults.on_statement(harm, "DROP ROLE", times=SnowflakeLimits().attempts)
    assert [each.error for each in bench.platform.drop([ending(made)])] == [None]
    assert not reads(bench, credential)


@pytest.mark.thinned(2, "full")
@pytest.mark.parametrize("tables", [1, 40])
def test_a_vend_and_a_drop_take_three_requests_each_whatever_the_number_of_tables(bench: SnowflakeBench, tables: int):
    wanted = profile(*(shape(each) for each in bench.tables(tables)))
    vended(bench.platform, wanted)
    one = lease(wanted)
    credential = bench.platform.credential(one, secrets.token_bytes)
    before, logins = requests(bench), len(bench.snowflake.asked("login"))

    bench.platform.vend([(one, credential)])
    between = requests(bench)
    bench.platform.drop([ending(one)])

    assert (between - before, requests(bench) - between) == (3, 3)
    assert len(bench.snowflake.asked("login")) == logins, "sessions are used again"


def test_a_session_that_was_idle_for_too_long_is_replaced(bench: SnowflakeBench):
    bench.platform.facts()
    bench.snowflake.account.clock = lambda: datetime.now(UTC) + timedelta(hours=5)
    try:
        assert bench.platform.facts().version
    finally:
        bench.snowflake.account.clock = lambda: datetime.now(UTC)


def test_without_a_warehouse_a_role_is_locked_out_at_once_and_its_end_is_written_down_later(bench: SnowflakeBench):
    made, credential = vended(bench.platform, profile(shape(bench.people())))
    bench.run(f"ALTER WAREHOUSE {WAREHOUSE} SET AUTO_RESUME = FALSE")
    bench.run(f"ALTER WAREHOUSE {WAREHOUSE} SUSPEND")
    try:
        (answer,) = bench.platform.drop([ending(made)])
        assert isinstance(answer.error, RolevendError)
        assert not bench.exists(made.role)
        assert not reads(bench, credential)
    finally:
        bench.run(f"ALTER WAREHOUSE {WAREHOUSE} RESUME")
        bench.run(f"ALTER WAREHOUSE {WAREHOUSE} SET AUTO_RESUME = TRUE")
    assert [each.error for each in bench.platform.drop([ending(made)])] == [None]
    assert [each.role for each in bench.platform.ended(EndReason.RELEASED)] == [made.role]


def test_a_table_with_a_row_policy_of_somebody_elses_is_not_governed_and_the_reason_is_told(bench: SnowflakeBench):
    people = bench.people()
    bench.run(f"CREATE ROW ACCESS POLICY {DATABASE}.GOVERNED.THEIRS{people.id.schema} AS (C NUMBER) RETURNS BOOLEAN -> TRUE")
    name = f'{DATABASE}.{people.id.schema}."people"'
    bench.run(f'ALTER TABLE {name} ADD ROW ACCESS POLICY {DATABASE}.GOVERNED.THEIRS{people.id.schema} ON ("id")')

    assert "has a row access policy of somebody else's" in bench.catalog_table(people.id).obstacle
    vendor_only = bench.platform_of(CLUSTER, programmer=None)
    assert vendor_only.catalog(frozenset({people.id.schema})).tables[people.id].obstacle == bench.catalog_table(people.id).obstacle
    with pytest.raises(Conflict, match="take it off"):
        bench.platform.ensure(profile(shape(people)))


def test_what_a_role_was_given_to_own_goes_to_nobody(bench: SnowflakeBench):
    made, _ = vended(bench.platform, profile(shape(bench.people())))
    leak = f"{DATABASE}.GOVERNED.LEAK"
    bench.run(f"CREATE OR REPLACE TABLE {leak} (ID NUMBER)")
    bench.run(f'GRANT OWNERSHIP ON TABLE {leak} TO ROLE "{made.role}" REVOKE CURRENT GRANTS')

    assert [each.error for each in bench.platform.drop([ending(made)])] == [None]

    grants = bench.admin.run(f"SHOW GRANTS ON TABLE {leak}")
    assert [row[5] for row in grants if row[1] == "OWNERSHIP"] == ["RV_QUARANTINE"]


def test_a_role_that_was_given_more_is_not_handed_out(bench: SnowflakeBench):
    wanted = profile(shape(bench.people()))
    bench.platform.ensure(wanted)
    made = lease(wanted)
    credential = bench.platform.credential(made, secrets.token_bytes)
    refuse(bench, "TO USER")
    bench.platform.vend([(made, credential)])
    bench.run(f'GRANT USAGE ON DATABASE {DATABASE} TO ROLE "{made.role}"')

    (answer,) = bench.platform.vend([(made, credential)])

    assert isinstance(answer.error, PlatformUnavailable)
    assert f"it holds USAGE on DATABASE {DATABASE}" in str(answer.error)
    assert not bench.exists(made.role)


def test_somebody_elses_role_of_that_name_is_left_alone(bench: SnowflakeBench):
    wanted = profile(shape(bench.people()))
    bench.platform.ensure(wanted)
    made = lease(wanted)
    bench.run(f'CREATE ROLE "{made.role}"')
    try:
        (answer,) = bench.platform.vend([(made, bench.platform.credential(made, secrets.token_bytes))])
        assert isinstance(answer.error, Conflict)
        assert bench.exists(made.role)
    finally:
        bench.run(f'DROP ROLE "{made.role}"')


def test_a_lease_that_is_over_shows_no_row_and_its_session_is_locked_out_and_the_task_ends_it(bench: SnowflakeBench):
    made, credential = vended(bench.platform, profile(shape(bench.people())), seconds=600)
    session = bench.log_in(credential)
    account = bench.snowflake.account
    account.clock = lambda: datetime.now(UTC) + timedelta(seconds=605)
    try:
        assert session.rows("SELECT * FROM people") == []
        (curbed,) = bench.platform.curb()
        assert (curbed.role, curbed.act) == (made.role, LimitAction.EXPIRED)
        assert bench.platform.curb() == ()
        assert [each.closed for each in bench.platform.live()] == [True]
        with pytest.raises(Exception, match=r"no longer exists|JWT|disabled"):
            session.rows("SELECT 1")

        account.run_task(next(each for each in account.catalog.of("TASK") if each.name[-1] == "REAPER"))

        assert bench.platform.live() == []
        assert [each.role for each in bench.platform.ended(EndReason.EXPIRED)] == [made.role]
    finally:
        account.clock = lambda: datetime.now(UTC)


def test_a_profile_that_nobody_uses_is_collected_and_one_that_is_used_stays(bench: SnowflakeBench):
    people = bench.people()
    idle, used, kept = (profile(shape(people, own(people, "region", name))) for name in ("a", "b", "c"))
    for each in (idle, kept):
        bench.platform.ensure(each)
    vended(bench.platform, used)

    gone = bench.platform.collect(frozenset({kept.name}), datetime.now(UTC) + timedelta(seconds=1))

    assert gone >= 1
    assert not bench.platform.is_built(idle.name)
    roles = {row[1] for row in bench.admin.run("SHOW ROLES STARTS WITH 'RV_P_'")}
    assert {used.name.upper(), kept.name.upper()} <= roles
    assert idle.name.upper() not in roles
    made = lease(idle)
    vend(bench.platform, idle, made)


LATER = timedelta(days=1)


@pytest.mark.thinned(3, "full")
@pytest.mark.parametrize("statement", ["CREATE ROLE", "SECURE VIEW", "GRANT USAGE", "OWNERSHIP", "INSERT INTO"])
def test_what_is_left_of_a_build_that_was_cut_short_is_collected(bench: SnowflakeBench, statement: str):
    wanted = profile(shape(bench.people()))
    refuse(bench, statement)
    with pytest.raises(PlatformBusy):
        bench.platform.ensure(wanted)
    assert bench.stands(wanted.name)

    bench.platform.collect(frozenset(), datetime.now(UTC) + LATER)

    assert not bench.stands(wanted.name)


@pytest.mark.thinned(3, "full")
@pytest.mark.parametrize("statement", ["DROP ROLE", "DROP SCHEMA", "SELECT PROFILE, PLACE"])
def test_what_one_collection_cannot_take_away_the_next_one_does_and_nothing_else_waits_for_it(bench: SnowflakeBench, statement: str):
    people = bench.people()
    unused = [profile(shape(people, own(people, "region", name))) for name in ("a", "b")]
    for each in unused:
        bench.platform.ensure(each)
    later = datetime.now(UTC) + LATER
    refuse(bench, statement)

    with pytest.raises(PlatformBusy):
        bench.platform.collect(frozenset(), later)

    assert sum(bench.stands(each.name) for each in unused) == 1
    assert bench.platform.collect(frozenset(), later) == 1
    assert not any(bench.stands(each.name) for each in unused)


def test_what_is_being_built_is_not_collected_whatever_was_left_of_it_before(bench: SnowflakeBench):
    wanted = profile(shape(bench.people()))
    bench.platform.ensure(wanted)
    bench.run(f"DELETE FROM ROLEVEND.CONTROL.PROFILE WHERE PROFILE = '{wanted.name.upper()}'")
    again, gone = bench.platform_of(CLUSTER), list[int]()

    again.ensure(wanted, lambda _: gone.append(again.collect(frozenset(), datetime.now(UTC) + LATER)))

    assert gone
    assert bench.stands(wanted.name)
    assert reads(bench, vended(again, wanted)[1])


@pytest.mark.thinned(3, "full")
@pytest.mark.parametrize(
    "statement", ["CREATE ROLE", "GRANT ROLE", "CREATE SCHEMA", "CREATE ROW", "ADD ROW", "SECURE VIEW", "GRANT USAGE", "OWNERSHIP"]
)
def test_a_build_that_is_cut_short_goes_on_where_it_ended(bench: SnowflakeBench, statement: str):
    wanted = profile(shape(bench.table([("only", f"NUMBER({secrets.randbelow(30) + 2},1)")], name="people")))
    refuse(bench, statement)
    with pytest.raises(PlatformBusy):
        bench.platform.ensure(wanted)
    assert not bench.platform.is_built(wanted.name)
    (answer,) = bench.platform.vend([(made := lease(wanted), bench.platform.credential(made, secrets.token_bytes))])
    assert isinstance(answer.error, PlatformBusy)

    vended(bench.platform, wanted)


def test_a_wall_that_was_taken_away_is_found_and_put_back_by_the_next_vend(bench: SnowflakeBench):
    people = bench.people()
    wanted = profile(shape(people))
    made, _ = vended(bench.platform, wanted)
    assert people.id not in {each.table for each in bench.platform.drift()}
    bench.run(f'ALTER TABLE {DATABASE}.{people.id.schema}."people" DROP ALL ROW ACCESS POLICIES')

    (drift,) = [each for each in bench.platform.drift() if each.table == people.id]

    assert "its row access policy is gone" in drift.finding
    assert drift.roles == (made.role,)
    assert not bench.platform.is_built(wanted.name)
    vended(bench.platform, wanted)
    assert people.id not in {each.table for each in bench.platform.drift()}


def test_drift_that_was_found_is_looked_for_again_after_a_minute_and_what_is_in_order_after_ten(
    bench: SnowflakeBench, monkeypatch: pytest.MonkeyPatch
):
    platform, passed = bench.platform_of(ClusterId("one-that-waits"), SnowflakeLimits(tags_seconds=600)), 0.0
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + passed)
    monkeypatch.setattr("rolevend.platforms.snowflake.driver.time", clock)
    people = bench.people()
    wanted = profile(shape(people))
    platform.ensure(wanted)
    assert platform.drift() == ()
    bench.run(f'ALTER TABLE {DATABASE}.{people.id.schema}."people" DROP ALL ROW ACCESS POLICIES')
    assert platform.drift() == ()

    passed = 601.0
    assert [each.table for each in platform.drift()] == [people.id]
    platform.ensure(wanted)
    assert [each.table for each in platform.drift()] == [people.id]

    passed += 61.0
    assert platform.drift() == ()


def test_a_wall_of_an_older_rolevend_is_exchanged_for_the_one_of_now(bench: SnowflakeBench):
    people = bench.people()
    old = f"ROLEVEND.CONTROL.RV_R_OLD_{people.id.schema}"
    bench.run(f"CREATE ROW ACCESS POLICY {old} AS (C NUMBER) RETURNS BOOLEAN -> TRUE")
    bench.run(f'ALTER TABLE {DATABASE}.{people.id.schema}."people" ADD ROW ACCESS POLICY {old} ON ("id")')
    before = len(bench.snowflake.requests)

    _, credential = vended(bench.platform, profile(shape(people)))

    sent = "".join(each.sql for each in bench.snowflake.requests[before:])
    assert f'DROP ROW ACCESS POLICY "ROLEVEND"."CONTROL"."RV_R_OLD_{people.id.schema}", ADD ROW ACCESS POLICY' in sent
    assert len(bench.log_in(credential).rows("SELECT * FROM people")) == 6


@pytest.mark.long
def test_another_profile_over_the_same_tables_puts_no_wall_there_again(bench: SnowflakeBench):
    tables = bench.tables(60)
    before = len(bench.snowflake.requests)
    bench.platform.ensure(profile(*(shape(each) for each in tables)))
    first = bench.snowflake.requests[before:]
    before = len(bench.snowflake.requests)
    bench.platform.ensure(profile(*(shape(each) for each in tables)))
    second = bench.snowflake.requests[before:]

    assert sum(each.sql.count("ADD ROW ACCESS POLICY") for each in first) == 60
    assert sum(each.sql.count("ADD ROW ACCESS POLICY") for each in second) == 0
    assert sum(each.sql.count("SECURE VIEW") for each in second) == 60
    assert len(second) < len(first) < 30, "fifty statements in one request"


def test_a_login_with_another_key_is_refused_and_the_reason_is_told(bench: SnowflakeBench):
    stranger = bench.platform_of(CLUSTER, vendor=SnowflakeLogin(bench.vendor.user, new_key()), programmer=None)
    with pytest.raises(PlatformUnavailable, match="the private key of the Secret must belong to the RSA_PUBLIC_KEY"):
        stranger.facts()


def test_standard_edition_is_refused_with_the_reason():
    with StandIn(Account(edition="STANDARD")) as snowflake, installed(snowflake) as bench, pytest.raises(RolevendError, match="Enterprise"):
        bench.platform.ensure(profile(shape(bench.people())))


def test_a_lease_with_a_record_is_refused_because_none_is_kept(bench: SnowflakeBench):
    of = profile(shape(bench.people()))
    bench.platform.ensure(of)
    made = lease(of)
    record = LeaseRecord(ObjectName("agents", "one"), "{}", "call", "seal")
    credential = bench.platform.credential(made, secrets.token_bytes)
    (answer,) = bench.platform.vend([(replace(made, record=record), credential)])
    assert isinstance(answer.error, InvalidInput)
    assert not bench.exists(made.role)
    assert bench.platform.records is None


def test_the_catalog_has_types_and_the_owners_comments(bench: SnowflakeBench):
    schema = bench.schema()
    words = "COMMENT 'ISO code\n of the country'", "COMMENT = 'Who claims'"
    bench.run(f'CREATE TABLE {DATABASE}.{schema}."people" ("id" NUMBER(9,0), "country" VARCHAR(2) {words[0]}) {words[1]}')

    people = bench.platform.catalog(frozenset({schema})).tables[TableId(schema, "people")]

    assert people.comment == "Who claims"
    assert [(each.name, each.native_type, each.comment) for each in people.columns] == [
        ("id", "NUMBER(9,0)", ""),
        ("country", "VARCHAR(2)", "ISO code of the country"),
    ]
