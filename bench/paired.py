"""The same question asked in turns by several sessions, and what the server spends on each.

Counted are the seconds that the session's own process had a processor, with parallel plans off: other processes do not count. It is
what an idle machine takes.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rolevend.plan import Profile, TableShape
from rolevend.platforms.postgres.build.render import column_text, template_of
from tests.conformance.bench import CLUSTER, PostgresBench, PostgresSession, quoted

Asked = tuple[PostgresSession, str]
SETTINGS = "SET max_parallel_workers_per_gather = 0; SET jit = off"
PLAIN = "plain"
"""The schema of views as 0.1.0 made them."""


def plain_views(bench: PostgresBench, profile: Profile) -> None:
    """The views of `profile` as rolevend 0.1.0 made them: merged into the query, and without a fence."""
    bench.run(f"CREATE SCHEMA {PLAIN}; GRANT USAGE ON SCHEMA {PLAIN} TO {quoted(profile.name)}")
    for table in profile.tables:
        view = quoted(PLAIN, table.view)
        columns = ", ".join(f"{column_text(each).as_string()} AS {quoted(each.name)}" for each in table.columns)
        gate = f"(SELECT rolevend.reads('{table.table.schema}', '{table.table.name}'))"
        bench.run(f"CREATE VIEW {view} AS SELECT {columns} FROM {table.table} AS t WHERE {gate}")
        bench.run(
            f"ALTER VIEW {view} OWNER TO {quoted(template_of(table, CLUSTER).name)}; GRANT SELECT ON {view} TO {quoted(profile.name)}"
        )


def looked_up(of: TableShape, *names: str) -> TableShape:
    """The same with these as lookup columns."""
    return replace(of, columns=tuple(replace(each, lookup=each.name in names) for each in of.columns))


def spent(session: PostgresSession) -> float:
    """Seconds that the session's process had a processor, since it began."""
    return int(Path(f"/proc/{session.connection.info.backend_pid}/schedstat").read_text().split()[0]) / 1e9


def execution(asked: Sequence[Asked], times: int) -> list[float]:
    """Of each the fewest seconds; prepared, so that planning is not among them."""
    best = [math.inf] * len(asked)
    for turn in range(times + 1):
        for place, (session, statement) in enumerate(asked):
            before = spent(session)
            session.connection.execute(statement.encode(), prepare=True).fetchall()
            if turn:  # the first one plans
                best[place] = min(best[place], spent(session) - before)
    return best


def planning(asked: Sequence[Asked], times: int) -> list[float]:
    """Of each the fewest seconds, as the server says."""
    best = [math.inf] * len(asked)
    for _ in range(times):
        for place, (session, statement) in enumerate(asked):
            best[place] = min(best[place], explained(session, statement)["Planning Time"] / 1e3)
    return best


def explained(session: PostgresSession, statement: str) -> dict[str, Any]:
    ((((answer,),),),) = (session.rows(f"EXPLAIN (SUMMARY ON, FORMAT JSON) {statement}"),)
    assert isinstance(answer, dict)
    return answer


def joined_rows(session: PostgresSession, statement: str) -> float:
    """How many rows the planner expects of all joins together."""
    waiting = [explained(session, statement)["Plan"]]
    while waiting:
        node = waiting.pop(0)
        if "Join" in node["Node Type"] or node["Node Type"] == "Nested Loop":
            return float(node["Plan Rows"])
        waiting += node.get("Plans", [])
    raise AssertionError(f"no join: {statement}")


def apart(ratio: float) -> float:
    """How far it is from 1, in either direction."""
    return max(ratio, 1 / ratio)


def geometric_mean(ratios: Iterable[float]) -> float:
    logarithms = [math.log(each) for each in ratios]
    return math.exp(sum(logarithms) / len(logarithms))
