"""One way to say what was meant: a wrong word, and the nearest that there is."""

import pytest

from rolevend.policy.near import meant, near

KNOWN = ["country", "Countries", "region", "AND"]


@pytest.mark.parametrize(
    ("word", "found"), [("contry", "country"), ("COUNTRIS", "Countries"), ("adn", "AND"), ("salary", None), ("", None), ("x" * 300, None)]
)
def test_the_nearest_word_is_found_whatever_the_case_and_the_order(word: str, found: str | None):
    assert near(word, KNOWN) == near(word, reversed(KNOWN)) == found


def test_what_is_like_nothing_is_told_without_a_suggestion():
    assert meant("regoin", KNOWN) == "; did you mean region?"
    assert meant("salary", KNOWN) == ""
