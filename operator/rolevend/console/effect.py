"""The effect of an approval as a table: each group of columns that are shown alike, today and with the approval. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from rolevend.approvals import effect_text
from rolevend.kinds.previewed_effect import PreviewedEffect


@dataclass(frozen=True, slots=True)
class EffectLine:
    table: str
    columns: str
    today: str
    granted: str


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
            yield EffectLine(name, names, today, granted)
    if effect.more_tables:
        yield EffectLine(f"{effect.more_tables:,} more tables", "not counted", "", "")
