"""Attributes from claims: what is read, what is refused at admission, and that what cannot be read gives nothing."""

import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolevend.errors import InvalidInput
from rolevend.identity.claim_expression import LONGEST_LOOP, Expression, admit
from rolevend.identity.claim_mapping import MAXIMUM_VALUES, ClaimMapping, ClaimPath, ClaimSource, SourcedAttribute, handle, mapped
from rolevend.policy.cel import MAXIMUM_LENGTH

FIELD = "spec.attributes[department].expression"
CLAIMS: dict[str, Any] = {
    "department": "claims",
    "level": 3,
    "employee": True,
    "groups": ["rolevend-readers", "rolevend-writers", "lunch"],
    "realm_access": {"roles": ["analyst"]},
    "https://example.org/region": "EU",
    "none": None,
    "empty": "",
    "nothing": [],
}


def expression(text: str) -> Expression:
    return admit(text, FIELD)


def values(source: ClaimSource, claims: dict[str, Any] = CLAIMS) -> tuple[str, ...] | None:
    """None where they are there, and cannot be read."""
    read = mapped(ClaimMapping(attributes=(("key", source),)), claims)
    if read.unreadable:
        assert read.attributes == ()
        return None
    return read.attributes[0].values if read.attributes else ()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("department",), ("claims",)),
        (("level",), ("3",)),
        (("employee",), ("true",)),
        (("groups",), ("lunch", "rolevend-readers", "rolevend-writers")),
        (("realm_access", "roles"), ("analyst",)),
        (("https://example.org/region",), ("EU",)),
        (("missing",), ()),
        (("realm_access", "missing"), ()),
        (("missing", "missing"), ()),
        (("none",), ()),
        (("none", "missing"), ()),
        (("empty",), ()),
        (("nothing",), ()),
    ],
)
def test_a_claim_is_read_by_its_path(path: tuple[str, ...], expected: tuple[str, ...]):
    assert values(ClaimPath(path)) == expected


@pytest.mark.parametrize("path", [("realm_access",), ("department", "roles"), ("groups", "roles")])
def test_a_claim_that_is_no_text_is_unreadable(path: tuple[str, ...]):
    assert values(ClaimPath(path)) is None


@pytest.mark.parametrize("said", [1.5, {}, [{}], [["a"]], [1.5], [None], "a\nb", "a\u202eb", " a", "x" * 257, ["ok", "not\0ok"]])
def test_one_unreadable_value_makes_all_of_them_unreadable(said: Any):
    """A list that misses one could pass a test that the whole list would not."""
    assert values(ClaimPath(("said",)), {"said": said}) is None


def test_as_many_values_are_read_as_an_attribute_may_have():
    assert values(ClaimPath(("said",)), {"said": [f"v{number}" for number in range(MAXIMUM_VALUES)]}) is not None
    assert values(ClaimPath(("said",)), {"said": [f"v{number}" for number in range(MAXIMUM_VALUES + 1)]}) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("claims.department", ("claims",)),
        ("claims['https://example.org/region']", ("EU",)),
        ("claims.realm_access.roles", ("analyst",)),
        ("claims.realm_access['roles']", ("analyst",)),
        ("claims.groups[0]", ("rolevend-readers",)),
        ("claims.groups.filter(group, group.startsWith('rolevend-'))", ("rolevend-readers", "rolevend-writers")),
        ("'lunch' in claims.groups ? 'hungry' : 'fed'", ("hungry",)),
        ("claims.groups.exists(group, group == 'lunch')", ("true",)),
        ("has(claims.missing) ? claims.missing : 'unknown'", ("unknown",)),
        ("claims.level >= 3 && claims.employee ? ['senior', 'staff'] : ['staff']", ("senior", "staff")),
        ("size(claims.groups)", ("3",)),
        ("claims.groups.size()", ("3",)),
        ("claims.missing", ()),
        ("claims.realm_access.missing", ()),
        ("'everybody'", ("everybody",)),
    ],
)
def test_an_expression_says_an_attribute(text: str, expected: tuple[str, ...]):
    assert values(expression(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "claims.department < 3",
        "claims.groups[99]",
        "claims.department.all(x, x == 'a')",
        "claims.realm_access",
        "claims.level.startsWith('3')",
        "claims.none.size() == 0",
    ],
)
def test_an_expression_without_an_answer_gives_nothing(text: str):
    assert not values(expression(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "claims",
        "size(claims)",
        "claims == claims",
        "claims.exists(one, true)",
        "claims.size()",
        "claims[claims.department]",
        "claims.groups[claims.level]",
        "claims['a' + 'b']",
        "user.attributes.department",
        "request.purpose == 'x'",
        "department",
        "[claims].exists(one, one.department == 'x')",
        "claims.department.matches('(a*)*b')",
        "claims.department.split(',')",
        "timestamp('2024-01-01T00:00:00Z') < now()",
        "type(claims.department) == string",
        "dyn(claims.department)",
        "string(claims.level)",
        "cel.bind(x, 1, true)",
        "{'a': 1}",
        "null",
        "1 + 1",
        "-1",
        "size",
        "claims.groups.filter(x, claims.groups.exists(y, x == y))",
        "claims.groups.filter(x, x in claims.groups)",
        "claims.groups.filter(x, true).filter(y, true)",
        "claims.groups.filter(claims, true)",
        "claims.groups.filter(size, true)",
        "claims.groups.filter(i, v, true) && v == 1",
        "claims.groups.filter()",
        "claims.groups.filter(",
        "claims.groups.filter(x, true) && x == 'a'",
        r"claims.department == 'a\'b'",
        "claims.department == '''x'''",
        "claims.department == r'x'",
        "claims.department == b'x'",
        "claims.department // nothing",
        "claims.department; true",
        "claims .",
        "claims.",
        "claims[",
        "claims['a'",
        "claims()",
        "claims.level == 9999999999999999999",
        "claims.level == 0x10",
        "claims\u00a0.department",
        "claims.d\u0435partment",
        "(" * 33 + "true" + ")" * 33,
        "(" * 500 + "true" + ")" * 500,
        "true" + " " * MAXIMUM_LENGTH,
        "true true",
    ],
)
def test_what_is_not_of_the_language_is_refused_where_it_stands(text: str):
    with pytest.raises(InvalidInput) as refused:
        expression(text)
    assert refused.value.field == FIELD
    assert refused.value.message.startswith("line ")
    assert "; " in refused.value.message


