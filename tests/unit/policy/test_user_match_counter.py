"""Whom requirements cover is counted from bitmaps, and the count is the one of asking every person, whatever came and went."""

from hypothesis import given
from hypothesis import strategies as st

from rolevend.model import Attributes, User
from rolevend.policy.requirement import Requirement, RequirementOperator, facts_of, may_meet, meets
from rolevend.policy.user_match_counter import UserMatchCounter

KEYS, VALUES = st.sampled_from(["job", "desk", "country"]), st.sampled_from(["a", "b", "c"])
PEOPLE = st.dictionaries(
    st.integers(0, 12).map(lambda number: User("idp", str(number))),
    st.dictionaries(KEYS, st.sets(VALUES, min_size=1)).map(lambda attributes: Attributes.of(attributes.items())),
)
REQUIREMENTS = st.lists(st.builds(Requirement, KEYS, st.frozensets(VALUES), st.sampled_from(RequirementOperator)), max_size=3)


@given(st.lists(st.tuples(PEOPLE, st.lists(REQUIREMENTS, max_size=4)), min_size=1, max_size=5))
def test_the_count_is_that_of_asking_everybody(pictures: list[tuple[dict[User, Attributes], list[list[Requirement]]]]):
    census, before = UserMatchCounter(), set[User]()

    for people, asked in pictures:
        census.update(people, before - people.keys())
        before = set(people)
        census.ask(each for requirements in asked for each in requirements)
        facts = [facts_of(attributes) for attributes in people.values()]
        assert census.attributes == {key for known in facts for key in known}
        for requirements in asked:
            assert census.covered(requirements) == sum(all(meets(each, known) for each in requirements) for known in facts)
            assert census.concerned(requirements) == sum(all(may_meet(each, known) for each in requirements) for known in facts)
