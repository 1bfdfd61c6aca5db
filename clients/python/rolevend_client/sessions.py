"""Sessions of the platforms of one role: a statement in, its answer as a text for the model out. Each does one thing at a time."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from rolevend_client import database_login, messages
from rolevend_client.open_role import OpenRole
from rolevend_client.values import KeyPairCredential


class ForTheModel(Exception):
    """A tool call that came to nothing, and why, in words for the model."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of what one answer of the database tells the model."""

    rows: int
    characters: int
    seconds: float | None = None
    """How long a statement may run, whatever the session says of its own timeouts; None: as long as the database lets it."""


class Session(Protocol):
    """Nothing is opened before it is needed; what is broken is opened anew."""

    def ask(self, statement: str, bounds: Bounds) -> str:
        """`ForTheModel` where the database refuses."""

    def close(self) -> None:
        """Again is no error."""


def session_of(role: OpenRole, platform: str) -> Session:
    credential = next(each.credential for each in role.platforms if each.name == platform)
    return SnowflakeSession(role, platform) if isinstance(credential, KeyPairCredential) else PostgresSession(role, platform)


class PostgresSession:
    def __init__(self, role: OpenRole, platform: str) -> None:
        self._role = role
        self._platform = platform
        self._connection: Any = None

    def ask(self, statement: str, bounds: Bounds) -> str:
        driver = database_login.psycopg()
        try:
            return self._asked(driver, statement, bounds)
        except driver.Error as error:
            raise ForTheModel(messages.refused(error)) from None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _asked(self, driver: Any, statement: str, bounds: Bounds) -> str:
        if self._connection is None:
            login = self._role.connection_parameters(self._platform)
            self._connection = driver.connect(**login, autocommit=True, context=database_login.as_texts(driver))
        try:
            limit = _cancelled_after(bounds.seconds, self._connection)
            with limit, self._connection.cursor() as cursor, closing(cursor.stream(statement)) as rows:
                return messages.table(rows, lambda: [column.name for column in cursor.description or ()], bounds.rows, bounds.characters)
        finally:
            self._tidy(driver)

    def _tidy(self, driver: Any) -> None:
        """No statement leaves a transaction to the next one; a session that is broken, or still busy, is not used again."""
        status = self._connection.info.transaction_status
        if status in {driver.pq.TransactionStatus.INTRANS, driver.pq.TransactionStatus.INERROR}:
            self._connection.rollback()
        elif status != driver.pq.TransactionStatus.IDLE:
            self._connection.close()
        if self._connection.closed:
            self._connection = None


class SnowflakeSession:
    def __init__(self, role: OpenRole, platform: str) -> None:
        self._role = role
        self._platform = platform
        self._connection: Any = None

    def ask(self, statement: str, bounds: Bounds) -> str:
        driver = database_login.snowflake()
        try:
            if self._connection is None:
                self._connection = self._opened(driver, bounds)
            with self._connection.cursor() as cursor:
                cursor.execute(statement)
                return messages.table(cursor, lambda: [column.name for column in cursor.description or ()], bounds.rows, bounds.characters)
        except driver.Error as error:
            if messages.is_lost(error):
                self.close()
            raise ForTheModel(messages.refused_by_snowflake(error)) from None

    def close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with suppress(database_login.snowflake().Error):  # it is gone already
                connection.close()

    def _opened(self, driver: Any, bounds: Bounds) -> Any:
        limit = {} if bounds.seconds is None else {"query_timeout": max(1, round(bounds.seconds))}
        parameters = self._role.snowflake_parameters(self._platform)
        return driver.connect(**parameters, **limit)


@contextmanager
def _cancelled_after(seconds: float | None, connection: Any) -> Iterator[None]:
    """By us: a statement_timeout is the session's own to change."""
    if seconds is None:
        yield
        return
    timer = threading.Timer(seconds, _cancelled, [connection])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # or it could cancel what is asked next


def _cancelled(connection: Any) -> None:
    with suppress(Exception):  # of a session that is gone there is nothing to cancel
        connection.cancel_safe(timeout=5.0)
