"""Read the trail of a role, or search for roles, in files of audit events and of the ledger. Blocking, and bounded: call it in a thread."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from rolevend.audit.chain import Line
from rolevend.audit.chain import verify as verify_chain
from rolevend.audit.event_files import event_of
from rolevend.audit.receipt import MEMBER
from rolevend.audit.receipt_files import VerifiedReceipts, verify_lines
from rolevend.audit.recent_lines import OpenFile, PlacedLine, RecentLines
from rolevend.audit.role_chain import ACCESS_UID, ROLE_UID, used_requests
from rolevend.console.trail_query import TrailQuery, TrailRow
from rolevend.errors import InvalidInput
from rolevend.identity.key_set import KeySet
from rolevend.model import Uid
from rolevend.naming import encode_uid, parse_role_name

MOST_BYTES: Final = 256 << 20
"""That are read for one page."""
MOST_PARSED: Final = 32 << 20
"""That match the texts of a search."""
MOST_EVENTS: Final = 500
MOST_STATEMENTS: Final = 2000
_MOST_KEPT: Final = 16 << 20
"""Bytes of the events, and of the statements, of one role."""
_MOST_ROWS: Final = 20_000
_MOST_CHECKED: Final = 48 << 20
"""Of one chain."""
_SAME: Final = ("id", "time", "database", "statement")
"""The members that a repeated entry repeats. An id by itself is of one server: an agent with a role on two may have it on both."""
_AROUND: Final = 64 << 10
"""Bytes before and after the events whose chain is verified."""


@dataclass(frozen=True, slots=True)
class TrailLine:
    """A line about a role: an audit event, or an entry of the ledger."""

    content: Mapping[str, Any]
    text: bytes
    namespace: str | None
    """Of the agent. None: the line does not say."""


@dataclass(frozen=True, slots=True)
class CheckedChain:
    """The chain of one file, and of those that it was renamed to."""

    file: str
    first: str
    last: str
    """The times of the role's events in it."""
    problems: Sequence[tuple[str, str]] = ()
    """Where, and what."""
    keys: frozenset[str] = frozenset()
    """The keys that seal these events. The console has none of them."""
    unread_bytes: int = 0
    """Not 0: the chain was not verified, because it is so long between the events."""


@dataclass(slots=True)
class RoleTrail:
    """All that the files have of one uid."""

    events: list[TrailLine] = field(default_factory=list)
    """In the order of their times."""
    statements: list[TrailLine] = field(default_factory=list)
    chains: list[CheckedChain] = field(default_factory=list)
    receipts: VerifiedReceipts | None = None
    """None: there is no key to verify them with, or there are none."""
    left_out: bool = False
    """True if there are more events or statements."""
    since: str | None = None
    """Events before this time were perhaps not read."""
    unreadable: int = 0

    @property
    def namespaces(self) -> set[str | None]:
        return {each.namespace for each in (*self.events, *self.statements)}

    @property
    def namespace(self) -> str | None:
        """The namespace of all lines that state one, if it is the same."""
        found = self.namespaces - {None}
        return found.pop() if len(found) == 1 else None

    def seen_by(self, allowed: Callable[[str | None], bool]) -> "RoleTrail":
        """Return the part in the namespaces that are allowed. A line that states none belongs to that of the others."""
        own = self.namespace
        events = [each for each in self.events if allowed(each.namespace or own)]
        statements = [each for each in self.statements if allowed(each.namespace or own)]
        is_whole = len(events) == len(self.events)
        return replace(
            self, events=events, statements=statements, chains=self.chains if is_whole else [], receipts=self.receipts if is_whole else None
        )


@dataclass(slots=True)
class FoundRows:
    rows: list[TrailRow] = field(default_factory=list)
    since: str | None = None
    unreadable: int = 0
    left_out: bool = False


