"""Takes away profiles that nobody uses, and then templates that no view uses. What is locked stays for another time."""

from collections.abc import Collection
from datetime import datetime

import psycopg
from psycopg import sql

from rolevend.model import ClusterId, ProfileName
from rolevend.platforms.postgres.build.render import LOCK_TIMEOUT
from rolevend.platforms.postgres.connections import Connection
from rolevend.platforms.postgres.sql_files import query

_IN_USE = frozenset({"55P03", "40P01", "23514", "23503", "2BP01", "XX000"})
"""Locked by somebody, or a live lease came meanwhile (the CHECK on leases refuses), or something depends on it still."""


def collect_profiles(
    connection: Connection, cluster: ClusterId, keep: Collection[ProfileName], unused_since: datetime
) -> tuple[ProfileName, ...]:
    """The profiles that are gone now."""
    parameters = {"cluster": cluster, "keep": list(keep), "since": unused_since}
    unused = [ProfileName(name) for (name,) in connection.execute(query("unused_profiles"), parameters)]
    return tuple(name for name in unused if _run(connection, sql.SQL("rolevend.drop_profile"), name))


def collect_templates(connection: Connection, cluster: ClusterId, unused_since: datetime) -> tuple[str, ...]:
    """The templates that are gone now: none that was made since, perhaps for a profile that is still being built. Takes an exclusive lock
    on each one's table, for 200 ms at most."""
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
