"""Probes for hidden rows: scripts that a session runs twice, once with a condition that holds in a row which it may not see, and once with
one that holds in no such row. Where all that the session is shown is the same both times, the hidden row cannot be found out.

Pure. `probes` combines what a condition looks like, where in a statement it stands, what would tell that it was evaluated, how the
statement is run, and what the session has set: not every combination, but pairs of everything first, and always the same ones.
`probing` runs them.
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
"""So many combinations are drawn for each probe: the one with most pairs that are new is taken."""


@dataclass(frozen=True, slots=True)
class ProbedColumn:
    """A column of the view, and texts of values in ascending order: what the hidden row does not have, has, and what rows have that the
    session sees; empty: NULL. A `type` of OF_TYPES brings conditions of its own."""

    name: str
    type: str
    other: str = ""
    hidden: str = ""
    visible: str = ""

    def value(self, row: int, hidden: int) -> str | None:
        """What the row with this id has."""
        return (self.hidden if row == hidden else self.visible) or None

    def conditions(self, hidden: int) -> Sequence[tuple[str, str]]:
        """Of the row `t`: one that holds in the hidden row, and one of the same form that does not."""
        own = OF_TYPES.get(self.type, ()) if self.hidden else OF_TYPES["nothing"]
        forms = [(form, form) for form in FORMS if self.other and not (self.type.endswith("[]") and "ARRAY" in form)]
        words = {"{c}": f"t.{self.name}", "{hidden}": str(hidden)}
        hits, misses = ({**words, "{v}": f"'{literal}'::{self.type}"} for literal in (self.hidden, self.other))
        return [(_filled(hit, hits), _filled(miss, misses)) for hit, miss in (*forms, *own)]


@dataclass(frozen=True, slots=True)
class ProbedView:
    """What is probed: a view with the columns, `id` and a text `region`, and some other view with `id`. The session does not see the row
    `hidden`, and no region that is NULL."""

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
    """No worker helps. Else it is chance how much of a scan the session does itself, and its counters say nothing."""
    mode: Sequence[str]
    statement: str
    """With the condition as {g}."""

    def script(self, guess: str) -> list[str]:
        """The statements, in one transaction."""
        whole = self.statement.replace("{g}", f"({guess})")
        return [each.replace("{statement_text}", whole.replace("'", "''")).replace("{statement}", whole) for each in self.mode]


def probes(view: ProbedView, count: int, *, settings: Settings = SETTINGS, seed: int = _SEED) -> Iterator[Probe]:
    """`count` of them, deterministic. `settings` by name: what a session may set beside those that choose scans, joins and workers."""
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
    """In their order: a word may bring others."""
    for word, meaning in words.items():
        text = text.replace(word, meaning)
    return text


def _sampled(lengths: Sequence[int], count: int, random: Random) -> Iterator[tuple[int, ...]]:
    """Each next one brings most pairs that none before had, of some that are drawn."""
    known: set[tuple[tuple[int, int], tuple[int, int]]] = set()
    for _ in range(count):
        drawn = [tuple(random.randrange(length) for length in lengths) for _ in range(_DRAWN)]
        best = max(drawn, key=lambda each: len(_pairs(each) - known))
        known |= _pairs(best)
        yield best


def _pairs(chosen: Sequence[int]) -> set[tuple[tuple[int, int], tuple[int, int]]]:
    return set(combinations(enumerate(chosen), 2))
