"""Queries, data frames and streams of a real role; and its end, which has a type of its own in each of them."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas
import psycopg
import pytest

from rolevend_client import Misconfigured, QueryTimeout, Role, RoleEnded, TooManyRows
from rolevend_client import connection as connecting
from rolevend_client.connection import _is_refused
from rolevend_client.rows import Rows, frame, library_for_frames
from rolevend_client.run import Bounds, ForTheModel, Run
from tests.client.warehouse import Warehouse, sessions
from tests.support.waiting import DEADLINE, eventually

IDS = "SELECT id FROM people ORDER BY id"
SLOW = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b"
TYPED = """
    SELECT 9007199254740993::int8 AS big, NULL::int4 AS small, 0.1::numeric AS exact, DATE '2026-01-02' AS day,
           TIMESTAMPTZ '2026-01-02 03:04:05+00' AS moment, 'x' AS word, ARRAY[1, 2] AS several, '{"a": 1}'::jsonb AS document
"""


@pytest.fixture
def role(warehouse: Warehouse) -> Iterator[Role]:
    with warehouse.client().vend("anna", platform="warehouse") as opened:
        yield opened


def test_a_query_returns_rows_with_their_names_and_types(role: Role, warehouse: Warehouse):
    rows = role.query("SELECT id, ssn, current_user::text AS me FROM people WHERE id = %s", [1])

    assert list(rows) == [(1, None, role.name)]
    assert rows.columns == ("id", "ssn", "me")
    assert rows.types == ("int4", "text", "text")
    assert rows.dicts() == [{"id": 1, "ssn": None, "me": role.name}]
    assert (len(rows), rows[0]) == (1, (1, None, role.name))
    assert role.name not in repr(rows)
    assert role.query("SELECT '100%' AS part")[0] == ("100%",)
    assert list(role.query("SHOW integer_datetimes")) == [("on",)]
    empty = role.query("SELECT id AS number FROM people WHERE id > %s", [7])
    assert (list(empty), empty.columns, empty.types) == ([], ("number",), ("int4",))
    assert sessions(warehouse) == 1


def test_more_rows_than_the_bound_are_an_error_and_the_next_query_works(role: Role):
    with pytest.raises(TooManyRows, match=r"more than 2 rows.*max_rows="):
        role.query("SELECT generate_series(1, 100000000)", max_rows=2)
    assert list(role.query(IDS, max_rows=2)) == [(0,), (1,)]


def test_a_statement_that_is_no_text_is_an_answer_for_the_model(role: Role):
    """Half of a surrogate pair, as models write now and then, and what a session that was set to another encoding cannot say."""
    run, bounds = Run(role), Bounds(10, 1_000)
    try:
        with pytest.raises(ForTheModel, match="cannot be sent to the database"):
            run.query("SELECT '\ud800'", bounds)
        with pytest.raises(ForTheModel, match="No rows"):
            run.query("SET client_encoding = 'SQL_ASCII'", bounds)
        with pytest.raises(ForTheModel, match="cannot be sent to the database"):
            run.query("SELECT 'ä'", bounds)
        assert run.query("SELECT 1 AS one", bounds) == "one\n1\n(1 row)"
    finally:
        run.end()


def test_a_database_that_is_away_is_not_the_end_of_a_role(warehouse: Warehouse):
    """The role of an approval would be given up, and the approval with it."""
    with warehouse.client().vend("anna", platform="warehouse") as role:
        (login,) = role._logins.values()
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        role._logins["warehouse"] = replace(login, port=port)
        run = Run(role, is_approved=True)
        with pytest.raises(ForTheModel, match="session was lost"):
            run.told(lambda run: run.query(IDS, Bounds(10, 1_000)))
        assert not run.is_lost
        role._logins["warehouse"] = login
        warehouse.revoke(role.id)
        with pytest.raises(ForTheModel):
            run.told(lambda run: run.query(IDS, Bounds(10, 1_000)))
        assert run.is_lost
        run.end()


def test_a_query_ends_at_its_time_out_and_the_next_one_works(role: Role):
    with pytest.raises(QueryTimeout) as slow:
        role.query(SLOW, seconds=0.2)
    assert isinstance(slow.value, TimeoutError)
    assert list(role.query(IDS, seconds=60)) == [(0,), (1,)]


def test_a_query_is_cancelled_from_another_thread(role: Role, warehouse: Warehouse):
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(role.query, SLOW)
        busy = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%1000000%' AND pid <> pg_backend_pid()"
        eventually(lambda: warehouse.bench.value(busy) == 1)
        role.cancel()
        with pytest.raises(psycopg.errors.QueryCanceled):
            running.result(timeout=DEADLINE)
    assert list(role.query(IDS)) == [(0,), (1,)]


def test_a_stream_reads_in_batches_and_leaves_no_session(role: Role, warehouse: Warehouse):
    numbers = role.stream("SELECT generate_series(1, %s)", [2500], batch_rows=1000)
    assert next(numbers) == (1,)
    assert sessions(warehouse) == 1
    assert [number for (number,) in numbers] == list(range(2, 2501))
    assert eventually(lambda: sessions(warehouse) == 0)

    left = role.stream("SELECT generate_series(1, 1000000000)")
    assert next(left) == (1,)
    left.close()
    assert eventually(lambda: sessions(warehouse) == 0)
    with pytest.raises(TooManyRows):
        list(role.stream("SELECT generate_series(1, 100)", max_rows=99))
    with pytest.raises(QueryTimeout):
        list(role.stream(SLOW, seconds=0.2))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_data_frame_keeps_what_the_database_said(role: Role, library: str):
    made = role.dataframe(TYPED, library=library)

    assert type(made).__module__.startswith(library)
    ((big, small, exact, day, moment, word, several, document),) = made.values.tolist() if library == "pandas" else made.rows()
    assert (big, str(exact), str(day)[:10], word, list(several), document) == (2**53 + 1, "0.1", "2026-01-02", "x", [1, 2], '{"a": 1}')
    assert small is None or str(small) == "<NA>"
    assert moment == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    empty = role.dataframe("SELECT id FROM people WHERE false", library=library)
    assert (len(empty), list(empty.columns), "int32" in str(empty.dtypes).lower()) == (0, ["id"], True)


def test_without_arrow_numbers_stay_exact_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rolevend_client.rows._is_installed", lambda library: library != "pyarrow")
    rows = Rows(("big", "small"), ("int8", "int4"), ((2**53 + 1, None), (1, 2)))

    assert frame(rows, "pandas").astype(object).values.tolist() == [[2**53 + 1, pandas.NA], [1, 2]]
    assert frame(rows, "polars").rows() == [(2**53 + 1, None), (1, 2)]


def test_the_library_is_one_that_is_installed(monkeypatch: pytest.MonkeyPatch):
    assert library_for_frames(None) == "pandas"
    with pytest.raises(Misconfigured, match="there is no excel; name one of pandas, polars, pyarrow"):
        library_for_frames("excel")
    monkeypatch.setattr("rolevend_client.rows._is_installed", lambda library: library == "polars")
    assert library_for_frames(None) == "polars"
    with pytest.raises(Misconfigured, match="pandas is not installed"):
        library_for_frames("pandas")
    monkeypatch.setattr("rolevend_client.rows._is_installed", lambda library: False)
    with pytest.raises(Misconfigured, match="neither pandas nor polars is installed"):
        library_for_frames(None)


USES: dict[str, Callable[[Role, psycopg.Connection[Any]], object]] = {
    "a query": lambda role, _: role.query(IDS),
    "a data frame": lambda role, _: role.dataframe(IDS),
    "a stream": lambda role, _: list(role.stream(IDS)),
    "a login": lambda role, _: role.connect(),
    "a connection that was open": lambda _, connection: connection.execute(IDS),
    "a transaction": lambda _, connection: connection.transaction().__enter__(),
    "a cursor": lambda _, connection: connection.cursor().execute(IDS),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
def test_the_end_has_one_type_in_every_use_and_again(warehouse: Warehouse, use: Callable[[Role, psycopg.Connection[Any]], object]):
    with warehouse.client().vend("anna", platform="warehouse") as role:
        connection = role.connect()
        role.query("SELECT 1")
        warehouse.revoke(role.id)
        before = datetime.now(UTC)
        for _ in range(2):
            with pytest.raises(RoleEnded, match=r"the role has ended \(Revoked\)") as ended:
                use(role, connection)
            assert ended.value.reason == "Revoked"
            assert ended.value.at - before < timedelta(seconds=DEADLINE)


@pytest.mark.parametrize("ends", [Warehouse.close, Warehouse.revoke], ids=["sessions live on", "sessions ended"])
def test_an_end_that_the_api_tells_late_is_no_error_of_the_driver(warehouse: Warehouse, ends: Callable[[Warehouse, str], None]):
    for use in (lambda role, connection: connection.execute(IDS), lambda role, _: role.query(IDS), lambda role, _: role.connect()):
        with warehouse.client().vend("anna", platform="warehouse") as role:
            connection = role.connect()
            role.query(IDS)
            ends(warehouse, role.id)
            warehouse.api.late_answers = 3
            with pytest.raises(RoleEnded, match="Revoked"):
                use(role, connection)
            assert warehouse.api.late_answers == 0


def test_an_end_that_the_api_does_not_tell_in_time_is_known_by_the_refused_login(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connecting, "_TOLD_WITHIN_SECONDS", 0.0)
    with warehouse.client().vend("anna", platform="warehouse") as role:
        role.query(IDS)
        warehouse.revoke(role.id)
        warehouse.api.late_answers = 1_000
        with pytest.raises(RoleEnded, match="Revoked"):
            role.query(IDS)
        with pytest.raises(RoleEnded, match="Revoked"):
            role.connect()
    warehouse.api.late_answers = 0


def test_a_refused_statement_of_a_role_that_lives_waits_for_no_end(warehouse: Warehouse, role: Role):
    looks = []
    role._look = lambda: looks.append(1) or role.vended
    with pytest.raises(psycopg.errors.UndefinedTable):
        role.query("SELECT * FROM nothing")
    assert len(looks) == 1


def test_a_login_beyond_the_sessions_of_a_role_waits_for_no_end(role: Role):
    looks = []
    role._look = lambda: looks.append(1) or role.vended
    connection = role.connect()
    with pytest.raises(psycopg.OperationalError, match="too many connections"):
        list(iter(role.connect, None))
    assert looks == []
    with pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute("SELECT * FROM nothing")
    assert looks == [1]


def test_a_database_that_is_silent_does_not_hold_up_an_error():
    """It takes the connection and does not answer, as one behind a broken network does."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        login = {"host": "127.0.0.1", "port": silent.getsockname()[1], "dbname": "claims", "user": "finbot", "password": "x"}
        began = time.monotonic()
        assert not _is_refused({**login, "connect_timeout": 3600})
        assert time.monotonic() - began < DEADLINE


