"""Refuse selectors that can never match because two of their requirements exclude each other.

Otherwise a mask or a denial with such a selector would silently have no effect.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, permutations

from rolevend.catalog import matches
from rolevend.errors import InvalidInput
from rolevend.policy.requirement import Requirement, RequirementOperator
from rolevend.policy.statement import Guardrail, Policy, tag_selectors

_Within = Callable[[str, str], bool]
"""True if the first pattern matches every value that the second one matches: patterns for tags, equality for attributes."""


def of_policy(policy: Policy) -> Iterator[InvalidInput]:
    """Yield an error for each selector that can never match."""
    yield from _told_of("spec.users.matchAttributes", policy.users, str.__eq__)
    yield from _told_of("spec.agents.matchAttributes", policy.agents, str.__eq__)
    tables, (columns, *masks) = tag_selectors(policy)
    for field, requirements in (*tables, columns):
        yield from _told_of(field, requirements, matches)
    for field, requirements in masks:
        yield from _told_of(field, requirements, matches, unknown=True)


def of_guardrail(guardrail: Guardrail) -> Iterator[InvalidInput]:
    """Yield an error for each selector that can never match."""
    yield from _told_of("spec.users.matchAttributes", guardrail.users, str.__eq__, unknown=True)
    for field, requirements in chain(*tag_selectors(guardrail)):
        yield from _told_of(field, requirements, matches, unknown=True)


def _told_of(field: str, requirements: Iterable[Requirement], within: _Within, *, unknown: bool = False) -> Iterator[InvalidInput]:
    """`unknown`: see `requirement.tag_test`."""
    for one, other in permutations(requirements, 2):
        if within(other.key, one.key) and _excludes(one, other, within, unknown=unknown):
            yield InvalidInput(field, f"{_told(one)} and {_told(other)} exclude each other, so nothing can be matched; remove one of them")
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


def _told(requirement: Requirement) -> str:
    values = f"the user's {requirement.values_of}" if requirement.values_of else f"[{', '.join(sorted(requirement.values))}]"
    wanted = f" {values}" if requirement.operator in (RequirementOperator.IN, RequirementOperator.NOT_IN) else ""
    return f"{requirement.key} {requirement.operator.value}{wanted}"
