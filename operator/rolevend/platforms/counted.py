"""How much of its tables a profile shows one user, as a platform counted it. Values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rolevend.catalog import TableId
from rolevend.plan import ColumnShape, Profile, TableShape
from rolevend.policy.mask import Mask

MOST_COLUMNS: Final = 64
"""Of each table."""


@dataclass(frozen=True, slots=True)
class CountedCells:
    """The rows in which a column is shown through one mask. Nullify: its cells are hidden."""

    mask: Mask
    rows: int


@dataclass(frozen=True, slots=True)
class CountedColumn:
    name: str
    today: tuple[CountedCells, ...]
    """Empty: the column is not shown at all."""
    granted: tuple[CountedCells, ...]


@dataclass(frozen=True, slots=True)
class CountedTable:
    table: TableId
    today: int = 0
    """The rows that the user reads without the approval."""
    granted: int = 0
    """The rows that the user reads with it."""
    columns: tuple[CountedColumn, ...] = ()
    """The columns whose cells differ."""
    unknown: str | None = None
    """Why nothing was counted."""


@dataclass(frozen=True, slots=True)
class ComparedTable:
    """A table of the granted profile, and the same table of today's; None: it is not granted today."""

    today: TableShape | None
    granted: TableShape

    @property
    def columns(self) -> Sequence[tuple[ColumnShape | None, ColumnShape]]:
        """The columns that the two show differently."""
        shown = {} if self.today is None else {each.name: each for each in self.today.columns}
        pairs = [(shown.get(each.name), each) for each in self.granted.columns]
        return [(today, granted) for today, granted in pairs if today is None or today.cells != granted.cells]


def compared(today: Profile | None, granted: Profile) -> list[ComparedTable]:
    """Return the tables of `granted`, in their order."""
    shapes = {} if today is None else {each.table: each for each in today.tables}
    return [ComparedTable(shapes.get(each.table), each) for each in granted.tables]
