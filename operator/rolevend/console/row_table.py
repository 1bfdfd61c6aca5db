"""Rows that an approver read, as a table: each value as the approver reads it, and as the user of the request reads it today and with the
approval. Pure. It shows nothing that the approver's own role did not return.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rolevend.access_report.example_values import masked
from rolevend.api.schemas import ColumnShown
from rolevend.approvals import effect_text
from rolevend.console.effect import known_mask
from rolevend.kinds.previewed_effect import PreviewedCells, PreviewedColumn, PreviewedTable
from rolevend.platforms.statement import plain
from rolevend.policy.mask import DateTrunc, Hash, Mask, Round

CHARACTERS: Final = 200
"""The most of one value."""
COLUMNS: Final = 40
"""The most of one table."""
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9])")
_NUMBER: Final = re.compile(r"-?[0-9]{1,60}(\.[0-9]{1,30})?|NaN|-?Infinity")
"""Those that `masked` rounds exactly. An exponent could make a result of millions of digits."""

Texts = Sequence[str | None]


@dataclass(frozen=True, slots=True)
class RowColumn:
    name: str
    shown: str
    """How the approver reads it."""
    today: str = ""
    """How the user of the request reads it. Empty: that is not known, or the approval changes nothing."""
    granted: str = ""


@dataclass(frozen=True, slots=True)
class RowCell:
    text: str | None
    """None: NULL."""
    is_cut: bool = False
    today: str = ""
    """As the user of the request would read this value. Empty: not known."""
    granted: str = ""


@dataclass(frozen=True, slots=True)
class RowTable:
    columns: Sequence[RowColumn]
    rows: Sequence[Sequence[RowCell]]
    columns_left_out: int


def row_table(columns: Sequence[ColumnShown], rows: Sequence[Texts], effect: PreviewedTable | None) -> RowTable:
    """`rows` have the texts of the first COLUMNS columns, each cut after one character more than CHARACTERS. `effect` is that of an
    approval on this table."""
    changed = {} if effect is None or effect.unknown is not None else {each.name: each for each in effect.columns}
    shown = columns[:COLUMNS]
    headers = [_column(each, changed.get(each.name), effect) for each in shown]
    lines = [[_cell(text, each, changed.get(each.name)) for each, text in zip(shown, row, strict=True)] for row in rows]
    return RowTable(headers, lines, len(columns) - len(shown))


def _column(column: ColumnShown, changed: PreviewedColumn | None, effect: PreviewedTable | None) -> RowColumn:
    shown = "in clear" if column.shown == "Clear" else f"as {column.mask}" if column.mask else "masked"
    if changed is None or effect is None:
        return RowColumn(plain(column.name), shown)
    _, today, granted = effect_text.change([changed], effect)
    return RowColumn(plain(column.name), shown, today, granted)


def _cell(text: str | None, column: ColumnShown, changed: PreviewedColumn | None) -> RowCell:
    if text is None:
        return RowCell(None)
    if len(text) > CHARACTERS:  # a mask of the beginning would not be that of the value
        return RowCell(plain(text[:CHARACTERS]), is_cut=True)
    if changed is None or column.shown != "Clear":
        return RowCell(plain(text))
    return RowCell(plain(text), False, _seen(changed.today, text), _seen(changed.granted, text))


def _seen(cells: Sequence[PreviewedCells], value: str) -> str:
    """Return the value as such cells show it; empty if that is not known."""
    if not cells:
        return "hidden"
    found = known_mask(cells)
    return "" if found is None else _masked(found, value)


def _masked(found: Mask, value: str) -> str:
    if isinstance(found, Hash):
        return "a hash"  # another one than any that is shown here
    if (isinstance(found, DateTrunc) and not _DATE.match(value)) or (isinstance(found, Round) and not _NUMBER.fullmatch(value)):
        return ""
    result = masked(found, value)
    return "hidden" if result is None else plain(result)
