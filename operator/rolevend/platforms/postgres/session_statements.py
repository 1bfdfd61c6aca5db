"""Join the records of PostgreSQL's log to statements: text, duration, error and pgaudit's relations stand in records of their own. Pure.

Supports the English messages of PostgreSQL 16 to 18 (`lc_messages = 'C'`) and pgaudit.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any, Final

from rolevend.platforms.postgres.pgaudit import PgauditLine, parse_pgaudit
from rolevend.platforms.statement import Statement

COLUMNS: Final = (
    *("timestamp", "user", "dbname", "pid", "remote", "session_id", "line_num", "ps", "session_start", "vxid", "txid"),
    *("error_severity", "state_code", "message", "detail", "hint", "internal_query", "internal_position", "context", "statement"),
    *("cursor_position", "location", "application_name", "backend_type", "leader_pid", "query_id"),
)
"""The columns of csvlog, with the names of jsonlog."""
_EMPTY: Final = dict.fromkeys(COLUMNS, "")
_MOST_READINGS: Final = 8
_FAILED = ("ERROR", "FATAL", "PANIC")
_DURATION = re.compile(r"duration: (?P<milliseconds>\d+\.\d+) ms(?:  (?P<rest>.*))?", re.DOTALL)
_STATEMENT = re.compile(
    r"(?:statement|(?P<executed>execute)(?: fetch from)? .*?): (?P<text>.*)|(?P<call>fastpath function call: .*)", re.DOTALL
)
"""A prepared statement's name may contain a colon; the log does not mark its end. See `readings`."""
_OTHER_TEXT = re.compile(
    r": (?=[\s(;]*(?:--|/\*|(?:SELECT|WITH|TABLE|VALUES|COPY|INSERT|UPDATE|DELETE|MERGE|CREATE|EXPLAIN|DECLARE|FETCH|EXECUTE|CALL|DO)\b))",
    re.IGNORECASE,
)
_REFUSED = re.compile(r"42\w{3} permission denied for (?:table|view|materialized view|foreign table|schema|language) ")
_PARAMETERS = re.compile(r"parameters: (?P<values>.*)", re.DOTALL | re.IGNORECASE)
_PREPARED = "prepare: "
"""The prefix of the statement that an EXECUTE runs, which pgaudit logs instead."""
_DISCONNECTED = "disconnection: "
_MAY_BE_CUT: Final = 128 * 1024
"""Characters of a record. A shorter one is complete: a reader keeps 1 MiB of it, and at most eight bytes are one character."""
MAX_RELATIONS: Final = 256
"""Of a statement with so many, others may be left out."""
Record = Mapping[str, str]
"""A value for each of `COLUMNS`."""


