"""PostgreSQL's own log, read for what one role ran: csvlog or jsonlog, record by record, in the memory of one record at a time.

The plain log (`stderr`) is not read: in it a statement can contain a line that looks like another role's. Messages are those of
PostgreSQL 16 to 18 in English (`lc_messages = 'C'`). Which settings bring what: docs/how-to/trace-a-role.md.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

from rolevend.errors import InvalidInput
from rolevend.model import RoleName

_CSV_COLUMNS = (
    *("timestamp", "user", "dbname", "pid", "remote", "session_id", "line_num", "ps", "session_start", "vxid", "txid"),
    *("error_severity", "state_code", "message", "detail", "hint", "internal_query", "internal_position", "context", "statement"),
    *("cursor_position", "location", "application_name", "backend_type", "leader_pid", "query_id"),
)
"""As file_fdw's example in PostgreSQL's manual has them, by the names of jsonlog."""
_LONGEST_FIELD = 1 << 30
"""PostgreSQL's own limit of a text."""
_FAILED = ("ERROR", "FATAL", "PANIC")
_DURATION = re.compile(r"duration: (?P<milliseconds>\d+\.\d+) ms(?:  (?P<rest>.*))?", re.DOTALL)
_STATEMENT = re.compile(r"(?:statement|execute(?: fetch from)? .*?): (?P<text>.*)|(?P<call>fastpath function call: .*)", re.DOTALL)
"""A name of a prepared statement may hold a colon; nothing in PostgreSQL's own log says where it ends then."""
_PARAMETERS = re.compile(r"parameters: (?P<values>.*)", re.DOTALL | re.IGNORECASE)

Record = dict[str, str]


@dataclass(frozen=True, slots=True)
class Statement:
    """One that the role sent, whether it succeeded or not."""

    time: str
    """As the server wrote it, in its own time zone: when it began, or ended where only its duration is logged."""
    database: str
    session: str
    """The server's id of the session."""
    client: str
    application: str
    text: str
    parameters: str | None = None
    """`$1 = '42', $2 = NULL`, of a prepared statement."""
    milliseconds: float | None = None
    """How long it ran, where that was logged."""
    error: str | None = None
    """SQLSTATE and message, where it failed."""


class StatementLog:
    """Reads records, from any number of files in the order in which they were written, and answers the role's statements, each when
    all is known of it: in the order in which they ended."""

    def __init__(self, role: RoleName) -> None:
        self._role = role
        self._running: dict[str, Statement] = {}
        """By session: what it began, and of which the duration or the error may still come."""
        self.unread = 0
        """Records that are cut short, or spoiled by one that is."""

    def read(self, lines: Iterable[str], name: str) -> Iterator[Statement]:
        """Of one file. Lines keep their ends. InvalidInput where the file is neither csvlog nor jsonlog."""
        for record in self._records(iter(lines), name):
            if record["user"] == self._role:
                yield from self._take(record)

    def rest(self) -> Iterator[Statement]:
        """After the last file."""
        yield from self._running.values()
        self._running = {}

    def _records(self, lines: Iterator[str], name: str) -> Iterator[Record]:
        first = next(lines, "")
        everything = chain([first], lines)
        if first.startswith("{"):
            yield from self._json(everything)
        elif not first or re.match(r"\d{4}-\d\d-\d\d [\d:.]+ [^,]*,", first):
            yield from self._csv(everything)
        else:
            raise InvalidInput(name, "is neither csvlog nor jsonlog: set log_destination to one of them, and give its file")

    def _json(self, lines: Iterable[str]) -> Iterator[Record]:
        for line in lines:
            if self._role not in line:
                continue
            try:
                values = json.loads(line)
            except ValueError:
                self.unread += 1
                continue
            record = dict.fromkeys(_CSV_COLUMNS, "") | {key: str(value) for key, value in values.items()}
            yield record | {"remote": ":".join(part for part in (values.get("remote_host"), str(values.get("remote_port", ""))) if part)}

    def _csv(self, lines: Iterable[str]) -> Iterator[Record]:
        csv.field_size_limit(_LONGEST_FIELD)
        for row in csv.reader(lines):
            record = dict(zip(_CSV_COLUMNS, row, strict=False))
            if len(record) == len(_CSV_COLUMNS) and record["error_severity"].isupper():
                yield record
            else:
                self.unread += 1

    def _take(self, record: Record) -> Iterator[Statement]:
        message = record["message"]
        if record["error_severity"] in _FAILED:
            if record["statement"]:
                yield from self._failed(record, f"{record['state_code']} {message}")
            return
        timed = _DURATION.fullmatch(message)
        milliseconds = float(timed["milliseconds"]) if timed else None
        sent = _STATEMENT.fullmatch((timed["rest"] or "") if timed else message)
        if sent is not None:
            yield from self._begin(_statement(record, sent["text"] or sent["call"], milliseconds))
        elif timed is not None and not timed["rest"] and record["session_id"] in self._running:
            yield replace(self._running.pop(record["session_id"]), milliseconds=milliseconds)

    def _failed(self, record: Record, error: str) -> Iterator[Statement]:
        running = self._running.get(record["session_id"])
        if running is None or running.text != record["statement"]:  # it never got as far as being logged
            yield from self._begin(running := _statement(record, record["statement"]))
        del self._running[record["session_id"]]
        yield replace(running, error=error)

    def _begin(self, statement: Statement) -> Iterator[Statement]:
        """A session runs one at a time: of the one before nothing more is heard."""
        if (over := self._running.pop(statement.session, None)) is not None:
            yield over
        if statement.milliseconds is None:
            self._running[statement.session] = statement
        else:
            yield statement


def _statement(record: Record, text: str, milliseconds: float | None = None) -> Statement:
    parameters = _PARAMETERS.fullmatch(record["detail"])
    return Statement(
        time=record["timestamp"],
        database=record["dbname"],
        session=record["session_id"],
        client=record["remote"],
        application=record["application_name"],
        text=text,
        parameters=parameters["values"] if parameters else None,
        milliseconds=milliseconds,
    )
