"""The effect of an approval in numbers, as the operator counted it for a preview, as a text for approvers. Pure."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from rolevend.approvals import wording
from rolevend.kinds.previewed_effect import PreviewedCells, PreviewedColumn, PreviewedEffect, PreviewedTable

_WIDTH = 10


def section(effect: PreviewedEffect) -> Iterator[str]:
    """Yield the lines of the section, with an empty line before it."""
    yield ""
    if effect.unknown is not None:
        yield f"Rows and cells were not counted: {effect.unknown}"
        return
    yield f"Today, and with this approval, counted by the platform at {effect.counted_at:%H:%M:%S} UTC:"
    for table in effect.tables:
        yield from _table(table)
    if effect.more_tables:
        yield f"  and {effect.more_tables:,} more tables, which were not counted"


def _table(table: PreviewedTable) -> Iterator[str]:
    name = table_name(table)
    if table.unknown is not None:
        yield f"  {name}: not counted: {table.unknown}"
        return
    yield f"  {name}: {row_count(table.rows_today)} today, {row_count(table.rows_granted)} with this"
    for columns in alike(table.columns):
        names, today, granted = change(columns, table)
        yield _wrapped("    ", names)
        yield _wrapped(f"      {'today':<{_WIDTH}}", today)
        yield _wrapped(f"      {'with this':<{_WIDTH}}", granted)


def table_name(table: PreviewedTable) -> str:
    return f"{wording.name(table.schema_name)}.{wording.name(table.table)}"


def change(columns: Sequence[PreviewedColumn], table: PreviewedTable) -> tuple[str, str, str]:
    """Return the names of columns that are shown alike, how they are shown today, and how with the approval."""
    today = _cells(columns[0].today, table.rows_today) if table.rows_today else "no rows"
    return wording.names(each.name for each in columns), today, _cells(columns[0].granted, table.rows_granted)


def _wrapped(first: str, text: str) -> str:
    """Return lines of at most 80 characters. The further ones begin below the end of `first`."""
    return textwrap.fill(text, 80, initial_indent=first, subsequent_indent=" " * len(first), break_long_words=False, break_on_hyphens=False)


def alike(columns: Iterable[PreviewedColumn]) -> list[list[PreviewedColumn]]:
    """Return the columns in groups that are shown alike, in the order of the first of each."""
    groups: dict[tuple[tuple[PreviewedCells, ...], ...], list[PreviewedColumn]] = {}
    for each in columns:
        groups.setdefault((each.today, each.granted), []).append(each)
    return list(groups.values())


def _cells(cells: Iterable[PreviewedCells], rows: int) -> str:
    shown = [f"{_shown(each.shown)} in {'all' if each.rows == rows else ''} {row_count(each.rows)}".replace("  ", " ") for each in cells]
    return ", ".join(shown) or "hidden"


def _shown(mask: str) -> str:
    return {"Clear": "in clear", "Nullify": "hidden"}.get(mask, mask)


def row_count(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"
