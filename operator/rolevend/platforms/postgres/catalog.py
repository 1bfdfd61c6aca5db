"""Read the tables and functions of a database as a `Catalog`. Tags are in comments: `COMMENT ON COLUMN … IS 'rolevend: pii=ssn,
domain=claims'`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from psycopg import sql

from rolevend.catalog import MOST_VALUES, Catalog, Column, Family, ForeignKey, Function, FunctionId, Table, TableId, few, plain_comment
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
_LITERAL = r"(?:'(?:[^'\\]|'')*'|-?[0-9.]+)"
_CAST = r"(?:::[a-z][a-z ]*)?"
_COLUMN = r'\(*(?:[a-z_][a-z0-9_$]*|"(?:[^"]|"")+")\)?' + _CAST
_ALLOWED = re.compile(
    rf"CHECK \(\({_COLUMN} = (?:ANY \(\(?ARRAY\[(?P<several>{_LITERAL}{_CAST}(?:, {_LITERAL}{_CAST})*)\]"
    rf"(?:\)::[a-z ]+\[\])?\)|(?P<one>{_LITERAL}){_CAST})\)\)"
)
"""A constraint that is a list of values and nothing else, as PostgreSQL writes `CHECK (state IN ('open', 'closed'))`."""
_EACH = re.compile(rf"({_LITERAL}){_CAST}(?:, |$)")

_LONGEST_SHOWN = 60
"""The number of characters of a comment that a condition quotes."""


def read_catalog(
    connection: Connection, schemas: Iterable[str], own: Iterable[str] = (), functions: Iterable[str] = (), programmer: str | None = None
) -> Catalog:
    """Return the catalog, see `Platform.catalog`. A missing schema has no tables. Schemas of the server and of rolevend are never an
    agent's.

    `programmer` is the login that must act for owners of tables; None: the connection's user.
    """
    agents = sorted(_not_systems(own))
    wanted = sorted(governable(schemas).union(agents))
    asked = {"schemas": wanted, "own": agents, "programmer": programmer}
    labels: dict[str, list[str]] = dict(connection.execute(query("enums"), {"most": MOST_VALUES}).fetchall())
    tables = _tables(connection.execute(query("catalog"), asked).fetchall(), labels)
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
    """Return the catalog that this login sees: it may not act for every owner of a table.

    Uses the connection's user if the login does not exist or the user may not become it. The connection must not be used afterwards.
    """
    may = connection.execute("SELECT pg_has_role(oid, 'SET') FROM pg_roles WHERE rolname = %s", (programmer,)).fetchone()
    if may is not None and may[0]:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(programmer)))
    return read_catalog(connection, schemas, own, functions)


def governable(schemas: Iterable[str]) -> frozenset[str]:
    """Return the same schemas; refuse those of the server and of rolevend."""
    wanted = frozenset(schemas)
    for schema in sorted(wanted):
        if _SYSTEM.fullmatch(schema):
            raise InvalidInput("schemas", f"{schema} belongs to PostgreSQL or to rolevend and cannot be governed")
    return wanted


def _not_systems(schemas: Iterable[str]) -> frozenset[str]:
    return frozenset(schema for schema in schemas if not _SYSTEM.fullmatch(schema))


def tags_of(comment: str) -> frozenset[Tag]:
    """Return the tags in a comment: any number of lines that begin with `rolevend:`, any number of `key=value` on each. A malformed part is
    not a tag.
    """
    found = (_TAG.fullmatch(part) for part in _parts(comment))
    return frozenset(Tag(tag["key"], tag["value"]) for tag in found if tag is not None)


def malformed_tags(comment: str) -> tuple[str, ...]:
    """Return the malformed parts of the lines of `tags_of`, and lines that seem to be meant as such."""
    meant = (line.strip() for line in _MEANT_LINE.findall(comment) if not _TAG_LINE.match(line))
    return (*(part for part in _parts(comment) if part and _TAG.fullmatch(part) is None), *meant)


def _parts(comment: str) -> list[str]:
    return [part.strip() for line in _TAG_LINE.findall(comment) for part in line.split(",")]


def words_of(comment: str) -> str:
    """Return the comment without its tags, see `plain_comment`."""
    return plain_comment(_MEANT_LINE.sub("", comment))


def allowed_values(constraint: str) -> tuple[str, ...]:
    """Return the values that a CHECK constraint of one column lists; empty if it is anything but a short list."""
    found = _ALLOWED.fullmatch(constraint)
    literals = _EACH.findall(found["several"] or found["one"]) if found is not None else []
    return few(each[1:-1].replace("''", "'") if each.startswith("'") else each for each in literals)


def _tables(rows: Sequence[Sequence[Any]], labels: Mapping[str, Sequence[str]]) -> Iterator[Table]:
    names = {TableId(schema, name): {number: column for column, *_, number in columns} for schema, name, *_, columns in rows}
    for schema, name, kind, obstacle, comment, constraints, columns in rows:
        here = names[TableId(schema, name)]
        comments = {"": comment} | {f" on column {column}": text for column, _, _, text, _ in columns}
        listed = {numbers[0]: allowed_values(text) for kind_, numbers, *_, text in constraints if kind_ == "c"}
        yield Table(
            TableId(schema, name),
            tuple(
                Column(
                    column,
                    FAMILIES.get(type_, Family.OTHER),
                    native,
                    tags_of(text),
                    limits_of(native),
                    comment=words_of(text),
                    values=listed.get(number) or few(labels.get(native, ())),
                )
                for column, type_, native, text, number in columns
            ),
            tags_of(comment),
            _KINDS.get(kind, obstacle) or _obstacle_of_tags(comments),
            words_of(comment),
            next((tuple(here[each] for each in numbers) for kind_, numbers, *_ in constraints if kind_ == "p"), ()),
            tuple(sorted(_foreign_keys(here, constraints, names))),
        )


def _foreign_keys(
    here: Mapping[int, str], constraints: Sequence[Sequence[Any]], names: Mapping[TableId, Mapping[int, str]]
) -> Iterator[ForeignKey]:
    """Yield those to tables of the catalog: no role reads others."""
    for kind, numbers, schema, name, others, _ in constraints:
        if kind == "f" and (there := names.get(TableId(schema, name))) is not None:
            yield ForeignKey(tuple(here[each] for each in numbers), TableId(schema, name), tuple(there[each] for each in others))


def _obstacle_of_tags(comments: Mapping[str, str]) -> str:
    """Return the obstacle of malformed tags: a mask or denial may depend on one, so the table is not granted."""
    for place, comment in comments.items():
        for part in malformed_tags(comment):
            return f"has a comment{place} in which {_shown(part)} is no tag; write rolevend: key=value, with commas between several"
    return ""


def _shown(part: str) -> str:
    return repr(part if len(part) <= _LONGEST_SHOWN else f"{part[:_LONGEST_SHOWN]}…")
