"""Every good row filter, on a real PostgreSQL: the rows that a vended role sees are those that PostgreSQL finds with the text itself."""

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from rolevend.catalog import Table
from rolevend.demo.parts.brief import in_time
from rolevend.plan import Condition
from rolevend.policy.expression import attributes
from rolevend.policy.predicate import bind, parse
from tests.conformance.bench import PostgresBench, PostgresSession, profile, shape, vended
from tests.support.good_predicates import CLAIMS, COLUMNS, GOOD, USER, VALUES, original
from tests.support.waiting import eventually

pytestmark = pytest.mark.both_installs

POOLS = VALUES | {"amount": [*VALUES["amount"], Decimal("1234567890123456789012345678901234567890.1"), Decimal("NaN")]}


@pytest.fixture
def claims(bench: PostgresBench) -> Table:
    """Each value of each column at least once, beside others of the other columns."""
    pools = [itertools.cycle(pool) for pool in POOLS.values()]
    rows = [[number, *(next(pool) for pool in pools)] for number in range(240)]
    return bench.table([(name, kind) for name, kind, _ in COLUMNS], rows, name="claims")


def test_a_good_filter_shows_the_rows_that_postgresql_finds_with_its_text(bench: PostgresBench, claims: Table):
    conditions = [Condition(attributes(bound), bound) for bound in (bind(parse(source), CLAIMS) for source in GOOD)]
    views = [shape(claims, condition, view=f"v{number}") for number, condition in enumerate(conditions)]
    _, credential = vended(bench.platform, profile(*views), **USER)
    session = bench.log_in(credential)
    session.run("SET timezone = 'Asia/Kathmandu'; SET datestyle = 'SQL, DMY'; SET intervalstyle = 'sql_standard'")  # which must not matter
    bench.run("SET timezone = 'UTC'; SET datestyle = 'ISO'")
    table = f'"{claims.id.schema}".claims'
    differing = {}
    empty = set()
    for number, source in enumerate(GOOD):
        seen = [row for (row,) in session.rows(f"SELECT id FROM v{number} ORDER BY id")]
        found = [row for (row,) in bench.admin.execute(f"SELECT id FROM {table} WHERE {original(source)} ORDER BY id".encode()).fetchall()]
        if seen != found:
            differing[source] = (seen, found)
        if not 0 < len(found) < 240:
            empty.add(source)
    assert differing == {}
    assert len(empty) < len(GOOD) / 20, "filters that tell no rows apart show nothing here"


def test_a_transaction_that_lasts_does_not_hold_the_clock(bench: PostgresBench):
    def begun(seconds: int) -> PostgresSession:
        table = bench.table([("at", "timestamptz")], [[datetime.now(UTC) + timedelta(seconds=seconds)]])
        bound = bind(parse("at < now()"), table)
        _, credential = vended(bench.platform, profile(shape(table, Condition((), bound))))
        session = bench.log_in(credential)
        session.run("BEGIN")
        assert session.rows("SELECT count(*) FROM items") == [(0,)]
        return session

    session = in_time(begun, 2)
    eventually(lambda: session.rows("SELECT count(*) FROM items") == [(1,)])
