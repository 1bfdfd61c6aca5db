"""Run probes for hidden rows, and compare everything that the session is shown: rows, errors, notices, executed plans, counters, and the
state of the session afterwards. The checks take a selection of `probes`, on a table with many types."""

import json
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from rolevend.platforms.postgres.attest.canaries import Check, PostgresCanaries
from rolevend.platforms.postgres.attest.environment import PROBED
from rolevend.platforms.postgres.attest.probe_words import ENDINGS
from rolevend.platforms.postgres.attest.probes import Probe, probes
from rolevend.platforms.postgres.attest.session import is_transient
from rolevend.platforms.postgres.connections import Connection

_ROUNDS = 5
"""A difference counts if it remains in all rounds. Other work on the server also causes differences."""
_COUNTERS = sql.SQL(
    """
    SELECT c.relname::text, pg_stat_get_xact_numscans(c.oid),
           pg_stat_get_xact_tuples_returned(c.oid), pg_stat_get_xact_tuples_fetched(c.oid)
      FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = {} AND c.relkind IN ('r', 'p', 'i')
    """
)
"""Cumulative over transactions."""
_AFTERWARDS = sql.SQL("SELECT current_setting('probe.hit', true), random(), pg_current_xact_id_if_assigned() IS NULL")
_PLAN = (
    "Node Type",
    "Join Type",
    "Strategy",
    "Index Name",
    "Actual Rows",
    "Actual Loops",
    "Heap Fetches",
    "Index Searches",
)
"""Keys of a plan node that are compared. Costs and estimates come from statistics of all rows; conditions repeat the guess."""
COUNT = 72
"""The number of probes, in all checks."""
_MAX_DETAIL = 300
"""Characters of a difference that a result contains."""
BY_ERRORS = frozenset({"division", "division, as a number", "division by the row", "cast", "two rows of one", "warning"})
BY_TRACES = frozenset({"setting", "setting in an array", "random number", "seed", "transaction", "statement in a function"})
_PROBES = tuple(probes(PROBED, COUNT))


class Prober:
    """A session that probes. The counters of the tables and indexes of `schema` are compared."""

    def __init__(self, connection: Connection, schema: str) -> None:
        self._connection = connection
        self._counters = _COUNTERS.format(sql.Literal(schema))

    def differing(self, probes: Iterable[Probe]) -> Iterator[tuple[Probe, str]]:
        """Yield the probes that reveal whether a hidden row matches, each with the difference."""
        return ((probe, difference) for probe in probes if (difference := self.difference(probe)))

    def difference(self, probe: Probe) -> str:
        """Return what the session is shown in one case and not in the other, or "" if both are the same."""
        hits: set[tuple[str, ...]] = set()
        misses: set[tuple[str, ...]] = set()
        for _ in range(_ROUNDS):
            hits.add(self._shown(probe, probe.guesses[0]))
            misses.add(self._shown(probe, probe.guesses[1]))
            if hits & misses:
                return ""
        return next((f"{hit} or {miss}" for hit, miss in zip(min(hits), min(misses), strict=False) if hit != miss), "more or fewer answers")

    def _shown(self, probe: Probe, guess: str) -> tuple[str, ...]:
        seen: list[str] = []
        with self._notices(seen):
            settings = "".join(f"SET LOCAL {setting};" for setting in probe.settings)
            self._run(f"BEGIN; {settings} SELECT setseed(0.5); SAVEPOINT probe")
            try:
                before = self._counted()
                for statement in probe.script(guess):
                    seen.append(self._answer(statement))
                    if seen[-1].startswith("error"):
                        self._run("ROLLBACK TO probe")
                        break
                seen.append(str(self._connection.execute(_AFTERWARDS, prepare=False).fetchone()))
                counted = self._counted() if probe.alone else before
                seen.append(str({name: count - before[name] for name, count in counted.items() if count != before[name]}))
            finally:
                if not self._connection.closed:
                    self._run("ROLLBACK")
            for ending in ENDINGS:
                self._run(ending)
        return tuple(seen)

    def _run(self, statement: str) -> None:
        self._connection.execute(statement.encode(), prepare=False)

    def _counted(self) -> dict[tuple[str, int], int]:
        rows = self._connection.execute(self._counters, prepare=False).fetchall()
        return {(name, place): count for name, *counts in rows for place, count in enumerate(counts)}

    def _answer(self, statement: str) -> str:
        try:
            cursor = self._connection.execute(statement.encode(), prepare=False)
        except psycopg.Error as error:
            if is_transient(error):
                raise
            return f"error {error.sqlstate}: {error.diag.message_primary} {error.diag.message_detail} {error.diag.context}"
        rows = cursor.fetchall() if cursor.description else []
        plans = statement.startswith("EXPLAIN")
        return f"{cursor.statusmessage} {sorted(_executed(rows[0][0][0]['Plan'])) if plans else rows}"

    @contextmanager
    def _notices(self, seen: list[str]) -> Iterator[None]:
        def note(notice: psycopg.errors.Diagnostic) -> None:
            if notice.severity_nonlocalized != "LOG":  # a server that logs statements repeats the guess, and says how long it took
                seen.append(f"{notice.severity}: {notice.message_primary}")

        self._connection.add_notice_handler(note)
        try:
            yield
        finally:
            self._connection.remove_notice_handler(note)


def _executed(node: dict[str, Any], depth: int = 0) -> Iterator[str]:
    removed = {key: value for key, value in node.items() if key in _PLAN or key.startswith("Rows Removed")}
    yield json.dumps([depth, removed, sorted(key for key in node if key.endswith(("Cond", "Filter")))])
    for inner in node.get("Plans", ()):
        yield from _executed(inner, depth + 1)


def _hidden_rows(canaries: PostgresCanaries, chosen: Collection[Probe]) -> str:
    session = canaries.log_in(canaries.eve)
    try:
        difference = next(Prober(session.connection, canaries.environment.schema).differing(chosen), None)
    finally:
        session.connection.close()
    return f"finds out whether {difference[0].name} in a hidden row, by {difference[1][:_MAX_DETAIL]}" if difference else ""


def _check(name: str, chosen: Collection[Probe]) -> Check:
    return Check(name, lambda canaries: _hidden_rows(canaries, chosen))


CHECKS = (
    _check("find out a hidden row by errors and warnings", [each for each in _PROBES if each.sentinel in BY_ERRORS]),
    _check("find out a hidden row by what a statement leaves behind", [each for each in _PROBES if each.sentinel in BY_TRACES]),
    _check("find out a hidden row by plans and counters", [each for each in _PROBES if each.sentinel not in BY_ERRORS | BY_TRACES]),
)
