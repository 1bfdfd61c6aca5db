"""Read the governed schemas as a `Catalog`. Tags are Snowflake's own.

Obstacles of tables are shared: the programmer, which can read a table's policies, writes them for processes that only vend, so that both
decide alike.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from snowflake.connector import errors as vendor

from rolevend.catalog import Catalog, Column, Table, TableId, Tool, ToolId, plain_comment
from rolevend.errors import InvalidInput
from rolevend.model import Tag
from rolevend.platforms.snowflake.build.attachments import read_policies
from rolevend.platforms.snowflake.connections import Row, SnowflakeSession
from rolevend.platforms.snowflake.control import DATABASE
from rolevend.platforms.snowflake.failures import NOT_THERE, code_of
from rolevend.platforms.snowflake.names import OBSTACLE
from rolevend.platforms.snowflake.sql import Sql, compose, identifier, join, literal, number, qualified
from rolevend.platforms.snowflake.tools import read_tools
from rolevend.platforms.snowflake.types import family, limits_of

Obstacles = Mapping[TableId, str]
MOST_SHOWN: Final = 10_000
"""The maximum number of rows of SHOW, which truncates silently."""
_TAGS_TOGETHER: Final = 50
"""Tables per statement that reads tags."""
_NOT_OURS: Final = frozenset({"INFORMATION_SCHEMA"})
Tags = Mapping[tuple[TableId, str | None], frozenset[Tag]]
"""The tags of each table (None) and column that has any."""


def read_obstacles(session: SnowflakeSession) -> Obstacles:
    rows = session.rows(compose("SELECT SCHEMA_NAME, TABLE_NAME, OBSTACLE FROM {}", OBSTACLE))
    return {TableId(row["schema_name"], row["table_name"]): row["obstacle"] for row in rows}


def write_obstacles(session: SnowflakeSession, obstacles: Obstacles) -> None:
    """Write them in one request, if they changed."""
    if read_obstacles(session) != obstacles:
        session.script([compose("BEGIN"), compose("DELETE FROM {}", OBSTACLE), *_rows(obstacles), compose("COMMIT")])


def _rows(obstacles: Obstacles) -> list[Sql]:
    if not obstacles:
        return []
    rows = [compose("({}, {}, {})", literal(table.schema), literal(table.name), literal(why)) for table, why in sorted(obstacles.items())]
    return [compose("INSERT INTO {} (SCHEMA_NAME, TABLE_NAME, OBSTACLE) VALUES {}", OBSTACLE, join(",\n", rows))]


def read_tables(session: SnowflakeSession, database: str, schemas: Iterable[str]) -> list[Table]:
    """Return every table of these schemas, without columns. Needs no warehouse. A missing schema has no tables."""
    return [table for schema in sorted(governable(schemas)) for table in _tables(session, database, schema)]


@dataclass(frozen=True, slots=True)
class Notes:
    """Columns, tags and obstacles of tables."""

    columns: Mapping[TableId, tuple[Column, ...]]
    tags: Tags
    obstacles: Mapping[TableId, str]


def read_notes(session: SnowflakeSession, database: str, tables: Sequence[TableId], *, programs: bool) -> Notes:
    """Read the notes. Needs a warehouse. Only the programmer may read a table's policies, and records the obstacles for the vendor."""
    if not tables:
        return Notes({}, {}, {})
    if programs:
        obstacles = _of_others(session, database, tables)
        write_obstacles(session, obstacles)
    else:
        obstacles = read_obstacles(session)
    return Notes(read_columns(session, database, {table.schema for table in tables}), _tags(session, database, tables), obstacles)


def seen_by_administrator(session: SnowflakeSession, database: str, schemas: Iterable[str], tools: Collection[ToolId] = ()) -> Catalog:
    """Return the programmer's catalog, read by an account that may read a table's policies. Needs a warehouse; writes nothing."""
    tables, found = read_tables(session, database, schemas), read_tools(session, database, tools)
    ids = tuple(sorted(table.id for table in tables))
    if not ids:
        return Catalog.of((), tools=found)
    columns = read_columns(session, database, {table.schema for table in ids})
    return noted(tables, Notes(columns, _tags(session, database, ids), _of_others(session, database, ids)), found)


def _of_others(session: SnowflakeSession, database: str, tables: Sequence[TableId]) -> Obstacles:
    policies = read_policies(session, database, tables)
    foreign = {table: [each.obstacle for each in attached if not each.is_ours] for table, attached in policies.items()}
    return {table: found[0] for table, found in foreign.items() if found}


def noted(tables: Iterable[Table], notes: Notes, tools: Iterable[Tool] = ()) -> Catalog:
    none: frozenset[Tag] = frozenset()

    def column(table: TableId, each: Column) -> Column:
        return replace(each, tags=notes.tags.get((table, each.name), none))

    described = (
        Table(
            each.id,
            tuple(column(each.id, one) for one in notes.columns.get(each.id, ())),
            notes.tags.get((each.id, None), none),
            each.obstacle or notes.obstacles.get(each.id, ""),
            each.comment,
        )
        for each in tables
    )
    return Catalog.of(described, tools=tools)


