"""Render the secure view of one table in a profile's schema, and the profile's part of the policies on the table itself. Pure.

The view expresses the whole `TableShape`: the rows, and the value of each cell. The lease is joined as at most one row: without a lease
there is no row, and no further test is needed. A secure view, so that an agent's condition sees only visible rows, and only its owner reads
its text. `policy.table_policy` decides what the policies on the table show.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from rolevend.catalog import Column
from rolevend.errors import InvalidInput
from rolevend.model import ProfileName
from rolevend.plan import Condition
from rolevend.platforms.snowflake.build.masks import MaskPosition, mask_text
from rolevend.platforms.snowflake.build.predicate import Need, Reading, all_of, needs_of
from rolevend.platforms.snowflake.control import DATABASE, current_lease, profile_role
from rolevend.platforms.snowflake.sql import Sql, compose, identifier, join, literal, name, qualified
from rolevend.platforms.snowflake.types import column_type, limits_of
from rolevend.policy.mask import Nullify
from rolevend.policy.table_policy import ColumnShape, TableShape, table_policy

NO_ROW: Final = "FALSE"


@dataclass(frozen=True, slots=True)
class View:
    """The view of one table."""

    name: str
    create: str
    """One statement, safe to run again."""


def secure_view(profile: ProfileName, table: TableShape, *, database: str) -> View:
    """Return the view of `table`, which is in `database`.

    Raises InvalidInput if two column names differ only in case: a session can be configured to ignore case.
    """
    twice = [each for each, count in Counter(column.name.upper() for column in table.columns).items() if count > 1]
    if twice:
        raise InvalidInput("", f"two columns of {table.table} are {twice[0][:60]} but for their case: rename one, or grant one alone")
    needs = sorted({need for condition in conditions_of(table) for need in needs_of(condition)})
    names = {need: Sql(f"A{number}") for number, need in enumerate(needs, 1)}
    reading = Reading(_of_table, lambda need: compose("l.{name}", name=names[need]))
    tests = all_of((table.rows, *table.restrictions), reading)
    create = compose(
        """\
CREATE OR REPLACE SECURE VIEW {view} COPY GRANTS AS
SELECT {columns}
  FROM {table} AS t
 CROSS JOIN (
       SELECT {values}
         FROM ({lease}) AS v
       ) AS l{where}""",
        view=join(".", [name(DATABASE), name(profile_role(profile)), identifier(table.view)]),
        columns=join(",\n       ", [_shown(column, reading) for column in table.columns]),
        table=qualified(database, table.table.schema, table.table.name),
        values=join(",\n              ", _values(names)) if names else Sql("1 AS A0"),
        lease=current_lease(profile, table.table),
        where=compose("\n WHERE {tests}", tests=join("\n   AND ", tests)) if tests else Sql(""),
    )
    return View(table.view, create)


def conditions_of(table: TableShape) -> Iterator[Condition]:
    yield from table.rows
    for clause in table.restrictions:
        yield from clause
    for column in table.columns:
        for cell in column.cells:
            yield from (*cell.conditions, *cell.also)


def column_text(column: ColumnShape, place: MaskPosition, reading: Reading) -> Sql:
    """Return the value of a column: the first matching cell, else NULL."""
    whens: list[Sql] = []
    nothing = mask_text(Nullify(), place)
    for cell in column.cells:
        shown = mask_text(cell.mask, place)
        tests = all_of([each for each in (cell.conditions, cell.also) if each], reading)
        if not tests:
            return _case(whens, shown)
        whens.append(compose("WHEN {tests} THEN {shown}", tests=join(" AND ", tests), shown=shown))
    return _case(whens, nothing)


def attribute_values(attributes: Sql, need: Need) -> Sql:
    """Return the array of one attribute's values, from the lease's ATTRS; NULL if missing. FLOAT texts are converted, because they are not
    exact.
    """
    values = compose(
        "GET(GET({attrs}, {key}), {family})::ARRAY", attrs=attributes, key=literal(need.attribute), family=literal(need.family)
    )
    return compose("TRANSFORM({values}, v VARCHAR -> v::FLOAT)", values=values) if need.family == "float" else values


def _case(whens: Sequence[Sql], otherwise: Sql) -> Sql:
    return compose("CASE {whens} ELSE {otherwise} END", whens=join(" ", whens), otherwise=otherwise) if whens else otherwise


def _values(names: Mapping[Need, Sql]) -> Iterator[Sql]:
    for need, alias in names.items():
        yield compose("{values} AS {alias}", values=attribute_values(Sql("v.ATTRS"), need), alias=alias)


def _shown(column: ColumnShape, reading: Reading) -> Sql:
    text = column_text(column, MaskPosition(_of_table(column.name), column.family, column.native_type), reading)
    return compose("{text} AS {name}", text=text, name=identifier(column.name))


def _of_table(column: str) -> Sql:
    return compose("t.{column}", column=identifier(column))


@dataclass(frozen=True, slots=True)
class Shown:
    """The masked value of a column of the table itself."""

    text: str
    reads: tuple[str, ...] = ()
    """The other columns that `text` reads, sorted."""


@dataclass(frozen=True, slots=True)
class TableFragment:
    """One profile's part of the policies: self-contained SQL."""

    lease: str
    """True if the session's role has a live lease of the profile that covers the table."""
    row: str
    """True for the rows that the profile shows under `lease`; NO_ROW if none."""
    reads: tuple[str, ...]
    """The columns that `row` reads, sorted."""
    columns: Mapping[str, Shown] = field(default_factory=dict)
    """The columns that are masked or not granted."""
    stricter: tuple[str, ...] = ()
    """One sentence for each difference from the rule, with the reason; empty if it is exact."""
    written_for: frozenset[str] = frozenset()
    """The table's columns at the time of writing. `completed` handles additional ones."""


