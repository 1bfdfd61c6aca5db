"""Reads what the governed schemas hold, as a `Catalog`, by SHOW, which needs no warehouse. Tags are Snowflake's own."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from snowflake.connector import errors as vendor

from rolevend.catalog import Catalog, Column, Table, TableId
from rolevend.errors import InvalidInput
from rolevend.model import Tag
from rolevend.platforms.snowflake.attached import read_policies
from rolevend.platforms.snowflake.connections import Row, Session
from rolevend.platforms.snowflake.control import DATABASE
from rolevend.platforms.snowflake.failures import NOT_THERE, code_of
from rolevend.platforms.snowflake.text import Sql, compose, identifier, literal, qualified
from rolevend.platforms.snowflake.types import family

MOST_SHOWN: Final = 10_000
"""Rows that SHOW answers at most, without a word about the rest."""
_TAGS_TOGETHER: Final = 50
"""Tables whose tags are read in one statement."""
_NOT_OURS: Final = frozenset({"INFORMATION_SCHEMA"})

Tags = Mapping[tuple[TableId, str | None], frozenset[Tag]]
"""Of each table (None) and column that has any."""


def read_tables(session: Session, database: str, schemas: Iterable[str]) -> list[Table]:
    """Every table of these schemas, without tags. A schema that is not there has no tables."""
    return [table for schema in sorted(governable(schemas)) for table in _tables(session, database, schema)]


@dataclass(frozen=True, slots=True)
class Notes:
    """What stands on tables."""

    tags: Tags
    obstacles: Mapping[TableId, str]


def read_notes(session: Session, database: str, tables: Sequence[TableId]) -> Notes:
    """Takes a warehouse."""
    policies = read_policies(session, database, tables)
    foreign = {table: [each.obstacle for each in attached if not each.is_ours] for table, attached in policies.items()}
    return Notes(_tags(session, database, tables), {table: obstacles[0] for table, obstacles in foreign.items() if obstacles})


def _tags(session: Session, database: str, tables: Sequence[TableId]) -> Tags:
    """Tags that stand on a schema or a database count for the tables in it, as Snowflake passes them on."""
    found: dict[tuple[TableId, str | None], set[Tag]] = {}
    for start in range(0, len(tables), _TAGS_TOGETHER):
        for row in session.rows(_tags_of(database, tables[start : start + _TAGS_TOGETHER])):
            column = row["column_name"] if row["level"] == "COLUMN" else None
            place = TableId(row["object_schema"], row["object_name"]), column
            found.setdefault(place, set()).add(Tag(str(row["tag_name"]), str(row["tag_value"])))
    return {place: frozenset(tags) for place, tags in found.items()}


def noted(tables: Iterable[Table], notes: Notes) -> Catalog:
    none: frozenset[Tag] = frozenset()
    tags = notes.tags

    def column(table: Table, each: Column) -> Column:
        return Column(each.name, each.family, each.native_type, tags.get((table.id, each.name), none))

    return Catalog.of(
        Table(
            each.id,
            tuple(column(each, one) for one in each.columns),
            tags.get((each.id, None), none),
            each.obstacle or notes.obstacles.get(each.id, ""),
        )
        for each in tables
    )


def governable(schemas: Iterable[str]) -> frozenset[str]:
    wanted = frozenset(schemas)
    for schema in sorted(wanted & _NOT_OURS):
        raise InvalidInput("schemas", f"{schema} belongs to Snowflake and cannot be governed")
    return wanted


def expect_governable_database(database: str) -> None:
    if database in (DATABASE, "SNOWFLAKE", "SNOWFLAKE_SAMPLE_DATA"):
        raise InvalidInput("spec.snowflake.database", f"{database} belongs to Snowflake or to rolevend and cannot be governed")


def _tables(session: Session, database: str, schema: str) -> Iterator[Table]:
    place = qualified(database, schema)
    try:
        shown = session.rows(compose("SHOW TABLES IN SCHEMA {}", place))
        columns = session.rows(compose("SHOW COLUMNS IN SCHEMA {}", place))
    except vendor.ProgrammingError as error:
        if code_of(error) == NOT_THERE:
            return
        raise
    if len(columns) >= MOST_SHOWN:
        columns = [
            row for each in shown for row in session.rows(compose("SHOW COLUMNS IN TABLE {}", qualified(database, schema, each["name"])))
        ]
    by_table: dict[str, list[Column]] = {}
    for row in columns:
        by_table.setdefault(row["table_name"], []).append(_column(row))
    for row in shown:
        yield Table(TableId(schema, row["name"]), tuple(by_table.get(row["name"], ())), obstacle=_obstacle(row))


def _column(row: Row) -> Column:
    native = native_type(json.loads(row["data_type"]))
    return Column(row["column_name"], family(native), native)


def native_type(told: Mapping[str, Any]) -> str:
    """As DESCRIBE writes it, of what SHOW COLUMNS tells in JSON."""
    kind = str(told["type"])
    match kind:
        case "FIXED":
            return f"NUMBER({told.get('precision', 38)},{told.get('scale', 0)})"
        case "REAL":
            return "FLOAT"
        case "TEXT":
            return "VARCHAR" if told.get("length") is None else f"VARCHAR({told['length']})"
        case "BINARY":
            return "BINARY" if told.get("length") is None else f"BINARY({told['length']})"
        case "TIMESTAMP_NTZ" | "TIMESTAMP_LTZ" | "TIMESTAMP_TZ" | "TIME":
            return f"{kind}({told.get('scale', 9)})"
        case _:
            return kind


def _obstacle(row: Row) -> str:
    if str(row.get("is_external") or "N").upper() in ("Y", "TRUE"):
        return "is an external table: its files can be read around every policy"
    kind = str(row.get("kind") or "TABLE").upper()
    return "" if kind in ("TABLE", "TRANSIENT") else f"is a {kind.lower()} table, which others cannot see"


def _tags_of(database: str, tables: Sequence[TableId]) -> Sql:
    of = [_tags_of_one(database, each) for each in tables]
    return Sql("\nUNION ALL\n".join(of))


def _tags_of_one(database: str, table: TableId) -> Sql:
    of = literal(qualified(database, table.schema, table.name))
    select = (
        "SELECT {} AS object_schema, {} AS object_name, level, column_name, tag_name, tag_value\n"
        "  FROM TABLE({}.INFORMATION_SCHEMA.{}({}, 'table'))"
    )
    place = literal(table.schema), literal(table.name), identifier(database)
    both = [compose(select, *place, Sql(function), of) for function in ("TAG_REFERENCES", "TAG_REFERENCES_ALL_COLUMNS")]
    return Sql("\nUNION ALL\n".join(both))
