"""Row filters that are the same in every row, however they are written."""

import pytest

from rolevend.catalog import Family
from rolevend.errors import InvalidInput
from rolevend.policy.index import PolicyReport, compile_policies
from rolevend.policy.predicate import parse
from tests.support.good_predicates import GOOD
from tests.support.policies import catalog, column, guardrail, policy, table

ALWAYS = (
    "a = 1 OR a <> 1",
    "a <> 1 OR a <> 2",
    "a = 1 OR NOT a = 1",
    "a NOT IN (1, 2) OR a NOT IN (3)",
    "a < 5 OR a >= 5",
    "a > 1 OR a < 2",
    "a > '2024-01-01' OR a < '2024-06-01'",
    "a IS NULL OR a IS NOT NULL",
    "NOT (a IS NULL AND a IS NOT NULL)",
    "a = 1 OR a <> 1 OR a IS NULL",
    "NOT (a = 1 AND a = 2)",
    "a IN ('x') OR a NOT IN ('x') OR b = 1",
    "a BETWEEN 1 AND 2 OR a NOT BETWEEN 1 AND 2",
    "a = true OR a = false",
    "a <> true OR a <> false",
    "a IN (user_attr('x')) OR a NOT IN (user_attr('x'))",
    "a IN (user_attr('x')) OR NOT (a = user_attr('x'))",
    "NOT (a IN (user_attr('x')) AND NOT (a IN (user_attr('x'))))",
    "a >= now() OR NOT (a >= now())",
    "col('t') = 1 OR col('t') <> 1",
    "(a = 1 AND b = 1) OR (a = 1 AND b <> 1) OR a <> 1",
    "a = 1 OR b = 2 OR b <> 2",
    "a = 01 OR a <> 1",
    " OR ".join(f"c{number} = 1" for number in range(60)) + " OR x <> 1 OR x <> 2",
)
NEVER = (
    "a = 1 AND a = 2",
    "a BETWEEN 5 AND 1",
    "a > 10 AND a < 9",
    "a IS NULL AND a = 1",
    "a = 1 AND a <> 1",
    "a IN ('x') AND a NOT IN ('x', 'y')",
    "a IN (user_attr('x')) AND a NOT IN (user_attr('x'))",
    " AND ".join(f"c{number} = 1" for number in range(60)) + " AND x = 1 AND x = 2",
)


@pytest.mark.parametrize("source", ALWAYS)
def test_a_filter_that_hides_nothing_is_refused(source):
    with pytest.raises(InvalidInput, match="this is true in every row that has a value; "):
        parse(source)


@pytest.mark.parametrize("source", NEVER)
def test_a_filter_that_shows_nothing_is_refused(source):
    with pytest.raises(InvalidInput, match="this is true in no row; "):
        parse(source)


@pytest.mark.parametrize("source", [*GOOD, "a IS NOT NULL", "a = 1 OR a IS NULL", "a = '1' AND a <> '01'", "a = 1 OR b <> 1", "a <> 1"])
def test_a_filter_that_tells_rows_apart_is_none_of_them(source):
    parse(source)


TYPED = table("claims.typed", *(column(family.name.lower(), family) for family in Family if family is not Family.OTHER))
ALWAYS_WITH_TYPES = (
    "boolean = 'true' OR boolean = 'false'",
    "integer > '9' OR integer < '10'",
    "integer = '1' OR integer <> '01'",
    "numeric >= '9.5' OR numeric <= '10'",
    "float = '0.5' OR float <> '0.50'",
    "timestamp_tz = '2024-01-31T00:00:00Z' OR timestamp_tz <> '2024-01-31T01:00:00+01:00'",
    "timestamp_tz < '2024-01-31T00:30:00Z' OR timestamp_tz > '2024-01-31T01:00:00+01:00'",
    "uuid = '6F1C0A9E-1F2D-4C3B-8A59-0D1E2F3A4B5C' OR uuid <> '6f1c0a9e-1f2d-4c3b-8a59-0d1e2f3a4b5c'",
    "timestamp > '2024-01-31' OR timestamp <= '2024-01-31T10:00'",
)
NEVER_WITH_TYPES = (
    "integer = '1' AND integer <> '01'",
    "integer >= '10' AND integer <= '9'",
    "uuid = '6F1C0A9E-1F2D-4C3B-8A59-0D1E2F3A4B5C' AND uuid <> '6f1c0a9e-1f2d-4c3b-8a59-0d1e2f3a4b5c'",
)
APART_WITH_TYPES = (
    "integer >= '9' AND integer <= '10'",
    "integer < '9' OR integer > '10'",
    "boolean = true",
    "boolean IN (user_attr('x'))",
    "timestamp_tz = '2024-01-31T00:00:00Z' AND timestamp_tz = '2024-01-31T01:00:00+01:00'",
    "integer = '1' AND integer = '01'",
    "date < current_date AND date > '2024-01-31'",
    "date < current_date OR date > '2024-01-31'",
    "date = current_date OR date = '2024-01-31'",
)
OF_TEXTS = (
    "text < 'a' OR text > 'B'",
    "text >= 'b' AND text <= 'A'",
    "text BETWEEN 'b' AND 'a'",
    "text < 'a' OR text > 'b' OR text = 'B'",
    "text <> 'a' OR text < 'b'",
)
"""Their order is the collation's, which nobody knows here."""
WHATEVER_THE_ORDER = ("text < 'a' OR text >= 'a'", "text BETWEEN 'a' AND 'b' OR text NOT BETWEEN 'a' AND 'b'")
OF_THE_CLOCK = (
    "date <= current_date OR date > current_date",
    "timestamp_tz >= now() - interval '1 day' OR timestamp_tz < now() - interval '1 day'",
)


@pytest.mark.parametrize("source", ALWAYS_WITH_TYPES)
def test_a_filter_that_hides_nothing_is_found_where_its_columns_have_types(source):
    (told,) = report_of(source).problems

    assert told.field == "spec.rowFilter"
    assert told.message.startswith("this is true in every row that has a value; ")
    assert told.message.endswith("(claims.typed is not granted)")


@pytest.mark.parametrize("source", NEVER_WITH_TYPES)
def test_a_filter_that_shows_nothing_is_found_where_its_columns_have_types(source):
    (told,) = report_of(source).problems

    assert told.message.startswith("this is true in no row; ")


@pytest.mark.parametrize("source", [*APART_WITH_TYPES, *OF_TEXTS])
def test_what_depends_on_a_type_a_collation_or_the_clock_is_not_guessed(source):
    assert report_of(source).problems == ()


@pytest.mark.parametrize("source", [*WHATEVER_THE_ORDER, *OF_THE_CLOCK])
def test_what_holds_in_any_order_and_at_any_time_is_refused_as_it_is_written(source):
    with pytest.raises(InvalidInput, match="this is true in every row that has a value; "):
        parse(source)


def test_a_restriction_that_hides_nothing_denies_its_table():
    rail = guardrail(row_restriction=parse("integer > '9' OR integer < '10'"))

    (told,) = compile_policies(catalog(TYPED), [], [rail]).guardrail_reports[0].problems

    assert told.field == "spec.rowRestriction"
    assert told.message.endswith("(claims.typed is denied to whom this concerns)")


def report_of(source: str) -> PolicyReport:
    return compile_policies(catalog(TYPED), [policy(row_filter=parse(source))]).reports[0]
