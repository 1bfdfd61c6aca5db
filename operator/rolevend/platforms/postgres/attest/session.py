"""A session of a canary or of the operator, and how to attack with it. An attack that succeeds is rolled back."""

from collections.abc import Collection, Mapping
from typing import Any

import psycopg
from psycopg import sql

from rolevend.platforms.postgres.connections import Connection

INSUFFICIENT_PRIVILEGE = "42501"
Statement = sql.SQL | sql.Composed
_TRANSIENT_CLASSES = frozenset({"08", "40", "53", "57", "58"})
_TRANSIENT = frozenset({"55P03", "XX000"})


class AttestSession:
    """Each statement is a separate transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def rows(self, statement: Statement, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        cursor = self.connection.execute(statement, parameters)
        return cursor.fetchall()

    def run(self, statement: Statement) -> None:
        self.connection.execute(statement)

    def refusal(self, statement: Statement, *, alone: bool = False) -> psycopg.Error | None:
        """Return the error that refuses the statement, or None. Roll it back, unless it must run `alone`, in no transaction."""
        if not alone:
            self.connection.execute("BEGIN")
        try:
            self.connection.execute(statement)
        except psycopg.Error as error:
            return error
        finally:
            if not alone and not self.connection.closed:
                self.connection.execute("ROLLBACK")
        return None

    def is_lost(self) -> bool:
        """True if the server ended the session."""
        return self.connection.closed


def refused(
    session: AttestSession, statement: Statement, states: Collection[str] = (INSUFFICIENT_PRIVILEGE,), *, alone: bool = False
) -> str:
    """Return "" if the statement is refused with one of these SQLSTATEs, else the observation."""
    error = session.refusal(statement, alone=alone)
    if error is None:
        return "was not refused"
    if error.sqlstate in states:
        return ""
    if is_transient(error):
        raise error
    return f"was not refused for lack of a right, but failed with {describe(error)}"


def describe(error: psycopg.Error) -> str:
    """Return SQLSTATE and primary message, which contain nothing but what the canaries made."""
    return f"{error.sqlstate}: {error.diag.message_primary}" if error.sqlstate else type(error).__name__


def is_transient(error: psycopg.Error) -> bool:
    """True if the error says nothing about a promise: the server was busy or unreachable."""
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError)
    return error.sqlstate in _TRANSIENT or error.sqlstate[:2] in _TRANSIENT_CLASSES
