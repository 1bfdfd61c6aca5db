"""Drop unused profiles, then templates without views. A locked object stays until the next run."""

from collections.abc import Collection
from datetime import datetime

import psycopg
from psycopg import sql

from rolevend.model import ClusterId, ProfileName
from rolevend.platforms.postgres.build.render import LOCK_TIMEOUT
from rolevend.platforms.postgres.connections import Connection
from rolevend.platforms.postgres.sql_files import query

_IN_USE = frozenset({"55P03", "40P01", "23514", "23503", "2BP01", "XX000"})
"""Locked, used by a new lease (the CHECK on leases refuses), or another object depends on it."""


def collect_profiles(
    connection: Connection, cluster: ClusterId, keep: Collection[ProfileName], unused_since: datetime
) -> tuple[ProfileName, ...]:
    """Return the dropped profiles."""
    parameters = {"cluster": cluster, "keep": list(keep), "since": unused_since}
    unused = [ProfileName(name) for (name,) in connection.execute(query("unused_profiles"), parameters)]
    return tuple(name for name in unused if _run(connection, sql.SQL("rolevend.drop_profile"), name))


def collect_templates(connection: Connection, cluster: ClusterId, unused_since: datetime) -> tuple[str, ...]:
    """Return the dropped templates. Templates created since `unused_since` stay, because a build may still need them. Takes an exclusive
    lock on each table, for at most 200 ms.
    """
    unused = [name for (name,) in connection.execute(query("unused_templates"), {"cluster": cluster, "since": unused_since})]
    return tuple(name for name in unused if _run(connection, sql.SQL("rolevend.drop_template"), name))


def _run(connection: Connection, function: sql.SQL, name: str) -> bool:
    text = sql.SQL("BEGIN;\nSET LOCAL lock_timeout = {};\nSELECT {}({});\nCOMMIT;").format(
        sql.Literal(LOCK_TIMEOUT), function, sql.Literal(name)
    )
    try:
        connection.execute(text)
    except psycopg.Error as error:
        connection.rollback()
        if error.sqlstate not in _IN_USE:
            raise
        return False
    return True
