"""Requirements on the attributes of users and agents, and on the tags of data.

Missing knowledge must never show more. `NotIn` and `DoesNotExist` hold where a key is absent, and a key is also absent if nothing was
recorded. So a grant needs knowledge, and a mask or denial applies without it: `unknown` is the answer in that case.
"""

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from rolevend.catalog import matches
from rolevend.model import Attributes, Tag

Facts = Mapping[str, frozenset[str]]
"""Key -> its values; never an empty set."""


class RequirementOperator(enum.Enum):
    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclass(frozen=True, slots=True)
class Requirement:
    """A test of one attribute or tag. In a test of tags `*` in key and values matches any run of characters."""

    key: str
    values: frozenset[str] = frozenset()
    operator: RequirementOperator = RequirementOperator.IN
    values_of: str = ""
    """A user attribute whose values replace `values`, literally: `*` is not a pattern."""


_NOTHING: Final = frozenset[str]()


def facts_of(attributes: Attributes) -> Facts:
    return {key: frozenset(given) for key, given in attributes}


def meets(requirement: Requirement, facts: Facts) -> bool:
    """True if attributes meet the requirement, for a grant.

    An absent attribute does not meet `NotIn`; with no facts at all, `DoesNotExist` is not met.
    """
    given = facts.get(requirement.key, _NOTHING)
    among = not requirement.values.isdisjoint(given)
    if requirement.operator is RequirementOperator.IN:  # the most frequent: a decision tests every policy
        return among
    return bool(held(requirement.operator, bool(given), among, bool(facts), True, unknown=False))


def may_meet(requirement: Requirement, facts: Facts) -> bool:
    """True unless attributes are known not to meet the requirement, for a guardrail.

    An absent attribute may have any value; with no facts at all, the attribute may exist.
    """
    given = facts.get(requirement.key, _NOTHING)
    if not given and requirement.operator is not RequirementOperator.EXISTS:
        return True
    among = not requirement.values.isdisjoint(given)
    return not facts or bool(held(requirement.operator, bool(given), among, True, True, unknown=True))


def tag_test(requirements: Iterable[Requirement], *, unknown: bool) -> Callable[[frozenset[Tag]], bool]:
    """Return a test that is True if tags meet all of `requirements`.

    `unknown` is the answer to `NotIn` if the key is absent, and to `DoesNotExist` if there are no tags: False for grants, True for masks
    and denials. A requirement with `values_of` only tests here that the key is present, whatever `unknown` is, because the values depend on
    the user.
    """
    wanted = tuple(requirements)
    answers: dict[frozenset[Tag], bool] = {}  # tables and columns have few distinct sets of tags

    def holds(tags: frozenset[Tag]) -> bool:
        if tags not in answers:
            answers[tags] = all(_tagged(each, tags, unknown=unknown) for each in wanted)
        return answers[tags]

    return holds


def values_under(key: str, tags: Iterable[Tag]) -> frozenset[str]:
    return frozenset(tag.value for tag in tags if matches(key, tag.key))


def _tagged(requirement: Requirement, tags: frozenset[Tag], *, unknown: bool) -> bool:
    given = values_under(requirement.key, tags)
    if requirement.values_of:
        return bool(given)
    among = any(matches(pattern, value) for pattern in requirement.values for value in given)
    return bool(held(requirement.operator, bool(given), among, bool(tags), True, unknown=unknown))


def held(operator: RequirementOperator, given: int, among: int, described: int, everything: int, *, unknown: bool) -> int:
    """Return the bitmap of things that meet a requirement. `given` have the key, `among` have one of the values, `described` have any fact
    at all.
    """
    match operator:
        case RequirementOperator.IN:
            return among
        case RequirementOperator.NOT_IN:
            return given ^ among | (everything ^ given if unknown else 0)
        case RequirementOperator.EXISTS:
            return given
        case RequirementOperator.DOES_NOT_EXIST:
            return (everything if unknown else described) & (everything ^ given)
