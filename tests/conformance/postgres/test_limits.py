"""A role stays within the limits of its lease, whatever its agent sets for itself, and who else is there feels nothing of it."""

import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg
import pytest

from rolevend.model import Task
from rolevend.plan import Lease, RoleLimits
from rolevend.platforms.protocol import Credential, DropRequest, EndReason, InstallMode, LimitAction, LimitViolation
from tests.conformance.bench import (
    CLUSTER,
    OTHER_CLUSTER,
    PostgresBench,
    PostgresSession,
    lease,
    moved,
    profile,
    refused,
    shape,
    vend,
    vended,
)
from tests.support.waiting import DEADLINE, eventually

pytestmark = pytest.mark.both_installs

FREE = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = 0"
TIGHT = RoleLimits(transaction_seconds=1, idle_transaction_seconds=1)
FOREVER = "SELECT count(*) FROM people, pg_sleep(600)"
CANCELLED, SHUT_DOWN, TOO_MANY_FILES, INVALID = "57014", "57P01", "53400", "22023"
SORT = "SELECT count(*) FROM (SELECT g FROM generate_series(1, 300000) AS g ORDER BY md5(g::text)) AS sorted"


class Running:
    """A statement that runs beside the test."""

    def __init__(self, session: PostgresSession, statement: str) -> None:
        self.error: psycopg.Error | None = None
        self._session = session
        self._thread = threading.Thread(target=self._run, args=(session, statement), daemon=True)
        self._thread.start()

    def _run(self, session: PostgresSession, statement: str) -> None:
        try:
            session.rows(statement)
        except psycopg.Error as error:
            self.error = error

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def cancel(self) -> None:
        self._session.connection.cancel()
        self._thread.join(DEADLINE)


@dataclass
class Agents:
    bench: PostgresBench
    eve: tuple[Lease, Credential]
    """With tight limits."""
    victim: tuple[Lease, Credential]
    """With those of the defaults."""

    def login(self, *, free: bool = True) -> PostgresSession:
        return self.login_as(self.eve[1]) if free else self.bench.log_in(self.eve[1])

    def login_as(self, credential: Credential) -> PostgresSession:
        session = self.bench.log_in(credential)
        session.run(FREE)
        return session

    def look_until(self, condition: Callable[[], object]) -> list[LimitViolation]:
        """As the operator does: looks again and again; all that it was told."""
        told: list[LimitViolation] = []

        def seen() -> object:
            told.extend(self.bench.platform.curb())
            return condition()

        eventually(seen)
        return told

    def is_out(self, session: PostgresSession) -> bool:
        pid = session.connection.info.backend_pid
        return not self.bench.value(f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}")

    def waits_for(self, session: PostgresSession) -> object:
        return self.bench.value(f"SELECT wait_event FROM pg_stat_activity WHERE pid = {session.connection.info.backend_pid}")


@pytest.fixture
def agents(bench: PostgresBench) -> Agents:
    people = profile(shape(bench.people()))
    eve, victim = vended(bench.platform, people, limits=TIGHT), vended(bench.platform, people)
    return Agents(bench, eve, victim)


