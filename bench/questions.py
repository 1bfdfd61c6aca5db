"""Cost of a query through a vended role, against the same filter written by hand and against the views of rolevend 0.1.0, which
had no fence: `python -m bench.questions [16|18] [--quick]`. Then the star schema of `bench.star`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from bench import star
from bench.lines import Line, absolute, p50, paced, plain, quick, reported, settled, table, timed
from bench.paired import PLAIN, SETTINGS, Asked, execution, explained, looked_up, plain_views
from bench.server import installed_server, version
from rolevend.catalog import Table
from rolevend.plan import TableShape
from rolevend.policy.mask import Hash, Partial
from tests.conformance.bench import PostgresBench, PostgresSession, own, profile, shape, vended

FULL, QUICK = 1_000_000, 100_000
"""Rows."""
REGIONS = ["EU", "APAC"]
CLAUSE = "region = ANY ('{EU,APAC}'::text[])"
LONG, SHORT = 9, 100
"""How often a question is asked."""
SCAN, MORE = 1.3, 0.0002
SCANS = {
    "aggregate": "SELECT count(*), sum(amount) FROM items",
    "group by": "SELECT kind, avg(amount) FROM items GROUP BY kind ORDER BY kind",
    "join with a small table": "SELECT name, sum(amount) FROM items JOIN kinds USING (kind) GROUP BY name ORDER BY name",
    "join of two large tables": "SELECT i.kind, sum(l.price) FROM lines AS l JOIN items AS i ON i.id = l.item GROUP BY i.kind",
    "window": "SELECT sum(r) FROM (SELECT rank() OVER (PARTITION BY kind ORDER BY amount) AS r FROM items WHERE amount < 20000) AS x",
    "the ten greatest": "SELECT id, kind, amount FROM items ORDER BY amount DESC LIMIT 10",
}
"""Read every row that is visible."""
INDEXED = {
    "one row by its key": "SELECT * FROM items WHERE id = {rows} / 2 + 2",
    "a hundred rows by a range of keys": "SELECT count(*), sum(amount) FROM items WHERE id BETWEEN {rows} / 2 AND {rows} / 2 + 100",
}
"""Look few rows up; the key is a lookup column in one of two roles."""
SCANNED = {
    "ORDER BY the key LIMIT 10": "SELECT id, kind, amount FROM items ORDER BY id LIMIT 10",
    "a join from one row": "SELECT a.id, b.id FROM items AS a JOIN items AS b ON b.id = a.kind WHERE a.id = {rows} / 2 + 2",
}
"""By hand these use the index, too. No lookup column helps: the first sorts what it has scanned, and the second scans twice."""
WIDE = {
    "aggregate": "SELECT count(*), sum(amount) FROM {wide}",
    "few rows": "SELECT id, c32 FROM {wide} WHERE kind = 42 AND c32 = 7",
    "join with a small table": "SELECT name, sum(amount) FROM {wide} JOIN kinds USING (kind) GROUP BY name ORDER BY name",
}


@dataclass(frozen=True)
class Sessions:
    fenced: PostgresSession
    looking: PostgresSession
    """The same with the key as a lookup column."""
    plain: PostgresSession
    """The first role with the views of 0.1.0."""
    hand: PostgresSession
    """A superuser with views that filter by hand."""


def lines(bench: PostgresBench, rows: int) -> Iterator[Line]:
    on = sessions(bench, rows)
    judged = rows == FULL
    for name, text in SCANS.items():
        yield settled(lambda name=name, text=text: scan(f"{rows:,} rows, {name}", text, on).judged_if(judged))
    for name, text in INDEXED.items():
        yield looked(f"{rows:,} rows, {name}, a lookup column", text.format(rows=rows), on).judged_if(judged)
    for name, text in INDEXED.items():
        what = f"{rows:,} rows, {name}, no lookup column"
        yield settled(lambda what=what, text=text: fenced(what, text.format(rows=rows), on).judged_if(judged))
    for name, text in SCANNED.items():
        yield reported(f"{rows:,} rows, {name}, beside one scan", fenced("", text.format(rows=rows), on).measured)
    for view, what in (("wide", "40 columns"), ("part", "39 of 40 columns")):
        for name, text in WIDE.items():
            measured = scan("", text.format(wide=view), on).measured
            yield reported(f"{rows // 4:,} rows of {what}, {name}", measured)
    yield parallel(on)
    bench.run(f"CREATE INDEX ON {bench.value('SELECT current_setting($$bench.items$$)')} (region)")
    # The planner knows the values of a filter by hand, and not those of a lease: it may choose another plan.
    yield reported(f"{rows:,} rows, aggregate, the filtered column indexed", scan("", SCANS["aggregate"], on).measured)
    bench.run(f"DROP SCHEMA hand CASCADE; DROP SCHEMA {PLAIN} CASCADE")
    bench.tidy()


def scan(what: str, text: str, on: Sessions) -> Line:
    ours, theirs, before = execution([(on.fenced, text), (on.hand, text), (on.plain, text)], LONG)
    measured = f"{ours * 1e3:.0f} ms against {theirs * 1e3:.0f} ms: {ours / theirs:.2f}x; 0.1.0 {before / theirs:.2f}x"
    return Line(what, measured, f"<= {SCAN}x", ours <= SCAN * theirs)


def looked(what: str, text: str, on: Sessions) -> Line:
    pace = plain()
    ours, theirs, before = waited([(on.looking, text), (on.hand, text), (on.plain, text)])
    measured = f"p50 {ours * 1e3:.2f} ms against {theirs * 1e3:.2f} ms; 0.1.0 {before * 1e3:.2f} ms"
    return paced(absolute(what, measured, f"<= {MORE * 1e3} ms more", (ours - theirs) / MORE), pace)


def fenced(what: str, text: str, on: Sessions) -> Line:
    """Beside a scan by hand of what is visible."""
    ours, before, one_scan = execution(
        [(on.fenced, text), (on.plain, text), (on.hand, "SELECT count(*), sum(amount), max(id) FROM items")], LONG
    )
    measured = f"{ours * 1e3:.0f} ms against {one_scan * 1e3:.0f} ms: {ours / one_scan:.2f}x; 0.1.0 {before * 1e3:.2f} ms"
    return Line(what, measured, "<= 1.1x one scan", ours <= 1.1 * one_scan)


def waited(asked: list[Asked]) -> list[float]:
    """Of each the median of the seconds until the answer is there."""
    seconds: list[list[float]] = [[] for _ in asked]
    for _ in range(SHORT):
        for place, (session, text) in enumerate(asked):
            query = text.encode()
            seconds[place].append(timed(lambda ask=session.connection, it=query: ask.execute(it, prepare=True).fetchall()))
    return [p50(each[6:]) for each in seconds]


def parallel(on: Sessions) -> Line:
    """PostgreSQL 16 plans no parallel query around a sub-query that has a sub-select; the sub-query itself may be parallel."""
    on.fenced.run("SET max_parallel_workers_per_gather = 2; SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0")
    whole = nodes(explained(on.fenced, SCANS["join with a small table"])["Plan"])
    on.fenced.run(SETTINGS)
    found = "Gather" in "".join(whole)
    return Line("a parallel plan through the fence", " < ".join(whole), "a Gather", found)


def nodes(plan: Mapping[str, object]) -> list[str]:
    """The types of the nodes on the way to the first scan."""
    below = plan.get("Plans", [])
    assert isinstance(below, list)
    inside = [each for each in below if each.get("Parent Relationship") != "InitPlan"]
    return [str(plan["Node Type"]), *(nodes(inside[0]) if inside else [])]


def sessions(bench: PostgresBench, rows: int) -> Sessions:
    schema = bench.schema()
    narrow = {"id": "integer", "region": "text", "kind": "integer", "amount": "bigint", "email": "text", "ssn": "text"}
    more = {f"c{number}": "integer" for number in range(34)}
    values = "SELECT i, (ARRAY['EU','US','APAC','LATAM'])[1 + i % 4], i % 100, i * 7 % 100003, 'p' || i, '123-45-' || i"
    numbers = "".join(f", i % {number + 2}" for number in range(34))
    items = filled(bench, schema, "items", narrow, f"{values} FROM generate_series(1, {rows}) AS i")
    wide = filled(bench, schema, "wide", narrow | more, f"{values}{numbers} FROM generate_series(1, {rows // 4}) AS i")
    kinds = filled(bench, schema, "kinds", {"kind": "integer", "name": "text"}, "SELECT i, 'kind ' || i FROM generate_series(0, 99) AS i")
    parts = {"line": "integer", "item": "integer", "price": "bigint"}
    large = filled(bench, schema, "lines", parts, f"SELECT i, 1 + i * 7 % {rows}, i % 1009 FROM generate_series(1, {rows // 2}) AS i")
    bench.run(f"SET bench.items = '{items.id}'")
    of_items = shape(items, own(items, "region", "regions"), masks={"email": Hash(), "ssn": Partial(4)})
    of_wide = shape(wide, own(wide, "region", "regions"))
    others = [shape(kinds), shape(large), of_wide, without_last(of_wide)]
    fence, lookup = profile(of_items, *others), profile(looked_up(of_items, "id"), *others)
    credential, looking = (vended(bench.platform, of, seconds=36_000, regions=REGIONS)[1] for of in (fence, lookup))
    plain_views(bench, fence)
    bench.run("CREATE SCHEMA hand")
    for each in (items, wide, kinds, large):
        bench.run(f"CREATE VIEW hand.{each.id.name} AS SELECT * FROM {each.id} WHERE {CLAUSE if each.column('region') else 'true'}")
    bench.run("CREATE VIEW hand.part AS SELECT * FROM hand.wide")
    on = Sessions(bench.log_in(credential), bench.log_in(looking), bench.log_in(credential), bench.as_superuser())
    on.plain.run(f"SET search_path = {PLAIN}")
    on.hand.run("SET search_path = hand")
    for session in (on.fenced, on.looking, on.plain, on.hand):
        session.run(SETTINGS)
    return on


def filled(bench: PostgresBench, schema: str, name: str, columns: Mapping[str, str], values: str) -> Table:
    made = bench.table(list(columns.items()), name=name, schema=schema)
    bench.run(f"INSERT INTO {made.id} {values}")
    bench.run(f"ALTER TABLE {made.id} ADD PRIMARY KEY ({next(iter(columns))})")
    bench.run(f"VACUUM (ANALYZE, FREEZE) {made.id}")
    return bench.catalog_table(made.id)


def without_last(of: TableShape) -> TableShape:
    """A view that lacks the table's last column, so that PostgreSQL copies the others."""
    return TableShape(of.table, "part", of.rows, of.columns[:-1])


def main() -> None:
    with installed_server() as bench:
        whole = not quick()
        table(
            f"Questions through a role, on PostgreSQL {version()}",
            chain(lines(bench, FULL if whole else QUICK), star.lines(bench, FULL // 2 if whole else QUICK // 2, whole)),
        )


if __name__ == "__main__":
    main()
