"""From what is granted of a table to its shape: which rows are there, and what each column shows in which of them.

A side shows a row if one of its grants does, and in it the weakest mask among the grants that show the row and include the column (of
patterns or constants that of the policy whose id is smallest), and NULL where there is none. Where there are two sides, a row is visible if
both show it, and a cell shows the stricter of what they show. Guardrails come after that: they hide rows, and a cell shows nothing that is
weaker than the floor of its column, nor another pattern or constant. What can be decided here is not left for the platform to ask.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

from rolevend.catalog import TableId
from rolevend.model import ObjectName
from rolevend.policy.decision import Entitlement, TableEntitlement
from rolevend.policy.expression import Condition, render
from rolevend.policy.guarding import strongest_floors
from rolevend.policy.index import Grant
from rolevend.policy.mask import Mask, Nullify, stricter, strictness
from rolevend.policy.shape import Cell, ColumnShape, TableShape

_EVERY_ROW: Final = ""
"""The text of a condition without a predicate; no predicate renders to it."""

Texts = frozenset[str]
"""Conditions by their text, of which one has to hold. Within a table equal texts are equal conditions: both are bound to it."""


def lowered(entitlement: Entitlement, views: Mapping[TableId, str]) -> Iterator[TableShape]:
    """The shapes of `entitlement`, in its order; `views` has a name for each table."""
    known: dict[int, str] = {}  # grants of many tables share their condition

    def text(condition: Condition) -> str:
        if id(condition) not in known:
            known[id(condition)] = _EVERY_ROW if condition.predicate is None else render(condition.predicate)
        return known[id(condition)]

    for each in entitlement.tables:
        conditions = {text(condition): condition for condition in _conditions(each)}
        restrictions = frozenset(text(restraint.condition) for restraint in each.restraints if restraint.condition is not None)
        sides = [[(text(grant.condition), grant) for grant in grants] for grants in (each.grants, each.agent_grants) if grants is not None]
        shown = [frozenset(filter_ for filter_, _ in side) for side in sides]
        certain = restrictions.union(*(filters for filters in shown if len(filters) == 1))  # in every row that is visible
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
    """Which rows are visible, as `TableShape` says it: each side's filters, and the restrictions of guardrails. What another one implies is
    left out. Sorting by text forgets the order of the policies, so that it does not tell one shape from another."""
    rows, left = _every(shown[0]), sorted(restrictions)
    if both := restrictions & shown[0]:  # said once, as a filter: what such a guardrail does not narrow stays the same shape
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


class _Offer(NamedTuple):
    """What one grant would show of a column, in rows of the condition with this text; the smallest offer that holds decides."""

    strictness: tuple[int, int | Decimal]
    policy: ObjectName
    condition: str
    mask: Mask


class _Layer(NamedTuple):
    """What is shown in rows for which one of `texts` holds, and one of `also` where there are any; without texts in all that are left."""

    mask: Mask
    texts: Texts
    also: Texts = frozenset()

    @property
    def clauses(self) -> tuple[Texts, ...]:
        """Each has to hold."""
        return tuple(each for each in (self.texts, self.also) if each)

    def implies(self, other: "_Layer") -> bool:
        return all(any(mine <= each for mine in self.clauses) for each in other.clauses)


@dataclass(frozen=True, slots=True)
class _Side:
    """The grants of one side, each with the text of its condition and its masks by column."""

    granted: tuple[tuple[str, Grant, Mapping[str, Mask]], ...]

    @classmethod
    def of(cls, granted: Iterable[tuple[str, Grant]], certain: Texts) -> "_Side":
        """A grant in rows for which something `certain` holds is one in every row that is left."""
        return cls(tuple((_EVERY_ROW if text in certain else text, grant, dict(grant.masks)) for text, grant in granted))

    def masks(self, column: str) -> tuple[Mask | None, ...]:
        """In the order of the grants; None where one does not include the column."""
        return tuple(masks.get(column) for _, _, masks in self.granted)

    def layers(self, masks: Iterable[Mask | None]) -> list[_Layer]:
        """Of a column with these masks; nothing where it is not granted."""
        offers = [
            _Offer(strictness(mask), grant.policy, text, mask)
            for (text, grant, _), mask in zip(self.granted, masks, strict=True)
            if mask is not None
        ]
        return _layers(offers, frozenset(text for text, _, _ in self.granted))


def _columns(table: TableEntitlement, sides: Sequence[_Side], conditions: Mapping[str, Condition]) -> Iterator[ColumnShape]:
    denied: frozenset[str] = frozenset().union(*(each.denied_columns for each in table.restraints))
    floors = strongest_floors(table.restraints)
    known: dict[object, tuple[Cell, ...]] = {}  # columns have few distinct sets of masks
    for column in table.table.columns:
        if column.name in denied:
            continue
        floor = floors.get(column.name)
        masks = tuple(side.masks(column.name) for side in sides)
        if (masks, floor) not in known:
            layers = [side.layers(each) for side, each in zip(sides, masks, strict=True)]
            shown = () if not all(layers) else _guarded(_met(*layers) if len(layers) > 1 else layers[0], floor)
            known[masks, floor] = tuple(Cell(_sorted(each.texts, conditions), each.mask, _sorted(each.also, conditions)) for each in shown)
        if known[masks, floor]:
            yield ColumnShape(column.name, column.family, column.native_type, known[masks, floor])


def _layers(offers: Iterable[_Offer], rows: Texts) -> list[_Layer]:
    """The weakest mask first. `rows` are the filters of the side: one of them holds in every row that is visible."""
    groups: list[tuple[Mask, list[str]]] = []
    seen: set[str] = set()
    for offer in sorted(offers, key=lambda offer: offer[:2]):
        if offer.condition in seen or _EVERY_ROW in seen:
            continue  # a weaker mask holds wherever this offer would
        seen.add(offer.condition)
        if groups and groups[-1][0] == offer.mask:
            groups[-1][1].append(offer.condition)
        else:
            groups.append((offer.mask, [offer.condition]))
    layers = [_Layer(mask, frozenset(texts)) for mask, texts in groups]
    if _EVERY_ROW in seen or (layers and seen >= rows):  # every row that is left belongs to the last layer
        layers[-1] = _Layer(layers[-1].mask, frozenset())
    return layers


def _met(user: Sequence[_Layer], agent: Sequence[_Layer]) -> Iterator[_Layer]:
    """The stricter of what both sides show, for each pair of their layers, in the order of the user's, within one in that of the agent's.
    So the first pair that holds is made of the first layer that holds on each side; where none does on one side, no pair does."""
    for one in _not_null(user):
        for other in _not_null(agent):
            mask = stricter(one.mask, other.mask)
            if not one.texts or (other.texts and other.texts <= one.texts):
                yield _Layer(mask, other.texts)
            elif not other.texts or one.texts <= other.texts:
                yield _Layer(mask, one.texts)
            else:
                yield _Layer(mask, one.texts, other.texts)


def _guarded(layers: Iterable[_Layer], floor: Mask | None) -> Sequence[_Layer]:
    """Of a column that is granted, with nothing weaker than `floor`. Neighbours that show the same are one; never empty."""
    kept: list[_Layer] = []
    for layer in layers:
        each = layer._replace(mask=_above(floor, layer.mask))
        while kept and kept[-1].mask == each.mask and (joined := _joined(kept[-1], each)) is not None:
            kept.pop()
            each = joined
        kept.append(each)
    return _not_null(kept) or [_Layer(Nullify(), frozenset())]


def _not_null(layers: Sequence[_Layer]) -> Sequence[_Layer]:
    """Without the last ones that show nothing: so does what no layer is for."""
    return layers if not layers or layers[-1].mask != Nullify() else _not_null(layers[:-1])


def _joined(before: _Layer, after: _Layer) -> _Layer | None:
    """One layer that applies where one of these two neighbours does; None where that takes two."""
    if before.implies(after):
        return after
    if after.implies(before):
        return before
    if before.also == after.also:
        return before._replace(texts=before.texts | after.texts)
    return before._replace(also=before.also | after.also) if before.texts == after.texts else None


def _above(floor: Mask | None, mask: Mask) -> Mask:
    """`mask`, where nothing weaker than `floor` may be shown. Of two that say nothing of each other the floor holds."""
    return mask if floor is None or strictness(mask) > strictness(floor) else floor
