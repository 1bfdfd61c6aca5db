"""A bounded pool of sessions for one login: a login costs more than a vend. The only module that connects.

It connects on demand. A session that Snowflake ended, as after four idle hours, is detected in use and replaced.
"""

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import snowflake.connector
from snowflake.connector import errors as vendor

from rolevend.errors import PlatformBusy, PlatformUnavailable
from rolevend.platforms.protocol import Account, Secret
from rolevend.platforms.snowflake.failures import is_lost, translated
from rolevend.platforms.snowflake.sql import Sql, identifier
from rolevend.platforms.snowflake.vend.keys import der

# Otherwise the connector queries the metadata services of three clouds at each login, and reports the result to Snowflake.
os.environ.setdefault("SNOWFLAKE_DISABLE_PLATFORM_DETECTION", "true")

_log = logging.getLogger(__name__)

Result = TypeVar("Result")
Row = dict[str, Any]
"""By column name, in lower case."""


@dataclass(frozen=True)
class SnowflakeLogin:
    user: str
    private_key: Secret
    is_generated: bool = False
    """True if rolevend made the key, so that it needs no check."""

    @cached_property
    def der(self) -> bytes:
        """The key in the connector's format. To check that it is one takes longer than a statement, so it is done once. Raises
        InvalidInput."""
        return der(self.private_key, checked=not self.is_generated)


@dataclass(frozen=True, slots=True)
class SnowflakeLimits:
    """Seconds, and numbers of sessions."""

    vendor_connections: int = 4
    """In addition to those of `max_parallel_vends` and `drops_at_once`, so that none waits for the others' sessions."""
    programmer_connections: int = 2
    """In addition to those of `builds_beside`."""
    builds_beside: int = 4
    """For views of large profiles, which are created concurrently."""
    max_parallel_vends: int = 16
    """A vend mostly waits for the account."""
    drops_at_once: int = 8
    spare_keys: int = 32
    """Generated in advance for vends, from the first one on."""
    login_timeout: int = 20
    wait_for_connection: float = 5.0
    vendor_statement_timeout: int = 60
    """Includes the time to resume a warehouse."""
    programmer_statement_timeout: int = 300
    attempts: int = 3
    """Of one HTTP request, by the connector: Snowflake runs a repeated request id only once."""
    tags_seconds: float = 600.0
    """The lifetime of cached tags and policies: reading them needs a warehouse."""


class SnowflakeSession:
    """One session."""

    def __init__(self, connection: snowflake.connector.SnowflakeConnection) -> None:
        self._connection = connection

    def rows(self, statement: Sql) -> list[Row]:
        """Run one statement in one request."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return _rows(cursor)

    def script(self, statements: Sequence[Sql]) -> list[Row]:
        """Run the statements in order, up to the first failure, in two requests, and return the rows of the first. Not a transaction:
        statements before a failure stay effective.
        """
        if len(statements) < 2:
            return [row for statement in statements for row in self.rows(statement)]
        with self._connection.cursor() as cursor:
            cursor.execute(";\n".join(statements), num_statements=len(statements))
            return _rows(cursor)

    def close(self) -> None:
        """Close; ignore errors, because others are closed after it."""
        try:
            self._connection.close()
        except vendor.Error:  # the session has already ended
            return
        except Exception:
            _log.warning("closing a session", exc_info=True)


def _rows(cursor: Any) -> list[Row]:
    names = [column.name.lower() for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


class SnowflakePool:
    def __init__(
        self, account: Account, login: SnowflakeLogin, *, role: str, size: int, statement_timeout: int, limits: SnowflakeLimits
    ) -> None:
        self._account = account
        self._login = login
        self._role = role
        self._statement_timeout = statement_timeout
        self._limits = limits
        self._idle: deque[SnowflakeSession] = deque()
        self._room = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._closed = False

    def run(self, attempt: str, work: Callable[[SnowflakeSession], Result]) -> Result:
        """Return the result of `work`, which must be safe to run twice: if the session is lost, the outcome of its statement is unknown,
        and `work` gets another session.
        """
        if not self._room.acquire(timeout=self._limits.wait_for_connection):
            raise PlatformBusy(f"cannot {attempt}: every session of {self._login.user} is in use")
        try:
            try:
                return self._once(work, fresh=False)
            except _Lost:
                return self._once(work, fresh=True)
        except _Lost as error:
            raise translated(attempt, error.vendor) from error.vendor
        except vendor.Error as error:
            raise translated(attempt, error) from error
        finally:
            self._room.release()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = list(self._idle), deque()
        for session in idle:
            session.close()

    def _once(self, work: Callable[[SnowflakeSession], Result], *, fresh: bool) -> Result:
        session = self._session(fresh=fresh)
        try:
            result = work(session)
        except vendor.Error as error:
            if is_lost(error):
                session.close()
                raise _Lost(error) from error
            self._give_back(session)
            raise
        except BaseException:
            self._give_back(session)
            raise
        self._give_back(session)
        return result

    def _session(self, *, fresh: bool) -> SnowflakeSession:
        with self._lock:
            if self._closed:
                raise PlatformUnavailable(f"the sessions of {self._login.user} were given back")
            if not fresh and self._idle:
                return self._idle.pop()
        return connect(self._account, self._login, role=self._role, statement_timeout=self._statement_timeout, limits=self._limits)

    def _give_back(self, session: SnowflakeSession) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(session)
                return
        session.close()


class _Lost(Exception):
    """The outcome of the statement is unknown."""

    def __init__(self, error: vendor.Error) -> None:
        super().__init__(str(error))
        self.vendor = error


def connect(
    account: Account, login: SnowflakeLogin, *, role: str | None, statement_timeout: int, limits: SnowflakeLimits
) -> SnowflakeSession:
    """Log in with this role only. Raises the connector's errors."""
    connection = snowflake.connector.connect(
        **_logging_in(account, login, limits),
        role=role,
        secondary_roles="NONE",
        warehouse=identifier(account.warehouse),
        autocommit=True,
        application="rolevend",
        session_parameters={
            "STATEMENT_TIMEOUT_IN_SECONDS": statement_timeout,
            "TIMEZONE": "UTC",
            "QUOTED_IDENTIFIERS_IGNORE_CASE": False,
            "QUERY_TAG": "rolevend",
            "CLIENT_TELEMETRY_ENABLED": False,
        },
        client_session_keep_alive=True,
        query_timeout=statement_timeout + limits.login_timeout,
    )
    return SnowflakeSession(connection)