class TestAStatement:
    def test_is_cancelled_from_outside_whatever_its_session_has_set_and_others_run_on(self, agents: Agents):
        mine = agents.login()
        others = [Running(agents.bench.log_in(agents.victim[1]), FOREVER), Running(agents.bench.as_superuser(), "SELECT pg_sleep(600)")]
        running = Running(mine, FOREVER)

        told = agents.look_until(lambda: running.is_over)

        assert running.error is not None
        assert running.error.sqlstate == CANCELLED
        assert {(each.role, each.uid, each.act) for each in told} == {(agents.eve[0].role, agents.eve[0].uid, LimitAction.CANCELLED)}
        assert "where 1 are allowed" in told[0].why
        assert mine.rows("SELECT 1") == [(1,)]
        assert not any(other.is_over for other in others)
        for other in others:
            other.cancel()

    def test_of_an_honest_agent_is_cancelled_by_its_own_session(self, agents: Agents):
        session = agents.login(free=False)

        assert refused(lambda: session.rows(FOREVER)) == CANCELLED

    def test_that_nobody_reads_the_answer_of_ends_with_its_session(self, agents: Agents):
        """A server that waits for its client within a row, which no socket's buffer holds, hears of no cancellation."""
        session = agents.login()
        session.connection.pgconn.send_query(b"SELECT repeat(repeat('x', 10000), 10000)")
        eventually(lambda: agents.waits_for(session) == "ClientWrite")

        told = agents.look_until(lambda: agents.is_out(session))

        assert told[-1].act is LimitAction.TERMINATED

    def test_is_curbed_by_the_platforms_own_scheduler_too(self, agents: Agents):
        running = Running(agents.login(), FOREVER)
        scheduler = agents.bench.login_of(agents.bench.vendor)

        def swept() -> bool:
            scheduler.run("CALL rolevend.sweep()")
            return running.is_over

        eventually(swept)
        assert running.error is not None
        assert running.error.sqlstate == CANCELLED

    def test_of_another_clusters_role_is_that_clusters_business(self, agents: Agents):
        running = Running(agents.login(), FOREVER)
        elsewhere = agents.bench.platform_of(OTHER_CLUSTER)
        started = f"SELECT max(clock_timestamp() - query_start) > '2 s' FROM pg_stat_activity WHERE query = '{FOREVER}'"
        eventually(lambda: agents.bench.value(started))

        assert elsewhere.curb() == []
        assert not running.is_over


class TestATransaction:
    def test_that_waits_for_too_long_ends_with_its_session(self, agents: Agents):
        idle = agents.login()
        idle.run("BEGIN; SELECT count(*) FROM people")

        told = agents.look_until(lambda: agents.is_out(idle))

        assert {each.act for each in told} == {LimitAction.TERMINATED}

    def test_that_failed_and_was_left_so_does_too(self, agents: Agents):
        idle = agents.login()
        idle.run("BEGIN")
        refused(lambda: idle.rows("SELECT 1 / 0"))

        agents.look_until(lambda: agents.is_out(idle))

    def test_that_is_busy_with_a_cursor_all_the_time_ends_all_the_same(self, agents: Agents):
        reading = agents.login()
        reading.run("BEGIN; DECLARE c CURSOR FOR SELECT * FROM people CROSS JOIN generate_series(1, 1000)")

        def fetched() -> bool:
            try:
                reading.rows("FETCH 1 FROM c")
            except psycopg.Error:
                return agents.is_out(reading)
            return False

        agents.look_until(fetched)

    def test_of_many_short_statements_lives_as_long_as_it_is_young(self, agents: Agents):
        session = agents.login()
        session.run("BEGIN; SELECT 1; COMMIT")
        session.run("SELECT count(*) FROM people")

        assert agents.bench.platform.curb() == []
        assert session.rows("SELECT 1") == [(1,)]


class TestMessages:
    """The server has one queue of NOTIFY for everybody. A transaction that listens keeps all that comes after it there."""

    FILLED = "SELECT pg_notification_queue_usage()"

    @staticmethod
    def fill(session: PostgresSession, megabytes: int) -> None:
        """Each is another one: PostgreSQL takes equal ones of a transaction together."""
        for _ in range(megabytes):
            session.run("; ".join(f"NOTIFY much, '{secrets.token_hex(3999)}'" for _ in range(125)))

    def test_of_a_role_fill_the_servers_queue_to_about_a_hundredth_and_no_further(self, agents: Agents):
        bench = agents.bench
        listening, sending, other = (bench.log_in(agents.victim[1]) for _ in range(3))
        listening.run("LISTEN much")
        listening.run("BEGIN; SELECT 1")
        self.fill(sending, 90)
        assert bench.value(self.FILLED) > 0.01

        told = agents.look_until(lambda: agents.is_out(listening))

        assert [(each.role, each.act) for each in told] == [(agents.victim[0].role, LimitAction.TERMINATED)]
        assert "the queue of NOTIFY is filled to 1" in told[0].why
        assert bench.value(self.FILLED) < 0.01
        assert other.rows("SELECT 1") == [(1,)]

    def test_end_no_transaction_while_the_queue_is_short(self, agents: Agents):
        bench = agents.bench
        listening, sending = (bench.log_in(agents.victim[1]) for _ in range(2))
        listening.run("LISTEN much")
        listening.run("BEGIN; SELECT 1")
        self.fill(sending, 2)
        eventually(
            lambda: bench.value("SELECT max(clock_timestamp() - xact_start) > '1 s' FROM pg_stat_activity WHERE state LIKE 'idle in%'")
        )

        assert bench.platform.curb() == []
        assert listening.rows("SELECT 1") == [(1,)]


