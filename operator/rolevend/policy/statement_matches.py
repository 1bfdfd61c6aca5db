"""The matches of one statement on the tables of a catalog, which can be updated table by table."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations
from typing import Any, Final, Generic, TypeVar

from rolevend.catalog import Column, Table
from rolevend.policy.bitmap import places, union
from rolevend.policy.mask import carries, clashing
from rolevend.policy.postings import Postings
from rolevend.policy.statement import MaskRule
from rolevend.policy.table_fit import MaskFallback, PolicyProblem, SelectedColumn, fallbacks_of

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class StatementMatches(Generic[Key]):
    """Tables are bits of bitmaps. The matches of disjoint sets of tables add up to those of their union."""

    sets: Mapping[Key, int] = field(default_factory=dict)
    """The affected tables, by their common effect; disjoint, none empty."""
    columns: int = 0
    """The number of affected columns of these tables."""
    problems: Mapping[int, PolicyProblem] = field(default_factory=dict)
    fallbacks: Mapping[int, tuple[MaskFallback, ...]] = field(default_factory=dict)
    found: Mapping[str, int] = field(default_factory=dict)
    """By field: under `TABLES` all selected tables; under the field of a column selector, the selected tables that have a matching column.
    """

    def exchanged(self, before: "StatementMatches[Key]", after: "StatementMatches[Key]") -> "StatementMatches[Key]":
        """Return a copy in which `after` replaces `before`, the matches of the same tables."""
        return StatementMatches(
            _without_empty(_exchanged(self.sets, before.sets, after.sets)),
            self.columns - before.columns + after.columns,
            _replaced(self.problems, before.problems, after.problems),
            _replaced(self.fallbacks, before.fallbacks, after.fallbacks),
            _exchanged(self.found, before.found, after.found),
        )

    def part(self, tables: int, columns: Callable[[Mapping[Key, int]], int]) -> "StatementMatches[Key]":
        """Return the matches of some of the tables; `columns` counts the columns of such a part of `sets`."""
        if not self.about & tables:
            return NOTHING
        sets = _without_empty({key: some & tables for key, some in self.sets.items()})
        return StatementMatches(
            sets,
            columns(sets),
            _at(self.problems, tables),
            _at(self.fallbacks, tables),
            {place: some & tables for place, some in self.found.items()},
        )

    @property
    def tables(self) -> int:
        return sum(tables.bit_count() for tables in self.sets.values())

    @property
    def selected(self) -> int:
        """The tables whose columns the statement selects."""
        return self.found.get(TABLES, 0)

    @property
    def about(self) -> int:
        """All tables with a match, a problem or a fallback."""
        return union(self.sets.values()) | self.selected

    @property
    def findings(self) -> tuple[tuple[PolicyProblem, ...], tuple[MaskFallback, ...]]:
        """Problems and fallbacks, ordered by table."""
        fallbacks = chain.from_iterable(self.fallbacks[place] for place in sorted(self.fallbacks))
        return tuple(self.problems[place] for place in sorted(self.problems)), tuple(fallbacks)


TABLES: Final = "spec.tables"
NOTHING: Final[StatementMatches[Any]] = StatementMatches()
"""The matches of unaffected tables."""


def presence(fields: Iterable[str], kinds: Iterable[int], selected: int, postings: Postings) -> dict[str, int]:
    """Return `StatementMatches.found`; `kinds` are the kinds of columns of the selectors in `fields`."""
    return {TABLES: selected, **{field: postings.having(each) & selected for field, each in zip(fields, kinds, strict=True)}}


def fallbacks(
    kinds: int, tables: int, postings: Postings, table_at: Callable[[int], Table], choose: Callable[[Column], SelectedColumn | None]
) -> dict[int, tuple[MaskFallback, ...]]:
    """Return the fallbacks of columns of `kinds`, which come from `unshown`."""
    names = postings.names(kinds)
    found = {}
    for place in places(postings.having(kinds) & tables):
        table = table_at(place)
        chosen = [(column, choose(column)) for column in table.columns if column.name in names]
        found[place] = tuple(each for column, choice in chosen if choice for each in fallbacks_of(table.id, column, choice))
    return found


def unshown(rules: Sequence[tuple[MaskRule, int]], postings: Postings) -> int:
    """Return the kinds of columns that cannot hold one of their masks, or two of them together."""
    both = ((kinds & others, one.mask, other.mask) for (one, kinds), (other, others) in combinations(rules, 2))
    found = union(kinds for kinds, *masks in both if kinds and clashing(masks))
    for rule, kinds in rules:
        for (family, limits), of_type in postings.types:
            found |= 0 if not kinds & of_type or carries(rule.mask, family, limits) else kinds & of_type
    return found


def _exchanged(whole: Mapping[Key, int], before: Mapping[Key, int], after: Mapping[Key, int]) -> dict[Key, int]:
    left = {key: tables & ~before.get(key, 0) for key, tables in whole.items()}
    return left | {key: left.get(key, 0) | tables for key, tables in after.items()}


def _without_empty(sets: Mapping[Key, int]) -> dict[Key, int]:
    return {key: tables for key, tables in sets.items() if tables}


def _at(whole: Mapping[int, Value], tables: int) -> dict[int, Value]:
    return {place: whole[place] for place in places(tables) if place in whole} if whole else {}


def _replaced(whole: Mapping[int, Value], before: Mapping[int, Value], after: Mapping[int, Value]) -> Mapping[int, Value]:
    if not before and not after:
        return whole
    return {place: value for place, value in whole.items() if place not in before} | dict(after)
