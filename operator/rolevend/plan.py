"""From entitlement to what a driver builds: a Profile (a shape, shared by every vend that has it) and a Lease (values and a clock)."""

import enum
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import count
from typing import Any, Final, NamedTuple

from rolevend.catalog import Family, Table, TableId
from rolevend.model import AgentHandle, Attributes, ClusterId, ObjectName, ProfileName, RoleName, Uid, User
from rolevend.policy.decision import Entitlement
from rolevend.policy.expression import Condition as Condition
from rolevend.policy.expression import render
from rolevend.policy.index import Grant
from rolevend.policy.mask import Mask, Nullify, rank

MAXIMUM_NAME_BYTES: Final = 63
_EVERY_ROW: Final = ""
"""The text of a condition without a predicate; no predicate renders to it."""
_FORM_VERSION: Final = "rolevend profile 1"


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
    """A row is visible if one of `rows` holds. Never empty; a condition without a predicate shows every row."""

    table: TableId
    view: str
    """The name under which the agent finds it, unique in the profile."""
    rows: tuple[Condition, ...]
    columns: tuple[ColumnShape, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """Content-addressed: the same tables, filters and masks on the same cluster always have the same name."""

    name: ProfileName
    tables: tuple[TableShape, ...]


@dataclass(frozen=True, slots=True)
class RoleLimits:
    """What one vended role may use of a platform, so that it holds up nobody else there."""

    connections: int = 8
    transaction_seconds: int = 300
    """The age of a transaction, and so of a statement; without BEGIN each statement is a transaction."""
    idle_transaction_seconds: int = 60
    temp_file_mebibytes: int = 1024
    """On disk, for each of its sessions at one time."""
    idle_seconds: int | None = None
    """A role whose sessions did nothing for so long counts as given back; None: never."""

    @classmethod
    def widest(cls, given: Sequence["RoleLimits"]) -> "RoleLimits":
        """Each limit as the most generous of `given` has it. At least one must be given."""
        idle = [each.idle_seconds for each in given if each.idle_seconds is not None]
        return cls(
            max(each.connections for each in given),
            max(each.transaction_seconds for each in given),
            max(each.idle_transaction_seconds for each in given),
            max(each.temp_file_mebibytes for each in given),
            max(idle) if len(idle) == len(given) else None,
        )


@dataclass(frozen=True, slots=True)
class Lease:
    """One vended role's values and clock."""

    role: RoleName
    cluster: ClusterId
    uid: Uid
    profile: ProfileName
    agent: ObjectName
    agent_handle: AgentHandle
    user: User
    attributes: Attributes
    """Only those that the profile's conditions read."""
    expires_at: datetime
    """Aware, UTC; counted from the object's creation, so that a retry does not move it."""
    limits: RoleLimits = RoleLimits()
    """Those of the first vend count: a retry does not move them, either."""
    resources: tuple[TableId, ...] | None = None
    """The only tables of the profile that the role reads, sorted; None: all of them."""


def plan(entitlement: Entitlement, cluster: ClusterId) -> Profile:
    """The shape of `entitlement`: policies' names are gone, equal filters and masks are one, and what is left is in one order.

    A row is visible if one grant shows it. A cell shows the weakest mask among the grants that show the row and include the
    column (equal rank: the grant of the policy whose id is smallest), and NULL where there is none.
    """
    views = view_names(each.table.id for each in entitlement.tables)
    tables = tuple(_lowered(entitlement, views))
    return Profile(_profile_name(tables, cluster), tables)


def attribute_keys(profile: Profile) -> tuple[str, ...]:
    """The user attributes that a lease of `profile` must carry, sorted."""
    conditions = {id(each): each for table in profile.tables for each in _conditions(table)}
    return tuple(sorted({key for condition in conditions.values() for key in condition.needs}))


def contains(new: Profile, old: Profile) -> bool:
    """Whether everything of `old` is in `new`, unchanged: each table's rows and the name it is found under, and each column with
    its type and masks. `new` may have more tables and more columns."""
    shapes = {shape.table: shape for shape in new.tables}
    return all(shape.table in shapes and _carries(shapes[shape.table], shape) for shape in old.tables)


def _carries(new: TableShape, old: TableShape) -> bool:
    return new.rows == old.rows and new.view == old.view and set(old.columns) <= set(new.columns)


def view_names(tables: Iterable[TableId]) -> Mapping[TableId, str]:
    """A name for each table, unique among them and at most 63 bytes: its own; `<schema>__<table>` where two schemas have
    one of that name; with part of a hash at the end where that is too long or taken."""
    ids = sorted(set(tables))
    bare = Counter(table.name for table in ids)
    wished = {table: table.name if bare[table.name] == 1 else f"{table.schema}__{table.name}" for table in ids}
    wishes = Counter(wished.values())
    names = {table: wish for table, wish in wished.items() if wishes[wish] == 1 and len(wish.encode()) <= MAXIMUM_NAME_BYTES}
    taken = set(names.values())
    for table in ids:
        if table not in names:
            names[table] = next(name for name in _hashed_names(table, wished[table]) if name not in taken)
            taken.add(names[table])
    return names


def _hashed_names(table: TableId, wish: str) -> Iterator[str]:
    for attempt in count():
        digest = sha256(json.dumps([table.schema, table.name, attempt]).encode()).hexdigest()[:8]
        # Cut in bytes, but never within a character.
        yield wish.encode()[: MAXIMUM_NAME_BYTES - 9].decode(errors="ignore") + "_" + digest


@dataclass(frozen=True, slots=True)
class _Granted:
    """One grant, and the text of its condition. Within a table equal texts are equal conditions: both are bound to it."""

    grant: Grant
    text: str


def _lowered(entitlement: Entitlement, views: Mapping[TableId, str]) -> Iterator[TableShape]:
    texts: dict[int, str] = {}  # grants of many tables share their condition

    def text(condition: Condition) -> str:
        if id(condition) not in texts:
            texts[id(condition)] = _EVERY_ROW if condition.predicate is None else render(condition.predicate)
        return texts[id(condition)]

    for each in entitlement.tables:
        granted = [_Granted(grant, text(grant.condition)) for grant in each.grants]
        yield _table_shape(each.table, views[each.table.id], granted)


def _table_shape(table: Table, view: str, granted: Sequence[_Granted]) -> TableShape:
    # Sorting by text forgets the order of the policies, so that it does not tell one shape from another.
    conditions = {each.text: each.grant.condition for each in granted}
    shown = [_EVERY_ROW] if _EVERY_ROW in conditions else sorted(conditions)
    masks_of = [dict(each.grant.masks) for each in granted]
    cells: dict[tuple[Mask | None, ...], tuple[Cell, ...]] = {}
    columns = []
    for column in table.columns:
        masks = tuple(mask_of.get(column.name) for mask_of in masks_of)
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


def _conditions(table: TableShape) -> Iterator[Condition]:
    yield from table.rows
    for column in table.columns:
        for cell in column.cells:
            yield from cell.conditions


def _profile_name(tables: tuple[TableShape, ...], cluster: ClusterId) -> ProfileName:
    forms: dict[int, Any] = {}

    def form(value: Any) -> Any:
        # Whole values, not chosen fields: a field that is added later cannot be forgotten here. Shared parts are formed once.
        if isinstance(value, str | int | None):
            return value
        if id(value) not in forms:
            match value:
                case enum.Enum():
                    forms[id(value)] = value.value
                case tuple():
                    forms[id(value)] = [form(part) for part in value]
                case _:
                    forms[id(value)] = [type(value).__name__, *(form(getattr(value, name)) for name in value.__slots__)]
        return forms[id(value)]

    text = json.dumps([_FORM_VERSION, cluster, form(tables)], separators=(",", ":"))
    return ProfileName(f"rv_p_{sha256(text.encode()).hexdigest()[:32]}")