class TrailFiles:
    def __init__(self, audit: Sequence[str], ledger: Sequence[str], receipt_keys: KeySet | None = None) -> None:
        """`audit` and `ledger` are files, and folders of them."""
        self.audit = audit
        self.ledger = ledger
        self.receipt_keys = receipt_keys

    def search(self, query: TrailQuery) -> FoundRows:
        """Return a row for each role and each request with a matching event, and for each event of neither."""
        found: dict[str, TrailRow] = {}
        with RecentLines.of(self.audit) as recent:
            result = FoundRows(unreadable=recent.unreadable)
            texts = [*map(_written, query.texts), b'"dev.rolevend.']
            for line in recent.lines(MOST_BYTES, *texts, most_found=MOST_PARSED, not_before=query.since):
                event = event_of(line.text)
                if event is None or not query.matches(event):
                    continue
                row = TrailRow.of(event)
                if row.key in found:
                    found[row.key] = found[row.key].with_event(row)
                elif len(found) < _MOST_ROWS:
                    found[row.key] = row
                else:
                    result.left_out = True
            result.rows, result.since = list(found.values()), recent.since
        return result

    def trail(self, uid: Uid, *, whole: bool = True) -> RoleTrail:
        """Return what the files have of the VendedRole or AccessRequest with this uid. Raises InvalidInput if it is none.

        Unless it is `whole`, nothing is verified, and the requests whose approvals the role uses are left out: it takes the same time then
        if there is nothing.
        """
        handle = encode_uid(uid)
        result = RoleTrail()
        with RecentLines.of(self.audit) as recent:
            events = self._events(recent, uid, result, whole=whole)
            result.events = [TrailLine(content, line.text, _namespace(content["data"])) for line, content in events]
            result.chains = list(_checked(recent, events)) if whole else []
            result.unreadable += recent.unreadable
        if whole and self.receipt_keys is not None and any(MEMBER in each.content["data"] for each in result.events):
            lines = (Line(f"{each.content.get('type')} at {each.content.get('time')}", each.text) for each in result.events)
            result.receipts = verify_lines(lines, self.receipt_keys)
        with RecentLines.of(self.ledger) as recent:
            result.statements = self._statements(recent, uid, handle, result)
            result.unreadable += recent.unreadable
        return result

    def _events(self, recent: RecentLines, uid: str, result: RoleTrail, *, whole: bool) -> list[tuple[PlacedLine, dict[str, Any]]]:
        found: dict[str, tuple[PlacedLine, dict[str, Any]]] = {}
        asked: set[str] = set()
        wanted = [uid]
        kept = 0
        while wanted and len(found) < MOST_EVENTS:
            searched = wanted.pop()
            asked.add(searched)
            for line in recent.lines(MOST_BYTES, searched.encode()):
                event = event_of(line.text)
                if event is None or searched not in (event["data"].get(ROLE_UID), event["data"].get(ACCESS_UID)):
                    continue
                kept += len(line.text)
                if len(found) >= MOST_EVENTS or kept > _MOST_KEPT:
                    result.left_out = True
                    break
                former = found.get(str(event["id"]))
                if former is None or _order(event) < _order(former[1]):  # a repeated event: the first one that was written
                    found[str(event["id"])] = line, event
            result.since = max(filter(None, (result.since, recent.since)), default=None)
            used = used_requests(event for _, event in found.values()) if whole else ()
            wanted = [each for each in used if each not in asked and len(asked) < 4]
        return sorted(found.values(), key=lambda each: _order(each[1]))

    def _statements(self, recent: RecentLines, uid: str, handle: str, result: RoleTrail) -> list[TrailLine]:
        found: dict[tuple[str, ...], TrailLine] = {}
        kept = 0
        for line in recent.lines(MOST_BYTES, handle.encode()):
            entry = _entry_of(line.text, uid)
            if entry is None:
                continue
            kept += len(line.text)
            if len(found) >= MOST_STATEMENTS or kept > _MOST_KEPT:
                result.left_out = True
                break
            found[tuple(str(entry.get(each)) for each in _SAME)] = TrailLine(entry, line.text, _namespace(entry))
        result.since = max(filter(None, (result.since, recent.since)), default=None)
        return sorted(found.values(), key=lambda each: str(each.content.get("time")))


