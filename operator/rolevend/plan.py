"""Convert an entitlement to a Profile (shared by all vends with the same access) and a Lease (values and expiry of one role)."""

import enum
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from itertools import chain, count, islice
from typing import Any, Final, NamedTuple

from rolevend.catalog import FunctionId, Table, TableId, Tool
from rolevend.model import AgentHandle, Attributes, ClusterId, ObjectName, ProfileName, RoleName, Task, Uid, User
from rolevend.policy.decision import Entitlement
from rolevend.policy.expression import Condition as Condition
from rolevend.policy.lowering import lowered
from rolevend.policy.table_policy import Cell as Cell
from rolevend.policy.table_policy import ColumnShape as ColumnShape
from rolevend.policy.table_policy import TableShape as TableShape

MAXIMUM_NAME_BYTES: Final = 63
_SEPARATOR: Final = "__"
_LIKE_A_HASH: Final = re.compile("(?:^|_)[0-9a-f]{8}$")
_FORM_VERSION: Final = "rolevend profile 5"


class TableNames(enum.Enum):
    """How the views of a role are named after their tables."""

    SHORT = "Short"
    """By the table's name, with its schema only where tables of two schemas share a name."""
    QUALIFIED = "Qualified"
    """Always with the schema, so that no other table of a role changes the name of a view."""


class ViewComment(NamedTuple):
    """The owner's comment on a table or column, for the view that shows it."""

    view: str
    column: str | None
    """None: the comment is on the table."""
    text: str


@dataclass(frozen=True, slots=True)
class Profile:
    """Content-addressed: the same tables, filters, masks, functions and tools on the same cluster always have the same name."""

    name: ProfileName
    tables: tuple[TableShape, ...]
    functions: tuple[FunctionId, ...] = ()
    """The functions that the agent may call, sorted."""
    tools: tuple[Tool, ...] = ()
    """The other tools, for every user, in the order of ids. `tables` has every table that they read."""
    comments: tuple[ViewComment, ...] = field(default=(), compare=False)
    """On tables and columns that the profile shows, in the order of `tables`. Not part of the name: no role ends with a comment."""


@dataclass(frozen=True, slots=True)
class RoleLimits:
    """The resource limits of one vended role, which protect other users of the platform."""

    connections: int = 16
    transaction_seconds: int = 300
    """Maximum age of a transaction, and so of a statement; without BEGIN each statement is a transaction."""
    idle_transaction_seconds: int = 60
    temp_file_mebibytes: int = 1024
    """On disk, for each of its sessions at one time."""
    idle_seconds: int | None = None
    """Seconds without use after which a role is released; None: never."""

    @classmethod
    def widest(cls, given: Sequence["RoleLimits"]) -> "RoleLimits":
        """Return the most generous value of each limit in `given`, which has at least one item."""
        idle = [each.idle_seconds for each in given if each.idle_seconds is not None]
        return cls(
            max(each.connections for each in given),
            max(each.transaction_seconds for each in given),
            max(each.idle_transaction_seconds for each in given),
            max(each.temp_file_mebibytes for each in given),
            max(idle) if len(idle) == len(given) else None,
        )


@dataclass(frozen=True, slots=True)
class TokenUse:
    """The use of a user's token, which proves one role alone."""

    digest: str
    """SHA-256 in hex of the issuer and the token's id. It reveals nothing of the token."""
    expires_at: datetime
    """When the record of its use may be deleted: after the token's expiry."""


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """The record of a role that the API vends. The database keeps it in the transaction that creates the role, instead of an object in
    Kubernetes."""

    name: ObjectName
    """The agent's namespace, and the id of the role at the API."""
    body: str
    """The VendedRole as JSON, without the fields that the API server sets."""
    call: str
    """Digest of the call's body: the same key with another body is a conflict."""
    seal: str
    """See `roles.seal`: without the key, nobody can write a valid one."""
    token: TokenUse | None = None
    """None: the agent asserts the user, or the token was redeemed before."""
    most_live: int | None = None
    """Maximum number of live roles of the agent with a record in this database; None: no limit. Not kept."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The values and the expiry of one vended role."""

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
    """The limits of the first vend. A retry does not change them."""
    resources: tuple[TableId, ...] | None = None
    """The only tables of the profile that the role reads, sorted; None: all of them."""
    task: Task | None = None
    """The agent's task, for the platform's own logs."""
    agent_user: str | None = None
    """The agent's own user on the platform, which is granted the role; None: the role has its own login."""
    record: LeaseRecord | None = field(default=None, compare=False)
    """Only for a platform that keeps records; None: an object in Kubernetes is the record."""


def plan(
    entitlement: Entitlement,
    cluster: ClusterId,
    functions: tuple[FunctionId, ...] = (),
    tools: tuple[Tool, ...] = (),
    table_names: TableNames = TableNames.SHORT,
) -> Profile:
    """Return the profile of `entitlement`, in canonical form: without the names of policies and guardrails, without duplicates, sorted.
    `functions` are sorted; of `tools`, in the order of ids, those that cannot bypass policies are included."""
    tables = tuple(lowered(entitlement, view_names((each.table.id for each in entitlement.tables), table_names)))
    shapes = {shape.table: shape for shape in tables}
    given = tuple(tool for tool in tools if not withheld(tool, shapes))
    comments = tuple(chain.from_iterable(_comments(shapes[each.table.id], each.table) for each in entitlement.tables))
    return Profile(_profile_name(tables, functions, given, cluster), tables, functions, given, comments)


