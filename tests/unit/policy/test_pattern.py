"""The patterns of the mask Regex: what is admitted, and what is refused at its place with a way out."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolevend.errors import InvalidInput
from rolevend.policy.pattern import admit, admit_replacement


@pytest.mark.parametrize(
    ("pattern", "groups"),
    [
        ("[0-9]", 0),
        ("^[^@]+", 0),
        ("[0-9]{4}$", 0),
        (r"^([A-Z]{2})[0-9]{2}[A-Z0-9]{1,30}$", 1),
        (r"(foo|bar)\.example", 1),
        (r"[-a-z]", None),
        (r"[a-z\-_.]+", 0),
        (r"[a-z-]+", 0),
        (r"[\[\]\\\^]", 0),
        (r"\+?[0-9 ]+", 0),
        ("(a)(b)(c)?", 3),
        (".{3}.*", 0),
        ("a|b|ab", 0),
        ("^(a|b)$", 1),
        ("é+☃", 0),
        ("a{2,}b*c+", 0),
        ("((a)b)", 2),
    ],
)
def test_what_means_the_same_everywhere_is_admitted(pattern, groups):
    if groups is None:
        with pytest.raises(InvalidInput):
            admit(pattern, "f")
    else:
        assert admit(pattern, "f") == groups
        re.compile(pattern)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("[0-9]*", "an empty text matches the pattern"),
        ("^$", "an empty text matches the pattern"),
        ("a|", "an empty text matches the pattern"),
        ("(a?)(b{0,2})", "an empty text matches the pattern"),
        ("(a+)+", "character 5: a group with a repetition or alternatives in it is repeated"),
        ("(a|aa)+", "character 7: a group with a repetition"),
        ("((ab)?c){2}", "character 9: a group with a repetition"),
        ("a*b*c*d+", "character 8: a pattern has at most 3 of * +"),
        ("a+?", "character 3: a repetition is repeated"),
        ("a**", "character 3: a repetition is repeated"),
        ("a{2}{3}", "character 5: a repetition is repeated"),
        ("a{65}", "is no range up to 64 times"),
        ("a{3,2}", "is no range up to 64 times"),
        ("a{,2}", "this is no number of times"),
        ("a{999}", "this is no number of times"),
        ("a{2", "this is no number of times"),
        ("a{²}", "this is no number of times"),
        ("*a", "character 1: * has nothing to repeat"),
        ("***:a", "character 1: * has nothing to repeat"),
        ("(?i)a", "character 1: (? is not allowed"),
        ("(?=a)b", "(? is not allowed"),
        ("(?:a)b", "(? is not allowed"),
        (r"(a)\1", r"\1 is not allowed"),
        (r"\d+", r"character 1: \d is not allowed; write [0-9]"),
        (r"\w", "write [A-Za-z0-9_]"),
        (r"\m", "a backslash stands before one of"),
        (r"\xff", "a backslash stands before one of"),
        ("a\\", "a backslash stands before one of"),
        ("[[:digit:]]", "character 2: [ within brackets needs a backslash"),
        ("[[.a.]]", "[ within brackets needs a backslash"),
        ("[]a]", "] within brackets needs a backslash"),
        ("[a", "this [ is not closed"),
        ("[z-a]", "z-a is no range"),
        ("[A-z]", "A-z is no range"),
        ("[à-ü]", "is no range"),
        ("[a-c-e]", "- stands last within brackets"),
        ("(a", "this ( is not closed"),
        ("a)", "character 2: this ) closes nothing"),
        ("a^b", "character 2: ^ begins a pattern and stands nowhere else"),
        ("a$b", "character 2: $ ends a pattern and stands nowhere else"),
        ("(^a)", "^ begins a pattern"),
        ("(a$)", "$ ends a pattern"),
        ("^a|b", "character 1: ^ and $ would hold for one alternative only"),
        ("a|b$", "character 4: ^ and $ would hold for one alternative only"),
        ("(a)" * 10, "at most 9 groups"),
        ("(" * 10 + "a" + ")" * 10, "at most 9 groups"),
    ],
)
def test_what_is_slow_or_means_something_else_elsewhere_is_refused_with_a_way_out(pattern, message):
    with pytest.raises(InvalidInput, match=re.escape(message)) as refused:
        admit(pattern, "spec.masks[x].regex.pattern")

    assert refused.value.field == "spec.masks[x].regex.pattern"
    assert "; " in refused.value.message


@given(st.text(st.sampled_from("ab01^$.|?*+()[]{}\\-,é"), max_size=16))
def test_whatever_is_admitted_is_a_regular_expression_that_no_empty_text_matches(pattern):
    try:
        groups = admit(pattern, "f")
    except InvalidInput:
        return
    compiled = re.compile(pattern)
    assert compiled.groups == groups
    assert compiled.search("") is None


def test_a_replacement_knows_the_groups_of_its_pattern():
    admit_replacement("***", 0, "f")
    admit_replacement(r"\1-\2 & $1", 2, "f")
    for text, groups, message in [(r"\1", 0, "has no group"), (r"x\3", 2, r"character 2: \3"), (r"\&", 1, r"\& stands"), ("a\\", 1, "\\")]:
        with pytest.raises(InvalidInput, match=re.escape(message)):
            admit_replacement(text, groups, "f")
