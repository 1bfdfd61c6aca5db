"""Sessions: who is logged in, with which roles, and the tokens that say so."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event

import duckdb

from tests.support.snowflake.reader import Name, Value
from tests.support.snowflake.results import Result

_REMEMBERED = 20
TOKEN_LIFE = timedelta(hours=1)
MASTER_LIFE = timedelta(hours=4)

EXPIRED = ("390112", "Authentication token has expired.  The user must authenticate again.")
GONE = ("390111", "Session no longer exists.  New login required to access the service.")
MASTER_EXPIRED = ("390114", "Authentication token has expired.  The user must authenticate again.")
NO_TOKEN = ("390103", "Session token not found or invalid.")


@dataclass(eq=False, slots=True)
class Running:
    """A statement that is at work. `stop` says why it shall end."""

    id: str
    text: str
    user: str
    role: str | None
    session: int
    tag: str
    started: datetime
    stopped: Event = field(default_factory=Event)
    status: str = "RUNNING"
    number: str | None = None
    error: str | None = None
    ended: datetime | None = None
    warehouse: str | None = None
    """The warehouse that it ran on, if it needed one."""
    named: set[Name] = field(default_factory=set)
    """The tables and views that its text names."""
    read: set[Name] = field(default_factory=set)
    """The tables that it read, also behind views and in policies."""


@dataclass(eq=False, slots=True)
class Session:
    """`secondary` is ALL, NONE, or the names of roles; ALL is looked up again for every statement."""

    id: int
    user: str
    role: str | None
    secondary: str | tuple[str, ...]
    cursor: duckdb.DuckDBPyConnection
    warehouse: str | None = None
    database: str | None = None
    schema: str | None = None
    parameters: dict[str, Value] = field(default_factory=dict)
    in_transaction: bool = False
    closed: bool = False
    last_query: str | None = None
    results: dict[str, Result] = field(default_factory=dict)
    """Of its last statements, for RESULT_SCAN."""

    def remember(self, query: str, result: Result) -> None:
        self.last_query = query
        self.results[query] = result
        for old in [*self.results][:-_REMEMBERED]:
            del self.results[old]


@dataclass(slots=True)
class _Ticket:
    session: Session
    ends: datetime


class Tokens:
    """Session tokens live an hour, master tokens four; the account's clock says when."""

    def __init__(self) -> None:
        self._session: dict[str, _Ticket] = {}
        self._master: dict[str, _Ticket] = {}

    def issue(self, session: Session, now: datetime) -> tuple[str, str]:
        """(session token, master token)"""
        token, master = secrets.token_hex(16), secrets.token_hex(16)
        self._session[token] = _Ticket(session, now + TOKEN_LIFE)
        self._master[master] = _Ticket(session, now + MASTER_LIFE)
        return token, master

    def session(self, token: str, now: datetime) -> Session | tuple[str, str]:
        """Whose token it is, or the code and text of the refusal."""
        return self._judge(self._session.get(token), now, EXPIRED)

    def renew(self, master: str, now: datetime) -> tuple[Session, str, str] | tuple[str, str]:
        found = self._judge(self._master.get(master), now, MASTER_EXPIRED)
        return found if isinstance(found, tuple) else (found, *self.issue(found, now))

    @staticmethod
    def _judge(ticket: _Ticket | None, now: datetime, late: tuple[str, str]) -> Session | tuple[str, str]:
        if ticket is None:
            return NO_TOKEN
        if ticket.session.closed:
            return GONE
        return ticket.session if now < ticket.ends else late

    def expire(self, *, masters: bool = False) -> None:
        """Every token that is out, at once: a fault to inject."""
        for ticket in [*self._session.values(), *(self._master.values() if masters else ())]:
            ticket.ends = datetime.min.replace(tzinfo=ticket.ends.tzinfo)
