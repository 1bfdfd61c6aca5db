"""Read one role's statements from PostgreSQL's log, csvlog or jsonlog, with one record in memory at a time.

The plain log (`stderr`) is not supported: a statement in it can contain a line that looks like another role's. Supports the English
messages of PostgreSQL 16 to 18 (`lc_messages = 'C'`) and pgaudit. Settings: docs/how-to/trace-a-role.md.

pgaudit writes while a statement runs: ``AUDIT: SESSION,1,1,READ,SELECT,,,SELECT 1,<not logged>``, one line per statement or, with
`pgaudit.log_relation` or `pgaudit.role`, one per table and view.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

from rolevend.errors import InvalidInput
from rolevend.model import RoleName
from rolevend.platforms.statement import Statement

_PGAUDIT_PREFIX = "AUDIT: "
_PGAUDIT_COLUMNS = 9
"""With `pgaudit.log_rows` the number of rows follows."""
_PGAUDIT_LEFT_OUT = ("<none>", "<not logged>", "<previously logged>")
_CSV_COLUMNS = (
    *("timestamp", "user", "dbname", "pid", "remote", "session_id", "line_num", "ps", "session_start", "vxid", "txid"),
    *("error_severity", "state_code", "message", "detail", "hint", "internal_query", "internal_position", "context", "statement"),
    *("cursor_position", "location", "application_name", "backend_type", "leader_pid", "query_id"),
)
"""The columns of csvlog, with the names of jsonlog."""
_LONGEST_FIELD = 1 << 30
"""PostgreSQL's limit of a text."""
_FAILED = ("ERROR", "FATAL", "PANIC")
_DURATION = re.compile(r"duration: (?P<milliseconds>\d+\.\d+) ms(?:  (?P<rest>.*))?", re.DOTALL)
_STATEMENT = re.compile(r"(?:statement|execute(?: fetch from)? .*?): (?P<text>.*)|(?P<call>fastpath function call: .*)", re.DOTALL)
"""A prepared statement's name may contain a colon; the log does not mark its end."""
_PARAMETERS = re.compile(r"parameters: (?P<values>.*)", re.DOTALL | re.IGNORECASE)
_PREPARED = "prepare: "
"""The prefix of the statement that an EXECUTE runs, which pgaudit logs instead."""
Record = dict[str, str]


@dataclass(frozen=True, slots=True)
class PgauditLine:
    """One line."""

    statement: str
    """The number of the statement; statements within an open cursor or a function have its number."""
    substatement: str
    """The number within the statement."""
    relation: str | None
    """`TABLE claims.people`, or another object."""
    is_call: bool
    """A function call in a statement that has lines of its own."""
    text: str | None
    """None if pgaudit is configured to omit it, or an earlier line has it."""
    parameters: str | None
    """The parameter values, as CSV."""


def parse_pgaudit(message: str) -> PgauditLine | None:
    """Return the parsed line, or None if it is not pgaudit's."""
    if not message.startswith(_PGAUDIT_PREFIX):
        return None
    # A multi-line statement is one field.
    row = next(csv.reader(io.StringIO(message.removeprefix(_PGAUDIT_PREFIX), newline="")), [])
    if len(row) < _PGAUDIT_COLUMNS:
        return None
    _, statement, substatement, _, _, kind, name, text, parameters = row[:_PGAUDIT_COLUMNS]
    return PgauditLine(
        statement=statement,
        substatement=substatement,
        relation=f"{kind} {name}" if name else None,
        is_call=kind == "FUNCTION",
        text=None if text in _PGAUDIT_LEFT_OUT else text,
        parameters=None if parameters in _PGAUDIT_LEFT_OUT else parameters,
    )


@dataclass(frozen=True, slots=True)
class _Running:
    """A statement in the server's record whose duration or error may follow."""

    statement: Statement
    prepared: str | None
    call: str | None = None
    """pgaudit's statement number."""

    def includes(self, entry: PgauditLine) -> bool:
        return entry.statement == self.call or entry.text in {self.statement.text, self.prepared} - {None}


@dataclass(frozen=True, slots=True)
class _Audited:
    """A statement in pgaudit's record without one of the server so far."""

    statement: Statement
    first: PgauditLine
    transaction: str

    def includes(self, entry: PgauditLine) -> bool:
        if entry.statement != self.first.statement:
            return False
        return entry.substatement == self.first.substatement or (entry.is_call and entry.text == self.first.text)


