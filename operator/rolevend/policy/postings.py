"""An inverted index of a catalog: which tables stand in a schema, carry a tag, or have a column of a kind, as bitmaps of their places.

Columns with the same name, type and tags are one kind: a catalog has far fewer kinds than columns, and no selector tells two
columns of a kind apart. Nothing here is a decision, and nothing knows a user.
"""

from collections.abc import Callable, Iterable, Iterator
from copy import copy
from itertools import chain
from typing import Final, Self

from rolevend.catalog import Column, Family, Table, TableId, matches
from rolevend.model import Tag
from rolevend.policy.bitmap import bits, places, union
from rolevend.policy.expression import ColumnReference, TaggedColumn
from rolevend.policy.requirement import Requirement, held
from rolevend.policy.statement import ColumnSelector, TableSelector

_ANY: Final = "*"
_MOST_ANSWERS: Final = 2_000

Words = dict[str, set[str]]
"""Key of a tag -> its values."""


class Tagged:
    """Which of some things carry which tags."""

    def __init__(self) -> None:
        self._by_key: dict[str, dict[str, int]] = {}
        self._all = self._told = 0

    def copy(self) -> "Tagged":
        made = copy(self)
        made._by_key = {key: dict(values) for key, values in self._by_key.items()}
        return made

    def put(self, things: int, tags: Iterable[Tag]) -> None:
        self._all |= things
        for tag in tags:
            self._told |= things
            values = self._by_key.setdefault(tag.key, {})
            values[tag.value] = values.get(tag.value, 0) | things

    def take(self, things: int, tags: Iterable[Tag]) -> None:
        """`things`, all of which carry `tags` and no others."""
        self._all &= ~things
        self._told &= ~things
        for tag in tags:
            self._by_key[tag.key][tag.value] &= ~things

    def meeting(self, requirements: Iterable[Requirement], *, unknown: bool) -> int:
        """As `requirement.tag_test` tests one thing after the other."""
        met = self._all
        for requirement in requirements:
            met &= self._meeting(requirement, unknown=unknown)
        return met

    def having(self, key: str, value: str | None) -> int:
        """What carries this very tag; None: with any value."""
        values = self._by_key.get(key, {})
        return union(values.values()) if value is None else values.get(value, 0)

    def values(self, key: str, among: int) -> Iterator[tuple[frozenset[str], int]]:
        """Parts of `among`, each with the values that it has under `key`."""
        parts = {frozenset[str](): among}
        for value, carrying in self._under(key):
            split: dict[frozenset[str], int] = {}
            for values, part in parts.items():
                for known, some in ((values, part & ~carrying), (values | {value}, part & carrying)):
                    if some:
                        split[known] = split.get(known, 0) | some
            parts = split
        return iter(parts.items())

    def words(self, there: Callable[[int], object]) -> Words:
        """The tags of whatever is `there`."""
        found = {key: {value for value, carrying in values.items() if there(carrying)} for key, values in self._by_key.items()}
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
            return self._all if unknown else given
        return held(requirement.operator, given, among, self._told, self._all, unknown=unknown)


