"""What one profile adds to the policies of a table that a tool of it reads by its own name. Pure.

One row access policy and one masking policy for each column say less than a view does: a column is in the signature of one of the two, and
what is masked is a condition of nothing. What is asked of them beyond that gets a stricter form here, and a sentence in `fallbacks`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from rolevend.catalog import Column
from rolevend.model import ProfileName
from rolevend.platforms.snowflake.control import current_lease
from rolevend.platforms.snowflake.masks import Place, is_cut, mask_text, why_not
from rolevend.platforms.snowflake.predicate import Need, Reading, all_of, columns_of
from rolevend.platforms.snowflake.text import Sql, compose, identifier, join
from rolevend.platforms.snowflake.types import column_type
from rolevend.platforms.snowflake.views import attribute_values, column_text
from rolevend.policy.expression import Condition
from rolevend.policy.mask import Nullify, strictest
from rolevend.policy.shape import Cell, ColumnShape, TableShape

NO_ROW: Final = "FALSE"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a profile shows of a column of the table itself."""

    text: str
    reads: tuple[str, ...] = ()
    """The other columns that `text` names, sorted."""


@dataclass(frozen=True, slots=True)
class TableFragment:
    """What one profile adds. Closed SQL, of this profile alone."""

    lease: str
    """True where the session's role has a lease of the profile that lives and covers the table."""
    row: str
    """True for the rows that the profile shows where `lease` is true; NO_ROW where it can show none."""
    reads: tuple[str, ...]
    """The columns that `row` names, sorted."""
    columns: Mapping[str, Shown] = field(default_factory=dict)
    """Those that are not shown in clear, and those that are not granted."""
    fallbacks: tuple[str, ...] = ()
    """What is stricter than the rule, and why, one sentence each; empty where it is exact."""
    written_for: frozenset[str] = frozenset()
    """The columns that the table had. Another one is for `completed`."""


def fragment(profile: ProfileName, table: TableShape, columns: Sequence[Column]) -> TableFragment:
    """For a table that a tool reads; `columns` are all that it has, granted or not: what is added later has to be masked, too."""
    lease = compose("EXISTS (SELECT 1 FROM ({lease}) AS l)", lease=current_lease(profile, table.table))

    def attribute(need: Need) -> Sql:
        values = attribute_values(Sql("l.ATTRS"), need)
        return compose("(SELECT {values} FROM ({lease}) AS l)", values=values, lease=current_lease(profile, table.table))

    reading = Reading(identifier, attribute)
    shapes = {each.name: each for each in table.columns}
    clear = {each.name for each in table.columns if each.is_clear}
    masked = {each.name: _as_shape(each, shapes) for each in columns if each.name not in clear}
    asked = [clause for clause in (table.rows, *table.restrictions) if all_of([clause], reading)]
    tests = all_of(asked, reading)
    reads = tuple(sorted({name for clause in asked for name in columns_of(clause)}))
    why = _why_no_row(reads, masked)
    if why is not None:
        return _no_row(lease, table, columns, why)
    shown: dict[str, Shown] = {}
    fallbacks: list[str] = []
    for name, column in masked.items():
        place = Place(identifier(name), column.family, column.native_type, typed=True)
        others = tuple(sorted({*columns_of(_conditions(column))} - {name}))
        if taken := sorted({*others} & {*masked, *reads}):
            column, others = _strictest(column), ()
            fallbacks.append(
                f"column {name} shows tools {type(column.cells[0].mask).__name__} in every row: what it shows depends on {taken[0]},"
                " which is filtered by or masked itself"
            )
        shown[name] = Shown(column_text(column, place, reading), others)
        fallbacks += _of_masks(column, place)
    if not reads and all(each.name in {*shown, *(name for one in shown.values() for name in one.reads)} for each in columns):
        return _no_row(lease, table, columns, "all its columns are masked, and a row policy has to be set on one that is not")
    row = join("\n    AND ", tests) if tests else Sql("TRUE")
    return TableFragment(lease, row, reads, shown, tuple(fallbacks), _names_of(columns))


def completed(fragment: TableFragment, columns: Sequence[Column]) -> TableFragment:
    """The same for a table with these columns: what came to it since shows NULL."""
    added = [each for each in columns if each.name not in fragment.written_for]
    if any(column_type(each.native_type) is None for each in added):
        return replace(fragment, row=NO_ROW, reads=(), columns={})
    places = {each.name: Place(identifier(each.name), each.family, each.native_type, typed=True) for each in added}
    hidden = {column: Shown(mask_text(Nullify(), place)) for column, place in places.items()}
    return replace(fragment, columns={**fragment.columns, **hidden})


def dumped(fragment: TableFragment) -> str:
    """As the control database keeps it."""
    columns = {name: [shown.text, list(shown.reads)] for name, shown in fragment.columns.items()}
    told = [fragment.lease, fragment.row, list(fragment.reads), columns, list(fragment.fallbacks), sorted(fragment.written_for)]
    return json.dumps(told, ensure_ascii=False)


def loaded(text: str) -> TableFragment:
    """What `dumped` wrote."""
    lease, row, reads, columns, fallbacks, written_for = json.loads(text)
    shown = {name: Shown(each, tuple(others)) for name, (each, others) in columns.items()}
    return TableFragment(lease, row, tuple(reads), shown, tuple(fallbacks), frozenset(written_for))


def _no_row(lease: Sql, table: TableShape, columns: Sequence[Column], why: str) -> TableFragment:
    return TableFragment(lease, NO_ROW, (), {}, (f"{table.table} shows no row to tools: {why}",), _names_of(columns))


def _names_of(columns: Sequence[Column]) -> frozenset[str]:
    return frozenset(each.name for each in columns)


def _as_shape(column: Column, shapes: Mapping[str, ColumnShape]) -> ColumnShape:
    """What is not granted shows NULL: whoever may read a table may read all its columns."""
    return shapes.get(column.name) or ColumnShape(column.name, column.family, column.native_type, (Cell((), Nullify()),))


def _why_no_row(reads: Sequence[str], masked: Mapping[str, ColumnShape]) -> str | None:
    both = next((name for name in reads if name in masked), None)
    if both is not None:
        return f"its rows are filtered by {both}, which is masked or not granted"
    odd = next((each for each in masked.values() if column_type(each.native_type) is None), None)
    return None if odd is None else f"column {odd.name} is {odd.native_type}, which no masking policy can be written for"


def _conditions(column: ColumnShape) -> Iterator[Condition]:
    for cell in column.cells:
        yield from (*cell.conditions, *cell.also)


def _strictest(column: ColumnShape) -> ColumnShape:
    """One mask for every row, which shows no more than is shown in any of them."""
    complete = not (column.cells and column.cells[-1].conditions)
    masks = [cell.mask for cell in column.cells]
    mask = strictest(masks) if complete and masks else Nullify()
    return ColumnShape(column.name, column.family, column.native_type, (Cell((), mask),))


def _of_masks(column: ColumnShape, place: Place) -> list[str]:
    said: list[str] = []
    for mask in dict.fromkeys(cell.mask for cell in column.cells):
        why = why_not(mask, place)
        if why is not None:
            said.append(f"column {column.name} is {column.native_type}, and shows tools NULL instead of {type(mask).__name__}: {why}")
        elif is_cut(mask, place):
            said.append(f"column {column.name} is {column.native_type}, so tools may see the end of {type(mask).__name__} cut off")
    return said