def _written(text: str) -> bytes:
    """Return the text as it is written in the JSON of an event."""
    return json.dumps(text)[1:-1].encode()


def _order(event: Mapping[str, Any]) -> tuple[str, str, int]:
    sequence = str(event.get("sequence"))
    return str(event.get("time")), str(event.get("chain")), int(sequence[:18]) if sequence.isdecimal() else 0


def _namespace(data: Mapping[str, Any]) -> str | None:
    agent = data.get("agent")
    namespace, slash, _ = agent.partition("/") if isinstance(agent, str) else ("", "", "")
    return namespace if slash and namespace else None


def _entry_of(text: bytes, uid: str) -> dict[str, Any] | None:
    """Return the entry of the ledger in its own words, if it is of the role with this uid."""
    try:
        found = json.loads(text)
        entry = from_ocsf(found) if "class_uid" in found else dict(found)
        return entry if parse_role_name(str(entry.get("role"))).uid == uid else None
    except (ValueError, TypeError, AttributeError, RecursionError, InvalidInput):
        return None


def from_ocsf(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of the ledger that became this event of OCSF, as far as the trail shows it."""
    metadata, actor, query = (event.get(each) or {} for each in ("metadata", "actor", "query_info"))
    user, client = actor.get("user") or {}, event.get("src_endpoint") or {}
    error = " ".join(str(event[each]) for each in ("status_code", "status_detail") if event.get(each))
    address = f"{client['ip']}:{client.get('port')}" if "ip" in client else client.get("name")
    entry = {
        "id": metadata.get("uid"),
        "source": metadata.get("log_provider"),
        "time": metadata.get("original_time"),
        "role": (user.get("account") or {}).get("name"),
        "agent": actor.get("app_name"),
        "database": (event.get("database") or {}).get("name"),
        "session": (actor.get("session") or {}).get("uid"),
        "client": address,
        "statement": query.get("query_string"),
        "truncated": metadata.get("is_truncated"),
        "durationMs": event.get("duration"),
        "error": error or None,
    }
    return {**(event.get("unmapped") or {}), **{name: value for name, value in entry.items() if value is not None}}


def _checked(recent: RecentLines, events: Iterable[tuple[PlacedLine, Mapping[str, Any]]]) -> Iterator[CheckedChain]:
    """Verify the chain of each file from the role's first event in it to the last one, and what is around them."""
    by_series: dict[tuple[str, str], list[tuple[PlacedLine, Mapping[str, Any]]]] = {}
    for line, event in events:
        by_series.setdefault(line.file.series, []).append((line, event))
    for series, mine in by_series.items():
        files = [each for each in recent.files if each.series == series]  # the oldest first
        places = sorted((files.index(line.file), line.start, line.end) for line, _ in mine)
        ranges = _ranges(files, places[0], places[-1])
        times = sorted(str(event.get("time")) for _, event in mine)
        size = sum(end - start for _, start, end in ranges)
        keys = frozenset(str(event["hashkey"]) for _, event in mine if event.get("hashkey") is not None)
        if size > _MOST_CHECKED:
            yield CheckedChain(series[1], times[0], times[-1], keys=keys, unread_bytes=size)
            continue
        lines = (Line(f"{file.name} at byte {each.start}", each.text) for file, start, end in ranges for each in file.lines(start, end))
        found = verify_chain(lines, order_alone=True)
        problems = [each.partition(": ")[::2] for each in found.problems]
        yield CheckedChain(series[1], times[0], times[-1], tuple(problems), keys)


def _ranges(files: Sequence[OpenFile], first: tuple[int, int, int], last: tuple[int, int, int]) -> list[tuple[OpenFile, int, int]]:
    """Return the parts of the files between two places, and a little around them, in whole lines."""
    ranges = []
    for number in range(first[0], last[0] + 1):
        file = files[number]
        start = file.line_start(first[1] - _AROUND) if number == first[0] else 0
        end = file.line_start(last[2] + _AROUND) if number == last[0] else file.size
        ranges.append((file, start, max(start, end)))
    return ranges
