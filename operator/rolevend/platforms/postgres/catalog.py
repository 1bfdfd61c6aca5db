"""Reads what a database holds, as a `Catalog`. Tags stand in comments: `COMMENT ON COLUMN … IS 'rolevend: pii=ssn, domain=claims'`."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from psycopg import sql

from rolevend.catalog import Catalog, Column, Family, Function, FunctionId, Table, TableId
from rolevend.errors import InvalidInput
from rolevend.model import Tag
from rolevend.platforms.postgres.connections import Connection
from rolevend.platforms.postgres.sql_files import query
from rolevend.platforms.postgres.types import FAMILIES, limits_of

_KINDS = {
    "v": "is a view: grant the tables beneath it",
    "m": "is a materialized view, whose rows PostgreSQL cannot keep apart: grant the tables beneath it",
    "f": "is a foreign table, whose rows PostgreSQL cannot keep apart",
}
_SYSTEM = re.compile(r"pg_.*|information_schema|rolevend|rv_p_.*")
_TAG_LINE = re.compile(r"^[ \t]*rolevend:(.*)$", re.MULTILINE)
_MEANT_LINE = re.compile(r"^[ \t]*rolevend[ \t]*:.*$", re.MULTILINE | re.IGNORECASE)
_TAG = re.compile(r"(?P<key>[A-Za-z0-9][A-Za-z0-9._/-]*)[ \t]*=[ \t]*(?P<value>[^\s,=](?:[^,=]*[^\s,=])?)")

_LONGEST_SHOWN = 60
"""Of what somebody wrote into a comment, where it is told in a condition."""


def read_catalog(
    connection: Connection, schemas: Iterable[str], own: Iterable[str] = (), functions: Iterable[str] = (), programmer: str | None = None
) -> Catalog:
    """As `Platform.catalog`: a schema that is not there has no tables. Nothing of the server's own and of ours is an agent's.
    `programmer` is the login that must act for owners of tables; None: the connection's own."""
    agents = sorted(_not_systems(own))
    wanted = sorted(governable(schemas).union(agents))
    asked = {"schemas": wanted, "own": agents, "programmer": programmer}
    tables = [_table(*row) for row in connection.execute(query("catalog"), asked)]
    return Catalog.of(tables, _functions(connection, sorted(_not_systems(functions)), programmer))


def _functions(connection: Connection, schemas: list[str], programmer: str | None) -> list[Function]:
    if not schemas:
        return []
    judges = connection.execute(query("judges"), {}).fetchone() == (True,)
    rows = connection.execute(query("functions" if judges else "functions_unjudged"), {"functions": schemas, "programmer": programmer})
    return [Function(FunctionId(schema, name, arguments), obstacle) for schema, name, arguments, obstacle in rows]


def seen_by(
    connection: Connection, programmer: str, schemas: Iterable[str], own: Iterable[str] = (), functions: Iterable[str] = ()
) -> Catalog:
    """The same as this login sees it: it may not act for every owner of a table. As the connection's own user where the login is not
    there yet, or where that user may not become it. The connection is not to be used afterwards."""
    may = connection.execute("SELECT pg_has_role(oid, 'SET') FROM pg_roles WHERE rolname = %s", (programmer,)).fetchone()
    if may is not None and may[0]:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(programmer)))
    return read_catalog(connection, schemas, own, functions)


def governable(schemas: Iterable[str]) -> frozenset[str]:
    """The same schemas, if none is the server's own or ours."""
    wanted = frozenset(schemas)
    for schema in sorted(wanted):
        if _SYSTEM.fullmatch(schema):
            raise InvalidInput("schemas", f"{schema} belongs to PostgreSQL or to rolevend and cannot be governed")
    return wanted


def _not_systems(schemas: Iterable[str]) -> frozenset[str]:
    return frozenset(schema for schema in schemas if not _SYSTEM.fullmatch(schema))


def tags_of(comment: str) -> frozenset[Tag]:
    """The tags in a comment: any number of lines that begin with `rolevend:`, any number of `key=value` on each.

    What is malformed is no tag, and gives nothing to anybody.
    """
    found = (_TAG.fullmatch(part) for part in _parts(comment))
    return frozenset(Tag(tag["key"], tag["value"]) for tag in found if tag is not None)


def malformed_tags(comment: str) -> tuple[str, ...]:
    """What stands in the lines of `tags_of` and is no tag, and lines that were meant as such, for a person to mend."""
    meant = (line.strip() for line in _MEANT_LINE.findall(comment) if not _TAG_LINE.match(line))
    return (*(part for part in _parts(comment) if part and _TAG.fullmatch(part) is None), *meant)


def _parts(comment: str) -> list[str]:
    return [part.strip() for line in _TAG_LINE.findall(comment) for part in line.split(",")]


def _table(schema: str, name: str, kind: str, obstacle: str, comment: str, columns: list[list[Any]]) -> Table:
    comments = {"": comment} | {f" on column {column}": text for column, _, _, text in columns}
    return Table(
        TableId(schema, name),
        tuple(
            Column(column, FAMILIES.get(type_, Family.OTHER), native, tags_of(text), limits_of(native))
            for column, type_, native, text in columns
        ),
        tags_of(comment),
        _KINDS.get(kind, obstacle) or _untold(comments),
    )


def _untold(comments: Mapping[str, str]) -> str:
    """A tag that cannot be read may be the one by which a column is masked, or the table denied: then nothing of it is granted."""
    for place, comment in comments.items():
        for part in malformed_tags(comment):
            return f"has a comment{place} in which {_shown(part)} is no tag; write rolevend: key=value, with commas between several"
    return ""


def _shown(part: str) -> str:
    return repr(part if len(part) <= _LONGEST_SHOWN else f"{part[:_LONGEST_SHOWN]}…")
