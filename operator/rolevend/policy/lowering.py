"""From what is granted of a table to its shape: which rows are there, and what each column shows in which of them.

A row is visible if one grant shows it and no guardrail hides it. A cell shows the weakest mask among the grants that show the row
and include the column (equal rank: the grant of the policy whose id is smallest), and NULL where there is none; but nothing that is
weaker than the floor of the column, or as weak and another mask. What can be decided here is not left for the platform to ask.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from rolevend.catalog import Family, Table, TableId
from rolevend.model import ObjectName
from rolevend.policy.decision import Entitlement
from rolevend.policy.expression import Condition, render
from rolevend.policy.guarding import Restraint, strongest_floors
from rolevend.policy.index import Grant
from rolevend.policy.mask import Mask, Nullify, rank

_EVERY_ROW: Final = ""
"""The text of a condition without a predicate; no predicate renders to it."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What a column shows in rows for which one of `conditions` holds; without conditions in every row that is left."""

    conditions: tuple[Condition, ...]
    mask: Mask


@dataclass(frozen=True, slots=True)
class ColumnShape:
    """The first of `cells` that applies decides (the weakest mask comes first); where none applies the cell is NULL."""

    name: str
    family: Family
    native_type: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class TableShape:
    """A row is visible if one of `rows` holds, and one of each of `restrictions`. None of them is empty; a condition without a
    predicate, which is among `rows` only, shows every row."""

    table: TableId
    view: str
    """The name under which the agent finds it, unique in the profile."""
    rows: tuple[Condition, ...]
    columns: tuple[ColumnShape, ...]
    restrictions: tuple[tuple[Condition, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class _Granted:
    """One grant, and the text of its condition. Within a table equal texts are equal conditions: both are bound to it."""

    grant: Grant
    text: str


def lowered(entitlement: Entitlement, views: Mapping[TableId, str]) -> Iterator[TableShape]:
    """The shapes of `entitlement`, in its order; `views` has a name for each table."""
    texts: dict[int, str] = {}  # grants of many tables share their condition

    def text(condition: Condition) -> str:
        if id(condition) not in texts:
            texts[id(condition)] = _EVERY_ROW if condition.predicate is None else render(condition.predicate)
        return texts[id(condition)]

    for each in entitlement.tables:
        restrictions = {text(restraint.condition): restraint.condition for restraint in each.restraints if restraint.condition}
        filters = [text(grant.condition) for grant in each.grants]
        # Where a restriction is a grant's filter, too, that grant shows every row that is left.
        granted = [
            _Granted(grant, _EVERY_ROW if filter_ in restrictions else filter_) for grant, filter_ in zip(each.grants, filters, strict=True)
        ]
        shape = _table_shape(each.table, views[each.table.id], granted, each.restraints)
        # Sorting by text forgets the order of the policies, so that it does not tell one shape from another.
        left = sorted(restrictions)
        if both := restrictions.keys() & filters:  # said once, as a filter: what such a guardrail does not narrow stays the same shape
            left.remove(min(both))
            shape = replace(shape, rows=(restrictions[min(both)],))
        yield replace(shape, restrictions=tuple((restrictions[each],) for each in left))


def _table_shape(table: Table, view: str, granted: Sequence[_Granted], restraints: Sequence[Restraint]) -> TableShape:
    conditions = {each.text: each.grant.condition for each in granted} | {_EVERY_ROW: Condition((), None)}
    texts = {each.text for each in granted}
    shown = [_EVERY_ROW] if _EVERY_ROW in texts else sorted(texts)
    masks_of = [dict(each.grant.masks) for each in granted]
    denied: frozenset[str] = frozenset().union(*(each.denied_columns for each in restraints))
    floors = strongest_floors(restraints)
    cells: dict[tuple[Mask | None, ...], tuple[Cell, ...]] = {}
    columns = []
    for column in table.columns:
        if column.name in denied:
            continue
        floor = floors.get(column.name)
        masks = tuple(_above(floor, mask_of.get(column.name)) for mask_of in masks_of)
        if masks not in cells:
            offers = [
                _Offer(rank(mask), each.grant.policy, each.text, mask)
                for each, mask in zip(granted, masks, strict=True)
                if mask is not None
            ]
            cells[masks] = _cells(offers, conditions, frozenset(shown))
        if cells[masks]:
            columns.append(ColumnShape(column.name, column.family, column.native_type, cells[masks]))
    return TableShape(table.id, view, tuple(conditions[text] for text in shown), tuple(columns))


def _above(floor: Mask | None, mask: Mask | None) -> Mask | None:
    """`mask`, where nothing weaker than `floor` may be shown. Of two that are as weak the floor holds."""
    return mask if mask is None or floor is None or rank(mask) > rank(floor) else floor


class _Offer(NamedTuple):
    """What one grant would show of a column, in rows of the condition with this text; the smallest offer that holds decides."""

    rank: int
    policy: ObjectName
    condition: str
    mask: Mask


def _cells(offers: Iterable[_Offer], conditions: Mapping[str, Condition], rows: frozenset[str]) -> tuple[Cell, ...]:
    """The cells of a column, or () where nothing is offered: the column is not granted."""
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
    if not groups:
        return ()
    if groups[-1][0] == Nullify():  # what nothing shows is NULL anyway
        seen.difference_update(groups.pop()[1])
    if not groups:
        return (Cell((), Nullify()),)
    cells = [Cell(tuple(conditions[text] for text in sorted(texts)), mask) for mask, texts in groups]
    if _EVERY_ROW in seen or seen >= rows:  # every row that is left belongs to the last cell
        cells[-1] = Cell((), cells[-1].mask)
    return tuple(cells)
