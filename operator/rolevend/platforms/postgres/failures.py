"""Translate errors of PostgreSQL and psycopg. The only table from SQLSTATE to error class.

Messages contain only the server's primary message: DETAIL, CONTEXT and the statement may contain values of rows or verifiers.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout

from rolevend.errors import (
    Conflict,
    InvalidInput,
    Overtaken,
    PlatformBusy,
    PlatformDrifted,
    PlatformFull,
    PlatformLocked,
    PlatformUnavailable,
    ProfileNotBuilt,
    ReadOnlyServer,
    RolevendError,
    TokenUsed,
    TooManyRoles,
    UntrustedServer,
)

NOT_INSTALLED = "rolevend is not installed in this database, or an older version of it is: plan and run the installation"

_BY_STATE: dict[str, type[RolevendError]] = {
    # ours: see sql/install/40_vending.sql
    "RV001": Overtaken,  # closed
    "RV002": Overtaken,  # the name belongs to another vend
    "RV003": PlatformBusy,  # not closed yet
    "RV004": PlatformDrifted,  # vended again once the drift is fixed
    "RV005": TokenUsed,  # by another role
    "RV006": TooManyRoles,  # of the agent
    # a retry can succeed without a change to the request
    "23503": ProfileNotBuilt,  # foreign_key_violation: the profile was collected a moment ago
    "40001": PlatformBusy,  # serialization_failure
    "40P01": PlatformBusy,  # deadlock_detected
    "55P03": PlatformLocked,  # lock_not_available
    "55006": PlatformBusy,  # object_in_use
    "57014": PlatformBusy,  # query_canceled: the statement timeout
    "53300": PlatformBusy,  # too_many_connections
    "XX000": PlatformBusy,  # internal_error: "tuple concurrently updated"
    "28000": PlatformUnavailable,  # invalid_authorization_specification
    "28P01": PlatformUnavailable,  # invalid_password
    "42501": PlatformUnavailable,  # insufficient_privilege: the installation is not what we need
    "3D000": PlatformUnavailable,  # invalid_catalog_name: no such database
    "25006": ReadOnlyServer,  # read_only_sql_transaction
    "53100": PlatformFull,  # disk_full
    # the database differs from the catalog that the profile was planned with: the next decision reads it again
    "42703": PlatformBusy,  # undefined_column
    "42704": PlatformBusy,  # undefined_object
    "42P01": PlatformBusy,  # undefined_table; one of ours is not installed, see `failure`
    "42883": PlatformBusy,  # undefined_function; likewise
    "3F000": PlatformBusy,  # invalid_schema_name; likewise
    "2BP01": PlatformBusy,  # dependent_objects_still_exist
    # a person must change something
    "42710": Conflict,  # duplicate_object: a role of that name that no lease claims
}
_BY_CLASS: dict[str, type[RolevendError]] = {
    "08": PlatformUnavailable,  # connection exception
    "22": InvalidInput,  # data exception
    "53": PlatformBusy,  # insufficient resources
    "57": PlatformUnavailable,  # operator intervention: shutting down, starting up
    "58": PlatformUnavailable,  # system error
}
_ABSENT = frozenset({"3F000", "42883", "42P01"})
_OURS = re.compile(r"\brolevend\b")
_OF_CERTIFICATE = re.compile(r"certificate verify failed|does not match host name|server does not support SSL")
"""libpq's messages; its wheel has only English ones."""


def failure(attempt: str, state: str | None, message: str) -> RolevendError:
    """Return the error for a SQLSTATE. An unknown one may be transient, so it can be retried."""
    if state in _ABSENT and _OURS.search(message):
        return PlatformUnavailable(f"cannot {attempt}: {NOT_INSTALLED} ({state})")
    kind = _BY_STATE.get(state or "") or _BY_CLASS.get((state or "")[:2]) or PlatformBusy
    first_line = message.strip().splitlines()[0] if message.strip() else "no message"
    text = f"cannot {attempt}: {first_line}{f' ({state})' if state else ''}"
    return InvalidInput("", text) if kind is InvalidInput else kind(text)


def translated(attempt: str, error: psycopg.Error) -> RolevendError:
    """Return the error for an exception of psycopg or its pool."""
    if isinstance(error, PoolTimeout):
        return PlatformBusy(f"cannot {attempt}: every connection of the pool is in use")
    if isinstance(error, PoolClosed):
        return PlatformUnavailable(f"cannot {attempt}: the connections were given back")
    if error.sqlstate is None and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        line = _first_line(error)
        kind = UntrustedServer if _OF_CERTIFICATE.search(line) else PlatformUnavailable
        return kind(f"cannot {attempt}: {line}")
    if error.sqlstate is None and isinstance(error, psycopg.DataError):
        return InvalidInput("", f"cannot {attempt}: {_first_line(error)}")
    return failure(attempt, error.sqlstate, error.diag.message_primary or str(error))


@contextmanager
def translating(attempt: str) -> Iterator[None]:
    """`attempt` completes "cannot …": "vend two roles on db.example.org"."""
    try:
        yield
    except psycopg.Error as error:
        raise translated(attempt, error) from error


def _first_line(error: psycopg.Error) -> str:
    """Return libpq's first line; the following lines are advice."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].removeprefix("connection failed: ") if lines else type(error).__name__