def test_the_end_of_a_block_in_a_forked_child_closes_no_session_of_its_parent(role: Role):
    connection = role.connect()
    role.query(IDS)
    child = os.fork()
    if not child:
        try:
            role.close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert list(role.query(IDS)) == [(0,), (1,)]
    assert connection.execute(IDS).fetchall() == [(0,), (1,)]


def test_after_its_block_a_role_is_released(warehouse: Warehouse):
    with warehouse.client().vend("anna", platform="warehouse") as role:
        connection = role.connect()
        assert role.ended is None
    for use in (role.connect, lambda: role.query(IDS), lambda: connection.execute(IDS)):
        with pytest.raises(RoleEnded) as ended:
            use()
        assert ended.value.reason == "Released"


def test_a_connection_that_is_lost_while_the_role_lives_is_an_error_of_the_driver_and_a_query_connects_again(
    warehouse: Warehouse, role: Role
):
    connection = role.connect()
    assert list(role.query(IDS)) == [(0,), (1,)]
    warehouse.bench.value(r"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename LIKE 'IMMUTA\_VENDED\_%'")
    with pytest.raises(psycopg.OperationalError):
        connection.execute(IDS)
    with pytest.raises(psycopg.OperationalError):
        role.query(IDS)
    assert list(role.query(IDS)) == [(0,), (1,)]


