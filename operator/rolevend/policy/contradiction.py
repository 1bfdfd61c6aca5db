"""Selectors that can match nothing, whatever there is: requirements of which one excludes another. Nobody means them, and a mask or a
denial that rests on one would be missing without a word, so they are refused."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, permutations

from rolevend.catalog import matches
from rolevend.errors import InvalidInput
from rolevend.policy.requirement import Requirement, RequirementOperator
from rolevend.policy.statement import Guardrail, Policy, selectors

_Within = Callable[[str, str], bool]
"""Whether all that the second can be is within the first: patterns of tags, plain words of attributes."""


def admit_policy(policy: Policy) -> Policy:
    """Raises InvalidInput for the first selector that can match nothing."""
    _admit("spec.users.matchAttributes", policy.users, str.__eq__)
    _admit("spec.agents.matchAttributes", policy.agents, str.__eq__)
    tables, (columns, *masks) = selectors(policy)
    for field, requirements in (*tables, columns):
        _admit(field, requirements, matches)
    for field, requirements in masks:
        _admit(field, requirements, matches, unknown=True)
    return policy


def admit_guardrail(guardrail: Guardrail) -> Guardrail:
    """Likewise."""
    _admit("spec.users.matchAttributes", guardrail.users, str.__eq__, unknown=True)
    for field, requirements in chain(*selectors(guardrail)):
        _admit(field, requirements, matches, unknown=True)
    return guardrail


def _admit(field: str, requirements: Iterable[Requirement], within: _Within, *, unknown: bool = False) -> None:
    """`unknown`: what carries no such key meets `NotIn`, as `requirement.tag_test` has it."""
    for one, other in _excluding(tuple(requirements), within, unknown=unknown):
        raise InvalidInput(field, f"{_told(one)} and {_told(other)} exclude each other, so nothing can be matched; remove one of them")


def _excluding(requirements: tuple[Requirement, ...], within: _Within, *, unknown: bool) -> Iterator[tuple[Requirement, Requirement]]:
    for one, other in permutations(requirements, 2):
        if within(other.key, one.key) and _excludes(one, other, within, unknown=unknown):
            yield one, other


def _excludes(one: Requirement, other: Requirement, within: _Within, *, unknown: bool) -> bool:
    match one.operator, other.operator:
        case RequirementOperator.IN, RequirementOperator.NOT_IN:
            if one.values_of or other.values_of:
                return one.values_of == other.values_of
            return all(any(within(refused, value) for refused in other.values) for value in one.values)
        case RequirementOperator.NOT_IN, RequirementOperator.DOES_NOT_EXIST:
            return not unknown
        case RequirementOperator.IN | RequirementOperator.EXISTS, RequirementOperator.DOES_NOT_EXIST:
            return True
        case _:
            return False


def _told(requirement: Requirement) -> str:
    values = f"the user's {requirement.values_of}" if requirement.values_of else f"[{', '.join(sorted(requirement.values))}]"
    wanted = f" {values}" if requirement.operator in (RequirementOperator.IN, RequirementOperator.NOT_IN) else ""
    return f"{requirement.key} {requirement.operator.value}{wanted}"
