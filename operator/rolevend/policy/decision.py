"""What one user may read, now: pure, deterministic, and closed wherever something is not known."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from rolevend.catalog import Table
from rolevend.model import Attributes, ObjectName
from rolevend.policy.asking import Asking
from rolevend.policy.condition import Answers
from rolevend.policy.index import CompiledPolicy, Grant, GrantSet, Index, Tie
from rolevend.policy.literal import EXPECTED, value_fits
from rolevend.policy.requirement import Facts, facts_of, meets


class Reason(enum.StrEnum):
    NO_POLICY = "NoPolicy"
    """No policy covers the user."""
    ATTRIBUTE_MISSING = "AttributeMissing"
    """A policy covers the user, but its row filter or its choice of tables reads an attribute that the user does not have."""
    ATTRIBUTE_UNFIT = "AttributeUnfit"
    """As before, but the user has a value there that the column could not hold."""
    CONDITION_UNMET = "ConditionUnmet"
    """A policy covers the user, but one of its conditions does not hold, or cannot be answered."""
    AGENT_NOT_COVERED = "AgentNotCovered"
    """A policy covers the user, but not through an agent with these attributes."""
    NO_TABLE = "NoTable"
    """Policies cover the user, but none of them grants a table."""


_SMALLEST_STEP_FIRST = (Reason.CONDITION_UNMET, Reason.ATTRIBUTE_MISSING, Reason.ATTRIBUTE_UNFIT, Reason.AGENT_NOT_COVERED)
"""To ask in another way, to add an attribute, to mend one, to use another agent."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """Grants of a policy that covers the user and that are off, and because of what."""

    policy: ObjectName
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class TableEntitlement:
    table: Table
    grants: tuple[Grant, ...]
    """By policy, smallest id first; never empty."""


@dataclass(frozen=True, slots=True)
class Switches:
    """Which grants of an index are on for a user."""

    on: tuple[tuple[int, int], ...]
    """The places, in the index, of the policies and of their grant sets. Within one index they determine what may be read: a
    cheap key under which to keep what is made of it."""
    withheld: tuple[Withheld, ...] = ()
    """What the user would have, too, with other attributes."""


@dataclass(frozen=True, slots=True)
class Entitlement:
    """All that a user may read. Every grant carries the policy that gave it: that is the answer to "why"."""

    tables: tuple[TableEntitlement, ...]
    """By table id; never empty."""
    withheld: tuple[Withheld, ...] = ()
    """What the user would have, too, with other attributes."""


@dataclass(frozen=True, slots=True)
class Denial:
    reason: Reason
    message: str
    """One sentence with the way out; names policies and attributes, never the values of anybody."""


def decide(user: Attributes, index: Index, asking: Asking | None = None) -> Entitlement | Denial:
    """The union of what the policies that cover `user` grant; a policy that requires nothing of its users covers nobody.
    Without `asking` nothing is known of the agent and of the request.

    A grant is on only if the user has every attribute that its row filter reads, with values that the filtered column can
    hold. Otherwise the whole grant is off: `NOT (region IN (user_attr('region')))` would be every row.
    """
    switches = switch(user, index, asking)
    return switches if isinstance(switches, Denial) else entitlement(switches, index)


def switch(user: Attributes, index: Index, asking: Asking | None = None) -> Switches | Denial:
    """The first half of `decide`, and the cheap one: which grants are on. Many users share what comes of it."""
    values = facts_of(user)
    asking = asking or Asking()
    agent, answers = facts_of(asking.agent_attributes), Answers(user, asking)
    covers = covering(user, index)
    switched_on: list[tuple[int, int]] = []
    withheld: list[Withheld] = []
    for place, policy in covers:
        bar = _bar(policy, agent, answers)
        if bar is not None:
            withheld.append(bar)
            continue
        for number, grant_set in enumerate(policy.grant_sets):
            lack = _lack(policy.id, grant_set, values)
            if lack is not None:
                if lack not in withheld:
                    withheld.append(lack)
            elif all(_holds(tie, values) for tie in grant_set.ties):
                switched_on.append((place, number))
    if not switched_on:
        return _denial([policy for _, policy in covers], withheld, index)
    return Switches(tuple(switched_on), tuple(withheld))


def covering(user: Attributes, index: Index) -> list[tuple[int, CompiledPolicy]]:
    """The policies that cover `user`, each with its place in the index, whether they grant anything or not: conditions, and through
    which agent, are not looked at."""
    values = facts_of(user)
    return [(place, policy) for place, policy in enumerate(index.policies) if _covers(policy, values)]


def entitlement(switches: Switches, index: Index) -> Entitlement:
    """The second half: the tables of the grants that are on. `index` is the one that was switched."""
    return Entitlement(_tables(index, switches.on), switches.withheld)


def _covers(policy: CompiledPolicy, values: Facts) -> bool:
    return bool(policy.users or policy.conditions) and all(meets(requirement, values) for requirement in policy.users)


def _bar(policy: CompiledPolicy, agent: Facts, answers: Answers) -> Withheld | None:
    """What keeps the whole policy off for a user whom it covers, or None."""
    if not all(meets(requirement, agent) for requirement in policy.agents):
        keys = ", ".join(sorted({requirement.key for requirement in policy.agents}))
        what = f"policy {policy.id} covers the user, but not through this agent: it asks for the agent's attributes {keys}"
        return Withheld(policy.id, Reason.AGENT_NOT_COVERED, f"{what}, which the DataPlatform says")
    for condition in policy.conditions:
        why = answers.unmet(condition)
        if why:
            what = f"policy {policy.id} covers the user, but its condition {condition.name} {why}"
            return Withheld(policy.id, Reason.CONDITION_UNMET, what)
    return None


def _holds(tie: Tie, values: Facts) -> bool:
    """Of a user who has the attribute."""
    return tie.values.isdisjoint(values[tie.attribute]) != tie.among


def _lack(policy: ObjectName, grants: GrantSet, values: Facts) -> Withheld | None:
    """What the user would have to have for these grants, or None where nothing is missing."""
    for tie in grants.ties:
        if not values.get(tie.attribute):
            what = f"policy {policy} chooses tables by the user attribute {tie.attribute!r}, which the user does not have"
            return Withheld(policy, Reason.ATTRIBUTE_MISSING, f"{what}; add it to the user's attributes")
    for demand in grants.demands:
        given = values.get(demand.attribute, frozenset())
        reads = f"the row filter of policy {policy} reads the user attribute {demand.attribute!r}"
        if not given or "" in given:
            way_out = "add it to the user's attributes"
            return Withheld(policy, Reason.ATTRIBUTE_MISSING, f"{reads}, which the user does not have or has empty; {way_out}")
        if not all(value_fits(value, demand.family) for value in given):
            way_out = f"each value must be {EXPECTED[demand.family]}"
            return Withheld(policy, Reason.ATTRIBUTE_UNFIT, f"{reads} for a column of type {demand.family.value}; {way_out}")
    return None


def _tables(index: Index, switched_on: Iterable[tuple[int, int]]) -> tuple[TableEntitlement, ...]:
    grants: dict[int, list[Grant]] = {}
    for policy, number in switched_on:
        for table, grant in index.policies[policy].grant_sets[number].grants:
            grants.setdefault(table, []).append(grant)
    return tuple(TableEntitlement(index.tables[table], tuple(grants[table])) for table in sorted(grants))


def _denial(covering: list[CompiledPolicy], withheld: list[Withheld], index: Index) -> Denial:
    if withheld:
        first = min(withheld, key=lambda each: _SMALLEST_STEP_FIRST.index(each.reason))
        return Denial(first.reason, first.message)
    if covering:
        by = sorted({tie.attribute for policy in covering for grants in policy.grant_sets for tie in grants.ties})
        if by:
            return Denial(Reason.NO_TABLE, f"no table here has a tag that goes with the user's values of {', '.join(by[:10])}")
        names = ", ".join(str(policy.id) for policy in covering[:5]) + (", …" if len(covering) > 5 else "")
        return Denial(Reason.NO_TABLE, f"policies cover the user but grant no table here: see the conditions of {names}")
    keys = sorted({requirement.key for policy in index.policies for requirement in policy.users})
    asked = f"policies here ask for the user attributes {', '.join(keys[:10])}" if keys else "no policy is in force here"
    return Denial(Reason.NO_POLICY, f"no policy covers the user; {asked}")
