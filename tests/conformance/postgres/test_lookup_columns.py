"""A condition on a lookup column uses an index, and no condition on another column does."""

from dataclasses import replace

import psycopg
import pytest

from rolevend.plan import TableShape
from tests.conformance.bench import PostgresBench, PostgresSession, equal, own, profile, refused, shape, vend, vended
from tests.conformance.bench import lease as new_lease

ROWS = 20_000


@pytest.fixture
def claims(bench: PostgresBench) -> TableShape:
    table = bench.table([("id", "integer"), ("region", "text"), ("person", "integer")])
    bench.run(
        f"INSERT INTO {table.id} SELECT i, CASE i % 2 WHEN 0 THEN 'EU' ELSE 'US' END, i FROM generate_series(1, {ROWS}) AS i;"
        f"CREATE UNIQUE INDEX ON {table.id} (id); CREATE UNIQUE INDEX ON {table.id} (person)"
    )
    bench.run(f"VACUUM ANALYZE {table.id}")
    return shape(table, own(table, "region", "regions"))


def looked_up(of: TableShape, *names: str) -> TableShape:
    return replace(of, columns=tuple(replace(column, lookup=column.name in names) for column in of.columns))


def session(bench: PostgresBench, of: TableShape) -> PostgresSession:
    return bench.log_in(vended(bench.platform, profile(of), regions=["EU"])[1])


def steps(eve: PostgresSession, statement: str) -> str:
    return "\n".join(line for (line,) in eve.rows(f"EXPLAIN (COSTS OFF) {statement}"))


@pytest.mark.both_installs
def test_only_a_lookup_column_finds_rows_by_an_index(bench: PostgresBench, claims: TableShape):
    eve = session(bench, looked_up(claims, "id"))

    assert "Index Cond: (id = 4)" in steps(eve, "SELECT * FROM items WHERE id = 4")
    assert "Index Cond" not in steps(eve, "SELECT * FROM items WHERE person = 4")
    for statement in ("SELECT id FROM items WHERE id = 4", "SELECT id FROM items WHERE person = 4"):
        assert eve.rows(statement) == [(4,)]
    for statement in ("SELECT id FROM items WHERE id = 5", "SELECT id FROM items WHERE person = 5"):
        assert eve.rows(statement) == []


def test_without_one_no_condition_does(bench: PostgresBench, claims: TableShape):
    eve = session(bench, claims)

    for column in ("id", "person"):
        assert "Index Cond" not in steps(eve, f"SELECT * FROM items WHERE {column} = 4")


def test_a_lease_that_is_narrowed_to_another_table_is_told_nothing_of_its_values(bench: PostgresBench, claims: TableShape):
    """Whether there is an error must not depend on the value that is looked for."""
    other = shape(bench.people())
    of = profile(looked_up(claims, "id"), other)
    lease = replace(new_lease(of, regions=["EU"]), resources=(other.table,))
    eve = bench.log_in(vend(bench.platform, of, lease))

    for value in (4, 5, ROWS + 1):
        assert refused(lambda value=value: eve.rows(f"SELECT id FROM items WHERE id = {value}")) == "42501"
    assert len(eve.rows("SELECT * FROM people")) == 6


HIDDEN = {"by both tests": (3, "US", 9), "by the region alone": (5, "US", 1), "by the level alone": (7, "EU", 9)}
ERROR = "CASE WHEN id = {} THEN id = (SELECT 1/(random()*0)::int) ELSE false END"
"""Costs more than a comparison, and less than a test of an attribute: PostgreSQL evaluates it between them."""


@pytest.mark.both_installs
def test_a_lookup_column_tells_which_test_of_a_row_filter_hides_a_row(bench: PostgresBench):
    """One test after the other is evaluated, the cheap ones first. With one test there is nothing to tell but that the row is hidden."""
    table = bench.table([("id", "integer"), ("region", "text"), ("level", "integer")], [(1, "EU", 1), *HIDDEN.values()])
    bench.run(f"CREATE UNIQUE INDEX ON {table.id} (id)")
    one = looked_up(shape(table, own(table, "region", "regions")), "id")
    two = replace(one, restrictions=((equal(table, "level", "1"),),))
    told: list[list[tuple[bool, bool]]] = []
    for of in (one, two):
        eve = session(bench, of)
        eve.run("SET enable_seqscan = off; SET enable_bitmapscan = off")
        told.append([(fails(eve, ERROR.format(row)), asks_twice(eve, f"id = {row}")) for row, *_ in HIDDEN.values()])

    assert len(set(told[0][:2])) == 1
    assert told[1] == [(False, False), (True, True), (False, False)]


def fails(eve: PostgresSession, condition: str) -> bool:
    try:
        return eve.rows(f"SELECT FROM items WHERE {condition}") != []
    except psycopg.errors.DivisionByZero:
        return True


def asks_twice(eve: PostgresSession, condition: str) -> bool:
    """Whether the test of the attribute was reached: nothing of the plan says "never executed"."""
    plan = eve.rows(f"EXPLAIN (ANALYZE, TIMING OFF) SELECT FROM items WHERE {condition}")
    return not any("never executed" in line for (line,) in plan)
