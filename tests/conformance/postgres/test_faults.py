"""Servers that go away, tables that are locked, processes that are cut short: what is promised then."""

import contextlib
import secrets
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import BinaryIO

import psycopg
import pytest

from rolevend.errors import PlatformBusy, PlatformUnavailable, Unavailable
from rolevend.platforms.postgres import PostgresLimits, PostgresLogin, PostgresPlatform
from rolevend.platforms.postgres.build.builder import look, steps_for
from rolevend.platforms.postgres.build.render import render
from rolevend.platforms.postgres.connections import connected
from rolevend.platforms.progress import BuildProgress
from rolevend.platforms.protocol import Address, DropRequest, EndReason, Secret
from rolevend.policytools.embedded.database import PostgresServer
from tests.conformance.bench import CLUSTER, IN_CLEAR, PostgresBench, ensure, equal, installed, lease, own, profile, shape, vend, vended
from tests.support.waiting import DEADLINE, eventually


class Impostor:
    """Speaks PostgreSQL up to the question for a password, which it asks in the way of `method` (3: clear text, 5: MD5).

    Use as ``with Impostor(3) as impostor:``."""

    def __init__(self, method: int) -> None:
        self._question = struct.pack("!cII", b"R", 8, method) if method == 3 else struct.pack("!cII4s", b"R", 12, method, b"salt")
        self.users: set[bytes] = set()
        self.answers: list[bytes] = []
        """What it was sent after it had asked."""

    def __enter__(self) -> "Impostor":
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="impostor", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with client, client.makefile("rb") as heard:
                    self._greet(client, heard)

    def _greet(self, client: socket.socket, heard: BinaryIO) -> None:
        while (startup := self._startup(heard)).startswith(_WANTS_ENCRYPTION):
            client.sendall(b"N")
        fields = startup[4:].split(b"\0")
        self.users.add(fields[fields.index(b"user") + 1])
        client.sendall(self._question)
        with contextlib.suppress(ConnectionResetError):
            if answer := client.recv(1024):
                self.answers.append(answer)

    @staticmethod
    def _startup(heard: BinaryIO) -> bytes:
        (length,) = struct.unpack("!I", heard.read(4))
        return heard.read(length - 4)


_WANTS_ENCRYPTION = (struct.pack("!I", 80877103), struct.pack("!I", 80877104))
"""SSLRequest and GSSENCRequest."""

IMPATIENT = PostgresLimits(build_attempts=2, wait_for_connection=0.5)


@pytest.fixture
def own_bench(server: PostgresServer) -> Iterator[PostgresBench]:
    superuser = server.superuser
    with installed(superuser.host, superuser.port, superuser.user, superuser.password, "faulty", server.version, tls=superuser.tls) as made:
        yield made


def test_a_server_that_was_away_is_used_again(own_bench: PostgresBench, server: PostgresServer):
    people = own_bench.people()
    of = profile(shape(people))
    made, _ = vended(own_bench.platform, of)
    server.kill()
    with pytest.raises(PlatformUnavailable):
        own_bench.platform.live()
    (answer,) = own_bench.platform.drop([DropRequest(made.role, made.uid, EndReason.RELEASED)])
    assert isinstance(answer.error, Unavailable)
    server.start()
    late = lease(of)
    eventually(lambda: not vend_error(own_bench, late))
    eventually(lambda: own_bench.platform.drop([DropRequest(made.role, made.uid, EndReason.RELEASED)])[0].error is None)
    assert [role.role for role in own_bench.platform.live()] == [late.role]


def vend_error(bench: PostgresBench, late) -> Exception | None:
    return bench.platform.vend([(late, bench.platform.credential(late, secrets.token_bytes))])[0].error


def test_idle_connections_that_the_server_closed_are_not_noticed(bench: PostgresBench):
    of = profile(shape(bench.people()))
    vended(bench.platform, of)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: bench.platform.live(), range(8)))
    bench.run("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name LIKE 'rolevend %'")
    assert len(bench.platform.live()) == 1
    assert bench.platform.drift() == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"vendor": PostgresLogin("rv_vendor", Secret("wrong"))}, "password authentication failed"),
        ({"vendor": PostgresLogin("nobody", Secret("wrong"))}, "password authentication failed"),
        ({"address": Address("127.0.0.1", 1, "conformance", IN_CLEAR)}, "refused"),
        ({"address": Address("does-not-exist.invalid", 5432, "conformance", IN_CLEAR)}, "does-not-exist.invalid"),
    ],
)
def test_why_nothing_can_be_asked_is_said_at_once(bench: PostgresBench, changes, said: str):
    with pytest.raises(PlatformUnavailable, match=said) as caught:
        bench.platform_of(CLUSTER, **changes).facts()
    assert "wrong" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture(params=[3, 5], ids=["clear-text", "md5"])
