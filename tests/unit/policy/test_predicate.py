"""Row filters, from text to value."""

import re

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from rolevend.errors import InvalidInput
from rolevend.kinds import kind_named
from rolevend.kinds.crd import definition
from rolevend.policy.expression import (
    And,
    AttributeMembership,
    ColumnReference,
    Comparison,
    Literal,
    Membership,
    Not,
    NullTest,
    Operator,
    Or,
    Range,
    TaggedColumn,
    TagReference,
    attributes,
    render,
)
from rolevend.policy.literal import Clock, Moment, Span
from rolevend.policy.predicate import bind, parse
from rolevend.policy.tautology import constant
from rolevend.policy.vocabulary import MAXIMUM_LENGTH
from tests.support.good_predicates import CLAIMS, GOOD
from tests.support.policies import predicates
from tests.support.tiers import by_tier
from tests.unit.hostile_predicates import HOSTILE

A, B, C = ColumnReference("a"), ColumnReference("b"), ColumnReference("c")


def number(text: str) -> Literal:
    return Literal(text, quoted=False)


def text(value: str) -> Literal:
    return Literal(value, quoted=True)


@pytest.mark.parametrize(
    ("source", "meaning"),
    [
        ("a = 'x'", Comparison(A, Operator.EQUAL, text("x"))),
        ("a <> 1", Comparison(A, Operator.NOT_EQUAL, number("1"))),
        ("a != 1", Comparison(A, Operator.NOT_EQUAL, number("1"))),
        ("a <= -1.5", Comparison(A, Operator.LESS_OR_EQUAL, number("-1.5"))),
        ("a = TRUE", Comparison(A, Operator.EQUAL, number("true"))),
        ("false = a", Comparison(A, Operator.EQUAL, number("false"))),
        ("1 < a", Comparison(A, Operator.GREATER, number("1"))),
        ("1 >= a", Comparison(A, Operator.LESS_OR_EQUAL, number("1"))),
        ("a IN ('x', 'y')", Membership(A, (text("x"), text("y")))),
        ("a NOT IN ('x')", Not(Membership(A, (text("x"),)))),
        ("a IN (user_attr('countries'))", AttributeMembership(A, "countries")),
        ("a = user_attr('countries')", AttributeMembership(A, "countries")),
        ("USER_ATTR('countries') = a", AttributeMembership(A, "countries")),
        ("a NOT IN (user_attr('x'))", Not(AttributeMembership(A, "x"))),
        ("a BETWEEN 1 AND 2", Range(A, number("1"), number("2"))),
        ("a NOT BETWEEN 1 AND 2", Not(Range(A, number("1"), number("2")))),
        ("a IS NULL", NullTest(A, is_null=True)),
        ("a IS NOT NULL", NullTest(A, is_null=False)),
        ("NOT a IS NULL", NullTest(A, is_null=False)),
        ("a = 'it''s; -- no comment'", Comparison(A, Operator.EQUAL, text("it's; -- no comment"))),
        ("a = 'back\\slash'", Comparison(A, Operator.EQUAL, text("back\\slash"))),
        ("a = ''", Comparison(A, Operator.EQUAL, text(""))),
        ("a = 'true'", Comparison(A, Operator.EQUAL, text("true"))),
        ("((a = 1))", Comparison(A, Operator.EQUAL, number("1"))),
        ("a >= now()", Comparison(A, Operator.GREATER_OR_EQUAL, Moment(Clock.NOW))),
        ("now() > a", Comparison(A, Operator.LESS, Moment(Clock.NOW))),
        ("a < NOW() - INTERVAL '30 DAYS'", Comparison(A, Operator.LESS, Moment(Clock.NOW, -30, Span.DAY))),
        ("a < now() + interval '1 month'", Comparison(A, Operator.LESS, Moment(Clock.NOW, 1, Span.MONTH))),
        ("a < now() - interval '0 weeks'", Comparison(A, Operator.LESS, Moment(Clock.NOW))),
        ("a = current_date - 30", Comparison(A, Operator.EQUAL, Moment(Clock.TODAY, -30, Span.DAY))),
        ("a = Current_Date", Comparison(A, Operator.EQUAL, Moment(Clock.TODAY))),
        ("a BETWEEN now() - interval '2 hours' AND now()", Range(A, Moment(Clock.NOW, -2, Span.HOUR), Moment(Clock.NOW))),
        ("col('k') = 1", Comparison(TaggedColumn("", tag=TagReference("k")), Operator.EQUAL, number("1"))),
        ("col('k', 'v') IS NULL", NullTest(TaggedColumn("", tag=TagReference("k", "v")), is_null=True)),
        ("COL('k') = user_attr('x')", AttributeMembership(TaggedColumn("", tag=TagReference("k")), "x")),
        ("a\n\t= 1", Comparison(A, Operator.EQUAL, number("1"))),
    ],
)
def test_a_test_of_a_column_is_read(source, meaning):
    assert parse(source) == meaning


