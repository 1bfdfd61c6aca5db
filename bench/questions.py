"""What a question costs through a vended role, against the same filter written by hand: `python -m bench.questions [16|18] [--quick]`."""

from collections.abc import Iterator

from bench.lines import Line, absolute, p50, paced, plain, quick, reported, table, timed
from bench.server import installed_server, version
from rolevend.policy.mask import Hash, Partial
from tests.conformance.bench import PostgresBench, PostgresSession, own, profile, shape, vended

FULL, QUICK = 1_000_000, 100_000
"""Rows."""
LONG = 0.005
"""Seconds: from here on it is the ratio that counts, and what a role adds below."""
WARM_UP = 6
CLAUSE = "region = ANY ('{EU,APAC}'::text[])"
QUESTIONS = {
    "ORDER BY indexed LIMIT 10": ("SELECT * FROM {items} WHERE {filter} ORDER BY id LIMIT 10", 100),
    "join on a key": (
        "SELECT * FROM {items} AS a JOIN {items} AS b ON b.id = a.kind WHERE {filter_a} AND {filter_b} AND a.id = {rows} / 2 + 2",
        100,
    ),
    "aggregate": ("SELECT count(*), sum(amount) FROM {items} WHERE {filter}", 11),
    "group by": ("SELECT kind, avg(amount) FROM {items} WHERE {filter} GROUP BY kind ORDER BY kind", 11),
    "range on an index, aggregated": ("SELECT sum(amount) FROM {items} WHERE {filter} AND id BETWEEN {rows} / 10 AND {rows} / 5", 21),
    "window": (
        "SELECT sum(r) FROM (SELECT rank() OVER (PARTITION BY kind ORDER BY amount) AS r"
        " FROM {items} WHERE {filter} AND id < {rows} / 5) AS x",
        11,
    ),
    "aggregate, the filtered column indexed": ("SELECT count(*), sum(amount) FROM {items} WHERE {filter}", 11),
}
"""Read through a role, and from the table with the filter written by hand; and how often."""
REPORTED = "aggregate, the filtered column indexed"
"""The planner knows the values of a filter that is written by hand, and not those of a lease: it may choose another plan."""


def lines(bench: PostgresBench, rows: int) -> Iterator[Line]:
    """Prepared, and in turns; the view masks two of its columns."""
    columns = [("id", "integer"), ("region", "text"), ("kind", "integer"), ("amount", "bigint"), ("email", "text"), ("ssn", "text")]
    items = bench.table(columns)
    bench.run(
        f"INSERT INTO {items.id} SELECT i, (ARRAY['EU','US','APAC','LATAM'])[1 + i % 4], i % 100, i * 7 % 100003, 'p' || i, '123-45-' || i"
        f"  FROM generate_series(1, {rows}) AS i; ALTER TABLE {items.id} ADD PRIMARY KEY (id)"
    )
    bench.run(f"VACUUM (ANALYZE, FREEZE) {items.id}")
    of = profile(shape(items, own(items, "region", "regions"), masks={"email": Hash(), "ssn": Partial(4)}))
    _, credential = vended(bench.platform, of, seconds=3600, regions=["EU", "APAC"])
    role, hand = bench.log_in(credential), bench.as_superuser()
    for session in (role, hand):
        session.run("SET max_parallel_workers_per_gather = 0; SET jit = off")
    through_view = {"items": "items", "filter": "true", "filter_a": "true", "filter_b": "true", "rows": str(rows)}
    by_hand = {"items": str(items.id), "filter": CLAUSE, "filter_a": f"a.{CLAUSE}", "filter_b": f"b.{CLAUSE}", "rows": str(rows)}
    for name, (text, times) in QUESTIONS.items():
        if name == REPORTED:
            bench.run(f"CREATE INDEX ON {items.id} (region)")
            bench.run(f"VACUUM ANALYZE {items.id}")
        asked = [(role, text.format(**through_view)), (hand, text.format(**by_hand))]
        yield question(name, rows, asked, times)
    bench.tidy()


def question(name: str, rows: int, asked: list[tuple[PostgresSession, str]], times: int) -> Line:
    pace = plain()
    seconds: list[list[float]] = [[], []]
    for _ in range(times + WARM_UP):
        for place, (session, statement) in enumerate(asked):
            seconds[place].append(timed(lambda ask=session.connection, it=statement: ask.execute(it, prepare=True).fetchall()))
    mine, others = (one[WARM_UP:] for one in seconds)
    large = min(others) > LONG
    # Of long questions the best, which nothing else on the machine has made longer.
    ours, theirs = (min(mine), min(others)) if large else (p50(mine), p50(others))
    what = f"{rows:,} rows, {name}"
    measured = f"{'best' if large else 'p50'} {ours * 1e3:.3f} ms against {theirs * 1e3:.3f} ms: {ours / theirs:.2f}x"
    if name == REPORTED:
        return reported(what, measured)
    if large:
        return Line(what, measured, "<= 1.25x", ours <= 1.25 * theirs).judged_if(rows == FULL)
    return paced(absolute(what, measured, "<= 0.2 ms more", (ours - theirs) / 0.0002).judged_if(rows == FULL), pace)


def main() -> None:
    with installed_server() as bench:
        table(f"Questions through a role, on PostgreSQL {version()}", lines(bench, QUICK if quick() else FULL))


if __name__ == "__main__":
    main()
