"""Update compiled statements for the tables that changed, without compiling the whole catalog again."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from rolevend.catalog import Table
from rolevend.policy.bitmap import bits
from rolevend.policy.postings import Postings
from rolevend.policy.statement_matches import StatementMatches
from rolevend.policy.unresolved_names import Vocabulary

Key = TypeVar("Key")


class Stated(Protocol[Key]):
    """A compiler of one statement."""

    def outcome(self, postings: Postings, table_at: Callable[[int], Table]) -> StatementMatches[Key]: ...

    def columns(self, sets: Mapping[Key, int], postings: Postings) -> int:
        """Return `StatementMatches.columns` for these `StatementMatches.sets`."""


class CatalogDelta:
    def __init__(self, others: Mapping[int, Table], tables: Sequence[Table], postings: Postings, vocabulary: Vocabulary) -> None:
        """`others` are the changed tables by their index in `tables`; `postings` and `vocabulary` belong to `tables`."""
        changes = [(place, tables[place], other) for place, other in others.items()]
        self._new = others
        self._before = Postings.of((place, old) for place, old, _ in changes)
        self._after = self._before.exchanged(changes)
        self._places = bits(others)
        self._renamed = bits(place for place, old, new in changes if _column_names(old) != _column_names(new))
        self._vocabulary = vocabulary
        self.schemas = frozenset(other.id.schema for other in others.values())
        self.postings = postings.exchanged(changes)
        self.vocabulary = vocabulary.after(self.postings, self._before, self._after, self.schemas)

    def outcome(self, whole: StatementMatches[Key], of: Stated[Key]) -> StatementMatches[Key]:
        """Return the updated outcome, or `whole` itself if the changed tables make no difference."""
        before = whole.part(self._places, lambda sets: of.columns(sets, self._before))
        after = of.outcome(self._after, self._new.__getitem__)
        return whole if before is after or before == after else whole.exchanged(before, after)

    def same_tags(self, reach: frozenset[str] | None) -> bool:
        """True if a statement of this scope can match the same tags as before."""
        return self.vocabulary.within(reach) == self._vocabulary.within(reach)

    def same_names(self, before: StatementMatches[Any], after: StatementMatches[Any]) -> bool:
        """True if a statement can match the same column names as before."""
        return before.selected == after.selected and not self._renamed & after.selected


def _column_names(table: Table) -> list[str]:
    return [column.name for column in table.columns]
