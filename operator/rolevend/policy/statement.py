"""What policies say, as parsed values. Selectors of one kind are all required to match; within one list of names any one does."""

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
    """Tables that meet every requirement on tags *and* match one of the names, where names are given. Never both empty."""

    tags: tuple[Requirement, ...] = ()
    names: tuple[TableId, ...] = ()
    """Patterns in which `*` matches any run of characters."""


@dataclass(frozen=True, slots=True)
class ColumnSelector:
    """As TableSelector, for the columns of one table."""

    tags: tuple[Requirement, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MaskRule:
    name: str
    columns: ColumnSelector
    mask: Mask


@dataclass(frozen=True, slots=True)
class Policy:
    """One AccessPolicy on one platform. Where two mask rules match a column, it shows no more than either."""

    id: ObjectName
    schemas: frozenset[str]
    """The schemas that the DataPlatform gives to the policy's namespace: it reaches nothing else."""
    users: tuple[Requirement, ...]
    """Tests of the user's attributes; with neither these nor `conditions` it covers nobody."""
    tables: TableSelector
    columns: ColumnSelector
    row_filter: Predicate | None
    """Not yet bound to a table; None: every row."""
    masks: tuple[MaskRule, ...] = ()
    agents: tuple[Requirement, ...] = ()
    """Tests of the agent's attributes; (): through any agent."""
    conditions: tuple[MatchCondition, ...] = ()
    """All must hold."""
    grants_to: GrantTarget = GrantTarget.USERS
    """AGENTS: it grants to the agents that `agents` and `conditions` choose, and where it has neither, to none."""
    agent: ObjectName | None = None
    """The agent whose own tables these are; no other agent is granted them. None: an AccessPolicy."""


@dataclass(frozen=True, slots=True)
class Guardrail:
    """One Guardrail on one platform, over the tables of all its schemas. It only takes away: a table counts as denied where
    something that it says cannot be applied."""

    name: str
    users: tuple[Requirement, ...]
    """Whom it concerns: everybody, where it is empty. Who lacks one of these attributes is concerned, too."""
    tables: TableSelector
    denies_tables: bool = False
    denied_columns: ColumnSelector | None = None
    row_restriction: Predicate | None = None
    """Not yet bound to a table; rows are shown only where it is true."""
    mask_floors: tuple[MaskRule, ...] = ()
    """Of these columns nothing weaker is shown, whatever policies grant. Where two are for one column, the one that shows less holds."""
    denies_lookup: bool = False
    """None of the columns is a lookup column."""


def reach_of(said: Policy | Guardrail) -> frozenset[str] | None:
    """The schemas that it can be about; None: all."""
    return said.schemas if isinstance(said, Policy) else None


def column_selectors(said: Policy | Guardrail) -> list[tuple[str, ColumnSelector]]:
    """Each with the field that it stands in: first what is granted or denied, then what is masked."""
    if isinstance(said, Policy):
        chosen, masks, rules = ("spec.columns", said.columns), "spec.masks", said.masks
    else:
        chosen, masks, rules = ("spec.deny.columns", said.denied_columns or ColumnSelector()), "spec.maskFloors", said.mask_floors
    return [chosen, *((f"{masks}[{rule.name}].columns", rule.columns) for rule in rules)]


Selectors = list[tuple[str, tuple[Requirement, ...]]]
"""The field that it stands in, and what it asks of tags."""


def tag_selectors(said: Policy | Guardrail) -> tuple[Selectors, Selectors]:
    """Of tables, and of columns."""
    columns = [(f"{field}.matchTags", selector.tags) for field, selector in column_selectors(said)]
    return [("spec.tables.matchTags", said.tables.tags)], columns
