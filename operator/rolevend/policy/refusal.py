"""Reasons why policies grant a user nothing, or not everything, and their sentences. Pure.

A sentence names policies, guardrails and attributes, never a user's values.
"""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rolevend.model import ObjectName
from rolevend.policy.condition import Answers
from rolevend.policy.index import CompiledPolicy, GrantSet, Index
from rolevend.policy.literal import EXPECTED, value_fits
from rolevend.policy.request_context import GrantTarget
from rolevend.policy.requirement import Facts, meets
from rolevend.policy.table_fit import Demand

_MOST_NAMES = 5
_MOST_ATTRIBUTES = 10


class Reason(enum.StrEnum):
    NO_POLICY = "NoPolicy"
    """No policy covers the user."""
    ATTRIBUTE_MISSING = "AttributeMissing"
    """A policy covers the user, but its row filter or its table selector reads an attribute that the user lacks."""
    ATTRIBUTE_UNFIT = "AttributeUnfit"
    """A policy covers the user, but an attribute that it reads has a value that does not fit the column."""
    CONDITION_UNMET = "ConditionUnmet"
    """A policy covers the user, but one of its conditions does not hold or fails."""
    AGENT_NOT_COVERED = "AgentNotCovered"
    """A policy covers the user, but not through an agent with these attributes."""
    NO_TABLE = "NoTable"
    """Policies cover the user, but none of them grants a table."""
    GUARDRAIL = "GuardrailDenies"
    """Policies grant the user tables, and guardrails deny all of them."""
    AGENT_NOT_GRANTED = "AgentNotGranted"
    """Policies cover the user, but none grants to the agent itself, and the agent reads only the intersection."""
    NOTHING_IN_COMMON = "NothingInCommon"
    """Policies grant the user tables, and the agent itself tables, but no column to both."""


_SMALLEST_STEP_FIRST = (Reason.CONDITION_UNMET, Reason.ATTRIBUTE_MISSING, Reason.ATTRIBUTE_UNFIT, Reason.AGENT_NOT_COVERED, Reason.NO_TABLE)
"""Change the request, add an attribute, correct one, use another agent, use another value."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """Inactive grants of a policy that covers the user, with the reason."""

    policy: ObjectName
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Denial:
    reason: Reason
    message: str
    """One sentence with the way out."""


def bar(policy: CompiledPolicy, agent: Facts, answers: Answers) -> Withheld | None:
    """Return the reason why the whole policy is off for a user whom it covers, or None."""
    if not all(meets(requirement, agent) for requirement in policy.agents):
        keys = ", ".join(sorted({requirement.key for requirement in policy.agents}))
        what = f"policy {policy.id} covers the user, but not through this agent: it asks for the agent's attributes {keys}"
        return Withheld(policy.id, Reason.AGENT_NOT_COVERED, f"{what}, which the DataPlatform says")
    for condition in policy.conditions:
        why = answers.unmet(condition)
        if why:
            whom = "covers the user" if policy.grants_to is GrantTarget.USERS else "grants to the agent"
            what = f"policy {policy.id} {whom}, but its condition {condition.name} {why}"
            return Withheld(policy.id, Reason.CONDITION_UNMET, what)
    return None


def lack(policy: ObjectName, grants: GrantSet, user: Facts) -> Withheld | None:
    """Return the demand of these grants that the user does not meet, or None."""
    for tie in grants.ties:
        if not user.get(tie.attribute):
            what = f"policy {policy} chooses tables by the user attribute {tie.attribute!r}, which the user does not have"
            return Withheld(policy, Reason.ATTRIBUTE_MISSING, f"{what}; add it to the user's attributes")
    for demand in grants.demands:
        if not met(demand, user):
            return _unmet(policy, demand, user)
    return None


def met(demand: Demand, user: Facts) -> bool:
    given = user.get(demand.attribute, frozenset())
    return bool(given) and all(value_fits(value, demand.family) for value in given)


def _unmet(policy: ObjectName, demand: Demand, user: Facts) -> Withheld:
    given = user.get(demand.attribute, frozenset())
    reads = f"the row filter of policy {policy} reads the user attribute {demand.attribute!r}"
    if not given or "" in given:
        way_out = "add it to the user's attributes"
        return Withheld(policy, Reason.ATTRIBUTE_MISSING, f"{reads}, which the user does not have or has empty; {way_out}")
    way_out = f"each value must be {EXPECTED[demand.family]}"
    return Withheld(policy, Reason.ATTRIBUTE_UNFIT, f"{reads} for a column of type {demand.family.value}; {way_out}")


def nothing_granted(covering: Sequence[CompiledPolicy], withheld: Iterable[Withheld], index: Index) -> Denial:
    """Return the denial for a user whom these policies cover."""
    step = nearest(withheld)
    if step is not None:
        return step
    if covering:
        by = sorted({tie.attribute for policy in covering for grants in policy.grant_sets for tie in grants.ties})
        if by:
            what = f"no table here has a tag that goes with the user's values of {', '.join(by[:_MOST_ATTRIBUTES])}"
            return Denial(Reason.NO_TABLE, what)
        names = _listed([str(policy.id) for policy in covering])
        return Denial(Reason.NO_TABLE, f"policies cover the user but grant no table here: see the conditions of {names}")
    keys = sorted({requirement.key for policy in index.policies for requirement in policy.users})
    asked = f"policies here ask for the user attributes {', '.join(keys[:_MOST_ATTRIBUTES])}" if keys else "no policy is in force here"
    return Denial(Reason.NO_POLICY, f"no policy covers the user; {asked}")


def agent_not_granted(withheld: Iterable[Withheld]) -> Denial:
    """Return the denial for a missing grant to the agent itself."""
    what = "the agent reads only what it is granted itself, too, and no policy that grants to agents grants it anything here"
    way_out = "see its combination, and the attributes that the DataPlatform gives it"
    return nearest(withheld) or Denial(Reason.AGENT_NOT_GRANTED, f"{what}; {way_out}")


def nothing_in_common() -> Denial:
    what = "the agent reads only what both the user and it itself are granted, and no table has a column that both are"
    return Denial(Reason.NOTHING_IN_COMMON, what)


def nearest(withheld: Iterable[Withheld]) -> Denial | None:
    """Return the reason with the smallest step, or None if nothing is withheld."""
    smallest = min(withheld, key=lambda each: _SMALLEST_STEP_FIRST.index(each.reason), default=None)
    return None if smallest is None else Denial(smallest.reason, smallest.message)


def all_denied(guardrails: Iterable[str]) -> Denial:
    names = _listed(sorted(set(guardrails)))
    return Denial(Reason.GUARDRAIL, f"guardrails deny every table that policies grant the user here: {names}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
