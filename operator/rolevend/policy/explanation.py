"""Explain a decision as a tree of values, from the index that decides. Pure.

It names values that policies require, never values that a user has. So every reader of the policies may read it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product

from rolevend.catalog import TableId
from rolevend.model import Attributes, ObjectName, Tag
from rolevend.policy.bitmap import places
from rolevend.policy.condition import Answers
from rolevend.policy.decision import Entitlement, Switches, TableEntitlement, concerning, covers, entitlement, holds, switch, tables_granted
from rolevend.policy.expression import Condition, render
from rolevend.policy.index import CompiledPolicy, Grant, Index
from rolevend.policy.mask import Mask, clashing
from rolevend.policy.refusal import Denial, Reason, Withheld, bar, lack, nearest
from rolevend.policy.request_context import Combination, GrantTarget, RequestContext
from rolevend.policy.requirement import Facts, Requirement, RequirementOperator, facts_of, meets
from rolevend.policy.table_fit import EACH_HIDES

EVERY_ROW = "every row"
_MOST_VALUES = 5
_NO_STEP_OF_THE_USER = (Reason.GUARDRAIL, Reason.AGENT_NOT_GRANTED, Reason.NOTHING_IN_COMMON)


@dataclass(frozen=True, slots=True)
class Asked:
    """A requirement of a policy, and whether this user or agent meets it."""

    requirement: str
    met: bool


@dataclass(frozen=True, slots=True)
class ColumnGranted:
    name: str
    mask: Mask
    tags: tuple[Tag, ...]
    lookup: bool = False
    """The values of hidden rows can be inferred, because conditions on the column may use an index."""


@dataclass(frozen=True, slots=True)
class TableGranted:
    table: TableId
    tags: tuple[Tag, ...]
    """The tags of the table."""
    rows: str
    columns: tuple[ColumnGranted, ...]


@dataclass(frozen=True, slots=True)
class PolicyExplained:
    policy: ObjectName
    covers: bool
    asked: tuple[Asked, ...]
    granted: tuple[TableGranted, ...]
    """The tables that this policy grants; several policies may grant one table."""
    withheld: tuple[Withheld, ...]
    """Grants that are off because of the user's attributes, the agent or the request."""
    grants_to: GrantTarget = GrantTarget.USERS
    """AGENTS: `covers` and `asked` describe the agent."""
    own: bool = False
    """True for the agent's own tables, which are not a policy."""
    alone: tuple[TableId, ...] = ()
    """In an intersection: tables that only this side grants, which are therefore not shown."""


@dataclass(frozen=True, slots=True)
class PolicyOnTable:
    """A policy that grants one table to somebody, and the reasons why it does or does not grant it to this user and agent."""

    policy: ObjectName
    grants_to: GrantTarget
    own: bool
    """True for the agent's own tables, which are not a policy."""
    asked: tuple[Asked, ...]
    """Its requirements on the user and on the agent, then its conditions."""
    off: str
    """The reason why a policy that covers the user or agent does not grant it here; or empty."""
    grants: bool
    """True if the decision counts the grant. In an intersection, only columns of both sides are shown."""
    grant: Grant


@dataclass(frozen=True, slots=True)
class Taken:
    table: TableId
    sentence: str
    """The part that is taken away, such as `claims.people.ssn: at least Hash`."""


@dataclass(frozen=True, slots=True)
class GuardrailExplained:
    guardrail: str
    takes: tuple[Taken, ...]
    """The parts of the user's grants that it takes away."""


@dataclass(frozen=True, slots=True)
class Explanation:
    denial: Denial | None
    missing: str
    """The smallest step to a grant, or to one more: a sentence, or empty if there is none."""
    policies: tuple[PolicyExplained, ...]
    """First those that cover the user or the agent, then by the number of unmet requirements, ascending."""
    guardrails: tuple[GuardrailExplained, ...] = ()
    """Those that apply to the user."""
    combination: Combination = Combination.USER_CEILING
    """How grants to the agent itself combine with grants to the user."""
    clashes: tuple[Taken, ...] = ()
    """Columns that are NULL because each of two masks shows a part that the other one hides."""


