"""Checks that a statement reveals nothing about hidden rows: a selection of `probes`, on a table with many types."""

from collections.abc import Collection

from rolevend.platforms.postgres.attest.canaries import PostgresCanaries
from rolevend.platforms.postgres.attest.check import Check
from rolevend.platforms.postgres.attest.environment import PROBED
from rolevend.platforms.postgres.attest.probes import Probe, probes
from rolevend.platforms.postgres.attest.probing import Prober

COUNT = 72
"""The number of probes, in all checks."""
_MAX_DETAIL = 300
"""Characters of a difference that a result contains."""
BY_ERRORS = frozenset({"division", "division, as a number", "division by the row", "cast", "two rows of one", "warning"})
BY_TRACES = frozenset({"setting", "setting in an array", "random number", "seed", "transaction", "statement in a function"})


def _hidden_rows(canaries: PostgresCanaries, chosen: Collection[Probe]) -> str:
    session = canaries.log_in(canaries.eve)
    try:
        telling = next(Prober(session.connection, canaries.environment.schema).differing(chosen), None)
    finally:
        session.connection.close()
    return f"finds out whether {telling[0].name} in a hidden row, by {telling[1][:_MAX_DETAIL]}" if telling else ""


def _check(name: str, chosen: Collection[Probe]) -> Check:
    return Check(name, lambda canaries: _hidden_rows(canaries, chosen))


_PROBES = tuple(probes(PROBED, COUNT))
CHECKS = (
    _check("find out a hidden row by errors and warnings", [each for each in _PROBES if each.sentinel in BY_ERRORS]),
    _check("find out a hidden row by what a statement leaves behind", [each for each in _PROBES if each.sentinel in BY_TRACES]),
    _check("find out a hidden row by plans and counters", [each for each in _PROBES if each.sentinel not in BY_ERRORS | BY_TRACES]),
)
