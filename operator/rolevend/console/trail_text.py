"""The trail of a role as entries for people: each event and each statement with its time. Pure.

The files hold words of agents and people, and events of other versions. No member is taken for granted. Every value is bounded, and
invisible characters are escaped.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rolevend.audit import role_chain
from rolevend.audit.events import EventType
from rolevend.platforms.statement import plain

MOST_CHARACTERS: Final = 8192
"""Of a statement on the page. The export has the whole entry."""
_MOST_LINES: Final = 400
"""Of a statement."""
_ALWAYS: Final = 80
"""Characters, of one line, that are shown of each statement, also where the page is full."""
_MOST_VALUE: Final = 2000
_MOST_TABLES: Final = 50
_TITLES: Final[dict[str, str]] = {
    EventType.GRANTED: "Role granted",
    EventType.DENIED: "Request denied",
    EventType.DROPPED: "Role gone",
    EventType.REFUSED: "Call refused",
    EventType.RELEASE_REQUESTED: "Release asked for",
    EventType.ACCESS_REQUESTED: "Access asked for",
    EventType.ACCESS_ANSWERED: "Answer of the user",
    EventType.ACCESS_DECIDED: "Decision on the request",
    EventType.SCIM_CHANGED: "Change by SCIM",
    EventType.SIGNAL_RECEIVED: "Signal",
    EventType.STARTED: "Process started",
    EventType.STOPPED: "Process stopped",
}
_ELSEWHERE: Final = ("tables", "receipt", "role")
"""Members with a place of their own on the page."""
_OF_STATEMENTS: Final = {"tables": "tables", "parameters": "with", "error": "failed"}
_CONTEXT: Final = {
    "durationMs": "milliseconds",
    "tablesFrom": "tables",
    "database": "database",
    "session": "session",
    "client": "client",
    "application": "application, by its own word",
}
_WORD: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class GrantedTable:
    name: str
    rows: str
    clear: str
    masked: str


@dataclass(frozen=True, slots=True)
class TrailEntry:
    time: str
    title: str
    sentence: str = ""
    facts: Sequence[tuple[str, str]] = ()
    tables: Sequence[GrantedTable] = ()
    more_tables: int = 0
    statement: Sequence[str] | None = None
    """The lines of its text."""
    is_cut: bool = False
    """True if the statement is longer."""
    context: Sequence[tuple[str, str]] = ()
    """Facts that need no line of their own."""


@dataclass(slots=True)
class Room:
    """The room for the statements of one page. An agent writes them, and a thousand of a thousand lines would fill the memory."""

    characters: int = 2 << 20
    lines: int = 20_000

    def take(self, text: str) -> tuple[list[str], bool]:
        """Return the lines that are shown, and whether there are more."""
        most = min(MOST_CHARACTERS, max(_ALWAYS, self.characters))
        lines = text[:most].splitlines()
        shown = lines[: min(_MOST_LINES, max(1, self.lines))]
        self.characters -= sum(map(len, shown))
        self.lines -= len(shown)
        return shown, len(text) > most or len(lines) > len(shown)


def of_event(event: Mapping[str, Any]) -> TrailEntry:
    data, kind = event["data"], str(event.get("type"))
    try:
        sentence = role_chain.sentence(event)
    except (KeyError, TypeError, AttributeError, ValueError):
        sentence = ""  # of another version
    tables = [_table(each) for each in _list(data.get("tables"))[:_MOST_TABLES] if isinstance(each, Mapping)]
    left_out = data.get("tablesLeftOut")
    more = len(_list(data.get("tables"))) - len(tables) + (left_out if isinstance(left_out, int) else 0)
    facts = [(_label(str(name)), _value(value)) for name, value in data.items() if name not in _ELSEWHERE]
    title = _TITLES.get(kind, kind)
    return TrailEntry(moment(event.get("time")), shown(title), shown(sentence), facts, tables, more)


def of_statement(entry: Mapping[str, Any], room: Room) -> TrailEntry:
    """`entry` is one of the ledger, in its own words."""
    text = str(entry.get("statement", ""))
    context = [(label, _value(entry[name])) for name, label in _CONTEXT.items() if entry.get(name) not in (None, "")]
    facts = [(label, _value(entry[name])) for name, label in _OF_STATEMENTS.items() if entry.get(name)]
    shown_lines, is_cut = room.take(text)
    lines = [plain(line) for line in shown_lines]
    title = "Statement failed" if entry.get("error") else "Statement"
    return TrailEntry(
        moment(entry.get("time")),
        title,
        facts=facts,
        statement=lines or [""],
        is_cut=is_cut or entry.get("truncated") is True,
        context=context,
    )


def moment(time: object) -> str:
    """Return the time of an event as the page shows it, which is sorted as the times are."""
    return shown(str(time)).replace("T", " ", 1).removesuffix("Z")[:32]


def _table(table: Mapping[str, Any]) -> GrantedTable:
    rows = [_value(each) for each in _list(table.get("rows"))]
    and_also = [_value(each) for each in _list(table.get("restrictions"))]
    visible = " or ".join(rows) or "all rows"
    masked = [
        f"{_value(each.get('name'))}: {_value(each.get('shows'))}" for each in _list(table.get("masked")) if isinstance(each, Mapping)
    ]
    clear = [_value(each) for each in _list(table.get("clear"))]
    name = _value(table.get("table")) + (f" (as {_value(table['view'])})" if "view" in table else "")
    return GrantedTable(name, _cut(" and also ".join([visible, *and_also])), _cut(", ".join(clear)), _cut("; ".join(masked)))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _label(name: str) -> str:
    return shown(_WORD.sub(" ", name).lower())[:64]


def _value(value: object, depth: int = 0) -> str:
    match value:
        case bool():
            text = "yes" if value else "no"
        case list() if depth < 3:
            text = ("; " if any(isinstance(each, Mapping) for each in value) else ", ").join(
                _value(each, depth + 1) for each in value[:200]
            )
        case {"kind": str(kind), "name": str(name), "generation": int(generation)}:
            text = f"{kind} {name} (generation {generation})"
        case {"key": str(key), "values": list(values), **rest}:
            source = f" ({rest['source']})" if "source" in rest else ""
            text = f"{key} = {', '.join(map(str, values[:200]))}{source}"
        case Mapping() if depth < 3:
            text = ", ".join(f"{_label(str(name))} {_value(each, depth + 1)}" for name, each in list(value.items())[:50])
        case _:
            text = str(value)
    return _cut(shown(text))


def shown(text: str) -> str:
    """Return the text with invisible characters escaped, and bounded."""
    return plain(text[: 4 * _MOST_VALUE])


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_VALUE else f"{text[:_MOST_VALUE]}..."


def in_order(entries: Iterator[TrailEntry]) -> list[TrailEntry]:
    """Return the entries by their times; those of one time stay as they are."""
    return sorted(entries, key=lambda each: each.time)