def explain(user: Attributes, index: Index, asking: RequestContext | None = None) -> Explanation:
    """Explain the decision of `decide`. Policies that are not in the index are not explained."""
    asking = asking or RequestContext()
    facts = {GrantTarget.USERS: facts_of(user), GrantTarget.AGENTS: facts_of(asking.agent_attributes)}
    switches = switch(user, index, asking)
    decision = switches if isinstance(switches, Denial) else entitlement(switches, index)
    tables = () if isinstance(decision, Denial) else decision.tables
    withheld = () if isinstance(switches, Denial) else switches.withheld
    alone = {} if isinstance(switches, Denial) else _alone(switches, index)
    policies = [
        PolicyExplained(
            policy.id,
            covers(policy, facts[policy.grants_to]),
            tuple(Asked(requirement_text(each), meets(each, facts[policy.grants_to])) for each in policy.required),
            tuple(_granted(each, grant) for each in tables for grant in _grants(each) if grant.policy == policy.id),
            tuple(each for each in withheld if each.policy == policy.id),
            policy.grants_to,
            policy.agent is not None,
            tuple(index.tables[each].id for each in places(alone.get(place, 0))),
        )
        for place, policy in enumerate(index.policies)
        if policy.agent in (None, asking.agent)
    ]
    step = smallest_step(user, index)
    if isinstance(decision, Denial) and (not step or decision.reason in _NO_STEP_OF_THE_USER):
        step = decision.message
    guardrails = tuple(
        GuardrailExplained(each.name, tuple(_taken(each.name, decision))) for _, each in concerning(facts[GrantTarget.USERS], index)
    )
    denial = decision if isinstance(decision, Denial) else None
    clashes = tuple(Taken(each.table.id, sentence) for each in tables for sentence in _clashes(each))
    return Explanation(denial, step, tuple(sorted(policies, key=_distance)), guardrails, asking.combination, clashes)


def _alone(switches: Switches, index: Index) -> dict[int, int]:
    """Map each policy's index to a bitmap of the tables that only its side shows."""
    one_sided = tables_granted(replace(switches, crossed=False), index) & ~tables_granted(switches, index)
    found: dict[int, int] = {}
    for place, number in switches.on:
        found[place] = found.get(place, 0) | (index.policies[place].grant_sets[number].tables & one_sided)
    return found


def smallest_step(user: Attributes, index: Index) -> str:
    """Return the missing requirements of the granting policy with the fewest unmet ones; empty if there is no such policy."""
    return _smallest_step((policy for policy in index.policies if policy.grant_sets), user)


def smallest_step_to(place: int, user: Attributes, index: Index, asking: RequestContext) -> str:
    """Return the smallest step of the user to a grant of the table of this index: the reason why a policy that covers the user does not
    grant it here, or the missing requirements of another one. Empty if a policy grants it to the user, or none to users. Guardrails and
    the agent's own grants are ignored."""
    granting = [policy for policy in index.policies if policy.grants_to is GrantTarget.USERS and grants_table(policy, place)]
    facts, agent, answers = facts_of(user), facts_of(asking.agent_attributes), Answers(user, asking)
    off = [_off(policy, place, facts, bar(policy, agent, answers)) for policy in granting if covers(policy, facts)]
    if None in off:
        return ""
    reason = nearest(each for each in off if each is not None)
    return _smallest_step(granting, user) if reason is None else reason.message


def policies_on(place: int, user: Attributes, index: Index, asking: RequestContext) -> tuple[PolicyOnTable, ...]:
    """Explain each policy that grants the table of this index to somebody: first those that grant it here, then by unmet requirements."""
    answers, found = Answers(user, asking), []
    of_user, of_agent = facts_of(user), facts_of(asking.agent_attributes)
    for policy in index.policies:
        if policy.agent not in (None, asking.agent) or not grants_table(policy, place):
            continue
        subject = of_user if policy.grants_to is GrantTarget.USERS else of_agent
        counts = policy.grants_to is GrantTarget.USERS or asking.combination is not Combination.USER_CEILING
        others = () if policy.grants_to is GrantTarget.AGENTS else policy.agents
        asked = [
            *(Asked(requirement_text(each), meets(each, subject)) for each in policy.required),
            *(Asked(f"agent: {requirement_text(each)}", meets(each, of_agent)) for each in others),
            *(Asked(f"{each.name}: {each.text}", not answers.unmet(each)) for each in policy.conditions),
        ]
        is_covering = covers(policy, subject)
        off = _off(policy, place, of_user, bar(policy, of_agent, answers)) if is_covering else None
        found.append(
            PolicyOnTable(
                policy.id,
                policy.grants_to,
                policy.agent is not None,
                tuple(asked),
                "" if off is None else off.message,
                counts and is_covering and off is None,
                policy.grant(index.tables[place]),
            )
        )
    return tuple(sorted(found, key=lambda each: (not each.grants, sum(not one.met for one in each.asked), each.policy)))


