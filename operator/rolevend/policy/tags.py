"""Tags of tables and columns: an index of them, in bitmaps, and the tags that several sources set to different values.

All values of a tag count: `In` is met by any of them and `NotIn` by none, so an additional value can bring data under a policy. Each
source reports the conflict.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final

from rolevend.catalog import Table, TagAssignment, matches
from rolevend.model import Tag
from rolevend.policy.bitmap import union
from rolevend.policy.requirement import Requirement, held

_ANY: Final = "*"

Words = dict[str, set[str]]
"""Key of a tag -> its values."""
_MOST_LOOKED_AT = 1_000
"""The maximum number of tables and columns to check: each is compared with every assignment of its schema."""
AssignmentsBySource = Mapping[str, Sequence[TagAssignment]]
"""Assignments by source."""


class TagIndex:
    """Maps tags to bitmaps of things."""

    def __init__(self) -> None:
        self._by_key: dict[str, dict[str, int]] = {}
        self._all = self._tagged = 0

    def copy(self) -> "TagIndex":
        made = TagIndex()
        made._by_key = {key: dict(values) for key, values in self._by_key.items()}
        made._all, made._tagged = self._all, self._tagged
        return made

    def put(self, things: int, tags: Iterable[Tag]) -> None:
        self._all |= things
        for tag in tags:
            self._tagged |= things
            values = self._by_key.setdefault(tag.key, {})
            values[tag.value] = values.get(tag.value, 0) | things

    def take(self, things: int, tags: Iterable[Tag]) -> None:
        """Remove `things`, which carry exactly `tags`."""
        self._all &= ~things
        self._tagged &= ~things
        for tag in tags:
            self._by_key[tag.key][tag.value] &= ~things

    def meeting(self, requirements: Iterable[Requirement], *, unknown: bool) -> int:
        """Return the things that meet all requirements, like `requirement.tag_test` for each thing."""
        met = self._all
        for requirement in requirements:
            met &= self._meeting(requirement, unknown=unknown)
        return met

    def having(self, key: str, value: str | None) -> int:
        """Return the things with this tag; None: with any value."""
        values = self._by_key.get(key, {})
        return union(values.values()) if value is None else values.get(value, 0)

    def values(self, key: str, among: int) -> Iterator[tuple[frozenset[str], int]]:
        """Partition `among` by the values under `key`."""
        parts = {frozenset[str](): among}
        for value, carrying in self._under(key):
            split: dict[frozenset[str], int] = {}
            for values, part in parts.items():
                for known, some in ((values, part & ~carrying), (values | {value}, part & carrying)):
                    if some:
                        split[known] = split.get(known, 0) | some
            parts = split
        return iter(parts.items())

    def words(self, there: Callable[[int], object], among: Mapping[str, Iterable[str]] | None = None) -> Words:
        """Return the tags of the things that are `there`; with `among`, only those in it."""
        asked = self._by_key if among is None else among
        found = {key: {value for value in values if there(self.having(key, value))} for key, values in asked.items()}
        return {key: values for key, values in found.items() if values}

    def _under(self, key: str) -> Iterator[tuple[str, int]]:
        if _ANY not in key:
            return iter(self._by_key.get(key, {}).items())
        return chain.from_iterable(values.items() for each, values in self._by_key.items() if matches(key, each))

    def _meeting(self, requirement: Requirement, *, unknown: bool) -> int:
        patterns = [each for each in requirement.values if _ANY in each]
        given = among = 0
        for value, carrying in self._under(requirement.key):
            given |= carrying
            if value in requirement.values or any(matches(pattern, value) for pattern in patterns):
                among |= carrying
        if requirement.values_of:
            return given
        return held(requirement.operator, given, among, self._tagged, self._all, unknown=unknown)


@dataclass(frozen=True, slots=True)
class TagConflict:
    what: str
    """`claims.people`, or `claims.people.ssn`."""
    key: str
    values: Mapping[str, frozenset[str]]
    """By source; not all equal."""


def tag_conflicts(tables: Iterable[Table], sources: AssignmentsBySource) -> Iterator[TagConflict]:
    """Yield the conflicts of `tables`, which carry these tags already; the first thousand."""
    for table, column, key in islice(_crowded(tables, _disputed(sources)), _MOST_LOOKED_AT):
        values = {place: _values(assignments, table, column, key) for place, assignments in sources.items()}
        here = {place: found for place, found in values.items() if found}
        if len(set(here.values())) > 1:
            yield TagConflict(str(table.id) if column is None else f"{table.id}.{column}", key, here)


def _disputed(sources: AssignmentsBySource) -> dict[tuple[str, bool], set[str]]:
    """Map schema and kind (True: columns) to the keys that several sources set there."""
    places: dict[tuple[str, bool], dict[str, set[str]]] = {}
    for place, assignments in sources.items():
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
