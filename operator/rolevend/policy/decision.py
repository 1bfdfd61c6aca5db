"""What one user may read, now: pure, deterministic, and closed wherever something is not known."""

import enum
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from rolevend.catalog import Table, TableId
from rolevend.model import Attributes, ObjectName
from rolevend.policy.asking import Asking
from rolevend.policy.condition import Answers
from rolevend.policy.fitting import Demand
from rolevend.policy.guarding import CompiledGuardrail, Restraint, concerns
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
    GUARDRAIL = "GuardrailDenies"
    """Policies grant the user tables, and guardrails deny all of them."""


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
    restraints: tuple[Restraint, ...] = ()
    """By guardrail, smallest name first. None of them denies the table, and together they leave a column of it."""


@dataclass(frozen=True, slots=True)
class Switches:
    """Which grants of an index are on for a user."""

    on: tuple[tuple[int, int], ...]
    """The places, in the index, of the policies and of their grant sets."""
    restrained: tuple[tuple[int, int, bool], ...] = ()
    """The places of the guardrails that concern the user and of their restraint sets; True: it denies its tables, since the user lacks
    an attribute."""
    withheld: tuple[Withheld, ...] = ()
    """What the user would have, too, with other attributes."""

    @property
    def key(self) -> Hashable:
        """Within one index it determines what may be read: a cheap key under which to keep what is made of it."""
        return self.on, self.restrained


@dataclass(frozen=True, slots=True)
class Entitlement:
    """All that a user may read. Every grant carries the policy that gave it: that is the answer to "why"."""

    tables: tuple[TableEntitlement, ...]
    """By table id; never empty."""
    withheld: tuple[Withheld, ...] = ()
    """What the user would have, too, with other attributes."""
    denied: tuple[tuple[TableId, tuple[str, ...]], ...] = ()
    """Tables that policies grant the user and that are not there, and the guardrails that deny them."""


@dataclass(frozen=True, slots=True)
class Denial:
    reason: Reason
    message: str
    """One sentence with the way out; names policies and attributes, never the values of anybody."""


def decide(user: Attributes, index: Index, asking: Asking | None = None) -> Entitlement | Denial:
    """The union of what the policies that cover `user` grant, less what the guardrails that concern `user` take away; a policy that
    requires nothing of its users covers nobody, and a guardrail that requires nothing of them concerns everybody. Without `asking`
    nothing is known of the agent and of the request.

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
    return Switches(tuple(switched_on), _restrained(values, index), tuple(withheld))


def covering(user: Attributes, index: Index) -> list[tuple[int, CompiledPolicy]]:
    """The policies that cover `user`, each with its place in the index, whether they grant anything or not: conditions, and through
    which agent, are not looked at."""
    values = facts_of(user)
    return [(place, policy) for place, policy in enumerate(index.policies) if _covers(policy, values)]


def concerning(user: Attributes, index: Index) -> list[tuple[int, CompiledGuardrail]]:
    """The guardrails that concern `user`, each with its place in the index, whether they take anything away or not."""
    values = facts_of(user)
    return [(place, guardrail) for place, guardrail in enumerate(index.guardrails) if concerns(guardrail, values)]


def entitlement(switches: Switches, index: Index) -> Entitlement | Denial:
    """The second half: the tables of the grants that are on, less what guardrails take away. `index` is the one that was switched."""
    restraints = _restraints(index, switches.restrained)
    tables = []
    denied = []
    for place, grants in sorted(_grants(index, switches.on).items()):
        table, restraining = index.tables[place], tuple(restraints.get(place, ()))
        by = _denying(grants, restraining)
        if by:
            denied.append((table.id, by))
        else:
            tables.append(TableEntitlement(table, tuple(grants), restraining))
    if not tables:
        return _guarded([name for _, names in denied for name in names])
    return Entitlement(tuple(tables), switches.withheld, tuple(denied))


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


def _restrained(values: Facts, index: Index) -> tuple[tuple[int, int, bool], ...]:
    return tuple(
        (place, number, not all(_met(demand, values) for demand in restraint_set.demands))
        for place, guardrail in enumerate(index.guardrails)
        if concerns(guardrail, values)
        for number, restraint_set in enumerate(guardrail.restraint_sets)
    )


def _met(demand: Demand, values: Facts) -> bool:
    given = values.get(demand.attribute, frozenset())
    return bool(given) and all(value_fits(value, demand.family) for value in given)


def _grants(index: Index, switched_on: Iterable[tuple[int, int]]) -> dict[int, list[Grant]]:
    grants: dict[int, list[Grant]] = {}
    for policy, number in switched_on:
        for table, grant in index.policies[policy].grant_sets[number].grants:
            grants.setdefault(table, []).append(grant)
    return grants


def _restraints(index: Index, restrained: Iterable[tuple[int, int, bool]]) -> dict[int, list[Restraint]]:
    restraints: dict[int, list[Restraint]] = {}
    for place, number, closes in restrained:
        guardrail = index.guardrails[place]
        for table, restraint in guardrail.restraint_sets[number].restraints:
            restraints.setdefault(table, []).append(Restraint(guardrail.name, denies_table=True) if closes else restraint)
    return restraints


def _denying(grants: Sequence[Grant], restraints: Sequence[Restraint]) -> tuple[str, ...]:
    """The guardrails that deny a table with these grants: as a whole, or one with another every column that is granted."""
    outright = tuple(each.guardrail for each in restraints if each.denies_table)
    left = {name for grant in grants for name, _ in grant.masks}.difference(*(each.denied_columns for each in restraints))
    return outright or (() if left else tuple(each.guardrail for each in restraints if each.denied_columns))


def _guarded(names: Iterable[str]) -> Denial:
    return Denial(Reason.GUARDRAIL, f"guardrails deny every table that policies grant the user here: {_listed(sorted(set(names)))}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


def _denial(covering: list[CompiledPolicy], withheld: list[Withheld], index: Index) -> Denial:
    if withheld:
        first = min(withheld, key=lambda each: _SMALLEST_STEP_FIRST.index(each.reason))
        return Denial(first.reason, first.message)
    if covering:
        by = sorted({tie.attribute for policy in covering for grants in policy.grant_sets for tie in grants.ties})
        if by:
            return Denial(Reason.NO_TABLE, f"no table here has a tag that goes with the user's values of {', '.join(by[:10])}")
        names = _listed([str(policy.id) for policy in covering])
        return Denial(Reason.NO_TABLE, f"policies cover the user but grant no table here: see the conditions of {names}")
    keys = sorted({requirement.key for policy in index.policies for requirement in policy.users})
    asked = f"policies here ask for the user attributes {', '.join(keys[:10])}" if keys else "no policy is in force here"
    return Denial(Reason.NO_POLICY, f"no policy covers the user; {asked}")