def test_each_attribute_keeps_where_it_came_from():
    groups = expression("claims.groups.filter(one, one == 'lunch')")
    read = mapped(ClaimMapping(attributes=(("department", ClaimPath(("department",))), ("groups", groups))), CLAIMS)

    assert read.attributes == (
        SourcedAttribute("department", ("claims",), "claim department"),
        SourcedAttribute("groups", ("lunch",), f"expression {groups.text}"),
    )
    assert read.unreadable == ()


def test_what_cannot_be_read_takes_nothing_from_the_others_and_is_named():
    read = mapped(ClaimMapping(attributes=(("suspended", ClaimPath(("realm_access",))), ("level", ClaimPath(("level",))))), CLAIMS)

    assert [attribute.key for attribute in read.attributes] == ["level"]
    assert read.unreadable == ("suspended",)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("E10442", "E10442"),
        (10442, "10442"),
        *((said, None) for said in ("anna@example.org", "e10442", "E" * 12, "", ["A", "B"], None, {})),
    ],
)
def test_a_handle_is_taken_where_it_is_one(said: Any, expected: str | None):
    assert handle(ClaimMapping(handle=ClaimPath(("number",))), {"number": said}) == expected
    assert handle(ClaimMapping(handle=expression("claims.number")), {"number": said}) == expected
    assert handle(ClaimMapping(), {"number": said}) is None


def test_equal_texts_are_equal_expressions():
    assert expression("claims.a") == expression("claims.a") != expression("claims.b")


def test_the_longest_loop_over_the_largest_claim_ends_soon():
    crowded = {"groups": ["x"] * LONGEST_LOOP}
    text = "claims.groups.filter(x, " + " && ".join(["x.contains('xy') == false"] * 34) + ")"
    begun = time.process_time()

    assert MAXIMUM_LENGTH * 0.9 < len(text) <= MAXIMUM_LENGTH
    assert values(expression(text), crowded) == ("x",)
    assert time.process_time() - begun < 1


@pytest.mark.parametrize("crowd", [["x"] * (LONGEST_LOOP + 1), [["x"] * (LONGEST_LOOP + 1)], {f"x{n}": 1 for n in range(LONGEST_LOOP + 1)}])
def test_no_loop_goes_over_claims_with_longer_lists(crowd: Any):
    assert values(expression("claims.groups.exists(x, x == 'x')"), {"groups": crowd}) is None
    assert values(expression("'x' in claims.groups"), {"groups": ["x"] * (LONGEST_LOOP + 1)}) == ("true",)


@given(st.text(alphabet="claims.grous[]()'\"&|!=<>?:,in12 ", max_size=60))
def test_any_text_is_refused_or_answered(text: str):
    with suppress(InvalidInput):
        values(expression(text))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_any_claims_are_read_or_named(said: Any):
    for source in (ClaimPath(("said",)), expression("claims.said"), expression("claims.said.filter(x, x == 'a')")):
        assert values(source, {"said": said}) is None or isinstance(values(source, {"said": said}), tuple)
