"""The difference between two sets of tables that a user can read, in the terms of audit events. Pure."""

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rolevend.audit.evidence import TableAccess
from rolevend.policy.mask import rank_named

CLEAR = "Clear"
EVERY_ROW = "every row"
LOOKUP = "values in hidden rows can be found out"


class Direction(enum.StrEnum):
    GAINS = "gains"
    LOSES = "loses"
    CHANGES = "changes"
    """Another row filter or mask. Which of the two shows more is not known."""


class What(enum.StrEnum):
    TABLE = "table"
    ROWS = "rows"
    COLUMN = "column"
    LOOKUP = "lookup"
    """Whether the column's values in hidden rows can be found out."""
    ATTRIBUTE = "attribute"
    """The user's values of an attribute that decides which rows or cells are visible."""


@dataclass(frozen=True, slots=True)
class Change:
    direction: Direction
    what: What
    name: str
    """`schema.table`, `schema.table.column`, or `schema.table by user_attr('countries')`."""
    before: str | None
    """None if the agent could not read it."""
    after: str | None
    """None if the agent cannot read it any more."""


def compare(before: Iterable[TableAccess], after: Iterable[TableAccess]) -> tuple[Change, ...]:
    """Return the changes by table, rows before columns."""
    old, new = {each.table: each for each in before}, {each.table: each for each in after}
    return tuple(change for table in sorted(old.keys() | new.keys()) for change in _table(table, old.get(table), new.get(table)))


def _table(name: str, old: TableAccess | None, new: TableAccess | None) -> Iterator[Change]:
    if old is not None and new is not None:
        direction = _either(_more_rows(set(old.rows), set(new.rows)), _fewer_restrictions(set(old.restrictions), set(new.restrictions)))
        if direction is not None:
            yield Change(direction, What.ROWS, name, _rows(old), _rows(new))
        yield from _columns(name, _shows(old), _shows(new))
        yield from _lookups(name, set(old.lookups), set(new.lookups))
    elif new is not None:
        yield Change(Direction.GAINS, What.TABLE, name, None, _whole(new))
    elif old is not None:
        yield Change(Direction.LOSES, What.TABLE, name, _whole(old), None)


def _columns(table: str, old: dict[str, str], new: dict[str, str]) -> Iterator[Change]:
    for column in sorted(old.keys() | new.keys()):
        before, after = old.get(column), new.get(column)
        if before != after:
            yield Change(_shows_more(before, after), What.COLUMN, f"{table}.{column}", before, after)


def _lookups(table: str, old: set[str], new: set[str]) -> Iterator[Change]:
    for column in sorted(old ^ new):
        direction = Direction.GAINS if column in new else Direction.LOSES
        before, after = (LOOKUP if column in side else None for side in (old, new))
        yield Change(direction, What.LOOKUP, f"{table}.{column}", before, after)


def _more_rows(old: set[str], new: set[str]) -> Direction | None:
    """Compare row filters: without any every row is visible; one more filter shows more rows. None if they are equal."""
    if new == old:
        return None
    if not new or (old and old < new):
        return Direction.GAINS
    return Direction.LOSES if not old or new < old else Direction.CHANGES


def _fewer_restrictions(old: set[str], new: set[str]) -> Direction | None:
    """Compare restrictions: one more shows fewer rows. None if they are equal."""
    if new == old:
        return None
    return Direction.LOSES if old < new else Direction.GAINS if new < old else Direction.CHANGES


def _either(one: Direction | None, other: Direction | None) -> Direction | None:
    if one is None or other is None or one == other:
        return one or other
    return Direction.CHANGES


def _shows_more(before: str | None, after: str | None) -> Direction:
    if before is None or after is None:
        return Direction.LOSES if after is None else Direction.GAINS
    old, new = (rank_named(each.partition("(")[0]) if " where " not in each else None for each in (before, after))
    if old is None or new is None or old == new:
        return Direction.CHANGES
    return Direction.GAINS if new < old else Direction.LOSES


def _shows(table: TableAccess) -> dict[str, str]:
    return dict.fromkeys(table.clear, CLEAR) | {each.name: each.shows for each in table.masked}


def _rows(table: TableAccess) -> str:
    shown = " OR ".join(f"({each})" if len(table.rows) > 1 else each for each in table.rows)
    if not table.restrictions:
        return shown or EVERY_ROW
    return " AND ".join(f"({each})" for each in (shown, *table.restrictions) if each)


def _whole(table: TableAccess) -> str:
    columns = ", ".join(name if shows == CLEAR else f"{name} ({shows})" for name, shows in _shows(table).items())
    lookups = f"; {LOOKUP}: {', '.join(table.lookups)}" if table.lookups else ""
    return f"{_rows(table)}: {columns}{lookups}"
