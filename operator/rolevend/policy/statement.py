"""Policies and guardrails as parsed values. All kinds of selectors must match; within one list of names any match is enough."""

from dataclasses import dataclass

from rolevend.catalog import TableId
from rolevend.model import ObjectName
from rolevend.policy.combination import GrantTarget
from rolevend.policy.condition import MatchCondition
from rolevend.policy.expression import Predicate
from rolevend.policy.mask import Mask
from rolevend.policy.requirement import Requirement as Requirement


@dataclass(frozen=True, slots=True)
class TableSelector:
    """Tables that meet every requirement on tags *and*, if there are names, match one of them. Never both empty."""

    tags: tuple[Requirement, ...] = ()
    names: tuple[TableId, ...] = ()
    """Patterns in which `*` matches any run of characters."""


@dataclass(frozen=True, slots=True)
class ColumnSelector:
    """Like TableSelector, for the columns of one table."""

    tags: tuple[Requirement, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MaskRule:
    name: str
    columns: ColumnSelector
    mask: Mask


@dataclass(frozen=True, slots=True)
class Policy:
    """One AccessPolicy on one platform. If two mask rules match a column, it shows no more than either."""

    id: ObjectName
    schemas: frozenset[str]
    """The schemas that the DataPlatform assigns to the policy's namespace: the policy's scope."""
    users: tuple[Requirement, ...]
    """Tests of the user's attributes; without these and without `conditions` it covers no user."""
    tables: TableSelector
    columns: ColumnSelector
    row_filter: Predicate | None
    """Not yet bound to a table; None: every row."""
    masks: tuple[MaskRule, ...] = ()
    agents: tuple[Requirement, ...] = ()
    """Tests of the agent's attributes; (): any agent."""
    conditions: tuple[MatchCondition, ...] = ()
    """All must hold."""
    grants_to: GrantTarget = GrantTarget.USERS
    """AGENTS: it grants to the agents that `agents` and `conditions` select; without either, to none."""
    agent: ObjectName | None = None
    """The agent whose own tables these are; no other agent gets them. None: an AccessPolicy."""


@dataclass(frozen=True, slots=True)
class Guardrail:
    """One Guardrail on one platform, over the tables of all its schemas. It only restricts: if a part cannot be applied to a table, it
    denies the table.
    """

    name: str
    users: tuple[Requirement, ...]
    """The users that it applies to; (): every user. It also applies to a user who lacks one of these attributes."""
    tables: TableSelector
    denies_tables: bool = False
    denied_columns: ColumnSelector | None = None
    row_restriction: Predicate | None = None
    """Not yet bound to a table; only rows where it is true are shown."""
    mask_floors: tuple[MaskRule, ...] = ()
    """Minimum masks of columns, for every grant. If two match a column, the one that shows less applies."""
    denies_lookup: bool = False
    """Treat no column as a lookup column."""


def reach_of(said: Policy | Guardrail) -> frozenset[str] | None:
    """Return the schemas in the statement's scope; None: all."""
    return said.schemas if isinstance(said, Policy) else None


def column_selectors(said: Policy | Guardrail) -> list[tuple[str, ColumnSelector]]:
    """Return the column selectors, each with its field: first those granted or denied, then those masked."""
    if isinstance(said, Policy):
        chosen, masks, rules = ("spec.columns", said.columns), "spec.masks", said.masks
    else:
        chosen, masks, rules = ("spec.deny.columns", said.denied_columns or ColumnSelector()), "spec.maskFloors", said.mask_floors
    return [chosen, *((f"{masks}[{rule.name}].columns", rule.columns) for rule in rules)]


Selectors = list[tuple[str, tuple[Requirement, ...]]]
"""A field and its requirements on tags."""


def tag_selectors(said: Policy | Guardrail) -> tuple[Selectors, Selectors]:
    """Return the tag selectors of tables, and those of columns."""
    columns = [(f"{field}.matchTags", selector.tags) for field, selector in column_selectors(said)]
    return [("spec.tables.matchTags", said.tables.tags)], columns
