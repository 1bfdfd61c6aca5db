"""Row filters that are the same in every row, however they are written."""

import pytest

from rolevend.errors import InvalidInput
from rolevend.policy.predicate import parse
from tests.support.good_predicates import GOOD

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