class TestALeaseThatIsOver:
    """A drop may wait for its turn in a crowd, and a statement asks for its lease only when it begins."""

    @staticmethod
    def end(bench: PostgresBench, lease: Lease, *, ago: str = "2 s") -> None:
        bench.run(f"UPDATE rolevend.lease SET expires_at = clock_timestamp() - interval '{ago}' WHERE role = '{lease.role}'")

    @staticmethod
    def endless(agents: Agents, credential: Credential) -> Running:
        """A statement that has begun."""
        session = agents.login_as(credential)
        running = Running(session, FOREVER)
        eventually(lambda: agents.waits_for(session) == "PgSleep")
        return running

    @staticmethod
    def locked(bench: PostgresBench, lease: Lease) -> PostgresSession:
        """Somebody keeps it from being closed, until a ROLLBACK."""
        holder = bench.as_superuser()
        holder.run(f"BEGIN; SELECT FROM rolevend.lease WHERE role = '{lease.role}' FOR UPDATE")
        return holder

    def test_ends_its_sessions_whatever_they_do_and_leaves_the_role_to_its_drop_and_others_alone(self, agents: Agents):
        lease, credential = agents.victim
        running, idle = self.endless(agents, credential), agents.login_as(credential)
        idle.run("BEGIN; SELECT count(*) FROM people")
        _, others = vended(agents.bench.platform, profile(shape(agents.bench.people())))
        other = self.endless(agents, others)
        self.end(agents.bench, lease)

        told = agents.look_until(lambda: running.is_over)

        assert len(told) >= 2  # a session that has not ended by the next look is named again
        assert {(each.uid, each.act) for each in told} == {(lease.uid, LimitAction.EXPIRED)}
        assert "after the end of the lease" in told[0].why
        assert running.error is not None
        assert running.error.sqlstate == SHUT_DOWN
        eventually(lambda: agents_gone(agents.bench, lease))
        assert not other.is_over
        assert agents.bench.exists(lease.role)
        (dropped,) = agents.bench.platform.drop([DropRequest(lease.role, lease.uid, EndReason.EXPIRED)])
        assert (dropped.error, dropped.sessions) == (None, frozenset())

    def test_does_so_while_its_drop_waits_for_a_lock(self, agents: Agents):
        lease, credential = agents.victim
        running = self.endless(agents, credential)
        self.end(agents.bench, lease)
        holder = self.locked(agents.bench, lease)

        agents.look_until(lambda: running.is_over)

        holder.run("ROLLBACK")

    def test_is_not_over_until_it_is_and_a_closed_one_is_its_drops_business(self, agents: Agents):
        """Whose drop is under way tells how many sessions it ended."""
        lease, credential = agents.victim
        running = self.endless(agents, credential)
        self.end(agents.bench, lease, ago="-1 hour")
        assert agents.bench.platform.curb() == []
        self.end(agents.bench, lease)
        agents.bench.run(f"UPDATE rolevend.lease SET revoked_at = clock_timestamp() WHERE role = '{lease.role}'")

        assert agents.bench.platform.curb() == []
        assert not running.is_over
        (dropped,) = agents.bench.platform.drop([DropRequest(lease.role, lease.uid, EndReason.EXPIRED)])
        assert (dropped.error, len(dropped.sessions)) == (None, 1)

    def test_is_another_clusters_business(self, agents: Agents):
        lease, credential = agents.victim
        running = self.endless(agents, credential)
        self.end(agents.bench, lease)

        assert agents.bench.platform_of(OTHER_CLUSTER).curb() == []
        assert not running.is_over

    def test_ends_its_sessions_by_the_platforms_own_scheduler_too_before_the_first_of_a_crowd_is_dropped(self, agents: Agents):
        (first, _), (last, credential) = sorted((agents.eve, agents.victim), key=lambda each: each[0].role)
        running = self.endless(agents, credential)
        for each in (first, last):
            self.end(agents.bench, each)
        holder = self.locked(agents.bench, first)

        sweeping = Running(agents.bench.login_of(agents.bench.vendor), "CALL rolevend.sweep()")

        eventually(lambda: running.is_over)
        assert running.error is not None
        assert running.error.sqlstate == SHUT_DOWN
        assert not sweeping.is_over, "it waits for the first one"
        holder.run("ROLLBACK")
        eventually(lambda: not agents.bench.exists(first.role) and not agents.bench.exists(last.role))