async def test_the_other_colour_does_the_same(warehouse: Warehouse):
    async with warehouse.async_client().vend("anna", platform="warehouse") as role:
        assert list(await role.query(IDS)) == [(0,), (1,)]
        assert (await role.dataframe(IDS))["id"].to_list() == [0, 1]
        assert [row async for row in role.stream(IDS, batch_rows=1)] == [(0,), (1,)]
        with pytest.raises(TooManyRows):
            await role.query("SELECT generate_series(1, 100000000)", max_rows=2)
        with pytest.raises(QueryTimeout):
            await role.query(SLOW, seconds=0.2)
        running = asyncio.create_task(role.query(SLOW))
        busy = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%1000000%' AND pid <> pg_backend_pid()"
        await asyncio.to_thread(eventually, lambda: warehouse.bench.value(busy) == 1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        connection = await role.connect()
        assert list(await role.query(IDS)) == [(0,), (1,)]
        warehouse.revoke(role.id)
        for use in (lambda: role.query(IDS), lambda: connection.execute(IDS), role.connect):
            with pytest.raises(RoleEnded, match="Revoked"):
                await use()


def test_a_callback_comes_before_the_end_and_not_after_the_block(warehouse: Warehouse):
    called, heard = threading.Event(), []

    def save(role: Role) -> None:
        heard.append(role.query("SELECT 'saved'")[0])
        called.set()

    with warehouse.client().vend("anna", platform="warehouse") as role:
        assert timedelta(seconds=200) < role.remaining <= timedelta(seconds=300)
        role.before_end(save, seconds=300)
        role.before_end(lambda _: heard.append("too late"))
        assert called.wait(DEADLINE)
        late = role._alarms[1]._timer
    assert heard == [("saved",)]
    assert late.finished.is_set()


async def test_a_callback_of_the_other_colour_may_be_a_coroutine(warehouse: Warehouse):
    called = asyncio.Event()

    async def save(role: Any) -> None:
        await role.query("SELECT 'saved'")
        called.set()

    async with warehouse.async_client().vend("anna", platform="warehouse") as role:
        role.before_end(save, seconds=300)
        role.before_end(save)
        await asyncio.wait_for(called.wait(), DEADLINE)
        late = role._alarms[1]._task
    await asyncio.gather(late, return_exceptions=True)
    assert late.cancelled()
