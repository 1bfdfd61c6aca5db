"""What a profile shows of a table: the values that a driver builds and compares, without a policy, a user or an agent."""

from dataclasses import dataclass

from rolevend.catalog import Family, TableId
from rolevend.policy.expression import Condition
from rolevend.policy.mask import Clear, Mask


@dataclass(frozen=True, slots=True)
class Cell:
    """What a column shows in rows for which one of `conditions` holds, and one of `also` where there are any; without conditions in
    every row that is left."""

    conditions: tuple[Condition, ...]
    mask: Mask
    also: tuple[Condition, ...] = ()
    """Only beside `conditions`."""


@dataclass(frozen=True, slots=True)
class ColumnShape:
    """The first of `cells` that applies decides; where none applies the cell is NULL."""

    name: str
    family: Family
    native_type: str
    cells: tuple[Cell, ...]
    lookup: bool = False
    """A condition of the agent on this column may use an index. In return, the values that it has in hidden rows can be found out."""

    @property
    def is_clear(self) -> bool:
        """Whether it is shown as it is in every row that is left."""
        return self.cells[:1] == (Cell((), Clear()),)


@dataclass(frozen=True, slots=True)
class TableShape:
    """A row is visible if one of `rows` holds, and one of each of `restrictions`. None of them is empty; a condition without a
    predicate, which is among `rows` only, shows every row."""

    table: TableId
    view: str
    """The name under which the agent finds it, unique in the profile."""
    rows: tuple[Condition, ...]
    columns: tuple[ColumnShape, ...]
    restrictions: tuple[tuple[Condition, ...], ...] = ()