class TestConnections:
    def test_are_as_many_as_the_lease_says_and_others_still_get_in(self, bench: PostgresBench):
        people = profile(shape(bench.people()))
        _, credential = vended(bench.platform, people, limits=RoleLimits(connections=2))
        _, other = vended(bench.platform, people)
        bench.log_in(credential)
        bench.log_in(credential)

        with pytest.raises(psycopg.OperationalError, match="too many connections"):
            bench.log_in(credential)
        bench.log_in(other)


class TestTemporaryFiles:
    """Without a superuser nobody can set the limit, until somebody who may grants that."""

    @pytest.fixture
    def eve(self, bench: PostgresBench) -> Iterator[tuple[Lease, Credential]]:
        if bench.mode is InstallMode.MANAGED:
            assert any("temp_file_limit" in text for text in bench.platform.facts().limitations)
            bench.run("GRANT SET ON PARAMETER temp_file_limit TO rv_owner")
        assert not any("temp_file_limit" in text for text in bench.platform.facts().limitations)
        yield vended(bench.platform, profile(shape(bench.people())), limits=RoleLimits(temp_file_mebibytes=1))
        bench.run("REVOKE SET ON PARAMETER temp_file_limit FROM rv_owner")

    @pytest.fixture
    def sorting(self, bench: PostgresBench, eve: tuple[Lease, Credential]) -> PostgresSession:
        session = bench.log_in(eve[1])
        session.run("SET work_mem = '64kB'")
        return session

    def test_end_the_statement_that_sorts_too_much(self, sorting: PostgresSession):
        assert refused(lambda: sorting.rows(SORT)) == TOO_MANY_FILES
        assert sorting.rows("SELECT 1") == [(1,)]

    def test_have_their_limit_also_after_the_agent_reset_all_that_it_can(self, bench: PostgresBench, eve, sorting: PostgresSession):
        sorting.run(f'ALTER ROLE "{eve[0].role}" RESET ALL; RESET ALL')
        later = bench.log_in(eve[1])

        for session in (sorting, later):
            session.run("SET work_mem = '64kB'")
            assert refused(lambda session=session: session.rows(SORT)) == TOO_MANY_FILES

    def test_of_others_have_no_such_limit(self, bench: PostgresBench, eve: tuple[Lease, Credential]):
        session = bench.as_superuser()
        session.run("SET work_mem = '64kB'")
        assert session.rows(SORT) == [(300000,)]