def asking(request: pytest.FixtureRequest) -> Iterator[Impostor]:
    with Impostor(request.param) as impostor:
        yield impostor


def test_a_server_that_asks_for_the_password_in_a_weaker_way_than_scram_never_gets_it(asking: Impostor):
    address = Address("127.0.0.1", asking.port, "claims", IN_CLEAR)
    logins = PostgresLogin("rv_vendor", Secret("the-vendors-password")), PostgresLogin("rv_programmer", Secret("the-programmers-password"))
    platform = PostgresPlatform(address, CLUSTER, *logins)

    for ask in (platform.facts, platform.live, lambda: platform.catalog(frozenset({"claims"}))):
        with pytest.raises(PlatformUnavailable, match="authentication method requirement"):
            ask()
    for login in logins:
        with pytest.raises(PlatformUnavailable), connected(address, login):
            pass

    platform.close()
    assert {b"rv_vendor", b"rv_programmer"} <= asking.users
    assert asking.answers == []


def test_the_programmers_credential_is_asked_too(bench: PostgresBench):
    with pytest.raises(PlatformUnavailable, match="authentication failed"):
        bench.platform_of(CLUSTER, programmer=PostgresLogin("rv_programmer", Secret("wrong"))).facts()


def test_a_database_without_rolevend_says_so(bench: PostgresBench):
    bench.run("CREATE DATABASE bare")
    bench.run("GRANT CONNECT ON DATABASE bare TO rv_vendor")
    try:
        bare = bench.platform_of(CLUSTER, address=replace(bench.address, database="bare"), programmer=None)
        with pytest.raises(PlatformUnavailable, match="not installed"):
            bare.facts()
        bare.close()
    finally:
        bench.run("DROP DATABASE bare WITH (FORCE)")


def test_a_pool_that_is_all_in_use_is_busy(bench: PostgresBench):
    few = bench.platform_of(CLUSTER, PostgresLimits(vendor_connections=1, wait_for_connection=0.2))
    blocking = bench.as_superuser()
    made, _ = vended(few, profile(shape(bench.people())))
    blocking.run(f"BEGIN; SELECT FROM rolevend.lease WHERE role = '{made.role}' FOR UPDATE")
    held = threading.Thread(target=lambda: few.drop([DropRequest(made.role, made.uid, EndReason.RELEASED)]))
    held.start()
    eventually(lambda: bench.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == 1)
    with pytest.raises(PlatformBusy, match="every connection of the pool is in use"):
        few.live()
    blocking.run("COMMIT")
    held.join()
    eventually(lambda: few.drop([DropRequest(made.role, made.uid, EndReason.RELEASED)])[0].error is None)  # it may have given up
    assert few.live() == []


def test_a_locked_table_is_tried_again_and_then_busy(bench: PostgresBench):
    people = bench.people()
    of = profile(shape(people), shape(bench.people(), view="other"))
    blocking = bench.as_superuser()
    blocking.run(f"BEGIN; LOCK TABLE {people.id} IN ACCESS SHARE MODE")
    with pytest.raises(PlatformBusy, match=f"table {people.id} is locked"):
        bench.platform_of(CLUSTER, IMPATIENT).ensure(of)
    builder = threading.Thread(target=lambda: bench.platform.ensure(of))
    builder.start()
    blocking.run("COMMIT")
    builder.join()
    _, credential = vended(bench.platform, of)
    assert bench.log_in(credential).rows("SELECT count(*) FROM other") == [(6,)]


@pytest.mark.parametrize("place", [0, 39])
def test_a_build_on_two_connections_finishes_what_was_locked_on_either(bench: PostgresBench, place: int):
    """From 26 tables on every other batch is made by a second connection."""
    tables = [bench.people() for _ in range(40)]
    of = profile(*(shape(table, view=f"v{number}") for number, table in enumerate(tables)))
    blocking = bench.as_superuser()
    blocking.run(f"BEGIN; LOCK TABLE {tables[place].id} IN ACCESS SHARE MODE")
    with pytest.raises(PlatformBusy, match=f"table {tables[place].id} is locked"):
        bench.platform_of(CLUSTER, IMPATIENT).ensure(of)
    blocking.run("COMMIT")
    session = bench.log_in(vended(bench.platform, of)[1])
    assert [session.rows(f"SELECT count(*) FROM v{number}") for number in range(40)] == [[(6,)]] * 40


