"""What remains to find out of hidden rows, as the threat model says, and what closes it.

Estimates come from statistics of all rows, so that `EXPLAIN` tells values of hidden rows. `EXPLAIN ANALYZE` counts what the filter removed.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from rolevend.catalog import Table
from rolevend.policy.mask import Hash, Mask, Round
from tests.conformance.bench import PostgresBench, PostgresSession, own, profile, shape, vended

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
        return [len({asking.share(each.format(number)) for number in numbers}) for each in ("t.pay <= {}", DAY, "t.code = 'code{}'")]

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
    table = bench.table([("pay", "integer"), ("region", "text")], [(10, "EU"), (40, "US"), (20, "US"), (30, "US"), (50, "EU"), (5, "US")])
    bench.run(f"CREATE INDEX ON {table.id} (pay) INCLUDE (region)")
    fenced = shape(table, own(table, "region", "regions"))
    lookup = replace(fenced, columns=tuple(replace(column, lookup=column.name == "pay") for column in fenced.columns))
    for read, by_index in ((fenced, [0, 3]), (lookup, [1, 4])):
        session = bench.log_in(vended(bench.platform, profile(read), regions=["EU"])[1])
        session.run("SET enable_indexonlyscan = off; SET enable_bitmapscan = off")
        assert [removed(session, limit) for limit in (1, 2)] == [0, 3]
        session.run("RESET ALL; SET enable_seqscan = off; SET enable_bitmapscan = off")
        assert [removed(session, limit) for limit in (1, 2)] == by_index
