"""One login of a canary, or of the operator, and how it is attacked. An attack that succeeds is undone at once."""

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
    """Each statement is a transaction of its own."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def rows(self, statement: Statement, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        cursor = self.connection.execute(statement, parameters)
        return cursor.fetchall()

    def run(self, statement: Statement) -> None:
        self.connection.execute(statement)

    def refusal(self, statement: Statement, *, alone: bool = False) -> psycopg.Error | None:
        """What refuses the statement, or None where it succeeds; then it is rolled back, unless it must stand `alone`."""
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
        """The server ended it."""
        return self.connection.closed


def refused(
    session: AttestSession, statement: Statement, states: Collection[str] = (INSUFFICIENT_PRIVILEGE,), *, alone: bool = False
) -> str:
    """Empty where the statement is refused with one of these SQLSTATEs, else what happened instead."""
    error = session.refusal(statement, alone=alone)
    if error is None:
        return "was not refused"
    if error.sqlstate in states:
        return ""
    if is_transient(error):
        raise error
    return f"was not refused for lack of a right, but failed with {describe(error)}"


def describe(error: psycopg.Error) -> str:
    """SQLSTATE and primary message, which hold nothing but what the canaries made."""
    return f"{error.sqlstate}: {error.diag.message_primary}" if error.sqlstate else type(error).__name__


def is_transient(error: psycopg.Error) -> bool:
    """It says nothing of a promise: the server was busy or went away."""
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError)
    return error.sqlstate in _TRANSIENT or error.sqlstate[:2] in _TRANSIENT_CLASSES
