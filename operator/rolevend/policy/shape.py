"""The part of a table that a profile shows: the values that a driver builds and compares, without a policy, a user or an agent."""

from dataclasses import dataclass

from rolevend.catalog import Family, TableId
from rolevend.policy.expression import Condition
from rolevend.policy.mask import Clear, Mask


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
