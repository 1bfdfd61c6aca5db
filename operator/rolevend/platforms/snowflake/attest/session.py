"""Try statements that must be refused, and evaluate the errors of Snowflake."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

from snowflake.connector import errors as vendor

from rolevend.platforms.attestation.checks import NotAsExpected
from rolevend.platforms.snowflake.connections import SnowflakeSession
from rolevend.platforms.snowflake.failures import NOT_PERMITTED, NOT_THERE, code_of, is_lost
from rolevend.platforms.snowflake.sql import Sql

NOT_ASSIGNED: Final = 3013
LACKS: Final = frozenset({NOT_PERMITTED, NOT_THERE, 2043, NOT_ASSIGNED})
"""Errors for lack of a right. Snowflake also answers that the object does not exist, or that the role cannot see it."""
LOCKED_OUT: Final = frozenset({390100, 390101, 390144, 390189, 390191})
"""A login that is refused for what it is."""
_TRANSIENT: Final = frozenset({604, 609, 625, 630, 90073})


def values(session: SnowflakeSession, statement: Sql) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in session.rows(statement)]


def refusal(session: SnowflakeSession, statement: Sql) -> vendor.Error | None:
    """Return the error that refuses the statement, or None if it succeeds."""
    try:
        session.rows(statement)
    except vendor.Error as error:
        if is_transient(error):
            raise
        return error
    return None


def refused(session: SnowflakeSession, statement: Sql, codes: Collection[int] = LACKS) -> str:
    """Return "" if the statement is refused with one of these numbers, else the observation.

    Raises:
        NotAsExpected: it is refused with another number. Nothing happened, but perhaps for a reason that is temporary.
    """
    error = refusal(session, statement)
    if error is None:
        return "was not refused"
    if code_of(error) in codes:
        return ""
    raise NotAsExpected(f"was refused, but with {describe(error)}")


def attempted(session: SnowflakeSession, *statements: Sql) -> list[tuple[Any, ...]]:
    """Return the rows of the last statement, none if it is refused. The others may be refused, too."""
    for statement in statements[:-1]:
        refusal(session, statement)
    try:
        return values(session, statements[-1])
    except vendor.Error as error:
        if is_transient(error):
            raise
        return []


def now(session: SnowflakeSession) -> datetime:
    """Return the time by the account's clock, which decides about expiry."""
    moment = session.rows(Sql("SELECT CURRENT_TIMESTAMP() AS now"))[0]["now"]
    assert isinstance(moment, datetime)  # noqa: S101 - for mypy
    return moment


def is_transient(error: vendor.Error) -> bool:
    """True if the error says nothing about a promise: the account was busy or unreachable."""
    return is_lost(error) or code_of(error) in _TRANSIENT


def describe(error: vendor.Error) -> str:
    """Return number and first line, which contain nothing but what the canaries made."""
    code = code_of(error)
    text = " ".join(str(error.raw_msg or error).split())[:300]
    return f"{code:06d}: {text}" if code is not None else text