def fragment(profile: ProfileName, table: TableShape, columns: Sequence[Column]) -> TableFragment:
    """Return the fragment for a table that a tool reads. `columns` are all columns, because later ones must be masked too."""
    lease = compose("EXISTS (SELECT 1 FROM ({lease}) AS l)", lease=current_lease(profile, table.table))

    def attribute(need: Need) -> Sql:
        values = attribute_values(Sql("l.ATTRS"), need)
        return compose("(SELECT {values} FROM ({lease}) AS l)", values=values, lease=current_lease(profile, table.table))

    reading = Reading(identifier, attribute)
    seen = table_policy(table, [replace(each, limits=limits_of(each.native_type)) for each in columns])
    names = frozenset(each.name for each in columns)
    if seen.rows is None:
        return TableFragment(lease, NO_ROW, (), {}, seen.stricter, names)
    tests = all_of(seen.rows, reading)
    shown = {each.shape.name: Shown(column_text(each.shape, _place(each.shape), reading), each.reads) for each in seen.columns}
    return TableFragment(lease, join("\n    AND ", tests) if tests else Sql("TRUE"), seen.reads, shown, seen.stricter, names)


def completed(fragment: TableFragment, columns: Sequence[Column]) -> TableFragment:
    """Return the fragment for a table with these columns: columns added since show NULL."""
    added = [each for each in columns if each.name not in fragment.written_for]
    if any(column_type(each.native_type) is None for each in added):
        return replace(fragment, row=NO_ROW, reads=(), columns={})
    hidden = {each.name: Shown(mask_text(Nullify(), _place(each))) for each in added}
    return replace(fragment, columns={**fragment.columns, **hidden})


def dumped(fragment: TableFragment) -> str:
    """Serialize for the control database."""
    columns = {name: [shown.text, list(shown.reads)] for name, shown in fragment.columns.items()}
    members = [fragment.lease, fragment.row, list(fragment.reads), columns, list(fragment.stricter), sorted(fragment.written_for)]
    return json.dumps(members, ensure_ascii=False)


def loaded(text: str) -> TableFragment:
    """Parse the text of `dumped`."""
    lease, row, reads, columns, stricter, written_for = json.loads(text)
    shown = {name: Shown(each, tuple(others)) for name, (each, others) in columns.items()}
    return TableFragment(lease, row, tuple(reads), shown, tuple(stricter), frozenset(written_for))


def _place(column: Column | ColumnShape) -> MaskPosition:
    return MaskPosition(identifier(column.name), column.family, column.native_type, typed=True)