class StatementLog:
    """Reads records from any number of files, in the order of writing, and yields the role's statements in the order of their end."""

    def __init__(self, role: RoleName) -> None:
        csv.field_size_limit(_LONGEST_FIELD)
        self._role = role
        self._running: dict[str, _Running] = {}
        self._audited: dict[str, _Audited] = {}
        """By session, like `_running`."""
        self.unread = 0
        """The number of incomplete records, or records damaged by one."""

    def read(self, lines: Iterable[str], name: str) -> Iterator[Statement]:
        """Read one file; lines keep their line ends. Raises InvalidInput if it is neither csvlog nor jsonlog."""
        for record in self._records(iter(lines), name):
            if record["user"] == self._role:
                yield from self._take(record)

    def rest(self) -> Iterator[Statement]:
        """Yield the remaining statements, after the last file."""
        for session in [*self._running, *(each for each in self._audited if each not in self._running)]:
            yield from self._over(session)

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
        for row in csv.reader(lines):
            record = dict(zip(_CSV_COLUMNS, row, strict=False))
            if len(record) == len(_CSV_COLUMNS) and record["error_severity"].isupper():
                yield record
            else:
                self.unread += 1

    def _take(self, record: Record) -> Iterator[Statement]:
        message, session = record["message"], record["session_id"]
        if record["error_severity"] in _FAILED:
            if record["statement"]:
                yield from self._failed(record, f"{record['state_code']} {message}")
            return
        timed = _DURATION.fullmatch(message)
        milliseconds = float(timed["milliseconds"]) if timed else None
        sent = _STATEMENT.fullmatch((timed["rest"] or "") if timed else message)
        if sent is not None:
            yield from self._begin(record, sent["text"] or sent["call"])
            if milliseconds is not None:
                yield from self._end(session, milliseconds=milliseconds)
        elif timed is not None and not timed["rest"]:
            yield from self._end(session, milliseconds=milliseconds)
        elif (entry := parse_pgaudit(message)) is not None:
            yield from self._audit(record, entry)

    def _failed(self, record: Record, error: str) -> Iterator[Statement]:
        session = record["session_id"]
        running, audited = self._running.get(session), self._audited.get(session)
        if running is None or running.statement.text != record["statement"]:  # it failed before it was logged
            if audited is not None and audited.transaction != record["vxid"]:  # an earlier, successful run of the same text
                yield from self._over(session)
            yield from self._begin(record, record["statement"])
        yield from self._end(session, error=error)

    def _begin(self, record: Record, text: str) -> Iterator[Statement]:
        """Start a statement. The session's previous statement is complete."""
        session = record["session_id"]
        detail = record["detail"]
        begun = _Running(_statement(record, text), detail.removeprefix(_PREPARED) if detail.startswith(_PREPARED) else None)
        audited = self._audited.get(session)
        if audited is not None and begun.includes(audited.first):
            del self._audited[session]
            begun = replace(begun, statement=replace(begun.statement, relations=audited.statement.relations), call=audited.first.statement)
        yield from self._over(session)
        self._running[session] = begun

    def _end(self, session: str, *, milliseconds: float | None = None, error: str | None = None) -> Iterator[Statement]:
        if (running := self._running.pop(session, None)) is not None:
            yield from self._over(session)
            yield replace(running.statement, milliseconds=milliseconds, error=error)

    def _audit(self, record: Record, entry: PgauditLine) -> Iterator[Statement]:
        """Merge pgaudit's entry into the server's record, or start a statement from pgaudit alone."""
        session = record["session_id"]
        running, audited = self._running.get(session), self._audited.get(session)
        if running is not None and running.includes(entry):
            self._running[session] = replace(running, statement=_reading(running.statement, entry), call=entry.statement)
        elif audited is not None and audited.includes(entry):
            self._audited[session] = replace(audited, statement=_reading(audited.statement, entry))
        elif entry.text is not None:
            if audited is not None:
                yield audited.statement
            statement = replace(_statement(record, entry.text), parameters=entry.parameters)
            self._audited[session] = _Audited(_reading(statement, entry), entry, record["vxid"])

    def _over(self, session: str) -> Iterator[Statement]:
        """Yield the session's statements, which are complete."""
        for waiting in (self._running.pop(session, None), self._audited.pop(session, None)):
            if waiting is not None:
                yield waiting.statement


def _reading(statement: Statement, entry: PgauditLine) -> Statement:
    if entry.relation is None or entry.relation in statement.relations:
        return statement
    return replace(statement, relations=(*statement.relations, entry.relation))


def _statement(record: Record, text: str) -> Statement:
    parameters = _PARAMETERS.fullmatch(record["detail"])
    return Statement(
        time=record["timestamp"],
        database=record["dbname"],
        session=record["session_id"],
        client=record["remote"],
        application=record["application_name"],
        text=text,
        parameters=parameters["values"] if parameters else None,
    )
