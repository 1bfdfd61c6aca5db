"""Tables and views: their columns, and where DuckDB keeps their rows."""

import itertools

from tests.support.snowflake import governing, queries, refusals
from tests.support.snowflake.catalog import Thing
from tests.support.snowflake.engine import Work
from tests.support.snowflake.naming import type_of
from tests.support.snowflake.reader import Reader, shown
from tests.support.snowflake.results import ResultColumn
from tests.support.snowflake.statements import Column, Create

_numbers = itertools.count(1)

_STORED = {
    "FLOAT": "DOUBLE",
    "VARCHAR": "VARCHAR",
    "BOOLEAN": "BOOLEAN",
    "DATE": "DATE",
    "TIME": "TIME",
    "TIMESTAMP_NTZ": "TIMESTAMP",
    "TIMESTAMP_LTZ": "TIMESTAMPTZ",
    "TIMESTAMP_TZ": "TIMESTAMPTZ",
    "BINARY": "BLOB",
    "VARIANT": "JSON",
    "ARRAY": "JSON",
    "OBJECT": "JSON",
}
_FROM_WIRE = {
    "real": "FLOAT",
    "text": "VARCHAR",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "time": "TIME",
    "timestamp_ntz": "TIMESTAMP_NTZ",
    "timestamp_ltz": "TIMESTAMP_LTZ",
    "binary": "BINARY",
    "variant": "VARIANT",
}


def _type_of(column: ResultColumn) -> str:
    return type_of(Reader(_FROM_WIRE.get(column.type) or f"NUMBER({column.precision},{column.scale})"))


def _type(column: Column) -> str:
    family = governing.family_of(column.type)
    if family == "NUMBER":
        return f"DECIMAL{column.type.removeprefix('NUMBER')}"
    if family not in _STORED:
        raise refusals.Unknown(f"columns of the type {column.type}")
    return _STORED[family]


def _definition(column: Column) -> str:
    return f"{quoted(column.name)} {_type(column)}{'' if column.nullable else ' NOT NULL'}"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def make(work: Work, thing: Thing, statement: Create) -> None:
    """What is kept of a new table or view."""
    if thing.kind == "VIEW":
        named = queries.describe(work, thing.body)
        given = thing.columns
        thing.columns = tuple(Column(given[place].name if given else column.name, _type_of(column)) for place, column in enumerate(named))
        return
    thing.stored = f"t{next(_numbers)}"
    if statement.like is not None:
        thing.columns = work.access.get("TABLE", statement.like).columns
    if statement.body:
        made = queries.into_table(work, statement.body, thing.stored)
        thing.columns = tuple(Column(column.name, _type_of(column)) for column in made)
        return
    folded = [column.name.upper() for column in thing.columns]
    if len({*folded}) < len(folded):
        raise refusals.Unknown("columns of one table that differ in case alone")
    if not thing.columns:
        raise refusals.Refusal("001003", "42000", "SQL compilation error:\na table needs columns.")
    work.session.cursor.execute(f"CREATE TABLE {thing.stored} ({', '.join(map(_definition, thing.columns))})")


def attach(work: Work, thing: Thing, statement: Create) -> None:
    """The policies that a table is created with."""
    if statement.row_policy is not None:
        governing.add_row_policy(work, thing, statement.row_policy)
    for masking in statement.masks:
        governing.set_mask(work, thing, masking)


def forget(work: Work, thing: Thing) -> None:
    if thing.stored:
        work.session.cursor.execute(f"DROP TABLE IF EXISTS {thing.stored}")


def add_column(work: Work, thing: Thing, column: Column) -> None:
    if any(one.name.upper() == column.name.upper() for one in thing.columns):
        raise refusals.Refusal("001430", "42710", f"SQL compilation error:\ncolumn '{column.name}' already exists")
    work.session.cursor.execute(f"ALTER TABLE {thing.stored} ADD COLUMN {_definition(column)}")
    thing.columns = (*thing.columns, column)


def drop_column(work: Work, thing: Thing, name: str) -> None:
    if name not in [column.name for column in thing.columns]:
        raise refusals.invalid_identifier(shown((name,)))
    used = {column for mask in thing.masks.values() for column in mask.using} | set(thing.row_policy.on if thing.row_policy else ())
    if name in used:
        raise refusals.Refusal(
            "003534", "0A000", f"SQL compilation error:\nCannot drop column '{name}' because it is associated with one or more policies."
        )
    work.session.cursor.execute(f"ALTER TABLE {thing.stored} DROP COLUMN {quoted(name)}")
    thing.columns = tuple(column for column in thing.columns if column.name != name)
