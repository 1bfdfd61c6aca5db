"""Every good row filter: the rows that a vended role sees are those that the database itself finds with the text."""

import itertools
import random
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from rolevend.catalog import Table
from rolevend.errors import InvalidInput
from rolevend.plan import Condition
from rolevend.policy.expression import attributes
from rolevend.policy.predicate import bind, parse, render
from testbed.brief import in_time
from tests.conformance.bench import PostgresBench, PostgresSession, profile, shape, vended
from tests.conformance.protocol import Bench
from tests.support.good_predicates import CLAIMS, COLUMNS, GOOD, USER, VALUES, original
from tests.support.tiers import by_tier
from tests.support.waiting import eventually

pytestmark = pytest.mark.both_installs

ABOUT_REFERENCES = re.compile(r"\bref\b|col\('pii', 'id'\)")
TOGETHER = 40
"""Filters of one profile."""


@pytest.fixture
def claims(bench: Bench) -> Table:
    """Each value of each column at least once, beside others of the other columns."""
    columns = [(name, kind) for name, kind, _ in COLUMNS if bench.native(kind) is not None]
    pools = {name: itertools.cycle([*VALUES.get(name, []), *bench.more_values.get(name, [])]) for name, _ in columns if name != "id"}
    rows = [[number, *(next(pool) for pool in pools.values())] for number in range(240)]
    table = bench.table(columns, rows, name="claims")
    return replace(table, columns=tuple(replace(each, tags=CLAIMS.column(each.name).tags) for each in table.columns))  # type: ignore[union-attr]


def test_a_good_filter_shows_the_rows_that_the_database_finds_with_its_text(bench: Bench, claims: Table):
    sources = [source for source in GOOD if claims.column("ref") is not None or not ABOUT_REFERENCES.search(source)]
    sources = [source for source in sources if source not in bench.odd_filters]
    if not isinstance(bench, PostgresBench):  # a model, which takes long; tests/unit/platforms/snowflake tries each
        sources = sources[:: by_tier(3, 1)]
    conditions = [Condition(attributes(bound), bound) for bound in (bind(parse(source), claims) for source in sources)]
    views = [shape(claims, condition, view=f"v{number}") for number, condition in enumerate(conditions)]
    differing = {}
    empty = set()
    for start in range(0, len(views), TOGETHER):
        _, credential = vended(bench.platform, profile(*views[start : start + TOGETHER]), **USER)
        session = bench.log_in(credential)
        bench.unsettle(session)
        for number in range(start, min(start + TOGETHER, len(views))):
            seen = [row for (row,) in session.rows(f"SELECT id FROM v{number} ORDER BY id")]
            found = bench.found(claims.id, original(sources[number]))
            if seen != found:
                differing[sources[number]] = (seen, found)
            if not 0 < len(found) < 240:
                empty.add(sources[number])
    assert differing == {}
    assert len(empty) < len(sources) / 10, "filters that tell no rows apart show nothing here"


WORDS = (
    *("a", "b", "c", "d", "e", '"a"', '"d"', "A", "1", "2", "-1", "- 1", "1.5", "'x'", "''", "'2024-01-31'", "true", "NULL", "TRUE"),
    *("=", "<>", "!=", "<", "<=", ">", ">=", "!=-", "<-", "=-", "==", "!", "&&", "||", "AND", "OR", "NOT", "not", "IN", "BETWEEN", "IS"),
    *("(", ")", ",", "ISNULL", "NOTNULL", "NOT NULL", "current_date", "now()", "- 3", "()", "SYMMETRIC", "UNKNOWN", "interval", "+"),
)
FILTERS = (
    "a = 1 AND NOT b IN ( 1 , 2 ) OR c = true",
    "d IS NOT NULL AND a BETWEEN 1 AND 2",
    "NOT ( a != -1 OR d = 'x' ) AND e < current_date - 3",
    "1 <= a OR d IN ( 'x' , '' ) AND c <> false",
    "b NOT IN ( 1 ) AND a NOT BETWEEN -1 AND 1",
    "NOT NOT e IS NULL OR e > current_date - interval '2 days'",
    "( a > -1 ) AND ( b <> 2 OR NOT ( c = false ) )",
)
COMBINED = (
    *(("a", "integer", (None, 1, 2, -1)), ("b", "integer", (None, 1, 2)), ("c", "boolean", (None, True, False))),
    *(("d", "text", (None, "x", "")), ("e", "date", (None, "2024-01-31"))),
)


def misspelled(chosen: random.Random) -> str:
    """A filter with a word or two more, fewer, or other ones, and spaces wherever they may be."""
    words = chosen.choice(FILTERS).split(" ")
    for _ in range(chosen.randint(1, 2)):
        place = chosen.randrange(len(words))
        words[place : place + chosen.randint(0, 1)] = chosen.choice([[], [chosen.choice(WORDS)], [chosen.choice(WORDS)]])
    return "".join(word + chosen.choice(["", *[" "] * 6, "\n"]) for word in words)


@pytest.mark.long
def test_any_words_that_are_read_find_the_rows_that_the_database_finds_with_them(bench: PostgresBench):
    """Whatever the parser is lenient about: PostgreSQL's own reading of the text counts."""
    rows = [[number, *values] for number, values in enumerate(itertools.product(*(values for _, _, values in COMBINED)))]
    table = bench.table([("id", "integer"), *((name, kind) for name, kind, _ in COMBINED)], rows, name="combined")
    chosen = random.Random(bench.version)
    read: set[str] = set()
    differing = {}
    for _ in range(6_000):
        text = misspelled(chosen)
        try:
            bound = bind(parse(text), table)
        except InvalidInput:
            continue
        if text in read:
            continue
        read.add(text)
        try:
            found: object = bench.found(table.id, text)
        except psycopg.Error as error:
            found = str(error)
        if found != bench.found(table.id, render(bound)):
            differing[text] = found
    assert differing == {}
    assert len(read) > 100, "texts that are refused show nothing here"


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
