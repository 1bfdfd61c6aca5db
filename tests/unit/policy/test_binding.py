"""A row filter meets a table."""

import re

import pytest
from hypothesis import given, settings

from rolevend.catalog import Catalog, Column, Family, Table, TableId
from rolevend.errors import InvalidInput
from rolevend.model import Tag
from rolevend.policy.binding import bind
from rolevend.policy.expression import AttributeMembership, ColumnReference, Literal, Membership, atoms, render
from rolevend.policy.index import compile_policies
from rolevend.policy.predicate import parse
from tests.support.good_predicates import CLAIMS
from tests.support.policies import EVERY_FAMILY, NATIVE, column, policy, predicates, table
from tests.support.tiers import by_tier

PEOPLE = table(
    "claims.people",
    column("id", Family.INTEGER),
    column("region"),
    column("Country"),
    column("paid", Family.NUMERIC),
    column("active", Family.BOOLEAN),
    column("born", Family.DATE),
    column("seen", Family.TIMESTAMP_TZ),
    column("ref", Family.UUID),
    column("doc", Family.OTHER),
)


def bound(source: str) -> str:
    return render(bind(parse(source), PEOPLE))


@pytest.mark.parametrize(
    ("source", "canonical"),
    [
        ("id = '007'", '"id" = 7'),
        ("id = 7", '"id" = 7'),
        ("region = '7'", "\"region\" = '7'"),
        ("paid > 1.50", '"paid" > 1.5'),
        ("paid > '01.50'", '"paid" > 1.5'),
        ("active = 'TRUE'", '"active" = true'),
        ("active <> false", '"active" <> false'),
        ("born >= '2024-01-31'", "\"born\" >= '2024-01-31'"),
        ("seen < '2024-01-31T00:00:00+02:00'", "\"seen\" < '2024-01-30T22:00:00+00:00'"),
        ("ref = '6F1C0A9E-1F2D-4C3B-8A59-0D1E2F3A4B5C'", "\"ref\" = '6f1c0a9e-1f2d-4c3b-8a59-0d1e2f3a4b5c'"),
        ("doc IS NOT NULL", '"doc" IS NOT NULL'),
        ("id IN (3, '1', 2, 1)", '"id" IN (1, 2, 3)'),
        ("\"Country\" IN ('b', 'a') OR NOT (id = 1)", "\"Country\" IN ('a', 'b') OR NOT \"id\" = 1"),
    ],
)
def test_literals_get_the_one_spelling_of_their_value(source, canonical):
    assert bound(source) == canonical


def test_columns_get_their_types_and_lists_are_sets():
    predicate = bind(parse("id IN (2, '2', 1)"), PEOPLE)

    assert predicate == Membership(
        ColumnReference("id", Family.INTEGER, "bigint"), (Literal("1", quoted=False), Literal("2", quoted=False))
    )
    assert bind(parse("id = user_attr('level')"), PEOPLE) == AttributeMembership(ColumnReference("id", Family.INTEGER, "bigint"), "level")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("regoin = 'x'", "table claims.people has no column regoin; did you mean region?"),
        ("country = 'x'", 'no column country; did you mean "Country"?'),
        ("quite_another IS NULL", "no column quite_another; it has id, region, Country, paid, active, born, seen, ref, …"),
        ("region = 7", "column region is of type text and 7 is not; put it in quotes: '7'"),
        ("region IN ('a', 7)", "put it in quotes: '7'"),
        ("region = true", "put it in quotes: 'true'"),
        ("id = 'x'", "'x' is no value of column id (integer); write a whole number from -2^63 to 2^63-1"),
        ("id = 1.5", "1.5 is no value of column id (integer)"),
        ("id = true", "true is no value of column id (integer)"),
        ("id > 9223372036854775808", "is no value of column id (integer)"),
        ("paid = 'NaN'", "'NaN' is no value of column paid (numeric); write a finite number"),
        ("active = 1", "1 is no value of column active (boolean); write true or false"),
        ("active > false", "column active is of type boolean, which has no order; use =, <> or IN"),
        ("ref BETWEEN '6f1c0a9e-1f2d-4c3b-8a59-0d1e2f3a4b5c' AND '6f1c0a9e-1f2d-4c3b-8a59-0d1e2f3a4b5d'", "uuid, which has no order"),
        ("born = '2024-02-30'", "'2024-02-30' is no value of column born (date); write a date such as 2024-01-31"),
        ("born > 2024", "column born is of type date and 2024 is not; write a date such as 2024-01-31, in quotes"),
        ("seen > '2024-01-31T10:00:00'", "write a date and time with its offset, such as 2024-01-31T10:00:00Z"),
        ("doc = 'x'", "column doc is of type jsonb, which only IS NULL and IS NOT NULL can test"),
        ("doc IN (user_attr('x'))", "only IS NULL and IS NOT NULL can test"),
    ],
)
def test_what_no_platform_could_answer_is_refused_with_a_way_out(source, message):
    with pytest.raises(InvalidInput, match=re.escape(message)) as refusal:
        bind(parse(source), PEOPLE, "spec.rowFilter")

    assert refusal.value.field == "spec.rowFilter"


@given(predicates())
@settings(max_examples=by_tier(25, 100), deadline=None)
def test_a_bound_predicate_is_typed_throughout_and_binding_it_again_changes_nothing(predicate):
    once = bind(predicate, EVERY_FAMILY)

    assert all(atom.column.native_type == NATIVE[atom.column.family] for atom in atoms(once))
    assert bind(once, EVERY_FAMILY) == once


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("born >= now()", "column born is a date, and now() is a time; write current_date"),
        ("n >= current_date", "column n is of type integer, and current_date is a time; write a whole number"),
        ("country < now()", "column country is of type text, and now() is a time"),
        ("col('pii') IS NULL", "several columns of table claims.claims carry the tag pii: born, ref; name one of them"),
        ("col('geo.countri') = 'x'", "no column of table claims.claims carries the tag geo.countri; did you mean geo.country?"),
        ("col('pii', 'brith') IS NULL", "no column of table claims.claims carries the tag pii=brith; did you mean pii=birth?"),
        ("col('zzz') IS NULL", "no column of table claims.claims carries the tag zzz; see the TagBindings of its schema"),
        ("col('level') = 'x'", "'x' is no value of column n (integer)"),
    ],
)
def test_a_tag_or_a_clock_that_does_not_go_with_the_table_is_refused(source, message):
    with pytest.raises(InvalidInput, match=re.escape(message)):
        bind(parse(source), CLAIMS)


def test_a_tag_is_the_column_that_carries_it():
    assert bind(parse("col('geo.country') = 'DE'"), CLAIMS) == bind(parse("country = 'DE'"), CLAIMS)


def test_tables_with_other_columns_under_one_tag_are_each_read_by_their_own():
    first, second = (Table(TableId("claims", name), (Column(name, Family.TEXT, "text", frozenset({Tag("k", "v")})),)) for name in "ab")

    (compiled,) = compile_policies(Catalog.of([first, second]), [policy(row_filter=parse("col('k') = 'x'"))]).policies

    assert [render(compiled.grant(each).condition.predicate) for each in (first, second)] == ["\"a\" = 'x'", "\"b\" = 'x'"]
