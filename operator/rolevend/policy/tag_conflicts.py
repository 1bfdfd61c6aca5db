"""Find tags of one key that several sources set to different values for one table or column.

All values count: `In` is met by any of them and `NotIn` by none, so an additional value can bring data under a policy. Each source reports
the conflict.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from rolevend.catalog import Table, TagAssignment, matches
from rolevend.model import Tag

_MOST_LOOKED_AT = 1_000
"""The maximum number of tables and columns to check: each is compared with every assignment of its schema."""

Said = Mapping[str, Sequence[TagAssignment]]
"""Assignments by source."""


@dataclass(frozen=True, slots=True)
class TagConflict:
    what: str
    """`claims.people`, or `claims.people.ssn`."""
    key: str
    values: Mapping[str, frozenset[str]]
    """By source; not all equal."""


def tag_conflicts(tables: Iterable[Table], said: Said) -> Iterator[TagConflict]:
    """Yield the conflicts of `tables`, which carry these tags already; the first thousand."""
    for table, column, key in islice(_crowded(tables, _disputed(said)), _MOST_LOOKED_AT):
        values = {place: _values(assignments, table, column, key) for place, assignments in said.items()}
        here = {place: found for place, found in values.items() if found}
        if len(set(here.values())) > 1:
            yield TagConflict(str(table.id) if column is None else f"{table.id}.{column}", key, here)


def _disputed(said: Said) -> dict[tuple[str, bool], set[str]]:
    """Map schema and kind (True: columns) to the keys that several sources set there."""
    places: dict[tuple[str, bool], dict[str, set[str]]] = {}
    for place, assignments in said.items():
        for each in assignments:
            for tag in each.tags:
                places.setdefault((each.schema, each.column is not None), {}).setdefault(tag.key, set()).add(place)
    return {where: {key for key, found in keys.items() if len(found) > 1} for where, keys in places.items()}


def _crowded(tables: Iterable[Table], disputed: Mapping[tuple[str, bool], set[str]]) -> Iterator[tuple[Table, str | None, str]]:
    """Yield the tables and columns that carry several values of a disputed key."""
    several: dict[frozenset[Tag], frozenset[str]] = {}  # tables and columns have few distinct sets of tags
    for table in tables:
        carriers = [(None, table.tags), *((column.name, column.tags) for column in table.columns)]
        for column, tags in carriers:
            keys = disputed.get((table.id.schema, column is not None))
            if keys and len(tags) > 1:
                if tags not in several:
                    several[tags] = _with_several_values(tags)
                yield from ((table, column, key) for key in sorted(several[tags] & keys))


def _with_several_values(tags: frozenset[Tag]) -> frozenset[str]:
    return frozenset(key for key, count in Counter(tag.key for tag in tags).items() if count > 1)


def _values(assignments: Iterable[TagAssignment], table: Table, column: str | None, key: str) -> frozenset[str]:
    return frozenset(
        tag.value
        for each in assignments
        if each.schema == table.id.schema and (each.column is None) == (column is None) and matches(each.table, table.id.name)
        if column is None or each.column is None or matches(each.column, column)
        for tag in each.tags
        if tag.key == key
    )
