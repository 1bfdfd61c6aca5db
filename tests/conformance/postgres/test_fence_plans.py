"""What the planner makes of a view with a fence: what `bench.questions` measures rests on these plans."""

from dataclasses import replace
from typing import Any

import pytest

from rolevend.catalog import Table
from rolevend.plan import Cell, TableShape
from rolevend.policy.expression import Condition
from rolevend.policy.mask import Clear
from tests.conformance.bench import PostgresBench, PostgresSession, equal, own, profile, shape, vended

pytestmark = pytest.mark.both_installs

ROWS = 5000


@pytest.fixture
def items(bench: PostgresBench) -> Table:
    table = bench.table([("id", "integer"), ("region", "text"), ("kind", "integer"), ("note", "text")])
    bench.run(f"INSERT INTO {table.id} SELECT i, (ARRAY['EU', 'US'])[1 + i % 2], i % 50, 'note' FROM generate_series(1, {ROWS}) AS i")
    bench.run(f"ALTER TABLE {table.id} ADD PRIMARY KEY (id); CREATE INDEX ON {table.id} (kind); ANALYZE {table.id}")
    return bench.catalog_table(table.id)


def filters(items: Table) -> list[list[Condition]]:
    return [[own(items, "region", "regions")], [equal(items, "region", "EU")], []]


def log_in(bench: PostgresBench, *shapes: TableShape) -> PostgresSession:
    _, credential = vended(bench.platform, profile(*shapes), regions=["EU"])
    return bench.log_in(credential)


def plan(session: PostgresSession, statement: str) -> dict[str, Any]:
    session.run("SET max_parallel_workers_per_gather = 0")
    return session.rows(f"EXPLAIN (FORMAT JSON) {statement}")[0][0][0]["Plan"]


def nodes(of: dict[str, Any]) -> list[str]:
    return [of["Node Type"], *(each for below in of.get("Plans", []) if below.get("Subplan Name") is None for each in nodes(below))]


def test_a_scan_hands_on_rows_as_they_are_stored_whatever_filters_them(bench: PostgresBench, items: Table):
    for conditions in filters(items):
        session = log_in(bench, shape(items, *conditions))
        assert nodes(plan(session, "SELECT count(*), max(kind) FROM items")) == ["Aggregate", "Seq Scan"]


def test_tests_of_the_lease_do_not_make_the_planner_expect_fewer_rows(bench: PostgresBench, items: Table):
    for conditions, visible in ((filters(items)[1], ROWS // 2), (filters(items)[2], ROWS)):
        session = log_in(bench, shape(items, *conditions))
        assert 0.97 * visible < plan(session, "SELECT * FROM items")["Plan Rows"] <= visible


def test_masks_may_test_columns_that_the_view_does_not_show(bench: PostgresBench, items: Table):
    whole = shape(items, masks={"note": (Cell((equal(items, "region", "EU"),), Clear()),)})
    session = log_in(bench, replace(whole, columns=tuple(each for each in whole.columns if each.name != "region")))
    assert session.rows("SELECT note, count(*) FROM items GROUP BY note ORDER BY note") == [("note", ROWS // 2), (None, ROWS // 2)]


def test_only_a_condition_on_a_lookup_column_uses_an_index(bench: PostgresBench, items: Table):
    fenced = shape(items, *filters(items)[0])
    looked_up = replace(fenced, columns=tuple(replace(each, lookup=each.name == "id") for each in fenced.columns))
    without, having = log_in(bench, fenced), log_in(bench, looked_up)
    by_id, by_kind = "SELECT * FROM items WHERE id = 7", "SELECT * FROM items WHERE kind = 7"

    assert [nodes(plan(session, by_id))[-1] for session in (without, having)] == ["Seq Scan", "Index Scan"]
    assert nodes(plan(having, by_kind))[-1] == "Seq Scan"
