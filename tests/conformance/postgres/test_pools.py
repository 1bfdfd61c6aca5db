"""Pools that agents use work with a vended role: what they run before a session is used again is refused nowhere."""

import asyncio
from urllib.parse import quote, urlencode

import asyncpg
import psycopg
import pytest
from psycopg_pool import ConnectionPool

from rolevend.platforms.protocol import Credential, InstallMode
from tests.conformance.bench import PostgresBench, profile, refused, shape, vended

pytestmark = pytest.mark.both_installs

HOW_MANY = "SELECT count(*) FROM people"
INSUFFICIENT_PRIVILEGE = "42501"


@pytest.fixture
def credential(bench: PostgresBench) -> Credential:
    return vended(bench.platform, profile(shape(bench.people())))[1]


def url(bench: PostgresBench, credential: Credential) -> str:
    place = f"{quote(credential.role)}:{quote(credential.password.reveal())}@{bench.address.host}:{bench.address.port}"
    of_tls = {name: value for name, value in bench.trust.parameters().items() if name in ("sslmode", "sslrootcert")}
    return f"postgresql://{place}/{bench.address.database}?{urlencode(of_tls)}"


def test_of_asyncpg_gives_a_session_out_again(bench: PostgresBench, credential: Credential):
    async def twice() -> list[tuple[int, int]]:
        async with asyncpg.create_pool(url(bench, credential), min_size=1, max_size=1) as pool:
            answers = []
            for _ in range(2):
                async with pool.acquire() as connection:
                    answers.append((connection.get_server_pid(), await connection.fetchval(HOW_MANY)))
            return answers

    first, second = asyncio.run(twice())

    assert first == second
    assert first[1] == 6


def test_of_psycopg_does_so_too_also_where_it_resets_all(bench: PostgresBench, credential: Credential):
    def reset(connection: psycopg.Connection) -> None:
        connection.execute("DISCARD ALL")

    autocommit = {"autocommit": True}
    with ConnectionPool(url(bench, credential), min_size=1, max_size=1, reset=reset, kwargs=autocommit) as pool:
        for _ in range(2):
            with pool.connection() as connection:
                assert connection.execute(HOW_MANY.encode()).fetchall() == [(6,)]


@pytest.mark.parametrize("call", ["pg_advisory_lock(1)", "pg_try_advisory_lock(1)", "pg_advisory_unlock(1)", "pg_advisory_xact_lock(1)"])
def test_need_nothing_else_of_advisory_locks_which_a_superuser_takes_from_everybody(
    bench: PostgresBench, credential: Credential, call: str
):
    session = bench.log_in(credential)
    session.run("SELECT pg_advisory_unlock_all()")

    if bench.mode is InstallMode.SUPERUSER:
        assert refused(lambda: session.rows(f"SELECT {call}")) == INSUFFICIENT_PRIVILEGE
    else:
        session.rows(f"SELECT {call}")
