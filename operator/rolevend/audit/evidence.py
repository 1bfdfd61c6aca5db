"""What a decision read and what it gave, in the words of an audit event. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from rolevend.audit.json_size import within
from rolevend.decision.outcome import Request
from rolevend.decision.proof import Proof
from rolevend.decision.snapshot import Snapshot
from rolevend.model import Uid, Version
from rolevend.plan import Cell, ColumnShape, TableShape
from rolevend.policy.combination import Combination
from rolevend.policy.decision import concerning, covering, granting_to_agent
from rolevend.policy.expression import Condition, render
from rolevend.policy.mask import Clear, Constant, DateTrunc, Hash, Mask, Nullify, Partial, Regex, Round
from rolevend.policy.requirement import facts_of

_MOST_TABLE_BYTES = 28 * 1024
"""Of an event."""


@dataclass(frozen=True, slots=True)
class AttributeRead:
    key: str
    values: tuple[str, ...]
    source: str | None = None
    """Where in the user's token it is from: `claim groups`. Left out: UserAttributes, or the DataPlatform, say it."""


@dataclass(frozen=True, slots=True)
class ObjectRead:
    kind: str
    name: str
    """`namespace/name`, or the name alone."""
    uid: Uid
    generation: int


@dataclass(frozen=True, slots=True)
class ColumnAccess:
    name: str
    shows: str
    """A mask such as `Nullify` or `Partial(4)`; several, for rows of different policies, as `Clear where … else Hash`."""


@dataclass(frozen=True, slots=True)
class TableAccess:
    table: str
    rows: tuple[str, ...]
    """Row filters: a row is shown if one of them holds. Empty: every row."""
    clear: tuple[str, ...]
    """Columns that are shown as they are, in every row that is shown."""
    masked: tuple[ColumnAccess, ...]
    """The other columns."""
    restrictions: tuple[str, ...] = ()
    """A row is shown only if all of these hold, too: the restrictions of guardrails, and of the combination Intersection what the agent
    itself is granted, where `rows` does not say it."""
    lookups: tuple[str, ...] = ()
    """Columns whose values in hidden rows the agent can find out, since conditions on them may use an index."""


@dataclass(frozen=True, slots=True)
class AccessSummary:
    """What a role is given, as far as there is room to tell."""

    tables: tuple[TableAccess, ...]
    left_out: int
    bytes: int
    """Of an event, for those that are told."""


def access_summary(tables: Sequence[TableShape]) -> AccessSummary:
    told, taken = within(_MOST_TABLE_BYTES, map(_table, tables))
    return AccessSummary(told, len(tables) - len(told), taken)


def tables_of(tables: Iterable[TableShape]) -> tuple[TableAccess, ...]:
    """All of them, to the end."""
    return tuple(map(_table, tables))


def evidence(snapshot: Snapshot, request: Request) -> dict[str, Any]:
    """Fields of `audit.Body`: what the verdict on `request` was made of, however much that is."""
    sources = snapshot.sources.get(request.platform)
    agent = snapshot.agents.get(request.agent)
    person = snapshot.person(request)
    shapes = snapshot.shapes.get(request.platform)
    known = person.attributes
    asking = snapshot.asking(request)
    facts, of_itself = facts_of(known), facts_of(asking.agent_attributes)
    asked = {requirement.key for requirement in agent.users} if agent else set()
    of_agent: set[str] = set()
    read: list[Version | None] = [
        sources.platform if sources else None,
        agent.version if agent else None,
        person.version,
        snapshot.issuers.get(request.user.issuer) if isinstance(request.proof, Proof) else None,
    ]
    if shapes is not None:
        asked |= shapes.reads
        of_agent |= shapes.agent_reads
        if sources is not None:
            read += [sources.policies.get(policy.id) for _, policy in covering(facts, shapes.index)]
            if asking.combination is not Combination.USER_CEILING:
                read += [sources.policies.get(policy.id) for _, policy in granting_to_agent(of_itself, shapes.index)]
            read += [sources.guardrails.get(guardrail.name) for _, guardrail in concerning(facts, shapes.index)]
            read += sources.bindings
    return {
        "attributes": tuple(AttributeRead(key, values, person.sources.get(key)) for key, values in known.only(asked)),
        "agent_attributes": tuple(AttributeRead(key, values) for key, values in asking.agent_attributes.only(of_agent)) or None,
        "combination": asking.combination.value if agent else None,
        "objects": tuple(ObjectRead(each.kind, each.name, each.uid, each.generation) for each in read if each is not None),
        "policy_digest": sources.policy_digest if sources else None,
        "catalog_digest": sources.catalog if sources else None,
    }


def _table(shape: TableShape) -> TableAccess:
    every_row = any(condition.predicate is None for condition in shape.rows)
    clear = tuple(column.name for column in shape.columns if column.cells == _CLEAR)
    masked = tuple(ColumnAccess(column.name, _shows(column)) for column in shape.columns if column.cells != _CLEAR)
    rows = () if every_row else tuple(map(_filter, shape.rows))
    restrictions = tuple(" OR ".join(map(_filter, each)) for each in shape.restrictions)
    lookups = tuple(column.name for column in shape.columns if column.lookup)
    return TableAccess(str(shape.table), rows, clear, masked, restrictions, lookups)


_CLEAR = (Cell((), Clear()),)


def _shows(column: ColumnShape) -> str:
    cells = [_cell(cell) for cell in column.cells]
    return " else ".join(cells if not column.cells[-1].conditions else [*cells, "Nullify"])


def _cell(cell: Cell) -> str:
    where = _any(cell.conditions) if not cell.also else f"({_any(cell.conditions)}) and ({_any(cell.also)})"
    return f"{mask_shown(cell.mask)} where {where}" if where else mask_shown(cell.mask)


def _any(conditions: Iterable[Condition]) -> str:
    return " or ".join(f"({_filter(condition)})" for condition in conditions)


def _filter(condition: Condition) -> str:
    return "true" if condition.predicate is None else render(condition.predicate)


def mask_shown(mask: Mask) -> str:
    match mask:
        case Clear() | Hash() | Nullify():
            return type(mask).__name__
        case Partial(keep_last):
            return f"Partial({keep_last})"
        case Round(step):
            return f"Round({step})"
        case DateTrunc(unit):
            return f"DateTrunc({unit.value})"
        case Regex(pattern, replacement):
            return f"Regex({pattern!r}, {replacement!r})"
        case Constant(value):
            return f"Constant({value!r})"
        case _:
            assert_never(mask)