def governable(schemas: Iterable[str]) -> frozenset[str]:
    wanted = frozenset(schemas)
    for schema in sorted(wanted & _NOT_OURS):
        raise InvalidInput("schemas", f"{schema} belongs to Snowflake and cannot be governed")
    return wanted


def expect_governable_database(database: str) -> None:
    if database in (DATABASE, "SNOWFLAKE", "SNOWFLAKE_SAMPLE_DATA"):
        raise InvalidInput("spec.snowflake.database", f"{database} belongs to Snowflake or to rolevend and cannot be governed")


def _tables(session: SnowflakeSession, database: str, schema: str) -> Iterator[Table]:
    after = Sql("")
    while True:
        try:
            shown = session.rows(compose("SHOW TABLES IN SCHEMA {}{}", qualified(database, schema), after))
        except vendor.ProgrammingError as error:
            if code_of(error) != NOT_THERE:
                raise
            return
        yield from (Table(TableId(schema, row["name"]), (), obstacle=_obstacle(row), comment=_comment(row)) for row in shown)
        if len(shown) < MOST_SHOWN:
            return
        after = compose(" LIMIT {} FROM {}", number(MOST_SHOWN), literal(str(shown[-1]["name"])))


def read_columns(session: SnowflakeSession, database: str, schemas: Iterable[str]) -> Mapping[TableId, tuple[Column, ...]]:
    """Return the columns of every table, in the table's order. Needs a warehouse."""
    if not schemas:
        return {}
    found: dict[TableId, list[tuple[int, Column]]] = {}
    wanted = join(", ", map(literal, sorted(schemas)))
    for row in session.rows(
        compose("SELECT * FROM {}.INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA IN ({})", identifier(database), wanted)
    ):
        native = native_type(row)
        kind = family(native, collated=bool(row.get("collation_name")))
        column = Column(row["column_name"], kind, native, limits=limits_of(native), comment=_comment(row))
        found.setdefault(TableId(row["table_schema"], row["table_name"]), []).append((int(row["ordinal_position"]), column))
    return {table: tuple(column for _, column in sorted(columns, key=lambda each: each[0])) for table, columns in found.items()}


def _comment(row: Row) -> str:
    return plain_comment(str(row.get("comment") or ""))


def native_type(row: Row) -> str:
    """Return the type as in DESCRIBE TABLE, from a row of INFORMATION_SCHEMA.COLUMNS."""
    kind = str(row["data_type"])
    match kind:
        case "NUMBER":
            return f"NUMBER({row['numeric_precision']},{row['numeric_scale']})"
        case "TEXT":
            return f"VARCHAR({row['character_maximum_length']})"
        case "BINARY":
            return f"BINARY({row.get('character_octet_length') or 8388608})"
        case "TIMESTAMP_NTZ" | "TIMESTAMP_LTZ" | "TIMESTAMP_TZ" | "TIME":
            return f"{kind}({9 if row.get('datetime_precision') is None else row['datetime_precision']})"
        case _:
            return kind


def _tags(session: SnowflakeSession, database: str, tables: Sequence[TableId]) -> Tags:
    """Return the tags. Tables inherit the tags of their schema and database, as in Snowflake."""
    found: dict[tuple[TableId, str | None], set[Tag]] = {}
    for start in range(0, len(tables), _TAGS_TOGETHER):
        for row in session.rows(_tags_of(database, tables[start : start + _TAGS_TOGETHER])):
            place = TableId(row["object_schema"], row["object_name"]), row["column_name"]
            found.setdefault(place, set()).add(Tag(str(row["tag_name"]), str(row["tag_value"])))
    return {place: frozenset(tags) for place, tags in found.items()}


def _obstacle(row: Row) -> str:
    if str(row.get("is_external") or "N").upper() in ("Y", "TRUE"):
        return "is an external table: its files can be read around every policy"
    kind = str(row.get("kind") or "TABLE").upper()
    return "" if kind in ("TABLE", "TRANSIENT") else f"is a {kind.lower()} table, which others cannot see"


def _tags_of(database: str, tables: Sequence[TableId]) -> Sql:
    return join("\nUNION ALL\n", [_tags_of_one(database, each) for each in tables])


def _tags_of_one(database: str, table: TableId) -> Sql:
    """Select the tags of the table and of its columns."""
    select: Final = (
        "SELECT {} AS object_schema, {} AS object_name, {} AS column_name, tag_name, tag_value\n"
        "  FROM TABLE({}.INFORMATION_SCHEMA.{}({}, 'table'))"
    )
    of = literal(qualified(database, table.schema, table.name))
    names = literal(table.schema), literal(table.name)
    return join(
        "\nUNION ALL\n",
        [
            compose(select, *names, Sql("NULL"), identifier(database), Sql("TAG_REFERENCES"), of),
            compose(select, *names, Sql("column_name"), identifier(database), Sql("TAG_REFERENCES_ALL_COLUMNS"), of),
        ],
    )
