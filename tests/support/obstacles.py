"""What keeps roles from being dropped: each obstacle is there for its block, and gone after it."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Final

import psycopg
from psycopg import sql

from tests.support.governed import Governed

Obstacle = Callable[[Governed, Sequence[str]], AbstractContextManager[str]]
"""In the way of these roles. Its value is what their conditions must name."""

_ELSEWHERE = "elsewhere"


@contextlib.contextmanager
def owning_elsewhere(database: Governed, roles: Sequence[str]) -> Iterator[str]:
    """A superuser gives each role a large object in another database, where the operator has no say."""
    database.ask(f"CREATE DATABASE {_ELSEWHERE}")
    try:
        with psycopg.connect(database.superuser.to_database(_ELSEWHERE).dsn, autocommit=True) as connection:
            for number, role in enumerate(roles, start=1_000_000):
                connection.execute("SELECT lo_create(%s)", [number])
                connection.execute(sql.SQL("ALTER LARGE OBJECT {} OWNER TO {}").format(number, sql.Identifier(role)))
        yield f"1 object in database {_ELSEWHERE}"
    finally:
        database.ask(f"DROP DATABASE {_ELSEWHERE} WITH (FORCE)")


@contextlib.contextmanager
def locked_catalog(database: Governed, _roles: Sequence[str]) -> Iterator[str]:
    """As VACUUM FULL of the table of memberships would lock it; nobody new can log in, either."""
    with psycopg.connect(database.superuser.dsn) as connection:
        connection.execute("LOCK TABLE pg_auth_members IN ACCESS EXCLUSIVE MODE")
        yield f"pg_auth_members is locked by session {connection.info.backend_pid}"


@contextlib.contextmanager
def server_gone(database: Governed, _roles: Sequence[str]) -> Iterator[str]:
    database.server.kill()
    try:
        yield f"{database.superuser.host}:{database.superuser.port}"
    finally:
        database.server.start()


OBSTACLES: Final[dict[str, Obstacle]] = {
    "something of theirs in another database": owning_elsewhere,
    "a locked catalog": locked_catalog,
    "the server gone": server_gone,
}
