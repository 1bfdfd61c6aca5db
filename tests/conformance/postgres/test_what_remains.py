"""What remains to find out of hidden rows, as the threat model says, and what closes it.

Estimates come from statistics of all rows, so that `EXPLAIN` tells values of hidden rows. `EXPLAIN ANALYZE` counts what the filter removed,
and how much memory a plan took. Rows come in the order in which they are read.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from rolevend.catalog import Table
from rolevend.plan import Cell
from rolevend.policy.mask import Clear, Hash, Mask, Nullify, Partial, Round
from tests.conformance.bench import PostgresBench, PostgresSession, equal, lease, own, profile, refused, shape, vend, vended

ROWS = 100_000
COLUMNS = [("id", "integer"), ("region", "text"), ("pay", "integer"), ("born", "date"), ("code", "text"), ("amount", "numeric")]
NUMBER, DAY = "t.pay <= {}", "t.born <= DATE '1950-01-01' + {}"


class Oracle:
    """Asks the planner which share of rows meets a condition. Joined with so many others, the estimate has fourteen digits."""

    def __init__(self, session: PostgresSession) -> None:
        self._session = session
        self.asked = 0

    def share(self, condition: str) -> float:
        self.asked += 1
        question = f"EXPLAIN (FORMAT JSON) SELECT FROM items AS t, generate_series(1, 1000000000) AS n WHERE {condition} OR n < -1"
        ((answer,),) = self._session.rows(question)
        return float(answer[0]["Plan"]["Plan Rows"])


def bounds(share: Callable[[int], float], low: int, high: int) -> Iterator[int]:
    """The values between which estimates are interpolated: each is a value of some row."""
    place, level, width = low, share(low), 0.0
    while place < high:
        slope = share(place + 1) - level

        def straight(to: int, at: int = place, base: float = level, slope: float = slope) -> bool:
            return abs(share(to) - base - slope * (to - at)) <= 4 * (to - at)

        guess = place + round(width / slope) if slope > 0 and width else 0
        if not (place < guess < high and straight(guess) and not straight(guess + max(9, (guess - place) // 50))):
            good, bad = place + 1, place + 2
            while bad < high and straight(bad):
                good, bad = bad, place + 2 * (bad - place)
            while bad - good > 1:
                middle = (good + bad) // 2
                good, bad = (middle, bad) if straight(middle) else (good, middle)
            guess = good
        before, place, level = level, guess, share(guess)
        width = level - before if slope > 0 else width
        yield place


def filled(bench: PostgresBench) -> Table:
    made = bench.table(COLUMNS)
    bench.run(
        f"""
        SELECT setseed(0.5);
        INSERT INTO {made.id}
        SELECT n, CASE WHEN n % 2 = 0 THEN 'EU' ELSE 'US' END, (random()*1e6)::int, DATE '1950-01-01' + (random()*2e4)::int,
               'code' || (random()*random()*200)::int, (random()*1e6)::int FROM generate_series(1, {ROWS}) AS n;
        ANALYZE {made.id};
        """
    )
    return made


def oracle(bench: PostgresBench, table: Table, **masks: Mask) -> Oracle:
    of = profile(shape(table, own(table, "region", "regions"), masks=masks))
    return Oracle(bench.log_in(vended(bench.platform, of, regions=["EU"])[1]))


def values(bench: PostgresBench, table: Table, what: str, where: str = "true") -> set[int]:
    return {value for (value,) in bench.admin.execute(f"SELECT DISTINCT {what} FROM {table.id} WHERE {where}".encode())}


def test_estimates_tell_about_a_hundred_exact_values_of_a_column(bench: PostgresBench):
    """Of the bounds of the histogram, in a few statements each; half of them are of hidden rows."""
    table = filled(bench)
    asking = oracle(bench, table)

    pay = set(bounds(lambda number: asking.share(NUMBER.format(number)), -1000, 1_000_100))
    assert len(pay & values(bench, table, "pay")) > 90
    assert len((pay & values(bench, table, "pay")) - values(bench, table, "pay", "region = 'EU'")) > 30
    assert asking.asked < 1000

    born = set(bounds(lambda day: asking.share(DAY.format(day)), -100, 20_100))
    assert len(born & values(bench, table, "born - DATE '1950-01-01'")) > 90


def test_estimates_tell_the_most_common_values_and_how_common_they_are(bench: PostgresBench):
    table = filled(bench)
    asking = oracle(bench, table)
    nobody = asking.share("t.code = 'nobody'")

    shares = {f"code{number}": asking.share(f"t.code = 'code{number}'") for number in range(200)}

    told = {code: 1.5 * (share / asking.share("t.id IS NOT NULL") - 1 / 3) * ROWS for code, share in shares.items() if share != nobody}
    true = dict(bench.admin.execute(f"SELECT code, count(*) FROM {table.id} GROUP BY code".encode()).fetchall())
    assert 50 < len(told) <= 100, "as many as the column's statistics target"
    assert sorted(abs(told[code] / true[code] - 1) for code in told)[len(told) // 2] < 0.1


def test_estimates_tell_no_value_of_a_column_that_is_masked_or_whose_comparison_is_not_leakproof(bench: PostgresBench):
    table = filled(bench)
    asking = oracle(bench, table, pay=Round("100"), code=Hash())
    for condition in ("t.pay <= {}", "t.code = 'code{}'", "t.amount <= {}"):
        assert len({asking.share(condition.format(number)) for number in range(0, 1_000_000, 50_000)}) == 1


def test_estimates_tell_no_value_of_a_column_without_statistics(bench: PostgresBench):
    """To collect none any more is not enough: those that are there stay, also after ANALYZE."""
    table = filled(bench)
    asking = oracle(bench, table)

    def told() -> list[int]:
        numbers = range(0, 200)
        return [len({asking.share(each.format(number)) for number in numbers}) for each in ("t.pay <= {}000", DAY, "t.code = 'code{}'")]

    names = ("pay", "born", "code")
    bench.run(f"ALTER TABLE {table.id} {', '.join(f'ALTER {name} SET STATISTICS 0' for name in names)}; ANALYZE {table.id}")
    assert min(told()) > 5
    for number, name in enumerate((each.name for each in table.columns), 1):
        if name in names and bench.version >= 18:
            bench.run(f"SELECT pg_clear_attribute_stats('{table.id.schema}', '{table.id.name}', '{name}', false)")
        elif name in names:
            bench.run(f"DELETE FROM pg_statistic WHERE starelid = '{table.id}'::regclass AND staattnum = {number}")
    bench.run(f"ANALYZE {table.id}")
    assert told() == [1, 1, 1]


def removed(session: PostgresSession, limit: int) -> int:
    """Rows that the filter removed before so many were shown."""
    ((answer,),) = session.rows(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) SELECT * FROM items LIMIT {limit}")
    return sum(map(int, re.findall(r'"Rows Removed by Filter": (\d+)', json.dumps(answer))))


def test_a_plan_counts_hidden_rows_between_those_that_are_shown(bench: PostgresBench):
    """In the order in which they are read: of the table, or with a lookup column of their values, where an index holds all columns."""
    rows = [(10, "EU"), (40, "US"), (20, "US"), (30, "US"), (50, "EU"), (5, "US")]
    table = bench.table([("pay", "integer"), ("region", "text")], rows)
    bench.run(f"CREATE INDEX ON {table.id} (pay) INCLUDE (region)")
    fenced = shape(table, own(table, "region", "regions"))
    lookup = replace(fenced, columns=tuple(replace(column, lookup=column.name == "pay") for column in fenced.columns))
    for read, by_index in ((fenced, [0, 3]), (lookup, [1, 4])):
        session = bench.log_in(vended(bench.platform, profile(read), regions=["EU"])[1])
        session.run("SET enable_indexonlyscan = off; SET enable_bitmapscan = off")
        assert [removed(session, limit) for limit in (1, 2)] == [0, 3]
        session.run("RESET ALL; SET enable_seqscan = off; SET enable_bitmapscan = off")
        assert [removed(session, limit) for limit in (1, 2)] == by_index


def test_a_row_filter_of_several_tests_counts_them_in_the_order_of_an_index_of_one_of_them(bench: PostgresBench):
    """Without a lookup column: the values of `pay` in hidden rows are between those that are shown."""
    rows = [(10, "EU", 1), (40, "EU", 9), (20, "EU", 9), (50, "EU", 1), (5, "EU", 9)]
    table = bench.table([("pay", "integer"), ("region", "text"), ("level", "integer")], rows)
    bench.run(f"CREATE INDEX ON {table.id} (region, pay)")
    fenced = replace(shape(table, own(table, "region", "regions")), restrictions=((equal(table, "level", "1"),),))
    session = bench.log_in(vended(bench.platform, profile(fenced), regions=["EU"])[1])
    session.run("SET enable_seqscan = off; SET enable_bitmapscan = off")
    assert [removed(session, limit) for limit in (1, 2)] == [1, 3]


ORDERS = {
    "by the columns of the filter and then others": "(region, pay)",
    "by another column and then those of the filter": "(pay, region)",
    "of the rows that the filter shows": "(pay) WHERE region = 'EU'",
}


@pytest.mark.parametrize("index", ORDERS)
def test_rows_come_in_the_order_of_an_index_that_the_row_filter_uses_also_of_masked_values(bench: PostgresBench, index: str):
    table = bench.table([("id", "integer"), ("region", "text"), ("pay", "integer")])
    bench.run(f"INSERT INTO {table.id} VALUES (1, 'EU', 30), (2, 'US', 5), (3, 'EU', 10), (4, 'EU', 20), (5, 'EU', 40)")
    masked = shape(table, equal(table, "region", "EU"), masks={"pay": Nullify()})

    def rows() -> list[tuple[int, None]]:
        session = bench.log_in(vended(bench.platform, profile(masked))[1])
        session.run("SET enable_seqscan = off; SET enable_bitmapscan = off")
        return session.rows("SELECT id, pay FROM items")

    assert rows() == [(1, None), (3, None), (4, None), (5, None)], "without an index that holds the column, as they are stored"
    bench.run(f"CREATE INDEX ON {table.id} {ORDERS[index]}")
    assert rows() == [(3, None), (4, None), (1, None), (5, None)]


MEMORY = """
EXPLAIN (ANALYZE, TIMING OFF)
SELECT max(t.note) FROM items AS t JOIN generate_series(1, 10000) AS n ON t.id = n % 1 + {} JOIN generate_series(1, 9) AS g ON g = t.id + n
"""
"""A merge join sorts what a mask is made of, here with one row repeated 10,000 times: a plan tells how much memory that took."""


def test_the_memory_of_a_plan_tells_how_long_a_masked_value_is_unless_the_mask_is_nullify(bench: PostgresBench):
    table = bench.table([("id", "integer"), ("region", "text"), ("note", "text")])
    bench.run(
        f"INSERT INTO {table.id} VALUES (1, 'EU', repeat('a', 16)), (2, 'EU', repeat('b', 48)), (3, 'EU', repeat('c', 16)), (4, 'EU', NULL)"
    )
    only_here = (Cell((equal(table, "region", "XX"),), Clear()),)
    for mask, tells in ((Partial(4), True), (Hash(), True), (only_here, True), (Nullify(), False)):
        of = profile(shape(table, own(table, "region", "regions"), masks={"note": mask}))
        session = bench.log_in(vended(bench.platform, of, regions=["EU"])[1])
        session.run("SET enable_hashjoin = off; SET enable_nestloop = off; SET work_mem = '64MB'; SET max_parallel_workers_per_gather = 0")

        def memory(row: int, session: PostgresSession = session) -> int:
            lines = [line for (line,) in session.rows(MEMORY.format(row))]
            return max(int(found) for line in lines for found in re.findall(r"Memory: (\d+)kB", line))

        short, long, as_short, nothing = map(memory, (1, 2, 3, 4))
        assert short == as_short
        assert (long > short > nothing) is tells, mask


def test_estimates_tell_how_many_different_values_a_masked_column_has_unless_the_mask_is_nullify(bench: PostgresBench):
    table = bench.table([("id", "integer"), ("region", "text"), ("pay", "integer")])
    bench.run(
        f"INSERT INTO {table.id} SELECT n, CASE WHEN n % 2 = 0 THEN 'EU' ELSE 'US' END, n % 37 FROM generate_series(1, 10000) AS n;"
        f"ANALYZE {table.id}"
    )
    for mask, groups in ((Round("10"), 37), (Nullify(), 1)):
        of = profile(shape(table, own(table, "region", "regions"), masks={"pay": mask}))
        session = bench.log_in(vended(bench.platform, of, regions=["EU"])[1])
        ((answer,),) = session.rows("EXPLAIN (FORMAT JSON) SELECT pay FROM items GROUP BY pay")
        assert answer[0]["Plan"]["Plan Rows"] == groups


def test_estimates_reach_tables_of_the_profile_that_the_lease_is_narrowed_away_from(bench: PostgresBench):
    """A plan is made without asking for the lease. To run it is refused."""
    table, people = filled(bench), shape(bench.people())
    of = profile(shape(table), people)
    narrowed = replace(lease(of), resources=(people.table,))
    session = bench.log_in(vend(bench.platform, of, narrowed))

    assert refused(lambda: session.rows("SELECT FROM items LIMIT 1")) == "42501"
    assert refused(lambda: session.rows("EXPLAIN ANALYZE SELECT FROM items")) == "42501"
    asking = Oracle(session)
    assert asking.share(NUMBER.format(100_000)) < asking.share(NUMBER.format(500_000))
    bench.expire(narrowed)
    assert asking.share(NUMBER.format(100_000)) < asking.share(NUMBER.format(500_000)), "until somebody closes the role"
