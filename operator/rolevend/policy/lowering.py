"""Compute the shape of a table from its grants: the visible rows, and the mask of each cell.

A side shows a row if one of its grants does; with two sides, a row is visible if both show it. Each grant (or pair of grants, one per side)
that shows the row and includes the column offers a mask: the strictest of the grants' masks and the column's floors. The cell shows the
weakest offer, or NULL without an offer; so an additional grant never makes a cell stricter. Guardrails hide further rows. Conditions that
can be decided here are not left to the platform.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, product
from typing import Final, NamedTuple

from rolevend.catalog import TableId
from rolevend.policy.decision import Entitlement, TableEntitlement
from rolevend.policy.expression import Condition, render
from rolevend.policy.guardrail_compiler import floors_of
from rolevend.policy.index import Grant
from rolevend.policy.mask import Clear, Mask, Nullify, strictest, strictness
from rolevend.policy.table_policy import Cell, ColumnShape, TableShape

_EVERY_ROW: Final = ""
"""The text of a condition without a predicate. No predicate has this text."""

Texts = frozenset[str]
"""A disjunction of conditions, by text. Within a table equal texts are equal conditions, because all are bound to it."""


def lowered(entitlement: Entitlement, views: Mapping[TableId, str]) -> Iterator[TableShape]:
    """Yield the shapes of `entitlement`, in its order. `views` has a name for each table."""
    known: dict[int, str] = {}  # many grants share a condition

    def text(condition: Condition) -> str:
        if id(condition) not in known:
            known[id(condition)] = _EVERY_ROW if condition.predicate is None else render(condition.predicate)
        return known[id(condition)]

    for each in entitlement.tables:
        conditions = {text(condition): condition for condition in _conditions(each)}
        restrictions = frozenset(text(restraint.condition) for restraint in each.restraints if restraint.condition is not None)
        sides = [[(text(grant.condition), grant) for grant in grants] for grants in (each.grants, each.agent_grants) if grants is not None]
        shown = [frozenset(filter_ for filter_, _ in side) for side in sides]
        certain = restrictions.union(*(filters for filters in shown if len(filters) == 1))  # these hold in every visible row
        rows, clauses = _rows(shown, restrictions)
        yield TableShape(
            each.table.id,
            views[each.table.id],
            _sorted(rows, conditions),
            tuple(_columns(each, [_Side.of(side, certain) for side in sides], conditions)),
            tuple(_sorted(clause, conditions) for clause in clauses),
        )


def _conditions(table: TableEntitlement) -> Iterator[Condition]:
    yield Condition((), None)
    yield from (grant.condition for grant in (*table.grants, *(table.agent_grants or ())))
    yield from (restraint.condition for restraint in table.restraints if restraint.condition is not None)


def _rows(shown: Sequence[Texts], restrictions: Texts) -> tuple[Texts, list[Texts]]:
    """Return the visible rows as `TableShape` has them: each side's filters and the guardrails' restrictions, without implied ones.

    Sorting by text drops the order of the policies, so that the order does not distinguish shapes.
    """
    rows, left = _every(shown[0]), sorted(restrictions)
    if both := restrictions & shown[0]:  # keep it once, as a filter: a guardrail that narrows nothing leaves the shape unchanged
        left.remove(min(both))
        rows = frozenset([min(both)])
    clauses = [frozenset([each]) for each in left]
    for filters in map(_every, shown[1:]):
        if _EVERY_ROW in filters or filters & restrictions or rows <= filters:
            continue
        if _EVERY_ROW in rows or filters < rows:
            rows = filters
        else:
            clauses.append(filters)
    return rows, clauses


def _every(filters: Texts) -> Texts:
    return frozenset([_EVERY_ROW]) if _EVERY_ROW in filters else filters


def _sorted(texts: Texts, conditions: Mapping[str, Condition]) -> tuple[Condition, ...]:
    return tuple(conditions[each] for each in sorted(texts))


class _Offers(NamedTuple):
    """`mask` is offered for a column by one side, in rows for which one of `texts` holds."""

    mask: Mask
    texts: Texts


@dataclass(frozen=True, slots=True)
class _Side:
    """The grants of one side, each with the text of its condition and its masks by column."""

    granted: tuple[tuple[str, Grant, Mapping[str, Mask]], ...]
    filters: Texts
    """At least one holds in every visible row."""

    @classmethod
    def of(cls, granted: Iterable[tuple[str, Grant]], certain: Texts) -> "_Side":
        """Build a side. A grant whose condition is among `certain` applies in every visible row."""
        given = tuple((_EVERY_ROW if text in certain else text, grant, dict(grant.masks)) for text, grant in granted)
        return cls(given, frozenset(text for text, _, _ in given))

    def masks(self, column: str) -> tuple[Mask | None, ...]:
        """Return the mask of each grant for the column; None where a grant does not include it."""
        return tuple(masks.get(column) for _, _, masks in self.granted)

    def offers(self, masks: Iterable[Mask | None]) -> list[_Offers]:
        """Return the offers for a column, the weakest first.

        Masks of equal strictness are ordered by policy id. Adjacent offers with the same mask are merged. An offer that holds in every row
        is one under each filter.
        """
        given = zip(self.granted, masks, strict=True)
        ordered = sorted(
            ((strictness(mask), grant.policy, text, mask) for (text, grant, _), mask in given if mask is not None),
            key=lambda each: each[:2],
        )
        texts = ((mask, frozenset(text for _, _, text, _ in each)) for mask, each in groupby(ordered, key=lambda each: each[3]))
        return [_Offers(mask, self.filters if _EVERY_ROW in each else each) for mask, each in texts]


_NO_OTHER: Final = _Side((), frozenset([_EVERY_ROW]))
"""The other side, if there is only one."""


def _columns(table: TableEntitlement, sides: Sequence[_Side], conditions: Mapping[str, Condition]) -> Iterator[ColumnShape]:
    denied: frozenset[str] = frozenset().union(*(each.denied_columns for each in table.restraints))
    floors, lookups = floors_of(table.restraints), table.lookups
    user, agent = (*sides, _NO_OTHER)[:2]
    known: dict[object, tuple[Cell, ...]] = {}  # many columns have the same masks
    for column in table.table.columns:
        if column.name in denied:
            continue
        key = tuple(side.masks(column.name) for side in sides), floors.get(column.name, ())
        if key not in known:
            masks, below = key
            offers = [side.offers(each) for side, each in zip(sides, masks, strict=True)]
            one, other = (*offers, [_Offers(Clear(), _NO_OTHER.filters)])[:2]
            layers = _layers(one, other, below, (user.filters, agent.filters)) if one and other else ()
            known[key] = tuple(Cell(_sorted(each.texts, conditions), each.mask, _sorted(each.also, conditions)) for each in layers)
        if known[key]:
            yield ColumnShape(column.name, column.family, column.native_type, known[key], column.name in lookups)


class _Layer(NamedTuple):
    """A mask for rows in which one of `texts` holds and, if `also` is not empty, one of `also`; without texts for all remaining rows."""

    mask: Mask
    texts: Texts
    also: Texts = frozenset()


Decided = Mapping[str, Texts]
"""Maps each filter of the user's side to the agent's filters with which a layer holds."""


def _layers(user: Iterable[_Offers], agent: Iterable[_Offers], floors: Sequence[Mask], filters: tuple[Texts, Texts]) -> list[_Layer]:
    """Return the masks of a granted column, one for each pair of offers, the weakest first.

    A trailing NULL is omitted unless it is the only layer.
    """
    pairs = [(strictest((*floors, one.mask, other.mask)), one.texts, other.texts) for one, other in product(user, agent)]
    layers: list[_Layer] = []
    decided: dict[str, Texts] = dict.fromkeys(filters[0], frozenset())
    for mask, group in groupby(sorted(pairs, key=lambda pair: strictness(pair[0])), key=lambda pair: pair[0]):
        if mask == Nullify():
            break
        before = dict(decided)
        for _, texts, also in group:
            decided.update({text: decided[text] | also for text in texts})
        layers += [_Layer(mask, *each) for each in _conditions_of(before, decided, filters)]
    return layers or [_Layer(Nullify(), frozenset())]


def _conditions_of(before: Decided, after: Decided, filters: tuple[Texts, Texts]) -> Iterator[tuple[Texts, Texts]]:
    """Yield `texts` and `also` of layers that hold for `after` without `before`. They may overlap `before`, because an earlier layer
    decides there.

    Greedy, largest part first; each layer has as few conditions as possible.
    """
    left = {text: new for text in after if (new := after[text] - before[text])}
    while left:
        also = left[min(left, key=lambda text: (-len(left[text]), text))]
        texts = frozenset(text for text in after if also <= after[text])
        if texts != filters[0]:
            texts = frozenset(text for text in texts if also & left.get(text, frozenset()))
        if all(after[text] == filters[1] for text in texts):
            also = filters[1]
        left = {text: rest for text, new in left.items() if (rest := new - also if text in texts else new)}
        yield _least(texts, also, filters)


def _least(texts: Texts, also: Texts, filters: tuple[Texts, Texts]) -> tuple[Texts, Texts]:
    """Drop a clause that is implied: it holds in every visible row, or the other clause implies it."""
    if also == filters[1] or texts <= also:
        return (frozenset() if texts == filters[0] else texts), frozenset()
    return (also, frozenset()) if texts == filters[0] or also <= texts else (texts, also)
