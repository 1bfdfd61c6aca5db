"""Probes for hidden rows: scripts that a session runs twice, once with a condition that holds in a hidden row, and once with a condition
that holds in no hidden row. If the session is shown the same both times, it cannot find out the hidden row.

Pure. `probes` combines the form of the condition, its position in the statement, the sentinel that reveals an evaluation, the mode of
execution, and the settings of the session. It yields new pairs of these first, and is deterministic. `probing` runs the probes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from random import Random

from rolevend.platforms.postgres.attest.probe_words import (
    ALONE,
    FORMS,
    JOINS,
    MODES,
    OF_TYPES,
    POSITIONS,
    SCANS,
    SENTINELS,
    SETTINGS,
    WORKERS,
)

Settings = Mapping[str, Sequence[str]]
_SEED = 16
_DRAWN = 24
"""The number of combinations drawn for each probe. The one with the most new pairs is used."""


@dataclass(frozen=True, slots=True)
class ProbedColumn:
    """A column of the view, and the text of three values in ascending order: one that no row has, that of the hidden row, and that of
    visible rows. Empty means NULL. A `type` of OF_TYPES has conditions of its own."""

    name: str
    type: str
    other: str = ""
    hidden: str = ""
    visible: str = ""

    def value(self, row: int, hidden: int) -> str | None:
        """Return the value of the row with this id."""
        return (self.hidden if row == hidden else self.visible) or None

    def conditions(self, hidden: int) -> Sequence[tuple[str, str]]:
        """Return pairs of conditions on the row `t`: one that holds in the hidden row, and one of the same form that does not."""
        own = OF_TYPES.get(self.type, ()) if self.hidden else OF_TYPES["nothing"]
        forms = [(form, form) for form in FORMS if self.other and not (self.type.endswith("[]") and "ARRAY" in form)]
        words = {"{c}": f"t.{self.name}", "{hidden}": str(hidden)}
        hits, misses = ({**words, "{v}": f"'{literal}'::{self.type}"} for literal in (self.hidden, self.other))
        return [(_filled(hit, hits), _filled(miss, misses)) for hit, miss in (*forms, *own)]


@dataclass(frozen=True, slots=True)
class ProbedView:
    """The probed view, with the columns, `id` and a text `region`, and another view with `id`. The session sees neither the row
    `hidden` nor a region that is NULL."""

    name: str
    columns: tuple[ProbedColumn, ...]
    hidden: int = 3
    other: str = "guarded"


@dataclass(frozen=True, slots=True)
class Probe:
    name: str
    column: ProbedColumn
    sentinel: str
    settings: tuple[str, ...]
    guesses: tuple[str, str]
    """A condition that holds in the hidden row, and one that does not."""
    alone: bool
    """True if there are no parallel workers. With workers the session's share of a scan is random, so that its counters prove nothing."""
    mode: Sequence[str]
    statement: str
    """With the condition as {g}."""

    def script(self, guess: str) -> list[str]:
        """Return the statements of one transaction."""
        whole = self.statement.replace("{g}", f"({guess})")
        return [each.replace("{statement_text}", whole.replace("'", "''")).replace("{statement}", whole) for each in self.mode]


def probes(view: ProbedView, count: int, *, settings: Settings = SETTINGS, seed: int = _SEED) -> Iterator[Probe]:
    """Yield `count` probes, deterministic. `settings`, by name, are added to those that choose scans, joins and workers."""
    forms = max(len(column.conditions(view.hidden)) for column in view.columns)
    words: Sequence[Mapping[str, object]] = (SENTINELS, POSITIONS, MODES, SCANS, JOINS, WORKERS, settings)
    lengths = (len(view.columns), forms, *map(len, words))
    for column, form, *places in _sampled(lengths, count, Random(seed)):  # noqa: S311 - no secret
        names = [tuple(each)[place] for each, place in zip(words, places, strict=True)]
        yield _probe(view, view.columns[column], form, names, settings[names[-1]])


def _probe(view: ProbedView, column: ProbedColumn, form: int, names: Sequence[str], more: Sequence[str]) -> Probe:
    sentinel, position, mode, scan, join, workers, _ = names
    conditions = column.conditions(view.hidden)
    guesses = conditions[form % len(conditions)]
    words = {
        "{w}": "{k} AND {g} AND {s}",
        "{k}": f"t.id = {view.hidden}",
        "{s}": SENTINELS[sentinel],
        "{three}": "SELECT u.id, u.region, u.{c} FROM {v} AS u",
        "{v}": view.name,
        "{c}": column.name,
        "{other}": view.other,
        "{hidden}": str(view.hidden),
    }
    return Probe(
        f"{guesses[0]} ({', '.join(filter(None, names))})",
        column,
        sentinel,
        (*SCANS[scan], *JOINS[join], *WORKERS[workers], *more),
        guesses,
        workers in ALONE,
        MODES[mode],
        _filled(POSITIONS[position], words),
    )


def _filled(text: str, words: Mapping[str, str]) -> str:
    """Replace words in order: a replacement may contain later words."""
    for word, meaning in words.items():
        text = text.replace(word, meaning)
    return text


def _sampled(lengths: Sequence[int], count: int, random: Random) -> Iterator[tuple[int, ...]]:
    """Yield, of some random combinations, the one with the most pairs that no earlier combination has."""
    known: set[tuple[tuple[int, int], tuple[int, int]]] = set()
    for _ in range(count):
        drawn = [tuple(random.randrange(length) for length in lengths) for _ in range(_DRAWN)]
        best = max(drawn, key=lambda each: len(_pairs(each) - known))
        known |= _pairs(best)
        yield best


def _pairs(chosen: Sequence[int]) -> set[tuple[tuple[int, int], tuple[int, int]]]:
    return set(combinations(enumerate(chosen), 2))