@pytest.mark.long
def test_builds_that_hold_every_connection_do_not_wait_for_each_others(bench: PostgresBench):
    wanted = [profile(*(shape(bench.people(), view=f"v{place}") for place in range(30))) for _ in range(4)]
    platform = bench.platform_of(CLUSTER, PostgresLimits(programmer_connections=2))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda of: ensure(platform, of), wanted))
    for of in wanted:
        assert bench.log_in(vended(platform, of)[1]).rows("SELECT count(*) FROM v29") == [(6,)]


def test_readers_never_wait_for_long_behind_a_build(bench: PostgresBench):
    """A waiting ACCESS EXCLUSIVE lock makes later readers queue: ours waits 200 ms at most."""
    people = bench.people()
    blocking, reading = bench.as_superuser(), bench.as_superuser()
    blocking.run(f"BEGIN; LOCK TABLE {people.id} IN ACCESS SHARE MODE")
    builder = threading.Thread(target=lambda: bench.platform.ensure(profile(shape(people))))
    builder.start()
    reading.run("SET statement_timeout = 10000")
    in_line = f"SELECT count(*) FROM pg_locks WHERE relation = '{people.id}'::regclass AND NOT granted"
    eventually(lambda: bench.value(in_line))
    for _ in range(20):
        assert reading.rows(f"SELECT count(*) FROM {people.id}") == [(6,)]
    blocking.run("COMMIT")
    builder.join()


@pytest.mark.parametrize("cut", range(1, 20))
def test_a_build_that_is_cut_short_leaves_nothing_a_vend_could_use_and_is_finished_later(bench: PostgresBench, cut: int):
    """Cut after each statement in turn: what was done before is rolled back, or is closed."""
    people, other = bench.people(), bench.people()
    of = profile(shape(people, own(people, "region", "regions"), equal(people, "id", "3")), shape(other, view="other"))
    wanted = render(of, CLUSTER)
    with connected(bench.address, bench.programmer) as connection:
        connection.autocommit = True
        connection.execute("SET search_path = pg_catalog, pg_temp")
        texts = [step.text for step in steps_for(wanted, *look(connection, wanted))]
        parts = [part for text in texts for part in text.split(";\n")]
        for part in parts[: cut * len(parts) // 20]:
            connection.execute(part)
        connection.close()
    late = lease(of, regions=["EU"])
    (answer,) = bench.platform.vend([(late, bench.platform.credential(late, secrets.token_bytes))])
    assert isinstance(answer.error, PlatformBusy)
    assert bench.log_in(vend(bench.platform, of, late)).rows("SELECT id FROM people ORDER BY id") == [(0,), (1,), (3,)]
    assert bench.platform.drift() == []


def test_two_operators_build_one_profile_at_once(bench: PostgresBench):
    tables = [bench.people() for _ in range(8)]
    of = [profile(*(shape(table, view=f"v{number}") for number, table in enumerate(tables))) for _ in range(3)]
    operators = [bench.platform_of(CLUSTER) for _ in range(4)]
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda pair: ensure(*pair), [(operator, each) for each in of for operator in operators]))
    for each in of:
        _, credential = vended(bench.platform, each)
        assert bench.log_in(credential).rows("SELECT count(*) FROM v7") == [(6,)]


def test_a_profile_that_another_operator_collected_is_built_again(bench: PostgresBench):
    of = profile(shape(bench.people()))
    bench.platform.ensure(of)
    later = lease(of, seconds=7200).expires_at
    assert bench.platform_of(CLUSTER).collect(frozenset(), later) == 1
    (answer,) = bench.platform.vend([(lease(of), bench.platform.credential(lease(of), secrets.token_bytes))])
    assert answer.error is not None
    late = lease(of)
    assert isinstance(vend_error(bench, late), PlatformBusy)
    bench.log_in(vend(bench.platform, of, late))


DROP_TEMPLATES = "SELECT rolevend.drop_template(template) FROM rolevend.template"


