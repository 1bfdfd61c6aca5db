"""Tests of what is known of something: of a user's or an agent's attributes, and of the tags of data.

What is not known must never show more. `NotIn` and `DoesNotExist` hold where something is absent, and what was never said is absent,
too. So whoever grants by them asks for knowledge, and whoever masks or denies by them is content with none: `unknown` says which.
"""

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from rolevend.catalog import matches
from rolevend.model import Attributes, Tag

Facts = Mapping[str, frozenset[str]]
"""Key -> its values, never empty."""


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
    """A user attribute whose values take the place of `values`, each as it stands: who has the value `*` has one value."""


_NOTHING: Final = frozenset[str]()


def facts_of(attributes: Attributes) -> Facts:
    return {key: frozenset(given) for key, given in attributes}


def meets(requirement: Requirement, facts: Facts) -> bool:
    """Whether attributes meet it, as a grant asks: who lacks the attribute is not `NotIn`, and of whom nothing at all is known does not
    lack it (`DoesNotExist`)."""
    given = facts.get(requirement.key, _NOTHING)
    among = not requirement.values.isdisjoint(given)
    if requirement.operator is RequirementOperator.IN:  # as by far most: a decision asks this of every policy
        return among
    return bool(held(requirement.operator, bool(given), among, bool(facts), True, unknown=False))


def may_meet(requirement: Requirement, facts: Facts) -> bool:
    """Whether it is not known that attributes do not meet it, as a guardrail asks: who lacks the attribute may have any value, and of
    whom nothing at all is known may have the attribute."""
    given = facts.get(requirement.key, _NOTHING)
    if not given and requirement.operator is not RequirementOperator.EXISTS:
        return True
    among = not requirement.values.isdisjoint(given)
    return not facts or bool(held(requirement.operator, bool(given), among, True, True, unknown=True))


def tag_test(requirements: Iterable[Requirement], *, unknown: bool) -> Callable[[frozenset[Tag]], bool]:
    """Whether tags meet all of `requirements`. `unknown` is the answer to `NotIn` where the key is missing, and to `DoesNotExist` where
    there are no tags: False for what grants, True for what masks or denies.

    Of a requirement with `values_of` only that is tested which holds whoever the user is: that the key is carried. `unknown` changes
    nothing there: what does not carry the key is not selected by the values of any user.
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


def held(operator: RequirementOperator, given: int, among: int, told: int, everything: int, *, unknown: bool) -> int:
    """Which of `everything` meet a requirement: bitmaps, of as many things as are asked about. `given` have a value there, `among` one
    that is named, and of `told` anything at all is known."""
    match operator:
        case RequirementOperator.IN:
            return among
        case RequirementOperator.NOT_IN:
            return given ^ among | (everything ^ given if unknown else 0)
        case RequirementOperator.EXISTS:
            return given
        case RequirementOperator.DOES_NOT_EXIST:
            return (everything if unknown else told) & (everything ^ given)