def test_and_binds_closer_than_or_and_not_closest():
    a, b, c = (Comparison(column, Operator.EQUAL, number("1")) for column in (A, B, C))

    assert parse("a = 1 OR b = 1 AND c = 1") == Or((a, And((b, c))))
    assert parse("(a = 1 OR b = 1) AND c = 1") == And((Or((a, b)), c))
    assert parse("NOT a = 1 AND b = 1") == And((Not(a), b))
    assert parse("NOT (a = 1 AND b = 1) OR c = 1") == Or((Not(And((a, b))), c))
    assert parse("a = 1 AND b = 1 AND c = 1") == parse("a = 1 AND (b = 1 AND c = 1)") == And((a, b, c))
    assert parse("a BETWEEN 1 AND 2 AND b = 1") == And((Range(A, number("1"), number("2")), b))


def test_bare_names_fold_to_lower_case_and_quoted_names_do_not():
    assert parse("Region = 'x'") == parse("\"region\" = 'x'")
    assert parse('"Region" IS NULL') == NullTest(ColumnReference("Region"), is_null=True)
    assert parse('"a""b c" IS NULL') == NullTest(ColumnReference('a"b c'), is_null=True)


@pytest.mark.parametrize(
    "name", ["date", "user", "type", "status", "text", "name", "key", "timestamp", "uuid", "year", "interval", "now", "col"]
)
def test_words_that_other_languages_reserve_can_be_columns(name):
    assert parse(f"{name} IS NULL") == NullTest(ColumnReference(name), is_null=True)


@pytest.mark.parametrize("source", GOOD)
def test_a_good_filter_can_be_said_again_and_bound(source):
    predicate = parse(source)
    bound = bind(predicate, CLAIMS)

    assert parse(render(predicate)) == predicate
    assert bind(parse(render(bound)), CLAIMS) == bound


def test_there_are_enough_of_either():
    assert len(set(GOOD)) >= 150
    assert len({source for source, _ in HOSTILE}) >= 150


@pytest.mark.parametrize(("source", "fragment"), HOSTILE, ids=[repr(source[:40]) for source, _ in HOSTILE])
def test_everything_else_is_refused_at_its_place_with_a_way_out(source, fragment):
    with pytest.raises(InvalidInput, match=re.escape(fragment)) as refusal:
        parse(source)

    assert re.match(r"line \d+, column \d+: [^;]+; .+", refusal.value.message, re.DOTALL)
    assert "\n" not in refusal.value.message
    assert refusal.value.field == "spec.rowFilter"


def test_the_largest_filters_are_read():
    assert len(parse(" OR ".join(["a = 1"] * 200)).parts) == 200
    assert len(parse(f"a IN ({','.join(['1'] * 1000)})").literals) == 1000
    assert parse("(" * 32 + "a = 1" + ")" * 32) == parse("a = 1")
    assert parse("a BETWEEN 1 AND 2 AND " * 92 + "a = 1")


names = st.text(st.characters(exclude_categories=("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")), min_size=1, max_size=8)
quoted = names.map(text)


@given(
    st.one_of(
        predicates(),
        st.builds(Comparison, st.builds(ColumnReference, names), st.sampled_from(Operator), quoted),
        st.builds(Membership, st.builds(ColumnReference, names), st.lists(quoted, min_size=1, max_size=3).map(tuple)),
        st.builds(AttributeMembership, st.builds(ColumnReference, names), names),
    )
)
@settings(max_examples=by_tier(50, 200), deadline=None)
def test_what_is_rendered_is_read_back_as_the_same_predicate(predicate):
    assume(constant(predicate) is None)
    assert parse(render(predicate)) == predicate


FRAGMENTS = (
    *("a", "b", '"C"', "user", "date", "1", "-1", "1.5", "'x'", "''", "true", "null", "user_attr", "('x')", "user_attr('x')"),
    *("=", "<", "<>", ">=", "AND", "OR", "NOT", "IN", "BETWEEN", "IS", "(", ")", ",", "symmetric", "unknown", "isnull", "all", "any"),
    *("now()", "current_date", "- interval '2 days'", "+ 3", "col('x')", "col", "now", "interval '1 day'"),
    *(".", ";", "--", "/*", "*/", "::", "'", '"', "$1", "$$", "||", "@", "case", "select", "interval", "lower(", "escape", "collate", "\\"),
)


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map(" ".join) | st.text(max_size=40))
@example("a = 1 OR b IN ('x')")
@example("ELSE")
@settings(max_examples=by_tier(125, 500), deadline=None)
def test_any_text_at_all_is_either_read_and_can_be_said_again_or_refused(source):
    try:
        predicate = parse(source)
    except InvalidInput:
        return
    assert parse(render(predicate)) == predicate


@pytest.mark.parametrize(("kind", "field"), [("AccessPolicy", "rowFilter"), ("Guardrail", "rowRestriction")])
def test_the_definitions_let_in_just_as_long_a_text_as_is_read(kind, field):
    spec = definition(kind_named(kind))["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]

    assert spec["properties"][field]["maxLength"] == MAXIMUM_LENGTH


def test_a_predicate_names_the_attributes_that_it_reads():
    assert attributes(parse("a IN (user_attr('y')) OR NOT (b = 1 AND c = user_attr('x'))")) == ("x", "y")
