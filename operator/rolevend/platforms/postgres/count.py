"""Count the rows and cells that two profiles show one user. `statement` is pure.

The programmer's login reads the tables, as a member of their owners, with the text of row filters and of the conditions of masks. Masks
are not evaluated, and no value of a row leaves the server. The user's attributes are settings of the transaction, not part of the text.

This login reads the tables of all owners, so it must run no code of one of them. A table whose plan would run some is not counted.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql

from rolevend.catalog import TableId
from rolevend.model import Attributes
from rolevend.plan import ColumnShape, TableShape
from rolevend.platforms.counted import MOST_COLUMNS, ComparedTable, CountedCells, CountedColumn, CountedTable
from rolevend.platforms.postgres.build.predicate import Need, any_of
from rolevend.platforms.postgres.connections import Connection
from rolevend.platforms.postgres.sql_files import query
from rolevend.platforms.postgres.types import limits_of
from rolevend.policy.mask import Mask, Nullify, carries

SHAPES: Final[Mapping[str, str]] = {
    "bigint": "^-?[0-9]+$",
    "numeric": r"^-?[0-9]+(\.[0-9]+)?$",
    "real": r"^-?[0-9]+(\.[0-9]+)?$",
    "double precision": r"^-?[0-9]+(\.[0-9]+)?$",
    "boolean": "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$",
    "date": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    "timestamp without time zone": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?)?$",
    "timestamp with time zone": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})$",
    "uuid": "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$",
}
"""The shapes of values, as `rolevend.attr` has them."""

_COUNT: LiteralString = "SELECT {counts} FROM (SELECT {tests} FROM {table} AS t) AS s"
_FOREIGN_CODE: Final = query("foreign_code")
_SECONDS_OF_TABLE: Final = 2.0

_RUNS_CODE: Final = "an index, a statistic or the partition key of it calls a function, which would run with the rights of rolevend"
_WHY: Final[Mapping[str, str]] = {
    "57014": "it takes too long",
    "55P03": "the table is locked",
    "42501": "the table filters rows for its owner, too, or belongs to another role",
    "42P01": "the table is gone",
    "42703": "a column is gone",
}
"""By SQLSTATE. The message of the server is not repeated, because it can have values."""


def count_tables(connection: Connection, tables: Sequence[ComparedTable], attributes: Attributes, seconds: float) -> list[CountedTable]:
    """Count one table after the other, each in its own transaction, until the time is over."""
    deadline = time.monotonic() + seconds
    counted = []
    for each in tables:
        left = min(_SECONDS_OF_TABLE, deadline - time.monotonic())
        counted.append(_count(connection, each, attributes, left) if left > 0 else _unknown(each, "there was no time left for it"))
    return counted


def _count(connection: Connection, table: ComparedTable, attributes: Attributes, seconds: float) -> CountedTable:
    wanted = TableCount(table, UserValues(attributes))
    text = wanted.statement()
    try:
        with connection.transaction():
            connection.execute("SET TRANSACTION READ ONLY")
            connection.execute(
                "SELECT set_config('statement_timeout', %s, true), set_config('lock_timeout', '200', true), "
                # A table that filters rows for its owner, too, is an error and not a wrong number.
                "set_config('row_security', 'off', true)",
                [str(max(1, int(seconds * 1000)))],
            )
            if _runs_code(connection, table.granted.table):
                return _unknown(table, _RUNS_CODE)
            for name, values in wanted.values.settings.items():
                connection.execute("SELECT set_config(%s, %s::text[]::text, true)", [name, values])
            row = connection.execute(text).fetchone()
    except psycopg.Error as error:
        if connection.broken:
            raise
        return _unknown(table, _WHY.get(error.sqlstate or "", f"the database refuses it with SQLSTATE {error.sqlstate}"))
    assert row is not None  # noqa: S101 - an aggregate without GROUP BY
    return wanted.result(row)


def _runs_code(connection: Connection, table: TableId) -> bool:
    """True if a plan for the table would run code of an owner. Nothing changes that before the end of the transaction: the lock conflicts
    with those of new indexes, statistics and partitions, and neither with reading nor with writing."""
    connection.execute(sql.SQL("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE").format(sql.Identifier(table.schema, table.name)))
    found = connection.execute(_FOREIGN_CODE, {"schema": table.schema, "name": table.name}).fetchone()
    return found != (False,)


def _unknown(table: ComparedTable, why: str) -> CountedTable:
    return CountedTable(table.granted.table, unknown=why)


@dataclass(frozen=True, slots=True)
class UserValues:
    """The attributes of a user, as settings of a transaction."""

    attributes: Attributes
    settings: dict[str, list[str]] = field(default_factory=dict)
    """Those that a rendered text reads."""

    def text(self, need: Need) -> sql.Composable:
        """Return the values as `rolevend.attr` does: NULL without any, or if one does not fit the type."""
        key, kind = need
        values = self.attributes.values(key)
        if not values or (kind != "text" and not all(re.search(SHAPES[kind], each) for each in values)):
            return sql.SQL("NULL::text[]")
        name = f"rolevend.counted_{[each for each, _ in self.attributes].index(key)}"
        self.settings[name] = list(values)
        return sql.SQL("current_setting({})::text[]").format(sql.Literal(name))


@dataclass(frozen=True, slots=True)
class TableCount:
    """The count of one table: its statement, and its result."""

    table: ComparedTable
    values: UserValues

    def statement(self) -> sql.Composed:
        today, granted = self.table.today, self.table.granted
        tests: list[sql.Composable] = [
            sql.SQL("{} AS today").format(sql.SQL("false") if today is None else self._rows(today)),
            sql.SQL("{} AS granted").format(self._rows(granted)),
        ]
        counts: list[sql.Composable] = [sql.SQL("count(*) FILTER (WHERE today)"), sql.SQL("count(*) FILTER (WHERE granted)")]
        for side, alias, column in self._sides():
            tests.append(sql.SQL("{} AS {}").format(self._place(column), alias))
            counts += [
                sql.SQL("count(*) FILTER (WHERE {} AND {} = {})").format(sql.SQL(side), alias, sql.Literal(place))
                for place in range(len(_masks(column)))
            ]
        of = granted.table
        return sql.SQL(_COUNT).format(
            counts=sql.SQL(", ").join(counts), tests=sql.SQL(", ").join(tests), table=sql.Identifier(of.schema, of.name)
        )

    def result(self, row: Sequence[Any]) -> CountedTable:
        rest = iter(row[2:])
        found: dict[str, dict[str, tuple[CountedCells, ...]]] = {}
        for side, _, column in self._sides():
            cells = [CountedCells(mask, next(rest)) for mask in _masks(column)]
            found.setdefault(column.name, {})[side] = tuple(each for each in cells if each.rows)
        columns = (CountedColumn(name, sides.get("today", ()), sides["granted"]) for name, sides in found.items())
        return CountedTable(self.table.granted.table, row[0], row[1], tuple(each for each in columns if each.today != each.granted))

    def _sides(self) -> Iterator[tuple[LiteralString, sql.Identifier, ColumnShape]]:
        for number, (today, granted) in enumerate(self.table.columns[:MOST_COLUMNS]):
            if today is not None:
                yield "today", sql.Identifier(f"t{number}"), today
            yield "granted", sql.Identifier(f"g{number}"), granted

    def _rows(self, shape: TableShape) -> sql.Composable:
        tests = [any_of(each, _of_table, self.values.text) for each in (shape.rows, *shape.restrictions)]
        return sql.SQL("({}) IS TRUE").format(sql.SQL(" AND ").join([sql.SQL("true"), *(each for each in tests if each is not None)]))

    def _place(self, column: ColumnShape) -> sql.Composable:
        """Return the place of the mask of a row in `_masks`: of the first cell that matches."""
        masks = _masks(column)
        whens: list[sql.Composable] = [sql.SQL("")]
        for cell in column.cells:
            place = sql.Literal(masks.index(_held(cell.mask, column)))
            tests = [any_of(each, _of_table, self.values.text) for each in (cell.conditions, cell.also) if each]
            test = sql.SQL(" AND ").join([sql.SQL("true"), *(each for each in tests if each is not None)])
            whens.append(sql.SQL("WHEN {} THEN {}").format(test, place))
        return sql.SQL("CASE{} ELSE {} END").format(sql.SQL(" ").join(whens), sql.Literal(masks.index(Nullify())))


def _masks(column: ColumnShape) -> list[Mask]:
    """Return the different masks of the column; without a matching cell a row has Nullify."""
    return list(dict.fromkeys([*(_held(each.mask, column) for each in column.cells), Nullify()]))


def _held(mask: Mask, column: ColumnShape) -> Mask:
    return mask if carries(mask, column.family, limits_of(column.native_type)) else Nullify()


def _of_table(column: str) -> sql.Composable:
    return sql.SQL("t.{}").format(sql.Identifier(column))
