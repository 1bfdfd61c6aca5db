"""The effect of an approval as a table: each group of columns that are shown alike, today and with the approval, on a made-up value. Pure.

No row of a platform is an example here: a person would read it without a role, and without a line in the log of statements.
`row_pages` shows rows, with both.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rolevend.access_report.example_values import EXAMPLES, masked
from rolevend.approvals import effect_text
from rolevend.approvals.narrowing import read_mask
from rolevend.catalog import Family
from rolevend.errors import InvalidInput
from rolevend.kinds.previewed_effect import PreviewedCells, PreviewedEffect
from rolevend.kinds.statements import mask
from rolevend.policy.mask import Clear, Constant, DateTrunc, Mask, Round


@dataclass(frozen=True, slots=True)
class EffectLine:
    table: str
    columns: str
    today: str
    granted: str
    example_today: str = ""
    """A made-up value, as it is shown today. Empty: it is not shown, or in several ways."""
    example_granted: str = ""


def lines(effect: PreviewedEffect) -> Iterator[EffectLine]:
    """Yield the lines of all tables that were counted, and one for each that was not."""
    for table in effect.tables:
        name = effect_text.table_name(table)
        if table.unknown is not None:
            yield EffectLine(name, f"not counted: {table.unknown}", "", "")
            continue
        yield EffectLine(name, "rows", effect_text.row_count(table.rows_today), effect_text.row_count(table.rows_granted))
        for columns in effect_text.alike(table.columns):
            names, today, granted = effect_text.change(columns, table)
            yield EffectLine(name, names, today, granted, *_examples(columns[0].today, columns[0].granted))
    if effect.more_tables:
        yield EffectLine(f"{effect.more_tables:,} more tables", "not counted", "", "")


def _examples(today: Sequence[PreviewedCells], granted: Sequence[PreviewedCells]) -> tuple[str, str]:
    before, after = known_mask(today), known_mask(granted)
    kinds = {type(each) for each in (before, after)}
    value = EXAMPLES[Family.DATE if DateTrunc in kinds else Family.NUMERIC if Round in kinds else Family.TEXT]
    return _example(before, value), _example(after, value)


def _example(found: Mask | None, value: str) -> str:
    return "" if found is None else masked(found, value) or ""


def known_mask(cells: Sequence[PreviewedCells]) -> Mask | None:
    """Return the one mask of a column. None: there is none or are several, or a value does not show what it leaves."""
    return _mask(cells[0].shown) if len(cells) == 1 else None


def _mask(shown: str) -> Mask | None:
    """Read the text of a mask as a preview states it. None: it is none that a made-up value shows."""
    kind, _, parameter = shown.partition("(")
    try:
        if kind == "Constant":
            return Constant(str(ast.literal_eval(parameter.removesuffix(")"))))
        return Clear() if shown == "Clear" else mask(read_mask(f"column={shown}", 0), "")
    except (InvalidInput, ValueError, SyntaxError):
        return None
