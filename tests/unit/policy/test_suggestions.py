"""One way to say what was meant: a wrong word, and the nearest that there is."""

import pytest

from rolevend.policy.vocabulary import closest, near

KNOWN = ["country", "Countries", "region", "AND"]


@pytest.mark.parametrize(
    ("word", "found"), [("contry", "country"), ("COUNTRIS", "Countries"), ("adn", "AND"), ("salary", None), ("", None), ("x" * 300, None)]
)
def test_the_nearest_word_is_found_whatever_the_case_and_the_order(word: str, found: str | None):
    assert near(word, KNOWN) == near(word, reversed(KNOWN)) == found


def test_among_many_words_only_those_that_begin_alike_are_compared():
    many = [f"column_{number}" for number in range(2_000)]

    assert near("contry", [*many, *KNOWN]) == "country"
    assert near("oclumn_7", many) is None


def test_what_is_like_nothing_is_told_without_a_suggestion():
    assert closest("regoin", KNOWN) == "; did you mean region?"
    assert closest("salary", KNOWN) == ""
