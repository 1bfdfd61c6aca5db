"""The part of a table that a profile shows, and the policies on the table itself for a tool that reads it by its own name. Knows no SQL.

A shape is what a driver builds and compares: it has no policy, no user and no agent. The policies on the table are for a platform with one
row policy per table and one masking policy per column. These express less than a view: a column is in the signature of only one of the two
kinds, a masked column cannot be in a condition, and the result has the column's own type. A shape that exceeds this gets a stricter form,
never a weaker one, and a sentence that says so.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from rolevend.catalog import Column, Family, Table, TableId, TypeLimits
from rolevend.policy.expression import Condition, atoms
from rolevend.policy.mask import Clear, Constant, Hash, Mask, Nullify, Partial, Regex, beyond, strictest

_HASH_LENGTH: Final = 64


@dataclass(frozen=True, slots=True)
class Cell:
    """The mask of a column in rows for which one of `conditions` holds and, if `also` is not empty, one of `also`; without conditions, in
    every remaining row.
    """

    conditions: tuple[Condition, ...]
    mask: Mask
    also: tuple[Condition, ...] = ()
    """Only together with `conditions`."""


@dataclass(frozen=True, slots=True)
class ColumnShape:
    """The first matching cell applies; without a match the cell is NULL."""

    name: str
    family: Family
    native_type: str
    cells: tuple[Cell, ...]
    lookup: bool = False
    """An agent's condition on this column may use an index; as a consequence, its values in hidden rows can be inferred."""

    @property
    def is_clear(self) -> bool:
        """True if every visible row shows the value itself."""
        return self.cells[:1] == (Cell((), Clear()),)


@dataclass(frozen=True, slots=True)
class TableShape:
    """A row is visible if one of `rows` holds, and one of each of `restrictions`. None of these is empty. A condition without a predicate
    shows every row and occurs in `rows` only.
    """

    table: TableId
    view: str
    """The view's name, unique in the profile."""
    rows: tuple[Condition, ...]
    columns: tuple[ColumnShape, ...]
    restrictions: tuple[tuple[Condition, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class ColumnPolicy:
    """One masking policy of a column."""

    shape: ColumnShape
    reads: tuple[str, ...] = ()
    """The other columns that its conditions read, sorted."""


@dataclass(frozen=True, slots=True)
class TablePolicy:
    """The policies of one table."""

    rows: tuple[tuple[Condition, ...], ...] | None
    """A row is shown if one condition of each holds; None: no row is."""
    reads: tuple[str, ...] = ()
    """The columns that `rows` reads, sorted."""
    columns: tuple[ColumnPolicy, ...] = ()
    """The columns that are masked or not granted, in the table's order."""
    stricter: tuple[str, ...] = ()
    """One sentence for each difference from the shape, with the reason; empty if it is exact."""


def table_policy(table: TableShape, columns: Sequence[Column]) -> TablePolicy:
    """Return the policies. `columns` are all columns of the table: its reader can select those that are not granted too."""
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
    if all(each.name in taken for each in columns):  # a column of a row filter never is
        return _no_row(table.table, "each of its columns is masked or decides a mask, and a row policy needs one that is neither")
    return TablePolicy(rows, reads, tuple(shown), tuple(stricter))


def of_one_grant(condition: Condition, masks: Mapping[str, Mask], table: Table) -> TablePolicy:
    """Return the policies for a single grant on `table`, with these masks."""
    columns = (
        ColumnShape(each.name, each.family, each.native_type, (Cell((), masks[each.name]),)) for each in table.columns if each.name in masks
    )
    return table_policy(TableShape(table.id, table.id.name, (condition,), tuple(columns)), table.columns)


def limits_of_policy(limits: TypeLimits | None) -> TypeLimits | None:
    """Return the limits of a masked column that must keep its own type, where a view may show more decimal places."""
    return limits if limits is None or limits.places is None else limits._replace(step_places=limits.places)


def is_cut(mask: Mask, length: int) -> bool:
    """True if a result may be truncated in a column of `length` characters."""
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
    """Return the policy of a column, and a sentence for each stricter part. `taken` are the filtered or masked columns."""
    others = {name for cell in column.cells for name in _columns_of((*cell.conditions, *cell.also))} - {column.name}
    if not (both := sorted(others & taken)):
        return ColumnPolicy(column, tuple(sorted(others))), []
    mask = _strictest(column.cells)
    why = f"what it shows depends on {both[0]}, which is filtered by or masked itself"
    sentence = f"column {column.name} of {table} shows tools {type(mask).__name__} in every row: {why}"
    return ColumnPolicy(replace(column, cells=(Cell((), mask),))), [sentence]


def _strictest(cells: Sequence[Cell]) -> Mask:
    """Return one mask for all rows that shows no more than any of `cells`."""
    return Nullify() if cells[-1].conditions else strictest(cell.mask for cell in cells)


def _shortfalls(column: ColumnShape, limits: TypeLimits | None, table: TableId) -> Iterator[str]:
    for mask in dict.fromkeys(cell.mask for cell in column.cells):
        what, where = type(mask).__name__, f"column {column.name} of {table} is {column.native_type}"
        if (why := beyond(mask, column.family, limits_of_policy(limits))) is not None:
            yield f"{where}, and shows tools NULL instead of {what}, since {why}"
        elif limits is not None and limits.length is not None and is_cut(mask, limits.length):
            yield f"{where}, so tools may see the end of {what} cut off"