def _comments(shape: TableShape, table: Table) -> Iterator[ViewComment]:
    if table.comment:
        yield ViewComment(shape.view, None, table.comment)
    shown = {each.name for each in shape.columns}
    yield from (ViewComment(shape.view, each.name, each.comment) for each in table.columns if each.comment and each.name in shown)


def withheld(tool: Tool, shapes: Mapping[TableId, TableShape]) -> str:
    """Return the reason why a role with these tables does not have the tool, or empty: a table that it reads is not granted, or a value
    that it copies is hidden in some row."""
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
    """Return the user attributes that a lease of `profile` must carry, sorted."""
    conditions = {id(each): each for table in profile.tables for each in _conditions(table)}
    return tuple(sorted({key for condition in conditions.values() for key in condition.needs}))


def keys_of(table: TableShape) -> frozenset[str]:
    """Return the user attributes whose values decide which rows and cells of the table are visible."""
    return frozenset(key for condition in _conditions(table) for key in condition.needs)


def contains(new: Profile, old: Profile) -> bool:
    """True if `new` has all tables, columns, rows, masks, functions and tools of `old`, unchanged. `new` may have more, and fewer
    restrictions."""
    shapes = {shape.table: shape for shape in new.tables}
    has_tools = set(old.functions) <= set(new.functions) and set(old.tools) <= set(new.tools)
    return has_tools and all(shape.table in shapes and _carries(shapes[shape.table], shape) for shape in old.tables)


def _carries(new: TableShape, old: TableShape) -> bool:
    rows = new.rows == old.rows and set(new.restrictions) <= set(old.restrictions)
    shown = {*new.columns, *(replace(column, lookup=False) for column in new.columns)}
    return rows and new.view == old.view and set(old.columns) <= shown


def view_names(tables: Iterable[TableId], style: TableNames = TableNames.SHORT) -> Mapping[TableId, str]:
    """Return a unique name for each table, at most 63 bytes: its own, or `<schema>__<table>` if two schemas share one or the style says
    so. A name that is too long or taken ends with a part of a hash.

    If two tables want a name, neither has it. So a name that further tables take away from a table never means another one: a stored
    query then fails, and who creates a table cannot put it in the place of another. Names that a table has had while others were there,
    with its schema or a hash, stay its own.
    """
    ids = sorted(set(tables))
    wanted = {table: _names_for(table, style) for table in ids}
    names = {table: next(candidates) for table, candidates in wanted.items()}
    contested = _of_several(ids) if style is TableNames.SHORT else set()  # the others can have one table alone
    while True:
        contested |= {name for name, count in Counter(names.values()).items() if count > 1}
        losers = [table for table, name in names.items() if name in contested]
        if not losers:
            return names
        names |= {table: next(wanted[table]) for table in losers}


def _of_several(ids: Sequence[TableId]) -> set[str]:
    """Return the names that several tables have or might have: their own, with their schema, and with the first hash."""
    first = 3 if any(_LIKE_A_HASH.search(table.name) for table in ids) else 2  # hashes take time, and equal no other names
    names = Counter(chain.from_iterable(islice(_names_for(table, TableNames.SHORT), first) for table in ids))
    return {name for name, count in names.items() if count > 1}


def _names_for(table: TableId, style: TableNames) -> Iterator[str]:
    """Yield the names for a table, the best first. They depend on no other table."""
    name, qualified = table.name, f"{table.schema}{_SEPARATOR}{table.name}"
    if style is TableNames.QUALIFIED:
        # No other table has this name, whose first separator ends the schema; and names with a hash have no separator.
        is_ambiguous = _SEPARATOR in table.schema or table.schema.endswith("_")
        if not is_ambiguous and len(qualified.encode()) <= MAXIMUM_NAME_BYTES:
            yield qualified
        name = re.sub("_+", "_", qualified)
    elif len(name.encode()) <= MAXIMUM_NAME_BYTES:
        yield name
        if len(qualified.encode()) <= MAXIMUM_NAME_BYTES:
            yield qualified
        name = qualified
    for attempt in count():
        digest = sha256(json.dumps([table.schema, table.name, attempt]).encode()).hexdigest()[:8]
        # Cut in bytes, but never within a character.
        yield name.encode()[: MAXIMUM_NAME_BYTES - 9].decode(errors="ignore").rstrip("_") + "_" + digest


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
        # Convert whole values, so that no new field is forgotten. Shared parts are converted once.
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

    forms_of_tools = [form(each) for each in (functions, tools) if each]  # without tools the name must stay as it was before tools existed
    text = json.dumps([_FORM_VERSION, cluster, form(tables), *forms_of_tools], separators=(",", ":"))
    return ProfileName(f"rv_p_{sha256(text.encode()).hexdigest()[:32]}")