class TestCollecting:
    def test_what_is_unused_goes_and_its_templates_too(self, bench: PostgresBench):
        people = bench.people()
        unused, kept, live, closed = (profile(shape(people, equal(people, "id", str(number)))) for number in range(4))
        for each in (unused, kept, live, closed):
            bench.platform.ensure(each)
        vended(bench.platform, live)
        made, _ = vended(bench.platform, closed)
        bench.platform.drop([DropRequest(made.role, made.uid, EndReason.RELEASED)])
        assert bench.platform.collect(frozenset({kept.name}), made.expires_at.replace(year=2000)) == 0
        assert bench.platform.collect(frozenset({kept.name}), lease(live, seconds=7200).expires_at) == 2
        assert {name for (name,) in bench.admin.execute("SELECT profile FROM rolevend.profile")} == {kept.name, live.name}
        assert bench.value("SELECT count(*) FROM pg_roles WHERE rolname ~ '^rv_[tp]_[0-9a-f]{32}$'") == 4
        assert bench.value(f"SELECT count(*) FROM pg_policy WHERE polrelid = '{people.id}'::regclass") == 5
        assert bench.platform.drift() == []
        vended(bench.platform, unused)

    def test_a_locked_table_keeps_its_templates_until_later(self, bench: PostgresBench):
        people = bench.people()
        of = profile(shape(people))
        bench.platform.ensure(of)
        blocking = bench.as_superuser()
        blocking.run(f"BEGIN; LOCK TABLE {people.id} IN ACCESS SHARE MODE")
        later = lease(of, seconds=7200).expires_at
        assert bench.platform.collect(frozenset(), later) == 1
        assert bench.value("SELECT count(*) FROM rolevend.template") == 1
        blocking.run("COMMIT")
        assert bench.platform.collect(frozenset(), later) == 0
        assert bench.value("SELECT count(*) FROM rolevend.template") == 0

    def test_a_template_of_a_table_that_is_gone_goes_too(self, bench: PostgresBench):
        people = bench.people()
        of = profile(shape(people))
        bench.platform.ensure(of)
        bench.run(f"DROP TABLE {people.id} CASCADE")
        assert bench.platform.collect(frozenset(), lease(of, seconds=7200).expires_at) == 1
        assert bench.value("SELECT count(*) FROM pg_roles WHERE rolname ~ '^rv_[tp]_[0-9a-f]{32}$'") == 0

    def test_a_template_that_is_new_stays_for_the_profile_that_is_built_of_it(self, bench: PostgresBench):
        of = profile(shape(bench.people()))
        bench.platform.ensure(of)
        before, later = lease(of, seconds=-7200).expires_at, lease(of, seconds=7200).expires_at
        bench.run(f"SELECT rolevend.drop_profile('{of.name}')")
        bench.platform.collect(frozenset(), before)
        assert bench.value("SELECT count(*) FROM rolevend.template") == 1
        bench.platform.collect(frozenset(), later)
        assert bench.value("SELECT count(*) FROM rolevend.template") == 0

    def test_a_template_stays_where_a_profile_of_it_was_built_meanwhile(self, bench: PostgresBench):
        """Taking it away would take the new view, too."""
        people = bench.people()
        before, of = profile(shape(people)), profile(shape(people))
        bench.platform.ensure(before)
        bench.run(f"SELECT rolevend.drop_profile('{before.name}')")
        blocking, collecting = bench.as_superuser(), bench.as_superuser()
        blocking.run("BEGIN; SELECT FROM rolevend.template FOR SHARE")
        with ThreadPoolExecutor(1) as pool:
            collected = pool.submit(collecting.run, DROP_TEMPLATES)
            eventually(lambda: bench.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == 1)
            _, credential = vended(bench.platform, of)
            blocking.run("COMMIT")
            assert isinstance(collected.exception(DEADLINE), psycopg.errors.DependentObjectsStillExist)
        assert bench.platform.drift() == []
        assert bench.log_in(credential).rows("SELECT count(*) FROM people") == [(6,)]

    def test_a_template_that_goes_while_a_profile_of_it_is_built_is_made_again(self, bench: PostgresBench):
        of = profile(shape(bench.people()))
        gone: list[BuildProgress] = []

        def once(progress: BuildProgress) -> None:
            if progress.done == 1 and not gone:
                gone.append(progress)
                bench.run(DROP_TEMPLATES)

        bench.platform.ensure(of, once)
        assert gone
        _, credential = vended(bench.platform, of)
        assert bench.platform.drift() == []
        assert bench.log_in(credential).rows("SELECT count(*) FROM people") == [(6,)]


def test_nothing_of_a_vend_is_left_where_it_fails(bench: PostgresBench):
    of = profile(shape(bench.people()))
    bench.platform.ensure(of)
    late = lease(of)
    bench.run(f'CREATE ROLE "{late.role}"')
    assert vend_error(bench, late) is not None
    assert bench.value("SELECT count(*) FROM rolevend.lease") == 0
