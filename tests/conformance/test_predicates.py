"""Every good row filter, on a real PostgreSQL: the rows that a vended role sees are those that PostgreSQL finds with the text itself."""

import itertools
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from rolevend.catalog import Table
from rolevend.demo.parts.brief import in_time
from rolevend.plan import Condition
from rolevend.policy.expression import attributes
from rolevend.policy.predicate import bind, parse
from tests.conformance.bench import PostgresBench, PostgresSession, profile, shape, vended
from tests.support.good_predicates import CLAIMS, COLUMNS, GOOD, USER, original
from tests.support.waiting import eventually

pytestmark = pytest.mark.both_installs

NOW = datetime.now(UTC)
POOLS: dict[str, list[object]] = {
    "country": ["DE", "AT", "FR", "", "it's", "back\\slash", "naïve ☃", "-- no comment; DROP TABLE claims", "true", None],
    "Region": ["EU", "US", None],
    "n": [7, 0, 1, -1, 8, 39, 150, None],
    "big": [-(2**63), 2**63 - 1, 7, 0, None],
    "amount": [Decimal("12.5"), Decimal("-0.01"), Decimal(0), Decimal("1234567890123456789012345678901234567890.1"), Decimal("NaN"), None],
    "ratio": [-0.5, 12.5, 0.0, float("inf"), float("nan"), None],
    "active": [True, False, None],
    "born": [
        date(2024, 2, 29),
        date(1970, 1, 1),
        date(1900, 1, 1),
        *(NOW.date() + timedelta(days) for days in (-6570, -40, -20, -2, 2)),
        None,
    ],
    "filed": [
        datetime.fromisoformat("2024-01-31T10:00"),
        datetime.fromisoformat("2024-01-31"),
        *(NOW.replace(tzinfo=None) + timedelta(days) for days in (-40, -20, -2, 20, 90)),
        None,
    ],
    "seen": [
        datetime(2024, 1, 31, 10, tzinfo=UTC),
        *(NOW + timedelta(hours=hours) for hours in (-24 * 400, -24 * 100, -24 * 40, -24 * 10, -30, -2, -0.5, 0.5, 24 * 10, 24 * 300)),
        None,
    ],
    "ref": ["6f1c0a9e-1f2d-4c3b-8a59-0d1e2f3a4b5c", "00000000-0000-0000-0000-000000000001", None],
    "doc": ["{}", None],
}
"""Far enough from the bounds of the filters that a day's end during the test changes nothing."""


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