def _off(policy: CompiledPolicy, place: int, facts: Facts, barred: Withheld | None) -> Withheld | None:
    """Return the reason why a policy that covers the user does not grant the table, or None."""
    (grants,) = (each for each in policy.grant_sets if each.tables >> place & 1)
    off = barred or lack(policy.id, grants, facts)
    others = sorted(tie.attribute for tie in grants.ties if off is None and not holds(tie, facts))
    if others:
        message = f"policy {policy.id} chooses tables by the user attributes {', '.join(others)}, and this one goes with other values"
        return Withheld(policy.id, Reason.NO_TABLE, message)
    return off


def _smallest_step(policies: Iterable[CompiledPolicy], user: Attributes) -> str:
    facts = facts_of(user)
    near = [(len(lacks), policy.id, lacks) for policy in policies if (lacks := _lacks(policy, facts))]
    if not near:
        return ""
    _, policy, lacks = min(near, key=lambda each: each[:2])
    return f"policy {policy} asks for {' and '.join(lacks)}"


def grants_table(policy: CompiledPolicy, place: int) -> bool:
    """True if the policy grants the table of this index to somebody."""
    return any(grants.tables >> place & 1 for grants in policy.grant_sets)


def requirement_text(requirement: Requirement) -> str:
    """Return the requirement's text: `job In (analyst)`."""
    if requirement.values_of:
        return f"{requirement.key} {requirement.operator.value} user attribute {requirement.values_of}"
    if requirement.operator in (RequirementOperator.EXISTS, RequirementOperator.DOES_NOT_EXIST):
        return f"{requirement.key} {requirement.operator.value}"
    values = sorted(requirement.values)
    shown = ", ".join(values[:_MOST_VALUES]) + (", …" if len(values) > _MOST_VALUES else "")
    return f"{requirement.key} {requirement.operator.value} ({shown})"


def _taken(guardrail: str, decision: Entitlement | Denial) -> Iterator[Taken]:
    if isinstance(decision, Denial):
        return
    yield from (Taken(table, f"{table}: not there") for table, by in decision.denied if guardrail in by)
    for each in decision.tables:
        name = each.table.id
        for restraint in each.restraints:
            if restraint.guardrail == guardrail:
                yield from (Taken(name, f"{name}.{column}: not there") for column in sorted(restraint.denied_columns))
                if restraint.condition is not None:
                    yield Taken(name, f"{name}: only rows where {_rows(restraint.condition)}")
                yield from (Taken(name, f"{name}.{column}: at least {type(mask).__name__}") for column, mask in restraint.floors)
                if restraint.denies_lookup:
                    yield from (Taken(name, f"{name}.{column.name}: no lookup column") for column in each.table.columns if column.lookup)


def _clashes(table: TableEntitlement) -> Iterator[str]:
    """Yield the clashes of each column, for each grant or pair of grants (one per side) that shows it."""
    denied = frozenset[str]().union(*(each.denied_columns for each in table.restraints))
    sides = [[(str(each.policy), dict(each.masks)) for each in side] for side in (table.grants, table.agent_grants) if side is not None]
    for column in (each.name for each in table.table.columns if each.name not in denied):
        floors = [(f"Guardrail {each.guardrail}", mask) for each in table.restraints for name, mask in each.floors if name == column]
        for grants in product(*sides):
            given = [(policy, masks[column]) for policy, masks in grants if column in masks]
            if len(given) == len(sides) and (clash := clashing(mask for _, mask in (*given, *floors))):
                masks_text = " and ".join(f"{type(mask).__name__} of {name}" for name, mask in (*given, *floors) if mask in clash)
                policies = " and ".join(name for name, _ in given)
                yield f"{table.table.id}.{column}: nothing through {policies}, since of {masks_text} {EACH_HIDES}"


def _lacks(policy: CompiledPolicy, facts: Facts) -> tuple[str, ...]:
    return tuple(requirement_text(each) for each in policy.users if not meets(each, facts))


def _distance(policy: PolicyExplained) -> tuple[bool, int, ObjectName]:
    return not policy.covers, sum(not each.met for each in policy.asked), policy.policy


def _grants(table: TableEntitlement) -> tuple[Grant, ...]:
    return table.grants + (table.agent_grants or ())


def _granted(entitled: TableEntitlement, grant: Grant) -> TableGranted:
    table, lookups = entitled.table, entitled.lookups
    tags = {column.name: column.tags for column in table.columns}
    columns = tuple(ColumnGranted(name, mask, tuple(sorted(tags[name])), name in lookups) for name, mask in grant.masks)
    return TableGranted(table.id, tuple(sorted(table.tags)), _rows(grant.condition), columns)


def _rows(condition: Condition) -> str:
    return EVERY_ROW if condition.predicate is None else render(condition.predicate)
