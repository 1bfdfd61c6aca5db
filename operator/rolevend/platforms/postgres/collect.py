"""Takes away profiles that nobody uses, and then templates that no view uses. What is locked stays for another time."""

from collections.abc import Collection
from datetime import datetime

import psycopg
from psycopg import sql

from rolevend.catalog import TableId
from rolevend.model import ClusterId, ProfileName
from rolevend.platforms.postgres.connections import Connection
from rolevend.platforms.postgres.files import query
from rolevend.platforms.postgres.render import LOCK_TIMEOUT

_IN_USE = frozenset({"55P03", "40P01", "23514", "23503", "2BP01", "XX000"})
"""Locked by somebody, or a live lease came meanwhile (the CHECK on leases refuses), or something depends on it still."""


def collect_profiles(
    connection: Connection, cluster: ClusterId, keep: Collection[ProfileName], unused_since: datetime
) -> tuple[ProfileName, ...]:
    """The profiles that are gone now."""
    parameters = {"cluster": cluster, "keep": list(keep), "since": unused_since}
    unused = [ProfileName(name) for (name,) in connection.execute(query("unused_profiles"), parameters)]
    return tuple(name for name in unused if _run(connection, _drop_profile(name)))


def collect_templates(connection: Connection, cluster: ClusterId) -> tuple[str, ...]:
    """The templates that are gone now. Takes an exclusive lock on each one's table, for 200 ms at most."""
    unused = connection.execute(query("unused_templates"), {"cluster": cluster}).fetchall()
    return tuple(
        name for name, schema, table in unused if _run(connection, _drop_template(name, TableId(schema, table) if table else None))
    )


def _drop_profile(name: ProfileName) -> sql.Composed:
    """First the leave to vend it: a vend that comes meanwhile waits, and is then refused."""
    text = sql.SQL("DELETE FROM rolevend.profile WHERE profile = {};\nDROP SCHEMA IF EXISTS {} CASCADE;\n{}").format(
        sql.Literal(name), sql.Identifier(name), _drop_role(sql.Identifier(name))
    )
    return _transaction(text)


def _drop_template(name: str, table: TableId | None) -> sql.Composed:
    """The right to read goes before the policy that narrows it."""
    role, policy = sql.Identifier(name), sql.Identifier(f"{name}_open")
    parts = [sql.SQL("DELETE FROM rolevend.template WHERE template = {};").format(sql.Literal(name))]
    if table is not None:
        relation = sql.Identifier(table.schema, table.name)
        parts.append(
            sql.SQL("REVOKE ALL ON TABLE {0} FROM {1};\nDROP POLICY IF EXISTS {2} ON {0};\nDROP POLICY IF EXISTS {1} ON {0};").format(
                relation, role, policy
            )
        )
    parts.append(_drop_role(role))
    return _transaction(sql.SQL("\n").join(parts))


def _drop_role(role: sql.Identifier) -> sql.Composed:
    """Whoever drops what a role owns must have its rights."""
    return sql.SQL("GRANT {0} TO CURRENT_USER WITH INHERIT TRUE;\nDROP OWNED BY {0};\nDROP ROLE {0};").format(role)


def _transaction(body: sql.Composable) -> sql.Composed:
    return sql.SQL("BEGIN;\nSET LOCAL lock_timeout = {};\n{}\nCOMMIT;").format(sql.Literal(LOCK_TIMEOUT), body)


def _run(connection: Connection, text: sql.Composed) -> bool:
    try:
        connection.execute(text)
    except psycopg.Error as error:
        connection.rollback()
        if error.sqlstate not in _IN_USE:
            raise
        return False
    return True