class TestTheLimitsOfALease:
    def test_are_those_of_the_first_vend(self, bench: PostgresBench):
        people = profile(shape(bench.people()))
        made, _ = vended(bench.platform, people, limits=RoleLimits(connections=2))

        again = vend(bench.platform, people, moved(made, limits=RoleLimits(connections=5)))

        assert bench.value(f"SELECT rolconnlimit FROM pg_roles WHERE rolname = '{made.role}'") == 2
        assert bench.value(f"SELECT limits -> 'connections' FROM rolevend.lease WHERE role = '{made.role}'") == 2
        bench.log_in(again)

    def test_name_the_task_in_the_lease_alone(self, bench: PostgresBench):
        people = profile(shape(bench.people()))
        plain, tasked = lease(people), moved(lease(people), task=Task("chat 4711", f"sha256:{'0a' * 32}"))
        names = [bench.log_in(vend(bench.platform, people, each)).rows("SHOW application_name") for each in (plain, tasked)]
        noted = dict(bench.admin.execute("SELECT role, limits ->> 'application_name' FROM rolevend.lease").fetchall())

        assert names == [[("",)], [("",)]]
        assert noted == {plain.role: None, tasked.role: "task:chat_4711:0a0a0a0a0a0a0a0a"}

    def test_are_all_that_another_role_reads_of_it_besides_its_names_and_its_expiry(self, bench: PostgresBench):
        """Whatever a catalog or a view of PostgreSQL's shows to everybody, in every column."""
        people = profile(shape(bench.people()))
        secret = moved(lease(people, countries=["Ruritania"]), task=Task("chat-4711", f"sha256:{'0a' * 32}"))
        bench.log_in(vend(bench.platform, people, secret))
        session = bench.log_in(vended(bench.platform, people)[1])
        named = "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v')"
        readable = [name for (name,) in session.rows(f"{named} AND has_table_privilege(oid, 'SELECT') ORDER BY 1")]
        texts = "\n".join(str(row) for name in readable for row in rows_of(session, name))

        assert secret.role in texts, "its name is no secret"
        assert [told for told in ("chat-4711", "0a0a0a0a", "Ruritania", "jane", secret.uid) if told in texts] == []
        ((settings, until),) = session.rows(f"SELECT rolconfig, rolvaliduntil FROM pg_roles WHERE rolname = '{secret.role}'")
        limits = {"statement_timeout", "idle_in_transaction_session_timeout"}
        limits |= {"temp_file_limit"} if bench.mode is InstallMode.SUPERUSER else set()
        assert {setting.split("=")[0] for setting in settings} == {"search_path", *limits}
        assert abs((until - secret.expires_at).total_seconds()) < 1

    @pytest.mark.parametrize(
        "limits",
        [
            *(f'{{"connections": {value}}}' for value in ("0", "-1", '"8"', "1.5", "null", "1000000000")),
            '{"work_mem": 1}',
            *(f'{{"application_name": {value}}}' for value in ('""', '"a b"', '"a\\u000ab"', '"ä"', f'"{"x" * 64}"', "[]")),
            "[]",
            "7",
            "null",
        ],
    )
    def test_are_whole_numbers_that_we_know_or_nothing_is_vended(self, bench: PostgresBench, limits: str):
        of = profile(shape(bench.people()))
        bench.platform.ensure(of)
        vendor = bench.login_of(bench.vendor)
        verifier = f"SCRAM-SHA-256$1:{'A' * 21}A==${'A' * 42}A=:{'A' * 42}A="
        statement = (
            f"SELECT rolevend.vend('IMMUTA_VENDED_A_B_C', 'c', 'u', '{of.name}', '{verifier}', clock_timestamp() + interval '1 hour',"
            f" 'n/a', 'i', 's', '{{}}', '{limits}')"
        )

        assert refused(lambda: vendor.rows(statement)) == INVALID


def rows_of(session: PostgresSession, view: str) -> list[object]:
    """None where reading it takes more than a right to read it."""
    try:
        return [row for (row,) in session.rows(f"SELECT v::text FROM {view} AS v")]
    except psycopg.Error:
        return []


