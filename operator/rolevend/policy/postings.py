"""An inverted index of a catalog: bitmaps of the tables in a schema, with a tag, or with a column of a kind.

Columns with the same name, type and tags are one kind: a catalog has far fewer kinds than columns, and no selector distinguishes two
columns of a kind. It knows no policy and no user.
"""

from collections.abc import Callable, Iterable, Iterator
from copy import copy
from typing import Final, Self

from rolevend.catalog import Column, Family, Table, TableId, TypeLimits, matches
from rolevend.model import Tag
from rolevend.policy.bitmap import bits, places, union
from rolevend.policy.expression import ColumnReference, TaggedColumn
from rolevend.policy.statement import ColumnSelector, TableSelector
from rolevend.policy.tags import TagIndex, Words

_ANY: Final = "*"
_MOST_ANSWERS: Final = 2_000


class Postings:
    """The inverted index of some tables, each with its index. Immutable once built."""

    def __init__(self) -> None:
        self._schemas: dict[str, dict[str, int]] = {}
        self._in_schema: dict[str, int] = {}
        self.tags = TagIndex()
        self.obstructed = 0
        self._by_width: dict[int, int] = {}
        self._kinds: dict[tuple[object, ...], int] = {}
        self._columns: list[Column] = []
        self._having: list[tuple[int, int]] = []
        """By kind: a bitmap of its tables, stored as bits and shift, because most kinds occur in few tables."""
        self._column_tags = TagIndex()
        self._by_name: dict[str, int] = {}
        self._by_type: dict[tuple[Family, TypeLimits | None], int] = {}
        self._answers: dict[object, int] = {}
        """A cache: the kinds that match a pattern, the tables that have columns of some kinds."""

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
                kind = _key(column)
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
        """Return a copy with changed tags, columns and obstacles of some tables: index, old and new table. Unchanged parts are shared."""
        listed = list(changes)
        made = copy(self)
        made.tags, made._by_width, made._having, made._answers = self.tags.copy(), dict(self._by_width), list(self._having), {}
        others = {_key(column): column for _, _, new in listed for column in new.columns if _key(column) not in self._kinds}
        if others:
            made._kinds, made._columns, made._column_tags = dict(self._kinds), list(self._columns), self._column_tags.copy()
            made._by_name, made._by_type = dict(self._by_name), dict(self._by_type)
        for column in others.values():
            made._new_kind(column)
            made._having.append((0, 0))
        for place, old, new in listed:
            made._exchange(1 << place, old, new)
        return made

    def _exchange(self, here: int, old: Table, new: Table) -> None:
        self.tags.take(here, old.tags)
        self.tags.put(here, new.tags)
        self.obstructed = self.obstructed | here if new.obstacle else self.obstructed & ~here
        self._by_width[len(old.columns)] &= ~here
        self._by_width[len(new.columns)] = self._by_width.get(len(new.columns), 0) | here
        left, come = ({self._kinds[_key(column)] for column in table.columns} for table in (old, new))
        for kind in left - come:
            self._having[kind] = _packed(self._tables(kind) & ~here)
        for kind in come - left:
            self._having[kind] = _packed(self._tables(kind) | here)

    def _new_kind(self, column: Column) -> None:
        kind = len(self._columns)
        self._kinds[_key(column)] = kind
        self._columns.append(column)
        self._column_tags.put(1 << kind, column.tags)
        self._by_name[column.name] = self._by_name.get(column.name, 0) | 1 << kind
        of = column.family, column.limits
        self._by_type[of] = self._by_type.get(of, 0) | 1 << kind

    def _tables(self, kind: int) -> int:
        zeros, having = self._having[kind]
        return having << zeros

    @property
    def every_kind(self) -> int:
        """A bitmap of all kinds of columns."""
        return (1 << len(self._columns)) - 1

    def selected(self, selector: TableSelector, schemas: Iterable[str] | None, *, unknown: bool) -> int:
        """Return the tables in `schemas` (None: any) that match the selector's tags and names; none if it has neither.

        `unknown`: see `requirement.tag_test`.
        """
        if not selector.tags and not selector.names:
            return 0
        found = self.within(schemas)
        if found and selector.tags:
            found &= self.tags.meeting(selector.tags, unknown=unknown)
        if found and selector.names:
            found &= union(self.named(each) for each in selector.names)
        return found

    def place(self, name: TableId) -> int:
        """Return the index of a known table."""
        return self._schemas[name.schema][name.name]

    def within(self, schemas: Iterable[str] | None) -> int:
        """Return the tables in these schemas; None: in any."""
        return union(self._in_schema.get(schema, 0) for schema in (self._schemas if schemas is None else schemas))

    def named(self, pattern: TableId) -> int:
        """Return the tables whose schema and name match."""
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
        """Return the kinds of columns that match. `unknown`: see `requirement.tag_test`."""
        if not selector.tags and not selector.names:
            return 0
        found = self._column_tags.meeting(selector.tags, unknown=unknown)
        return found & union(map(self.kinds_named, selector.names)) if found and selector.names else found

    def kinds_named(self, pattern: str) -> int:
        """Return the kinds of columns whose name matches."""
        if pattern == _ANY:
            return self.every_kind
        if _ANY not in pattern:
            return self._by_name.get(pattern, 0)
        return self._answer(pattern, lambda: union(kinds for name, kinds in self._by_name.items() if matches(pattern, name)))

    def names(self, kinds: int) -> frozenset[str]:
        """Return the names of columns of these kinds."""
        return frozenset(self._columns[kind].name for kind in places(kinds))

    @property
    def types(self) -> Iterable[tuple[tuple[Family, TypeLimits | None], int]]:
        """Return each family with its limits, if any, and its kinds of columns."""
        return self._by_type.items()

    def having(self, kinds: int) -> int:
        """Return the tables that have a column of one of these kinds."""
        if kinds == self.every_kind:
            return union(tables for width, tables in self._by_width.items() if width)
        return self._answer(kinds, lambda: union(map(self._tables, places(kinds))))

    def _answer(self, asked: object, answer: Callable[[], int]) -> int:
        """Cache an answer: many policies have the same selectors."""
        if asked not in self._answers:
            if len(self._answers) >= _MOST_ANSWERS:
                self._answers.clear()
            self._answers[asked] = answer()
        return self._answers[asked]

    def count(self, kinds: int, among: int) -> int:
        """Return the number of columns of these kinds in these tables."""
        if kinds == self.every_kind:
            return sum(width * (tables & among).bit_count() for width, tables in self._by_width.items())
        return sum((having & among >> zeros).bit_count() for zeros, having in map(self._having.__getitem__, places(kinds)))

    def alike(self, references: Iterable[ColumnReference], among: int) -> Iterator[int]:
        """Partition `among` so that within a part every reference means a column of the same name and type, or none."""
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

    def words(self, schemas: Iterable[str] | None, among: tuple[Words, Words] | None = None) -> tuple[Words, Words]:
        """Return the tags of tables in these schemas (None: any), and those of their columns; with `among`, only those in it."""
        here, (tables, columns) = self.within(schemas), among or (None, None)
        of_columns = self._column_tags.words(lambda kinds: any(self._tables(kind) & here for kind in places(kinds)), columns)
        return self.tags.words(here.__and__, tables), of_columns


def _key(column: Column) -> tuple[object, ...]:
    """Return a key that is equal for columns of one kind."""
    return column.name, column.native_type, column.family, column.tags, column.limits


def _packed(tables: int) -> tuple[int, int]:
    zeros = max((tables & -tables).bit_length() - 1, 0)
    return zeros, tables >> zeros
