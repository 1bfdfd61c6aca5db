"""Policies and guardrails as parsed values. All kinds of selectors must match; within one list of names any match is enough.

A selector that can never match, because two of its requirements exclude each other, is refused: a mask or a denial with such a selector
would silently have no effect.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, permutations

from rolevend.catalog import TableId, matches
from rolevend.errors import InvalidInput
from rolevend.model import ObjectName
from rolevend.policy.condition import MatchCondition
from rolevend.policy.expression import Predicate
from rolevend.policy.mask import Mask
from rolevend.policy.request_context import GrantTarget
from rolevend.policy.requirement import Requirement as Requirement
from rolevend.policy.requirement import RequirementOperator

Selectors = list[tuple[str, tuple[Requirement, ...]]]
"""A field and its requirements on tags."""
_Within = Callable[[str, str], bool]
"""True if the first pattern matches every value that the second one matches: patterns for tags, equality for attributes."""


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
    on_request: bool = False
    """An offer: it grants only to a request for which an approval activates it. See `offer.Activation`."""


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


def reach_of(statement: Policy | Guardrail) -> frozenset[str] | None:
    """Return the schemas in the statement's scope; None: all."""
    return statement.schemas if isinstance(statement, Policy) else None


def column_selectors(statement: Policy | Guardrail) -> list[tuple[str, ColumnSelector]]:
    """Return the column selectors, each with its field: first those granted or denied, then those masked."""
    if isinstance(statement, Policy):
        chosen, masks, rules = ("spec.columns", statement.columns), "spec.masks", statement.masks
    else:
        chosen, masks, rules = ("spec.deny.columns", statement.denied_columns or ColumnSelector()), "spec.maskFloors", statement.mask_floors
    return [chosen, *((f"{masks}[{rule.name}].columns", rule.columns) for rule in rules)]


def tag_selectors(statement: Policy | Guardrail) -> tuple[Selectors, Selectors]:
    """Return the tag selectors of tables, and those of columns."""
    columns = [(f"{field}.matchTags", selector.tags) for field, selector in column_selectors(statement)]
    return [("spec.tables.matchTags", statement.tables.tags)], columns


def policy_contradictions(policy: Policy) -> Iterator[InvalidInput]:
    """Yield an error for each selector that can never match."""
    yield from _contradictions("spec.users.matchAttributes", policy.users, str.__eq__)
    yield from _contradictions("spec.agents.matchAttributes", policy.agents, str.__eq__)
    tables, (columns, *masks) = tag_selectors(policy)
    for field, requirements in (*tables, columns):
        yield from _contradictions(field, requirements, matches)
    for field, requirements in masks:
        yield from _contradictions(field, requirements, matches, unknown=True)


def guardrail_contradictions(guardrail: Guardrail) -> Iterator[InvalidInput]:
    """Yield an error for each selector that can never match."""
    yield from _contradictions("spec.users.matchAttributes", guardrail.users, str.__eq__, unknown=True)
    for field, requirements in chain(*tag_selectors(guardrail)):
        yield from _contradictions(field, requirements, matches, unknown=True)


def _contradictions(field: str, requirements: Iterable[Requirement], within: _Within, *, unknown: bool = False) -> Iterator[InvalidInput]:
    """`unknown`: see `requirement.tag_test`."""
    for one, other in permutations(requirements, 2):
        if within(other.key, one.key) and _excludes(one, other, within, unknown=unknown):
            both = f"{_requirement_text(one)} and {_requirement_text(other)}"
            yield InvalidInput(field, f"{both} exclude each other, so nothing can be matched; remove one of them")
            return


def _excludes(one: Requirement, other: Requirement, within: _Within, *, unknown: bool) -> bool:
    match one.operator, other.operator:
        case RequirementOperator.IN, RequirementOperator.NOT_IN:
            if one.values_of or other.values_of:
                return one.values_of == other.values_of
            return all(any(within(refused, value) for refused in other.values) for value in one.values)
        case RequirementOperator.NOT_IN, RequirementOperator.DOES_NOT_EXIST:
            return not unknown or bool(one.values_of)  # with values_of only a thing that carries the key meets NotIn
        case RequirementOperator.IN | RequirementOperator.EXISTS, RequirementOperator.DOES_NOT_EXIST:
            return True
        case _:
            return False


def _requirement_text(requirement: Requirement) -> str:
    values = f"the user's {requirement.values_of}" if requirement.values_of else f"[{', '.join(sorted(requirement.values))}]"
    wanted = f" {values}" if requirement.operator in (RequirementOperator.IN, RequirementOperator.NOT_IN) else ""
    return f"{requirement.key} {requirement.operator.value}{wanted}"