def connect_plainly(
    account: Account, login: SnowflakeLogin, *, role: str | None, limits: SnowflakeLimits, query_timeout: int
) -> SnowflakeSession:
    """Log in as an agent does, with the user's defaults. Raises the connector's errors."""
    made = snowflake.connector.connect(**_logging_in(account, login, limits), role=role, query_timeout=query_timeout)
    return SnowflakeSession(made)


def _logging_in(account: Account, login: SnowflakeLogin, limits: SnowflakeLimits) -> dict[str, Any]:
    return {
        "account": account.identifier,
        "host": account.host,
        "port": account.port,
        "protocol": "https" if account.encrypted else "http",
        "user": login.user,
        "private_key": login.der,
        "authenticator": "SNOWFLAKE_JWT",
        "enable_server_session_keep_alive_auto_detection": False,
        "login_timeout": limits.login_timeout,
        "connect_timeout": limits.login_timeout,
        "retry_max_attempts": limits.attempts,
    }


@contextmanager
def connected(account: Account, login: SnowflakeLogin) -> Iterator[SnowflakeSession]:
    """Yield one session outside of any pool, with the login's default role."""
    attempt = f"connect to {account.host} as {login.user}"
    try:
        session = connect(account, login, role=None, statement_timeout=60, limits=SnowflakeLimits())
    except vendor.Error as error:
        raise translated(attempt, error) from error
    try:
        yield session
    finally:
        session.close()


@contextmanager
def administrator(connection_name: str) -> Iterator[Callable[[str], None]]:
    """Yield a function that runs scripts statement by statement, with a connection from `connections.toml`."""
    attempt = f"install by the connection {connection_name}"
    with _named(connection_name, attempt) as connection:

        def run(text: str) -> None:
            for _ in connection.execute_string(text, remove_comments=True):
                pass

        yield run


@contextmanager
def administrators_session(connection_name: str) -> Iterator[SnowflakeSession]:
    """Yield a session with a connection from `connections.toml`."""
    with _named(connection_name, f"use the connection {connection_name}") as connection:
        yield SnowflakeSession(connection)


@contextmanager
def _named(connection_name: str, attempt: str) -> Iterator[snowflake.connector.SnowflakeConnection]:
    """Yield the connection; errors in the block are translated for this attempt."""
    try:
        connection = snowflake.connector.connect(connection_name=connection_name, enable_server_session_keep_alive_auto_detection=False)
        try:
            yield connection
        finally:
            connection.close()
    except vendor.Error as error:
        raise translated(attempt, error) from error
