"""An index of tags on tables or kinds of columns, in bitmaps."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Final

from rolevend.catalog import matches
from rolevend.model import Tag
from rolevend.policy.bitmap import union
from rolevend.policy.requirement import Requirement, held

_ANY: Final = "*"

Words = dict[str, set[str]]
"""Key of a tag -> its values."""


class TagIndex:
    """Maps tags to bitmaps of things."""

    def __init__(self) -> None:
        self._by_key: dict[str, dict[str, int]] = {}
        self._all = self._told = 0

    def copy(self) -> "TagIndex":
        made = TagIndex()
        made._by_key = {key: dict(values) for key, values in self._by_key.items()}
        made._all, made._told = self._all, self._told
        return made

    def put(self, things: int, tags: Iterable[Tag]) -> None:
        self._all |= things
        for tag in tags:
            self._told |= things
            values = self._by_key.setdefault(tag.key, {})
            values[tag.value] = values.get(tag.value, 0) | things

    def take(self, things: int, tags: Iterable[Tag]) -> None:
        """Remove `things`, which carry exactly `tags`."""
        self._all &= ~things
        self._told &= ~things
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
        return held(requirement.operator, given, among, self._told, self._all, unknown=unknown)