def record_of_json(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the record of an object of jsonlog."""
    record = {**_EMPTY, **{key: str(value) for key, value in values.items()}}
    record["remote"] = ":".join(part for part in (values.get("remote_host"), str(values.get("remote_port", ""))) if part)
    return record


@dataclass(frozen=True, slots=True)
class LoggedStatement(Statement):
    """A statement in PostgreSQL's log."""

    role: str = ""
    """The user of the session."""
    number: str = ""
    """Number of its first record in the session. Unique with `session`."""
    audit_class: str | None = None
    """pgaudit's class: `READ`, `WRITE`."""
    command: str | None = None
    """pgaudit's command: `SELECT`, `COPY`."""
    prepared: str | None = None
    """The prepared statement that it executes: `PREPARE … AS SELECT …`."""
    executed: bool = False
    """True if the client executed it as a prepared statement of the protocol, whose name the log puts before the text."""
    refused: bool = False
    """True if the server refused it before it ran."""
    is_cut: bool = False
    """True if its text, or that of the prepared statement, is longer than what is kept."""

    @property
    def readings(self) -> tuple[str, ...]:
        """The other texts that it may be, if the name of the prepared statement ends later."""
        ends = (each.end() for each in _OTHER_TEXT.finditer(self.text)) if self.executed else iter(())
        return tuple(self.text[end:] for end in islice(ends, _MOST_READINGS))


@dataclass(frozen=True, slots=True)
class _Running:
    """A statement in the server's record whose duration or error may follow."""

    statement: LoggedStatement
    call: str | None = None
    """pgaudit's statement number."""

    def includes(self, entry: PgauditLine) -> bool:
        return entry.statement == self.call or entry.text in {self.statement.text, self.statement.prepared} - {None}


@dataclass(frozen=True, slots=True)
class _Audited:
    """A statement in pgaudit's record without one of the server so far."""

    statement: LoggedStatement
    first: PgauditLine
    transaction: str

    def includes(self, entry: PgauditLine) -> bool:
        if entry.statement != self.first.statement:
            return False
        return entry.substatement == self.first.substatement or (entry.is_call and entry.text == self.first.text)


class SessionStatements:
    """Takes records in the order of writing, and yields statements in the order of their end. Sessions do not affect each other."""

    def __init__(self, *, max_sessions: int | None = None, max_text: int | None = None) -> None:
        """`max_sessions` bounds the sessions with an unfinished statement: the oldest one is yielded without its outcome. `max_text`
        bounds the characters of a text."""
        self._max_sessions = max_sessions
        self._max_text = max_text
        self._running: dict[str, _Running] = {}
        self._audited: dict[str, _Audited] = {}
        """By session, like `_running`."""

    def take(self, record: Record) -> Iterator[LoggedStatement]:
        message, session = record["message"], record["session_id"]
        if record["error_severity"] in _FAILED:
            if record["statement"] or self._is_long(record):
                yield from self._failed(record, f"{record['state_code']} {message[: self._max_text]}")
            return
        if record["context"] or record["statement"]:
            return  # a function raised it, with a message of its choice: the server and pgaudit log statements without both
        timed = _DURATION.fullmatch(message)
        milliseconds = float(timed["milliseconds"]) if timed else None
        sent = _STATEMENT.fullmatch((timed["rest"] or "") if timed else message)
        if sent is not None:
            yield from self._begin(record, sent["call"] or sent["text"] or "", executed=sent["executed"] is not None)
            if milliseconds is not None:
                yield from self._end(session, milliseconds=milliseconds)
        elif timed is not None and not timed["rest"]:
            yield from self._end(session, milliseconds=milliseconds)
        elif (entry := parse_pgaudit(message)) is not None:
            # A function may have raised one that lost its context: then its relation proves nothing.
            yield from self._audit(record, self._bounded(replace(entry, relation=None) if self._is_long(record) else entry))
        elif message.startswith(_DISCONNECTED):
            yield from self.finish(session)
        yield from self._evicted()

    def rest(self) -> Iterator[LoggedStatement]:
        """Yield the unfinished statements."""
        for session in self._sessions():
            yield from self.finish(session)

    def finish(self, session: str) -> Iterator[LoggedStatement]:
        """Yield the session's statements, which are complete."""
        if (running := self._running.pop(session, None)) is not None:
            yield running.statement
        if (audited := self._audited.pop(session, None)) is not None:
            yield audited.statement

    def unfinished(self) -> list[LoggedStatement]:
        return [*(each.statement for each in self._running.values()), *(each.statement for each in self._audited.values())]

    def saved(self) -> dict[str, Any]:
        """Return the unfinished statements as JSON, for `restore`."""
        running = {session: asdict(each) for session, each in self._running.items()}
        return {"running": running, "audited": {session: asdict(each) for session, each in self._audited.items()}}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Continue with unfinished statements. Raises KeyError, TypeError or AttributeError if it is not from `saved`."""
        for session, each in saved["running"].items():
            self._running[session] = _Running(_restored(each["statement"]), each["call"])
        for session, each in saved["audited"].items():
            self._audited[session] = _Audited(_restored(each["statement"]), PgauditLine(**each["first"]), each["transaction"])

    def _sessions(self) -> list[str]:
        return [*self._running, *(each for each in self._audited if each not in self._running)]

    def _evicted(self) -> Iterator[LoggedStatement]:
        while self._max_sessions is not None and len(self._running) + len(self._audited) > self._max_sessions:
            yield from self.finish(next(iter(self._running or self._audited)))

    def _bounded(self, entry: PgauditLine) -> PgauditLine:
        if self._max_text is None or entry.text is None or len(entry.text) <= self._max_text:
            return entry
        return replace(entry, text=entry.text[: self._max_text])

    def _is_long(self, record: Record) -> bool:
        """True if the record may have lost its end, which has context and statement. A reader without a bound loses none."""
        return self._max_text is not None and sum(map(len, record.values())) >= _MAY_BE_CUT

    def _failed(self, record: Record, error: str) -> Iterator[LoggedStatement]:
        session = record["session_id"]
        running, audited = self._running.get(session), self._audited.get(session)
        text = record["statement"][: self._max_text]
        if running is None or (text and running.statement.text != text):  # it failed before it was logged
            if audited is not None and audited.transaction != record["vxid"]:  # an earlier, successful run of the same text
                yield from self.finish(session)
            yield from self._begin({**record, "detail": ""}, text, is_cut=not text)  # the detail is that of the error
        yield from self._end(session, error=error, refused=_is_refused(record, error))

    def _begin(self, record: Record, text: str, *, executed: bool = False, is_cut: bool = False) -> Iterator[LoggedStatement]:
        """Start a statement. The session's previous statement is complete."""
        session, statement = record["session_id"], self._statement(record, text)
        begun = _Running(replace(statement, executed=executed, is_cut=statement.is_cut or is_cut))
        audited = self._audited.get(session)
        if audited is not None and begun.includes(audited.first):
            del self._audited[session]
            begun = _Running(_audited_as(begun.statement, audited.statement), call=audited.first.statement)
        yield from self.finish(session)
        self._running[session] = begun

    def _end(
        self, session: str, *, milliseconds: float | None = None, error: str | None = None, refused: bool = False
    ) -> Iterator[LoggedStatement]:
        if (running := self._running.pop(session, None)) is not None:
            yield from self.finish(session)
            yield replace(running.statement, milliseconds=milliseconds, error=error, refused=refused)

    def _audit(self, record: Record, entry: PgauditLine) -> Iterator[LoggedStatement]:
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
            statement = replace(self._statement(record, entry.text), parameters=entry.parameters)
            self._audited[session] = _Audited(_reading(statement, entry), entry, record["vxid"])

    def _statement(self, record: Record, text: str) -> LoggedStatement:
        detail = record["detail"][: self._max_text]
        parameters = _PARAMETERS.fullmatch(detail)
        return LoggedStatement(
            time=record["timestamp"],
            database=record["dbname"],
            session=record["session_id"],
            client=record["remote"],
            application=record["application_name"],
            text=text[: self._max_text],
            parameters=parameters["values"] if parameters else None,
            role=record["user"],
            number=record["line_num"],
            prepared=detail.removeprefix(_PREPARED) if detail.startswith(_PREPARED) else None,
            is_cut=self._max_text is not None and max(len(text), len(record["detail"])) >= self._max_text,
        )


def _is_refused(record: Record, error: str) -> bool:
    """True if the server refused the text before any of it ran: the text is one statement, and the error is of its analysis, which has a
    position, or of the check of rights. While a statement runs, an agent can cause an error of the same class."""
    text = record["statement"].rstrip("; \t\r\n")
    if not record["state_code"].startswith("42") or record["context"] or not text or ";" in text:
        return False
    return bool(record["cursor_position"]) or _REFUSED.match(error) is not None


def _reading(statement: LoggedStatement, entry: PgauditLine) -> LoggedStatement:
    """Add the line's relation. The first line of a statement has its class and command."""
    named = replace(
        statement, audit_class=statement.audit_class or entry.audit_class or None, command=statement.command or entry.command or None
    )
    if entry.relation is None or entry.relation in named.relations or len(named.relations) >= MAX_RELATIONS:
        return named
    return replace(named, relations=(*named.relations, entry.relation))


def _audited_as(statement: LoggedStatement, audited: LoggedStatement) -> LoggedStatement:
    return replace(statement, relations=audited.relations, audit_class=audited.audit_class, command=audited.command)


def _restored(values: Mapping[str, Any]) -> LoggedStatement:
    return LoggedStatement(**{**values, "relations": tuple(values["relations"])})
