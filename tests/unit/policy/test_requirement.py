"""Tests of tags and attributes: each operator, and that what is not known shows no more, whoever asks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolevend.model import Attributes, Tag
from rolevend.policy.requirement import Requirement, RequirementOperator, facts_of, meets, tag_test

IN, NOT_IN, EXISTS, DOES_NOT_EXIST = RequirementOperator
OPERATORS = tuple(RequirementOperator)
KEYS, VALUES = ("pii", "pii.direct", "domain"), ("ssn", "iban", "*")
requirements = st.builds(Requirement, st.sampled_from(KEYS), st.frozensets(st.sampled_from(VALUES), min_size=1), st.sampled_from(OPERATORS))
tags = st.frozensets(st.builds(Tag, st.sampled_from(KEYS), st.sampled_from(["ssn", "iban", "name"])))


def asked(operator: RequirementOperator, key: str = "pii", *values: str) -> Requirement:
    return Requirement(key, frozenset(values), operator)


@pytest.mark.parametrize(
    ("operator", "values", "facts", "met"),
    [
        (IN, ["ssn"], {"pii": ["ssn", "name"]}, True),
        (IN, ["ssn"], {"pii": ["name"]}, False),
        (IN, ["ssn"], {"other": ["ssn"]}, False),
        (NOT_IN, ["ssn"], {"pii": ["name"]}, True),
        (NOT_IN, ["ssn"], {"pii": ["ssn", "name"]}, False),
        (NOT_IN, ["ssn"], {"other": ["x"]}, False),
        (NOT_IN, ["ssn"], {}, False),
        (EXISTS, [], {"pii": ["name"]}, True),
        (EXISTS, [], {"other": ["x"]}, False),
        (DOES_NOT_EXIST, [], {"other": ["x"]}, True),
        (DOES_NOT_EXIST, [], {"pii": ["name"]}, False),
        (DOES_NOT_EXIST, [], {}, False),
    ],
)
class TestWhatGrants:
    def test_asks_attributes_for_what_is_known(
        self, operator: RequirementOperator, values: list[str], facts: dict[str, list[str]], met: bool
    ):
        assert meets(asked(operator, "pii", *values), facts_of(Attributes.of(facts.items()))) == met

    def test_asks_tags_likewise(self, operator: RequirementOperator, values: list[str], facts: dict[str, list[str]], met: bool):
        carried = frozenset(Tag(key, value) for key, each in facts.items() for value in each)

        assert tag_test([asked(operator, "pii", *values)], unknown=False)(carried) == met


@pytest.mark.parametrize(
    ("requirement", "carried", "met"),
    [
        (asked(NOT_IN, "pii", "ssn"), [], True),
        (asked(NOT_IN, "pii", "ssn"), [Tag("domain", "claims")], True),
        (asked(NOT_IN, "pii", "ssn"), [Tag("pii", "ssn")], False),
        (asked(DOES_NOT_EXIST), [], True),
        (asked(DOES_NOT_EXIST), [Tag("pii", "ssn")], False),
        (asked(IN, "pii", "ssn"), [], False),
    ],
)
def test_what_masks_or_denies_is_met_by_what_was_never_said(requirement: Requirement, carried: list[Tag], met: bool):
    assert tag_test([requirement], unknown=True)(frozenset(carried)) == met


@pytest.mark.parametrize(
    ("key", "value", "met"),
    [
        ("pii", "direct.*", True),
        ("pii", "*", True),
        ("p*", "direct.ssn", True),
        ("pii", "direct", False),
        ("pii.*", "*", False),
        ("pii", "[a-z]*", False),
        ("pii", "direct?ssn", False),
    ],
)
def test_a_star_in_a_test_of_tags_matches_any_run_of_characters_and_nothing_else_is_special(key: str, value: str, met: bool):
    assert tag_test([asked(IN, key, value)], unknown=False)(frozenset({Tag("pii", "direct.ssn")})) == met


def test_a_star_in_a_test_of_attributes_is_a_star():
    assert not meets(asked(IN, "department", "*"), {"department": frozenset({"claims"})})
    assert not meets(asked(EXISTS, "dep*"), {"department": frozenset({"claims"})})
    assert meets(asked(IN, "department", "*"), {"department": frozenset({"*"})})


@pytest.mark.parametrize("operator", [IN, NOT_IN])
def test_a_test_of_the_users_own_values_asks_of_tags_alone_that_the_key_is_there(operator: RequirementOperator):
    own, tagged = Requirement("region", operator=operator, values_of="regions"), frozenset({Tag("region", "eu")})

    assert tag_test([own], unknown=False)(tagged)
    assert not tag_test([own], unknown=False)(frozenset({Tag("domain", "claims")}))
    assert tag_test([own], unknown=True)(tagged)
    assert not tag_test([own], unknown=True)(frozenset({Tag("domain", "claims")}))


def test_without_requirements_tags_meet_all_of_them():
    assert tag_test([], unknown=False)(frozenset())


@given(requirements, tags)
def test_what_grants_asks_no_less_than_what_masks(requirement: Requirement, carried: frozenset[Tag]):
    assert tag_test([requirement], unknown=False)(carried) <= tag_test([requirement], unknown=True)(carried)


@given(requirements)
def test_what_has_no_tags_is_granted_by_none(requirement: Requirement):
    assert not tag_test([requirement], unknown=False)(frozenset())


@given(requirements, tags)
def test_with_a_key_that_is_carried_every_operator_has_its_opposite(requirement: Requirement, carried: frozenset[Tag]):
    opposite = {IN: NOT_IN, NOT_IN: IN, EXISTS: DOES_NOT_EXIST, DOES_NOT_EXIST: EXISTS}[requirement.operator]
    other = Requirement(requirement.key, requirement.values, opposite)
    both = [tag_test([each], unknown=True)(carried) for each in (requirement, other)]

    assert sum(both) == 1
