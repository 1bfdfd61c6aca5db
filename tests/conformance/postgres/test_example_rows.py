"""The first rows of a table, whatever its names and values are, and no wait for a server that does not answer."""

import asyncio
import socket
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from rolevend.errors import PlatformBusy, RolevendError
from rolevend.platforms.postgres import PostgresLogin
from rolevend.platforms.postgres.example_rows import ReadableTable, first_rows
from rolevend.platforms.protocol import Address, Secret, Tls, TlsMode
from rolevend.policytools.embedded.database import DatabaseServer
from tests.support.hostile_names import NAMES

LOGIN = PostgresLogin("row_reader", Secret("of the reader"))


@pytest.fixture
def address(postgres: DatabaseServer) -> Iterator[Address]:
    superuser = postgres.superuser
    with psycopg.connect(superuser.dsn, autocommit=True) as connection:
        connection.execute(
            "CREATE ROLE row_reader LOGIN PASSWORD 'of the reader'; CREATE SCHEMA odd; GRANT USAGE ON SCHEMA odd TO row_reader"
        )
        yield Address(superuser.host, superuser.port, superuser.database, superuser.tls)
        connection.execute("DROP SCHEMA odd CASCADE; DROP ROLE row_reader")


def run(postgres: DatabaseServer, *statements: sql.Composable | str) -> None:
    with psycopg.connect(postgres.superuser.dsn, autocommit=True) as connection:
        for each in statements:
            connection.execute(each)  # type: ignore[arg-type]


async def test_any_name_is_read_and_each_value_is_cut(postgres: DatabaseServer, address: Address):
    columns = sql.SQL(", ").join(sql.SQL("repeat('é', 90) AS {}").format(sql.Identifier(each)) for each in NAMES)
    for name in NAMES:
        view = sql.Identifier("odd", name)
        made = sql.SQL("CREATE VIEW {} AS SELECT {} FROM generate_series(1, 9)").format(view, columns)
        run(postgres, made, sql.SQL("GRANT SELECT ON {} TO row_reader").format(view))
        found = await first_rows(address, LOGIN, ReadableTable("odd", name, NAMES), 5, 30)
        assert found == [("é" * 30,) * len(NAMES)] * 5


async def test_values_of_each_type_are_texts_whatever_the_role_prefers(postgres: DatabaseServer, address: Address):
    view = (
        "CREATE VIEW odd.typed AS SELECT DATE '2024-05-17' AS d, TIMESTAMPTZ '2024-05-17 10:00+02' AS t, NULL::int AS n, '{1}'::int[] AS a"
    )
    run(postgres, view, "GRANT SELECT ON odd.typed TO row_reader", "ALTER ROLE row_reader SET DateStyle = 'SQL, DMY'")
    found = await first_rows(address, LOGIN, ReadableTable("odd", "typed", "dtna"), 5, 30)
    assert found == [("2024-05-17", "2024-05-17 08:00:00+00", None, "{1}")]


async def test_a_statement_that_takes_long_is_ended(postgres: DatabaseServer, address: Address):
    view = "CREATE VIEW odd.slow AS SELECT pg_sleep(600)::text AS c"
    run(postgres, view, "GRANT SELECT ON odd.slow TO row_reader")
    with pytest.raises(PlatformBusy, match="QueryCanceled"):
        await first_rows(address, LOGIN, ReadableTable("odd", "slow", ["c"]), 5, 30)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await first_rows(address, LOGIN, ReadableTable("odd", "slow", ["c"]), 5, 30)
    with psycopg.connect(postgres.superuser.dsn) as connection:
        left = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'row_reader' AND state = 'active'").fetchone()
    assert left == (0,), "the cancelled one was ended, too"


async def test_a_table_that_the_role_may_not_read_is_refused_without_its_rows(postgres: DatabaseServer, address: Address):
    run(postgres, "CREATE VIEW odd.hidden AS SELECT 'secret' AS c")
    with pytest.raises(RolevendError, match="InsufficientPrivilege"):
        await first_rows(address, LOGIN, ReadableTable("odd", "hidden", ["c"]), 5, 30)


async def test_code_of_the_owner_that_fails_with_a_value_tells_it_nobody(postgres: DatabaseServer, address: Address):
    for state in ("08006", "22023", "28P01", "42501", "42P01", "57P01", "58030", "P0001", "ZZZZZ"):
        fails = f"RAISE EXCEPTION '% of rolevend', $1 USING ERRCODE = '{state}', DETAIL = $1, HINT = $1"
        told = await refused(postgres, address, fails, "'900-01-0001'")
        assert "900-01" not in f"{told!r} {told.__cause__!r}"


async def test_code_of_the_owner_that_tells_more_than_rows_take_is_not_heard_out(postgres: DatabaseServer, address: Address):
    for statement in ("RAISE EXCEPTION '%', $1", "FOR i IN 1..9 LOOP RAISE NOTICE '%', $1; END LOOP; RETURN $1"):
        assert "TooManyBytes" in str(await refused(postgres, address, statement, "repeat('x', 32 << 20)"))


async def refused(postgres: DatabaseServer, address: Address, statement: str, value: str) -> PlatformBusy:
    """Return the failure of a view that calls a function of its owner, which runs the statement with the value (SQL) as $1."""
    run(
        postgres,
        f"CREATE OR REPLACE FUNCTION odd.own(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN {statement}; END $$",
        f"CREATE OR REPLACE VIEW odd.calling AS SELECT odd.own({value}) AS c",
        "GRANT SELECT ON odd.calling TO row_reader",
    )
    with pytest.raises(PlatformBusy, match="cannot read calling") as told:
        await first_rows(address, LOGIN, ReadableTable("odd", "calling", ["c"]), 5, 30)
    return told.value


async def test_a_server_that_never_answers_holds_up_nobody():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        nowhere = Address("127.0.0.1", silent.getsockname()[1], "postgres", Tls(TlsMode.DISABLE))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await first_rows(nowhere, LOGIN, ReadableTable("odd", "slow", ["c"]), 5, 30)