class TestARoleThatIsIdle:
    SOON = RoleLimits(idle_seconds=1)

    @staticmethod
    def idle(bench: PostgresBench) -> set[str]:
        return {each.role for each in bench.platform.curb() if each.act is LimitAction.IDLE}

    def test_is_named_until_it_ends_and_others_are_not(self, bench: PostgresBench):
        people = profile(shape(bench.people()))
        crashed, _ = vended(bench.platform, people, limits=self.SOON)
        vended(bench.platform, people)
        patient, _ = vended(bench.platform, people, limits=RoleLimits(idle_seconds=600))

        eventually(lambda: self.idle(bench) == {crashed.role})
        assert self.idle(bench) == {crashed.role}, "again and again"
        assert bench.exists(crashed.role)
        assert bench.exists(patient.role)
        bench.platform.drop([DropRequest(crashed.role, crashed.uid, EndReason.RELEASED)])
        assert self.idle(bench) == set()

    def test_is_one_whose_sessions_only_wait_and_not_one_whose_sessions_work(self, bench: PostgresBench):
        people = profile(shape(bench.people()))
        waiting, working = (vended(bench.platform, people, limits=self.SOON) for _ in range(2))
        bench.log_in(waiting[1]).rows("SELECT 1")
        Running(bench.log_in(working[1]), FOREVER)

        eventually(lambda: self.idle(bench) == {waiting[0].role})
        assert self.idle(bench) == {waiting[0].role}

    def test_is_none_whose_agent_was_here_between_two_looks_for_a_moment(self, bench: PostgresBench):
        """The login trigger notes it; where there is none, the platform says so."""
        lease, credential = vended(bench.platform, profile(shape(bench.people())), limits=RoleLimits(idle_seconds=60))
        bench.platform.curb()
        bench.run("UPDATE rolevend.lease SET active_at = clock_timestamp() - interval '1 hour'")
        session = bench.log_in(credential)
        session.rows("SELECT count(*) FROM people")
        session.close()
        eventually(lambda: agents_gone(bench, lease))

        assert self.idle(bench) == (set() if bench.has_login_trigger else {lease.role})
        said = [text for text in bench.platform.facts().limitations if "idleReleaseSeconds" in text]
        assert len(said) == (0 if bench.has_login_trigger else 1)

    def test_gets_in_with_a_session_that_may_only_read(self, bench: PostgresBench):
        lease, credential = vended(bench.platform, profile(shape(bench.people())), limits=RoleLimits(idle_seconds=60))
        bench.run("UPDATE rolevend.lease SET active_at = clock_timestamp() - interval '1 minute'")
        session = bench.session(lease.role, credential.password.reveal(), options="-c default_transaction_read_only=on")

        assert session.rows("SELECT count(*) FROM people") == [(6,)]

    def test_does_not_count_the_time_in_which_nobody_looked(self, bench: PostgresBench):
        lease, _ = vended(bench.platform, profile(shape(bench.people())), limits=RoleLimits(idle_seconds=60))
        bench.platform.curb()
        bench.run("UPDATE rolevend.lease SET active_at = clock_timestamp() - interval '1 hour'")
        bench.run("UPDATE rolevend.looked SET at = clock_timestamp() - interval '2 minutes'")

        assert self.idle(bench) == set()
        assert bench.value(f"SELECT clock_timestamp() - active_at < '30 s' FROM rolevend.lease WHERE role = '{lease.role}'")

    def test_is_judged_by_what_the_platform_remembers_after_the_operator_was_started_again(self, bench: PostgresBench):
        lease, _ = vended(bench.platform, profile(shape(bench.people())), limits=RoleLimits(idle_seconds=60))
        bench.platform.curb()
        bench.run("UPDATE rolevend.lease SET active_at = clock_timestamp() - interval '61 seconds'")

        restarted = bench.platform_of(CLUSTER)

        assert [(each.role, each.act) for each in restarted.curb()] == [(lease.role, LimitAction.IDLE)]

    def test_holds_up_no_look_while_somebody_else_ends_it(self, bench: PostgresBench):
        lease, credential = vended(bench.platform, profile(shape(bench.people())), limits=self.SOON)
        Running(bench.log_in(credential), FOREVER)
        other = bench.as_superuser()
        other.run(f"BEGIN; SELECT FROM rolevend.lease WHERE role = '{lease.role}' FOR UPDATE")

        assert isinstance(bench.platform.curb(), list)
        other.run("ROLLBACK")


def agents_gone(bench: PostgresBench, lease: Lease) -> bool:
    return not bench.value(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{lease.role}'")


def test_defaults_are_those_that_the_kind_documents(bench: PostgresBench):
    lease, credential = vended(bench.platform, profile(shape(bench.people())))
    session = bench.log_in(credential)

    names = ["statement_timeout", "idle_in_transaction_session_timeout", "temp_file_limit"]
    shown = [session.rows(f"SHOW {name}")[0][0] for name in names]

    assert shown == ["5min", "1min", "-1" if bench.mode is InstallMode.MANAGED else "1GB"]
    assert bench.value(f"SELECT rolconnlimit FROM pg_roles WHERE rolname = '{lease.role}'") == 16
