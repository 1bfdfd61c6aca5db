"""The effect of an approval in numbers, in the status of a preview, which is an AccessDecision."""

from typing import Annotated

from pydantic import Field

from rolevend.kinds.part import Atomic, StatusPart
from rolevend.kinds.text import HeldName, RowCount, Sentence, Timestamp
from rolevend.platforms.counted import MOST_COLUMNS

MOST_TABLES = 64
_MOST_MASKS = 32


class PreviewedCells(StatusPart):
    """The rows in which a column is shown in one way."""

    shown: Sentence
    """`Clear`, or the mask. `Nullify`: hidden."""
    rows: RowCount
    """Number of rows."""


OfColumn = Annotated[tuple[PreviewedCells, ...], Field(max_length=_MOST_MASKS), Atomic()]


class PreviewedColumn(StatusPart):
    """A column that the approval shows differently."""

    name: HeldName
    """The column."""
    today: OfColumn = ()
    """Without the approval. Empty: it is shown in no row."""
    granted: OfColumn = ()
    """With the approval."""


class PreviewedTable(StatusPart):
    """A table of the approval."""

    schema_name: Annotated[HeldName, Field(alias="schema")]
    """The schema."""
    table: HeldName
    """The table."""
    rows_today: RowCount = 0
    """The rows that this user reads without the approval, through this agent."""
    rows_granted: RowCount = 0
    """The rows that this user reads with it."""
    columns: Annotated[tuple[PreviewedColumn, ...], Field(max_length=MOST_COLUMNS), Atomic()] = ()
    """The columns that are shown differently."""
    unknown: Sentence | None = None
    """Why nothing was counted here."""


class PreviewedEffect(StatusPart):
    """The rows and cells that the user reads today, and with an approval as this AccessDecision narrows it. The platform counted them."""

    counted_at: Timestamp
    """When."""
    tables: Annotated[tuple[PreviewedTable, ...], Field(max_length=MOST_TABLES), Atomic()] = ()
    """The tables of the approval."""
    more_tables: RowCount = 0
    """The number of further tables, which were not counted."""
    unknown: Sentence | None = None
    """Why nothing was counted at all."""