class Postings:
    """Of some tables, each with its place. Immutable, but for its making."""

    def __init__(self) -> None:
        self._schemas: dict[str, dict[str, int]] = {}
        self._in_schema: dict[str, int] = {}
        self.tags = Tagged()
        self.obstructed = 0
        self._by_width: dict[int, int] = {}
        self._kinds: dict[tuple[object, ...], int] = {}
        self._columns: list[Column] = []
        self._having: list[tuple[int, int]] = []
        """By kind: the tables that have such a column, without so many zeros at the end. Most kinds stand in few tables."""
        self._column_tags = Tagged()
        self._by_name: dict[str, int] = {}
        self._by_family: dict[Family, int] = {}
        self._answers: dict[object, int] = {}
        """The kinds of columns that match a pattern, the tables that have columns of some kinds."""

    @classmethod
    def of(cls, tables: Iterable[tuple[int, Table]]) -> Self:
        made = cls()
        by_kind: dict[tuple[object, ...], list[int]] = {}
        by_tags: dict[frozenset[Tag], list[int]] = {}
        by_width: dict[int, list[int]] = {}
        for place, table in tables:
            made._schemas.setdefault(table.id.schema, {})[table.id.name] = place
            by_tags.setdefault(table.tags, []).append(place)
            by_width.setdefault(len(table.columns), []).append(place)
            made.obstructed |= 1 << place if table.obstacle else 0
            for column in table.columns:
                kind = (column.name, column.native_type, column.family, column.tags)
                having = by_kind.get(kind)
                if having is None:
                    by_kind[kind] = [place]
                    made._new_kind(column)
                else:
                    having.append(place)
        made._having = [_packed(bits(each)) for each in by_kind.values()]
        made._in_schema = {schema: bits(names.values()) for schema, names in made._schemas.items()}
        made._by_width = {width: bits(each) for width, each in by_width.items()}
        for tags, each in by_tags.items():
            made.tags.put(bits(each), tags)
        return made

    def exchanged(self, changes: Iterable[tuple[int, Table, Table]]) -> Self:
        """With other tags, columns and obstacles of some tables: their places, as they were, and as they are. All else is shared."""
        made = copy(self)
        made.tags, made._column_tags = self.tags.copy(), self._column_tags.copy()
        made._by_width, made._kinds, made._by_name = dict(self._by_width), dict(self._kinds), dict(self._by_name)
        made._answers = {}
        made._by_family, made._columns, made._having = dict(self._by_family), list(self._columns), list(self._having)
        for place, old, new in changes:
            made._exchange(1 << place, old, new)
        return made

    def _exchange(self, here: int, old: Table, new: Table) -> None:
        self.tags.take(here, old.tags)
        self.tags.put(here, new.tags)
        self.obstructed = self.obstructed | here if new.obstacle else self.obstructed & ~here
        self._by_width[len(old.columns)] &= ~here
        self._by_width[len(new.columns)] = self._by_width.get(len(new.columns), 0) | here
        left, come = set(map(self._kind, old.columns)), set(map(self._kind, new.columns))
        for kind in left - come:
            self._having[kind] = _packed(self._tables(kind) & ~here)
        for kind in come - left:
            self._having[kind] = _packed(self._tables(kind) | here)

    def _kind(self, column: Column) -> int:
        kind = self._kinds.get((column.name, column.native_type, column.family, column.tags))
        if kind is None:
            kind = self._new_kind(column)
            self._having.append((0, 0))
        return kind

    def _new_kind(self, column: Column) -> int:
        kind = len(self._columns)
        self._kinds[column.name, column.native_type, column.family, column.tags] = kind
        self._columns.append(column)
        self._column_tags.put(1 << kind, column.tags)
        self._by_name[column.name] = self._by_name.get(column.name, 0) | 1 << kind
        self._by_family[column.family] = self._by_family.get(column.family, 0) | 1 << kind
        return kind

    def _tables(self, kind: int) -> int:
        zeros, having = self._having[kind]
        return having << zeros

    @property
    def every_kind(self) -> int:
        """All kinds of columns."""
        return (1 << len(self._columns)) - 1

    def selected(self, selector: TableSelector, schemas: Iterable[str] | None, *, unknown: bool) -> int:
        """The tables that a statement is about: in one of `schemas` (None: in any), and selected by tags and names as far as given.
        Nothing given: no table. `unknown`: as for tags."""
        if not selector.tags and not selector.names:
            return 0
        found = self.within(schemas)
        if found and selector.tags:
            found &= self.tags.meeting(selector.tags, unknown=unknown)
        if found and selector.names:
            found &= union(self.named(each) for each in selector.names)
        return found

    def within(self, schemas: Iterable[str] | None) -> int:
        """The tables in these schemas; None: in any."""
        return union(self._in_schema.get(schema, 0) for schema in (self._schemas if schemas is None else schemas))

    def named(self, pattern: TableId) -> int:
        """The tables whose schema and name match."""
        found = 0
        for schema, names in self._schemas.items():
            if not matches(pattern.schema, schema):
                continue
            if pattern.name == _ANY:
                found |= self._in_schema[schema]
            elif _ANY not in pattern.name:
                found |= 1 << names[pattern.name] if pattern.name in names else 0
            else:
                found |= bits(place for name, place in names.items() if matches(pattern.name, name))
        return found

    def kinds(self, selector: ColumnSelector, *, unknown: bool) -> int:
        """The kinds of columns that it selects. `unknown`: as for tags."""
        if not selector.tags and not selector.names:
            return 0
        found = self._column_tags.meeting(selector.tags, unknown=unknown)
        return found & union(map(self.kinds_named, selector.names)) if found and selector.names else found

    def kinds_named(self, pattern: str) -> int:
        """The kinds of columns whose name matches."""
        if pattern == _ANY:
            return self.every_kind
        if _ANY not in pattern:
            return self._by_name.get(pattern, 0)
        return self._answer(pattern, lambda: union(kinds for name, kinds in self._by_name.items() if matches(pattern, name)))

    def names(self, kinds: int) -> frozenset[str]:
        """Of the columns of these kinds."""
        return frozenset(self._columns[kind].name for kind in places(kinds))

    def of_family(self, family: Family) -> int:
        """The kinds of columns of this family."""
        return self._by_family.get(family, 0)

    @property
    def families(self) -> Iterable[Family]:
        return self._by_family

    def having(self, kinds: int) -> int:
        """The tables that have a column of one of these kinds."""
        if kinds == self.every_kind:
            return union(tables for width, tables in self._by_width.items() if width)
        return self._answer(kinds, lambda: union(map(self._tables, places(kinds))))

    def _answer(self, asked: object, answer: Callable[[], int]) -> int:
        """Many policies ask the same."""
        if asked not in self._answers:
            if len(self._answers) >= _MOST_ANSWERS:
                self._answers.clear()
            self._answers[asked] = answer()
        return self._answers[asked]

    def count(self, kinds: int, among: int) -> int:
        """How many columns of these kinds these tables have."""
        if kinds == self.every_kind:
            return sum(width * (tables & among).bit_count() for width, tables in self._by_width.items())
        return sum((having & among >> zeros).bit_count() for zeros, having in map(self._having.__getitem__, places(kinds)))

    def alike(self, references: Iterable[ColumnReference], among: int) -> Iterator[int]:
        """Parts of `among` in each of which every reference means a column of the same name and type, or is no good."""
        parts = [among]
        for reference in references:
            split = list(self._meanings(reference, among))
            parts = [part & other for part in parts for other in split if part & other]
        return iter(parts if among else ())

    def _meanings(self, reference: ColumnReference, among: int) -> Iterator[int]:
        by_type: dict[tuple[object, ...], int] = {}
        once = again = 0
        for kind in places(self._meant(reference)):
            column, tables = self._columns[kind], self._tables(kind) & among
            again |= once & tables
            once |= tables
            key = (column.name, column.family, column.native_type)
            by_type[key] = by_type.get(key, 0) | tables
        yield from (tables & ~again for tables in by_type.values())
        yield among & ~once
        yield again

    def _meant(self, reference: ColumnReference) -> int:
        if not isinstance(reference, TaggedColumn):
            return self._by_name.get(reference.name, 0)
        return self._column_tags.having(reference.tag.key, reference.tag.value)

    def words(self, schemas: Iterable[str] | None) -> tuple[Words, Words]:
        """The tags of tables in these schemas (None: in any), and those of their columns."""
        here = self.within(schemas)
        of_columns = self._column_tags.words(lambda kinds: any(self._tables(kind) & here for kind in places(kinds)))
        return self.tags.words(lambda tables: tables & here), of_columns


def _packed(tables: int) -> tuple[int, int]:
    zeros = max((tables & -tables).bit_length() - 1, 0)
    return zeros, tables >> zeros
