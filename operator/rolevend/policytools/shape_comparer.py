"""The changes between two sets of tables. Thousands of users share few of them, so each pair is compared once."""

from rolevend.audit.access_diff import Change, compare
from rolevend.audit.evidence import tables_of
from rolevend.plan import TableShape

Shapes = tuple[TableShape, ...]


class ShapeComparer:
    """Compares, and keeps each answer."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[Shapes, Shapes, tuple[Change, ...]]] = {}
        """By `id()` of both. The values keep them alive, so that no other gets their `id()`."""

    def changes(self, before: Shapes, after: Shapes) -> tuple[Change, ...]:
        key = (id(before), id(after))
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = (before, after, compare(tables_of(before), tables_of(after)))
        return known[2]
