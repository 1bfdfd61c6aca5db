"""The evidence of a decision: what it read, and the access that it gives, as audit events state them. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import assert_never

from rolevend.audit.json_size import Rendered, within
from rolevend.decision.approval import ActiveApproval
from rolevend.decision.outcome import Request
from rolevend.decision.proof import Proof
from rolevend.decision.snapshot import Snapshot
from rolevend.model import Uid, Version
from rolevend.plan import Cell, ColumnShape, TableShape
from rolevend.policy.decision import concerning, covering, granting_to_agent
from rolevend.policy.expression import Condition, render
from rolevend.policy.mask import Clear, Constant, DateTrunc, Hash, Mask, Nullify, Partial, Regex, Round
from rolevend.policy.request_context import Combination
from rolevend.policy.requirement import facts_of

_MAX_TABLE_BYTES = 28 * 1024
"""For the tables of one event."""


@dataclass(frozen=True, slots=True)
class AttributeRead:
    key: str
    values: tuple[str, ...]
    source: str | None = None
    """The claim of the user's token that it is from: `claim groups`. Left out if it is from UserAttributes or the DataPlatform."""


@dataclass(frozen=True, slots=True)
class ObjectRead:
    kind: str
    name: str
    """`namespace/name`; of a cluster-scoped object its name."""
    uid: Uid
    generation: int


@dataclass(frozen=True, slots=True)
class ColumnAccess:
    name: str
    shows: str
    """A mask such as `Nullify` or `Partial(4)`; if it depends on the row, `Clear where … else Hash`."""


@dataclass(frozen=True)
class TableAccess(Rendered):
    table: str
    rows: tuple[str, ...]
    """Row filters: a row is visible if one of them is true. Empty: every row."""
    clear: tuple[str, ...]
    """Columns without a mask in any visible row."""
    masked: tuple[ColumnAccess, ...]
    """The other columns."""
    restrictions: tuple[str, ...] = ()
    """A row is visible only if all of these are true as well: the restrictions of guardrails, and with the combination Intersection the
    row filters of the agent's own grants that `rows` does not contain."""
    lookups: tuple[str, ...] = ()
    """Columns whose values in hidden rows the agent can find out, because conditions on them may use an index."""
    view: str | None = None
    """The name by which the role finds the table, unless it is the table's own."""


@dataclass(frozen=True, slots=True)
class AccessSummary:
    """The tables of a role, as many as fit into an event."""

    tables: tuple[TableAccess, ...]
    left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Inputs of a decision."""

    attributes: tuple[AttributeRead, ...]
    """Attributes of the user that the decision read: those that the Agent, a policy or a guardrail of the platform refers to."""
    agent_attributes: tuple[AttributeRead, ...] | None
    """Attributes of the agent on this DataPlatform that the decision read: those that a policy of the platform refers to."""
    combination: str | None
    """How the user's grants and the agent's own grants were combined: `Union`, `UserCeiling` or `Intersection`."""
    attributes_left_out: tuple[str, ...] | None = None
    """Keys of further attributes of the user that were read and whose values do not fit."""
    keys_left_out: int | None = None
    """How many more there are whose keys do not fit either."""
    agent_attributes_left_out: tuple[str, ...] | None = None
    """Keys of further attributes of the agent that were read and whose values do not fit."""
    agent_keys_left_out: int | None = None
    """How many more there are whose keys do not fit either."""
    objects: tuple[ObjectRead, ...]
    """The versions of the objects that the decision read: DataPlatform, Agent, UserAttributes, the policies that cover the user or, unless
    the combination is UserCeiling, grant to the agent, the offer of an approval, the Guardrails that concern the user, and the TagBindings
    of the platform."""
    objects_left_out: int | None = None
    """How many more objects there are."""
    policy_digest: str | None
    """Digest of the versions of all AccessPolicies, Guardrails and TagBindings of the platform, also of those that are not in `objects`."""
    catalog_digest: str | None
    """Digest of the tables and columns that were read from the platform."""


def access_summary(tables: Sequence[TableShape]) -> AccessSummary:
    shown, _ = within(_MAX_TABLE_BYTES, map(_table, tables))
    return AccessSummary(shown, len(tables) - len(shown))


def tables_of(tables: Iterable[TableShape]) -> tuple[TableAccess, ...]:
    """All tables, without a limit of size."""
    return tuple(map(_table, tables))


def evidence(snapshot: Snapshot, request: Request) -> Evidence:
    """Return the inputs of the decision on `request`, without a size limit."""
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
            if isinstance(request.approval, ActiveApproval):
                read.append(sources.policies.get(request.approval.asked.offer))
            read += [sources.guardrails.get(guardrail.name) for _, guardrail in concerning(facts, shapes.index)]
            read += sources.bindings
    return Evidence(
        attributes=tuple(AttributeRead(key, values, person.sources.get(key)) for key, values in known.only(asked)),
        agent_attributes=tuple(AttributeRead(key, values) for key, values in asking.agent_attributes.only(of_agent)) or None,
        combination=asking.combination.value if agent else None,
        objects=tuple(ObjectRead(each.kind, each.name, each.uid, each.generation) for each in read if each is not None),
        policy_digest=sources.policy_digest if sources else None,
        catalog_digest=sources.catalog if sources else None,
    )


def _table(shape: TableShape) -> TableAccess:
    every_row = any(condition.predicate is None for condition in shape.rows)
    clear = tuple(column.name for column in shape.columns if column.cells == _CLEAR)
    masked = tuple(ColumnAccess(column.name, _shows(column)) for column in shape.columns if column.cells != _CLEAR)
    rows = () if every_row else tuple(map(_filter, shape.rows))
    restrictions = tuple(" OR ".join(map(_filter, each)) for each in shape.restrictions)
    lookups = tuple(column.name for column in shape.columns if column.lookup)
    view = None if shape.view == shape.table.name else shape.view
    return TableAccess(str(shape.table), rows, clear, masked, restrictions, lookups, view)


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
