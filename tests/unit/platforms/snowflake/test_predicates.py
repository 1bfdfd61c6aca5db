"""Every good row filter, rendered for Snowflake and evaluated: the rows are those that its own text finds."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolevend.catalog import Column, Family, Table, TableId
from rolevend.errors import InvalidInput
from rolevend.model import Attributes
from rolevend.plan import Cell, ColumnShape, Condition, TableShape
from rolevend.platforms.snowflake.build.policies import fragment, row_policy, secure_view
from rolevend.platforms.snowflake.build.predicate import Need, Reading, condition_text, needs_of, predicate_text
from rolevend.platforms.snowflake.build.views import attribute_values
from rolevend.platforms.snowflake.control import lease_of
from rolevend.platforms.snowflake.sql import Sql, identifier
from rolevend.policy.binding import bind
from rolevend.policy.expression import (
    And,
    AttributeMembership,
    ColumnReference,
    Comparison,
    Literal,
    Membership,
    Not,
    Operator,
    Or,
    Predicate,
    attributes,
)
from rolevend.policy.mask import Clear
from rolevend.policy.predicate import parse
from tests.support.good_predicates import CLAIMS, GOOD, USER, VALUES, original
from tests.support.oracle_rows import bound, truth
from tests.support.snowflake_bodies import PROFILE, Account, body, on_snowflake, vended
from tests.support.tiers import by_tier

POOLS = VALUES | {"amount": [*VALUES["amount"], Decimal("99999999999.9999")]}
TABLE = on_snowflake(CLAIMS)
ADDRESS = '"PROD"."claims"."claims"'
BEYOND = (
    "amount = 1234567890123456789012345678901234567890.1",  # DuckDB reads it as a FLOAT
    "ref = '6F1C0A9E-1F2D-4C3B-8A59-0D1E2F3A4B5C'",  # here a reference is a text, and capitals differ
)


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    made = Account()
    pools = [itertools.cycle(pool) for pool in POOLS.values()]
    made.table(TABLE, [{"id": number} | dict(zip(POOLS, (next(pool) for pool in pools), strict=True)) for number in range(240)])
    made.lease(Attributes.of((key, list(values)) for key, values in USER.items()))
    yield made
    made.close()


def condition(predicate: Predicate) -> Condition:
    return Condition(attributes(predicate), predicate)


def shape(each: Condition) -> TableShape:
    columns = tuple(ColumnShape(column.name, column.family, column.native_type, (Cell((), Clear()),)) for column in TABLE.columns)
    return TableShape(TABLE.id, "claims", (each,), columns[:1])


def of_the_view(account: Account, predicate: Predicate) -> list[int]:
    rows = account.view(secure_view(PROFILE, shape(condition(predicate)), database="PROD").create, vended().through_view())
    return sorted(number for (number,) in rows)


def of_the_policy(account: Account, predicate: Predicate) -> list[int]:
    """As a tool reads the table: all its columns are granted, so nothing is masked."""
    every = replace(
        shape(condition(predicate)),
        columns=tuple(ColumnShape(each.name, each.family, each.native_type, (Cell((), Clear()),)) for each in TABLE.columns),
    )
    row = row_policy(TABLE.id, TABLE.columns, {PROFILE: fragment(PROFILE, every, TABLE.columns)})
    return sorted(number for (number,) in account.database.rows(f'SELECT "id" FROM {ADDRESS} WHERE {body(row)}', vended()))


@pytest.mark.parametrize("source", [each for each in GOOD if each not in BEYOND])
def test_a_good_filter_shows_the_rows_that_its_own_text_finds(account: Account, source: str):
    predicate = bind(parse(source), TABLE)
    found = [number for (number,) in account.database.asked_plainly(f"SELECT id FROM {ADDRESS} WHERE {original(source)} ORDER BY id")]
    assert of_the_view(account, predicate) == found
    assert of_the_policy(account, predicate) == found


def test_filters_tell_rows_apart(account: Account):
    """Those of the table, nearly all: else they would show nothing here."""
    counts = [len(of_the_view(account, bind(parse(source), TABLE))) for source in GOOD]
    assert sum(not 0 < count < 240 for count in counts) < len(GOOD) / 10


NUMBERS = [Decimal(text) for text in ("-99.99", "-12.51", "-12.5", "-0.01", "0", "0.01", "12.5", "12.51", "99.99")]


@settings(max_examples=by_tier(75, 300), deadline=None, derandomize=True)
@given(
    operator=st.sampled_from(Operator),
    text=st.sampled_from(
        [
            "12.5",
            "12.505",
            "-12.505",
            "12.5000001",
            "0",
            "-0.001",
            "99.99",
            "99.991",
            "100",
            "-100",
            "1" + "0" * 60,
            "-0.5" + "0" * 40 + "1",
        ]
    ),
    negated=st.booleans(),
)
def test_a_number_is_compared_exactly_whatever_its_digits(account: Account, operator: Operator, text: str, negated: bool):
    """A number with two decimal places, and with NULL, which no comparison finds."""
    native = "NUMBER(4,2)"
    column = ColumnReference("C", Family.NUMERIC, native)
    test = Comparison(column, operator, Literal(text, quoted=False))
    predicate: Predicate = Not(test) if negated else test
    values = ", ".join(f"({number})" for number in [*NUMBERS, "NULL"])
    rendered = predicate_text(predicate, Reading(identifier, lambda need: Sql("NULL")))
    rows = account.database.rows(
        f'SELECT "C" FROM (SELECT c.X::{native} AS "C" FROM (VALUES {values}) AS c(X)) AS t WHERE {rendered}', vended()
    )
    assert [value for (value,) in rows] == [each for each in NUMBERS if truth(predicate, {"C": each}, Attributes(), bound) is True]


def test_a_list_with_numbers_that_the_column_cannot_have_finds_the_others():
    column = ColumnReference("C", Family.NUMERIC, "NUMBER(4,2)")
    reading = Reading(identifier, lambda need: Sql("NULL"))
    some = Membership(column, (Literal("1.5", quoted=False), Literal("1.505", quoted=False), Literal("1000", quoted=False)))
    assert predicate_text(some, reading) == '"C" IN (1.5)'
    none = Membership(column, (Literal("1.505", quoted=False),))
    assert predicate_text(none, reading) == 'CASE WHEN "C" IS NOT NULL THEN FALSE END'
    other = Comparison(column, Operator.NOT_EQUAL, Literal("1.505", quoted=False))
    assert predicate_text(other, reading) == 'CASE WHEN "C" IS NOT NULL THEN TRUE END'


def test_an_attribute_stands_before_the_predicate_in_each_family_that_it_is_read_in():
    text, number = ColumnReference("A", Family.TEXT, "VARCHAR(5)"), ColumnReference("B", Family.INTEGER, "NUMBER(38,0)")
    each = Condition(("x", "y"), Or((AttributeMembership(text, "x"), AttributeMembership(number, "x"))))
    assert needs_of(each) == (Need("x", "integer"), Need("x", "text"), Need("y", "text"))
    rendered = condition_text(each, Reading(identifier, lambda need: Sql(f"{need.attribute}_{need.family}")))
    assert rendered is not None
    assert rendered.startswith("x_integer IS NOT NULL AND x_text IS NOT NULL AND y_text IS NOT NULL AND (")


def test_a_number_of_a_float_is_compared_with_numbers_that_were_texts():
    read = attribute_values(Sql("l.ATTRS"), Need("it's", "float"))
    assert read == "TRANSFORM(GET(GET(l.ATTRS, 'it''s'), 'float')::ARRAY, v VARCHAR -> v::FLOAT)"


def test_values_of_attributes_are_spelled_once_for_each_family_that_all_of_them_have():
    given = Attributes.of([("n", ["007", "7"]), ("mixed", ["7", "x"]), ("at", ["2024-01-31T10:00:00+01:00"]), ("amount", ["012.500"])])
    assert lease_of(given) == (
        '{"amount": {"float": ["12.5"], "numeric": ["12.5"], "text": ["012.500"]},'
        ' "at": {"text": ["2024-01-31T10:00:00+01:00"], "timestamp with time zone": ["2024-01-31T09:00:00.000000000"]},'
        ' "mixed": {"text": ["7", "x"]},'
        ' "n": {"float": ["7.0", "7.0"], "integer": ["7", "7"], "numeric": ["7", "7"], "text": ["007", "7"]}}'
    )


def test_without_an_attribute_no_negation_shows_every_row(account: Account):
    predicate = bind(parse("NOT (country IN (user_attr('nothing')))"), TABLE)
    assert of_the_view(account, predicate) == of_the_policy(account, predicate) == []


@pytest.mark.parametrize("key", ["it's", 'say "x"', "back\\slash", "a.b[0]", "☃"])
def test_an_attribute_may_have_any_name(key: str):
    """It is a literal, never a path."""
    made = Account()
    table = Table(TableId("S", "T"), (Column("C", Family.TEXT, "VARCHAR(5)"),))
    made.table(table, [{"C": "x"}, {"C": "y"}])
    made.lease(Attributes.of([("plain", ["y"]), (key, ["x"])]))
    each = Condition((key,), And((AttributeMembership(ColumnReference("C", Family.TEXT, "VARCHAR(5)"), key),)))
    create = secure_view(
        PROFILE, TableShape(table.id, "T", (each,), (ColumnShape("C", Family.TEXT, "VARCHAR(5)", (Cell((), Clear()),)),)), database="PROD"
    ).create
    assert made.view(create, vended().through_view()) == [("x",)]
    made.close()


@pytest.mark.parametrize("family", [Family.OTHER, Family.UUID])
def test_what_cannot_be_compared_is_refused(family: Family):
    column = ColumnReference("C", family, "VARIANT")
    for test in (
        Comparison(column, Operator.EQUAL, Literal("x", quoted=True)),
        Membership(column, (Literal("x", quoted=True),)),
        AttributeMembership(column, "x"),
    ):
        with pytest.raises(InvalidInput, match="cannot be compared: Snowflake type VARIANT"):
            predicate_text(test, Reading(identifier, lambda need: Sql("NULL")))
    with pytest.raises(InvalidInput):
        predicate_text(And(()), Reading(identifier, lambda need: Sql("NULL")))
