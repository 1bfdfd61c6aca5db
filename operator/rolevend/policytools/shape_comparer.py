"""The changes between two sets of tables. Thousands of users share few of them, so each pair is compared once."""

from collections.abc import Iterator

from rolevend.audit.access_diff import Change, Direction, What, compare
from rolevend.audit.evidence import tables_of
from rolevend.model import Attributes
from rolevend.plan import TableShape, keys_of

Shapes = tuple[TableShape, ...]


class ShapeComparer:
    """Compares, and keeps each answer."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[Shapes, Shapes, tuple[Change, ...]]] = {}
        """By `id()` of both. The values keep them alive, so that no other gets their `id()`."""

    def changes(self, before: Shapes, after: Shapes, was: Attributes, is_now: Attributes) -> tuple[Change, ...]:
        """Return the changes for a user with these attributes before and after."""
        key = (id(before), id(after))
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = (before, after, compare(tables_of(before), tables_of(after)))
        return known[2] if was == is_now else (*known[2], *_values(before, after, was, is_now))


def _values(before: Shapes, after: Shapes, was: Attributes, is_now: Attributes) -> Iterator[Change]:
    """Yield the attributes with other values that decide about rows or cells of a table on both sides. Whether a condition shows more for
    more values is not known."""
    old = {each.table: keys_of(each) for each in before}
    for table in after:
        for key in sorted(keys_of(table) & old.get(table.table, frozenset())):
            if was.values(key) != is_now.values(key):
                values = (", ".join(each.values(key)) or None for each in (was, is_now))
                yield Change(Direction.CHANGES, What.ATTRIBUTE, f"{table.table} by user_attr('{key}')", *values)
