"""A condition on a hidden row, and beside it what fails when it is evaluated: whether the condition holds must not be seen. In words that
every platform has; what is PostgreSQL's own is in `postgres/test_hidden_rows.py`."""

from itertools import cycle, product

import pytest

from tests.conformance.bench import own, profile, shape, vended
from tests.conformance.protocol import Bench, Session

COLUMNS = [("id", "integer"), ("region", "text"), ("number", "integer"), ("day", "date"), ("word", "text"), ("nothing", "integer")]
ROWS = [
    *((number, "EU", 30, "2003-01-01", "top", 30) for number in (0, 1)),
    (2, "US", 30, "2003-01-01", "top", 30),
    (3, "US", 20, "2002-01-01", "mid", None),
]
GUESSES = {
    "a number": ("p.number = 20", "p.number = 10"),
    "a number and more": ("p.number <= 20", "p.number <= 10"),
    "a day": ("p.day = DATE '2002-01-01'", "p.day = DATE '2001-01-01'"),
    "a text": ("p.word = 'mid'", "p.word = 'low'"),
    "a text in a list": ("p.word IN ('mid', 'x')", "p.word IN ('low', 'x')"),
    "a NULL": ("p.nothing IS NULL", "p.region IS NULL"),
}
"""One holds in the hidden row 3, the other one in no row."""
SENTINELS = {
    "division in a sub-select": "p.id <> (SELECT 1 / (COUNT(*) - COUNT(*)) FROM other)",
    "division in the row": "1 / (p.id - 3) < 9",
    "cast": "p.id <> (SELECT CAST(MAX(q.region) AS INTEGER) FROM other AS q)",
    "nothing": "1 = 1",
}
"""Each fails when it is evaluated, and only where the condition beside it was true, where a platform evaluates one after the other."""
POSITIONS = {
    "where": "SELECT COUNT(*) FROM probed AS p WHERE p.id = 3 AND {guess} AND {sentinel}",
    "join": "SELECT COUNT(*) FROM other AS o JOIN probed AS p ON p.id = 3 AND {guess} AND {sentinel}",
    "left join": "SELECT COUNT(p.id) FROM other AS o LEFT JOIN probed AS p ON p.id = 3 AND {guess} AND {sentinel}",
    "sub-select": "SELECT COUNT(*) FROM (SELECT DISTINCT * FROM probed) AS p WHERE p.id = 3 AND {guess} AND {sentinel}",
    "common table": "WITH p AS (SELECT * FROM probed) SELECT COUNT(*) FROM p WHERE p.id = 3 AND {guess} AND {sentinel}",
    "union": "SELECT COUNT(*) FROM (SELECT * FROM probed UNION ALL SELECT * FROM probed) AS p WHERE p.id = 3 AND {guess} AND {sentinel}",
    "exists": "SELECT COUNT(*) FROM other WHERE EXISTS (SELECT 1 FROM probed AS p WHERE p.id = 3 AND {guess} AND {sentinel})",
}


def answer(session: Session, statement: str) -> object:
    """Rows, or that it failed and in which words."""
    try:
        return session.rows(statement)
    except Exception as error:  # as a platform refuses, whichever it is
        return type(error), getattr(error, "sqlstate", None), getattr(error, "errno", None)


@pytest.mark.both_installs
def test_no_probe_finds_out_a_hidden_row_on_any_platform(bench: Bench):
    table = bench.table(COLUMNS, ROWS, name="probed")
    other = bench.table([("id", "integer"), ("region", "text")], [(1, "EU"), (2, "US")], name="other", schema=table.id.schema)
    _, credential = vended(bench.platform, profile(shape(table, own(table, "region", "regions")), shape(other)), regions=["EU"])
    session = bench.log_in(credential)

    def shown(position: str, guess: str, sentinel: str) -> object:
        return answer(session, POSITIONS[position].format(guess=guess, sentinel=SENTINELS[sentinel]))

    chosen = zip(product(POSITIONS, SENTINELS), cycle(GUESSES.values()), strict=False)
    telling = [
        (position, hit, sentinel)
        for (position, sentinel), (hit, miss) in chosen
        if shown(position, hit, sentinel) != shown(position, miss, sentinel)
    ]

    assert telling == []
    assert session.rows("SELECT COUNT(*) FROM probed") == [(2,)]


@pytest.mark.both_installs
def test_the_same_probes_find_out_a_row_that_the_role_may_see(bench: Bench):
    """So that they are none that say the same of everything."""
    table = bench.table(COLUMNS, ROWS, name="probed")
    other = bench.table([("id", "integer"), ("region", "text")], [(1, "EU"), (2, "US")], name="other", schema=table.id.schema)
    _, credential = vended(bench.platform, profile(shape(table), shape(other)))
    session = bench.log_in(credential)
    for position, (hit, miss) in zip(POSITIONS, cycle(GUESSES.values()), strict=False):
        seen, unseen = (answer(session, POSITIONS[position].format(guess=each, sentinel="1 = 1")) for each in (hit, miss))
        assert seen != unseen
