"""From entitlement to what a driver builds: a Profile (a shape, shared by every vend that has it) and a Lease (values and a clock)."""

import enum
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from itertools import chain, count
from typing import Any, Final

from rolevend.catalog import FunctionId, TableId, Tool
from rolevend.model import AgentHandle, Attributes, ClusterId, ObjectName, ProfileName, RoleName, Task, Uid, User
from rolevend.policy.decision import Entitlement
from rolevend.policy.expression import Condition as Condition
from rolevend.policy.lowering import lowered
from rolevend.policy.shape import Cell as Cell
from rolevend.policy.shape import ColumnShape as ColumnShape
from rolevend.policy.shape import TableShape as TableShape

MAXIMUM_NAME_BYTES: Final = 63
_FORM_VERSION: Final = "rolevend profile 5"


@dataclass(frozen=True, slots=True)
class Profile:
    """Content-addressed: the same tables, filters, masks, functions and tools on the same cluster always have the same name."""

    name: ProfileName
    tables: tuple[TableShape, ...]
    functions: tuple[FunctionId, ...] = ()
    """What the agent may call, sorted."""
    tools: tuple[Tool, ...] = ()
    """What else it has whoever it acts for, in the order of ids. Every table behind one of them is among `tables`."""


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
    task: Task | None = None
    """What the agent works on, for the platform's own logs."""
    agent_user: str | None = None
    """The agent's own user on the platform, which is granted the role; None: the role has a login of its own."""


def plan(entitlement: Entitlement, cluster: ClusterId, functions: tuple[FunctionId, ...] = (), tools: tuple[Tool, ...] = ()) -> Profile:
    """The shape of `entitlement`: names of policies and guardrails are gone, equal filters and masks are one, and what is left is in
    one order. With the functions that the agent has, sorted; and of `tools`, in the order of ids, those that are no way around it."""
    tables = tuple(lowered(entitlement, view_names(each.table.id for each in entitlement.tables)))
    shapes = {shape.table: shape for shape in tables}
    given = tuple(tool for tool in tools if not withheld(tool, shapes))
    return Profile(_profile_name(tables, functions, given, cluster), tables, functions, given)


def withheld(tool: Tool, shapes: Mapping[TableId, TableShape]) -> str:
    """Why a role with these tables does not have the tool; empty where it has: every table behind it is granted, and nothing that it
    copies is hidden in any row."""
    for table in tool.tables:
        if table not in shapes:
            return f"reads {table}, which is not granted"
    for table, column in tool.copies:
        if not _shows_all(shapes[table], column):
            return f"shows {table}.{column} to everybody alike, and it is not granted in every row and in clear"
    return ""


def _shows_all(shape: TableShape, column: str) -> bool:
    every_row = not shape.restrictions and any(each.predicate is None and not each.needs for each in shape.rows)
    return every_row and any(each.name == column and each.is_clear for each in shape.columns)


def attribute_keys(profile: Profile) -> tuple[str, ...]:
    """The user attributes that a lease of `profile` must carry, sorted."""
    conditions = {id(each): each for table in profile.tables for each in _conditions(table)}
    return tuple(sorted({key for condition in conditions.values() for key in condition.needs}))


def contains(new: Profile, old: Profile) -> bool:
    """Whether everything of `old` is in `new`, unchanged: each table's rows and the name it is found under, and each column with
    its type and masks, each function, and each tool. `new` may have more of all of these, and fewer restrictions."""
    shapes = {shape.table: shape for shape in new.tables}
    has_tools = set(old.functions) <= set(new.functions) and set(old.tools) <= set(new.tools)
    return has_tools and all(shape.table in shapes and _carries(shapes[shape.table], shape) for shape in old.tables)


def _carries(new: TableShape, old: TableShape) -> bool:
    rows = new.rows == old.rows and set(new.restrictions) <= set(old.restrictions)
    shown = {*new.columns, *(replace(column, lookup=False) for column in new.columns)}
    return rows and new.view == old.view and set(old.columns) <= shown


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


def _conditions(table: TableShape) -> Iterator[Condition]:
    yield from table.rows
    yield from chain.from_iterable(table.restrictions)
    for column in table.columns:
        for cell in column.cells:
            yield from cell.conditions
            yield from cell.also


def _profile_name(
    tables: tuple[TableShape, ...], functions: tuple[FunctionId, ...], tools: tuple[Tool, ...], cluster: ClusterId
) -> ProfileName:
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

    forms_of_tools = [form(each) for each in (functions, tools) if each]  # a profile without any has the name that it always had
    text = json.dumps([_FORM_VERSION, cluster, form(tables), *forms_of_tools], separators=(",", ":"))
    return ProfileName(f"rv_p_{sha256(text.encode()).hexdigest()[:32]}")
