"""What is shown of a table that a tool reads by its own name, under policies of the table itself. Knows no SQL.

It is for a platform that has one row policy for a table and one masking policy for a column. Such policies say less than a view does: a
column is in the signature of one of the two kinds, what is masked is a condition of nothing, and what is shown has the column's own type.
What a shape asks beyond that gets a stricter form here, never a weaker one, and a sentence that says so.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from rolevend.catalog import Column, Table, TableId, TypeLimits
from rolevend.policy.expression import Condition, atoms
from rolevend.policy.mask import Constant, Hash, Mask, Nullify, Partial, Regex, beyond, strictest
from rolevend.policy.shape import Cell, ColumnShape, TableShape

_HASH_LENGTH: Final = 64


@dataclass(frozen=True, slots=True)
class ColumnPolicy:
    """What one masking policy shows of a column."""

    shape: ColumnShape
    reads: tuple[str, ...] = ()
    """The other columns that decide what it shows, sorted."""


@dataclass(frozen=True, slots=True)
class TablePolicy:
    """What policies of a table show of it."""

    rows: tuple[tuple[Condition, ...], ...] | None
    """A row is shown where one of each of these holds; None: no row is."""
    reads: tuple[str, ...] = ()
    """The columns that `rows` name, sorted."""
    columns: tuple[ColumnPolicy, ...] = ()
    """Those that are not shown in clear, and those that are not granted, in the table's order."""
    stricter: tuple[str, ...] = ()
    """What is stricter than the shape, and why, one sentence each; empty where it is exact."""


def table_policy(table: TableShape, columns: Sequence[Column]) -> TablePolicy:
    """`columns` are all that the table has, granted or not: whoever may read a table may read each of them."""
    shapes = {each.name: each for each in table.columns}
    masked = [each for each in columns if each.name not in shapes or not shapes[each.name].is_clear]
    hidden = frozenset(each.name for each in masked)
    rows = tuple(clause for clause in (table.rows, *table.restrictions) if not any(_is_always(each) for each in clause))
    reads = tuple(sorted({name for clause in rows for name in _columns_of(clause)}))
    if (why := _why_no_row(reads, masked)) is not None:
        return _no_row(table.table, why)
    shown: list[ColumnPolicy] = []
    stricter: list[str] = []
    for column in masked:
        found, why_else = _column(shapes.get(column.name) or _nothing_of(column), hidden.union(reads), table.table)
        shown.append(found)
        stricter += [*why_else, *_shortfalls(found.shape, column.limits, table.table)]
    taken = hidden.union(name for each in shown for name in each.reads)
    if all(each.name in taken for each in columns):  # one that rows are filtered by never is
        return _no_row(table.table, "each of its columns is masked or decides a mask, and a row policy needs one that is neither")
    return TablePolicy(rows, reads, tuple(shown), tuple(stricter))


def of_one_grant(condition: Condition, masks: Mapping[str, Mask], table: Table) -> TablePolicy:
    """Where nothing else is granted of `table`, whose columns have these masks."""
    columns = (
        ColumnShape(each.name, each.family, each.native_type, (Cell((), masks[each.name]),)) for each in table.columns if each.name in masks
    )
    return table_policy(TableShape(table.id, table.id.name, (condition,), tuple(columns)), table.columns)


def limits_of_policy(limits: TypeLimits | None) -> TypeLimits | None:
    """Those of a column whose own type the result must have, where a view shows numbers of more places."""
    return limits if limits is None or limits.places is None else limits._replace(step_places=limits.places)


def is_cut(mask: Mask, length: int) -> bool:
    """Whether the end of a result may be missing in a column of so many characters."""
    match mask:
        case Partial(keep_last):
            return 3 + min(keep_last, length // 2) > length
        case Regex():
            return True
        case Hash():
            return length < _HASH_LENGTH
        case Constant(value):
            return len(value) > length
    return False


def _no_row(table: TableId, why: str) -> TablePolicy:
    return TablePolicy(None, stricter=(f"{table} shows no row to tools: {why}",))


def _is_always(condition: Condition) -> bool:
    return condition.predicate is None and not condition.needs


def _columns_of(conditions: Iterable[Condition]) -> Iterator[str]:
    for condition in conditions:
        if condition.predicate is not None:
            yield from (atom.column.name for atom in atoms(condition.predicate))


def _nothing_of(column: Column) -> ColumnShape:
    return ColumnShape(column.name, column.family, column.native_type, (Cell((), Nullify()),))


def _why_no_row(reads: Sequence[str], masked: Sequence[Column]) -> str | None:
    names = {each.name for each in masked}
    both = next((name for name in reads if name in names), None)
    if both is not None:
        return f"its rows are filtered by {both}, which is masked or not granted"
    odd = next((each for each in masked if each.limits is not None and not each.limits.maskable), None)
    return None if odd is None else f"column {odd.name} is {odd.native_type}, which no masking policy can be written for"


def _column(column: ColumnShape, taken: frozenset[str], table: TableId) -> tuple[ColumnPolicy, list[str]]:
    """`taken` are the columns that are filtered by or masked. With a sentence where it is stricter."""
    others = {name for cell in column.cells for name in _columns_of((*cell.conditions, *cell.also))} - {column.name}
    if not (both := sorted(others & taken)):
        return ColumnPolicy(column, tuple(sorted(others))), []
    mask = _strictest(column.cells)
    why = f"what it shows depends on {both[0]}, which is filtered by or masked itself"
    sentence = f"column {column.name} of {table} shows tools {type(mask).__name__} in every row: {why}"
    return ColumnPolicy(replace(column, cells=(Cell((), mask),))), [sentence]


def _strictest(cells: Sequence[Cell]) -> Mask:
    """One mask for every row, which shows no more than is shown in any of them."""
    return Nullify() if cells[-1].conditions else strictest(cell.mask for cell in cells)


def _shortfalls(column: ColumnShape, limits: TypeLimits | None, table: TableId) -> Iterator[str]:
    for mask in dict.fromkeys(cell.mask for cell in column.cells):
        what, where = type(mask).__name__, f"column {column.name} of {table} is {column.native_type}"
        if (why := beyond(mask, column.family, limits_of_policy(limits))) is not None:
            yield f"{where}, and shows tools NULL instead of {what}, since {why}"
        elif limits is not None and limits.length is not None and is_cut(mask, limits.length):
            yield f"{where}, so tools may see the end of {what} cut off"
