"""Cost of masks per cell in a query: `python -m bench.masks [16|18] [--quick]`, from the repository's root.

The same rows through two roles: one that a single policy grants, with one mask a column, and one for which two policies meet, so that
each cell is shown by the milder of two masks wherever that policy shows its row. Every cell is masked, at the same cost.
"""

import statistics
from collections.abc import Iterator

from bench.lines import Line, quick, settled, table, timed
from bench.server import installed_server, version
from rolevend.catalog import Catalog, Table
from rolevend.model import Attributes, ObjectName
from rolevend.plan import Profile, plan
from rolevend.policy.decision import Entitlement, decide
from rolevend.policy.index import compile_policies
from rolevend.policy.mask import Mask, Partial
from rolevend.policy.predicate import parse
from rolevend.policy.statement import ColumnSelector, MaskRule, Policy, Requirement, TableSelector
from tests.conformance.bench import CLUSTER, PostgresBench, vended

FULL, QUICK = 1_000_000, 100_000
PAIRS = 11
BUDGET = 1.5
REGIONS = ["EU", "US"]
QUESTIONS = {
    "every cell read": "SELECT count(*), max(email), max(ssn) FROM {items}",
    "grouped by a masked column": "SELECT ssn, count(*) FROM {items} GROUP BY ssn ORDER BY 2 DESC LIMIT 5",
}


def lines(bench: PostgresBench, rows: int) -> Iterator[Line]:
    items = filled(bench, rows)
    region, kind = "region IN (user_attr('regions'))", "kind < 50"
    single = [granting(items, "single", f"{region} OR {kind}", Partial(4))]
    several = [granting(items, "one", region, Partial(4)), granting(items, "other", kind, Partial(2))]
    sessions = []
    for policies in (single, several):
        _, credential = vended(bench.platform, shaped(items, policies), seconds=3600, regions=REGIONS)
        session = bench.log_in(credential)
        session.run("SET max_parallel_workers_per_gather = 0; SET jit = off")
        sessions.append(session)

    def asked(what: str, question: str) -> Line:
        ratios = []
        for _ in range(PAIRS):
            alone, together = (timed(lambda ask=each.connection: ask.execute(question).fetchall()) for each in sessions)
            ratios.append(together / alone)
        ratio = statistics.median(ratios)
        name = f"{rows:,} rows, {what}: masks per cell, against a single grant"
        return Line(name, f"{ratio:.2f}x, median of {PAIRS} pairs", f"<= {BUDGET}x", ratio <= BUDGET).judged_if(rows == FULL)

    for what, question in QUESTIONS.items():
        yield settled(lambda what=what, question=question: asked(what, question.format(items=items.id.name)))
    bench.tidy()


def filled(bench: PostgresBench, rows: int) -> Table:
    items = bench.table([("id", "integer"), ("region", "text"), ("kind", "integer"), ("email", "text"), ("ssn", "text")])
    bench.run(
        f"INSERT INTO {items.id} SELECT i, (ARRAY['EU','US','APAC','LATAM'])[1 + i % 4], i % 100, 'p' || i || '@example.org',"
        f"  '123-45-' || i % 10000 FROM generate_series(1, {rows}) AS i"
    )
    bench.run(f"VACUUM (ANALYZE, FREEZE) {items.id}")
    return items


def granting(items: Table, name: str, rows: str, mask: Mask) -> Policy:
    return Policy(
        ObjectName("bench", name),
        frozenset({items.id.schema}),
        (Requirement("department", frozenset({"claims"})),),
        TableSelector(names=(items.id,)),
        ColumnSelector(names=("*",)),
        parse(rows),
        (MaskRule("people", ColumnSelector(names=("email", "ssn")), mask),),
    )


def shaped(items: Table, policies: list[Policy]) -> Profile:
    user = Attributes.of([("department", ["claims"]), ("regions", REGIONS)])
    entitled = decide(user, compile_policies(Catalog.of([items]), policies))
    assert isinstance(entitled, Entitlement)
    return plan(entitled, CLUSTER)


def main() -> None:
    with installed_server() as bench:
        table(f"Masks per cell, on PostgreSQL {version()}", lines(bench, QUICK if quick() else FULL))


if __name__ == "__main__":
    main()
