"""A real role of a real PostgreSQL under TLS, by every way in that the client offers."""

from concurrent.futures import ThreadPoolExecutor

import asyncpg
import psycopg
import pytest
from sqlalchemy import NullPool, create_engine, text

from rolevend_client import Refused
from tests.client.warehouse import Warehouse, sessions
from tests.support.waiting import eventually

IDS = "SELECT id FROM people ORDER BY id"


def test_a_block_reads_what_is_granted_and_nothing_is_left_of_it(warehouse: Warehouse):
    with warehouse.client().vend("anna", platform="warehouse") as role:
        connection = role.connect()
        assert connection.execute(IDS).fetchall() == [(0,), (1,)]
        assert connection.execute("SELECT current_user, ssn FROM people").fetchall() == [(role.name, None)] * 2
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM pg_authid")
        parameters = role.connection_parameters()
    assert connection.closed
    assert not warehouse.exists(role.name)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(**{**parameters, "sslmode": "require", "sslrootcert": ""})


def test_its_uri_and_its_url_lead_there_too(warehouse: Warehouse):
    with warehouse.client().vend("bob", platform="warehouse") as role:
        with psycopg.connect(role.uri) as connection:
            assert connection.execute(IDS).fetchall() == [(2,), (3,)]
            assert connection.execute("SELECT current_schema()::text").fetchone() == (role.schema(),)
        connection.close()
        engine = create_engine(role.sqlalchemy_url(), poolclass=NullPool)
        with engine.connect() as session:
            assert session.execute(text(IDS)).scalars().all() == [2, 3]


async def test_a_client_that_is_not_built_on_libpq_takes_the_portable_uri(warehouse: Warehouse):
    async with warehouse.async_client().vend("bob", platform="warehouse") as role:
        async with asyncpg.create_pool(role.portable_uri) as pool:
            assert await pool.fetchval("SELECT count(*) FROM people") == 2
        with pytest.raises(asyncpg.UndefinedObjectError, match="gssencmode"):
            await asyncpg.connect(role.uri)


def test_the_servers_certificate_is_checked(warehouse: Warehouse):
    with warehouse.client().vend("anna", platform="warehouse") as role, pytest.raises(psycopg.OperationalError, match="localhost"):
        role.connect(host="localhost", hostaddr="127.0.0.1")


def test_a_statement_that_runs_ends_with_the_block(warehouse: Warehouse):
    """Where a session is not the client's to close."""
    with warehouse.client().vend("anna", platform="warehouse") as role:
        own = psycopg.connect(role.uri)
        own.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        own.execute("SELECT 1")
    own.close()


def test_nothing_is_vended_on_a_token_that_proves_nothing(warehouse: Warehouse):
    with pytest.raises(Refused, match="TokenExpired"), warehouse.client().vend("expired", platform="warehouse"):
        pass
    assert eventually(lambda: sessions(warehouse) == 0)


async def test_the_other_colour_reads_the_same(warehouse: Warehouse):
    async with warehouse.async_client().vend("anna", platform="warehouse") as role:
        connection = await role.connect()
        answer = await connection.execute(IDS)
        assert await answer.fetchall() == [(0,), (1,)]
    assert connection.closed
    assert not warehouse.exists(role.name)


@pytest.mark.long
def test_threads_that_share_a_client_do_not_close_each_others_connections(warehouse: Warehouse):
    """The last one that is done closes them, again and again, while others begin."""
    client = warehouse.client()
    with ThreadPoolExecutor(2) as pool:
        granted = list(pool.map(lambda _: client.decide("anna", platform="warehouse").granted, range(400)))
    assert granted == [True] * 400
