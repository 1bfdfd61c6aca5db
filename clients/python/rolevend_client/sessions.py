"""Database sessions of one role. Each takes a statement and returns the answer as a text for the model. Not thread-safe."""

from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from rolevend_client import database_login, messages
from rolevend_client.open_role import OpenRole
from rolevend_client.values import KeyPairCredential
from rolevend_client.waiting import cancelled_after


class ForTheModel(Exception):
    """A tool call failed. The message is for the model."""


class EndedForTheModel(ForTheModel):
    """The role of the session has ended."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of one answer."""

    rows: int
    characters: int
    seconds: float | None = None
    """The timeout of a statement, which the session cannot change; None: only the database limits it."""


class Session(Protocol):
    """Connects when it is first needed, and connects again after the connection broke."""

    def ask(self, statement: str, bounds: Bounds) -> str:
        """Return the answer. Raises `ForTheModel` if the database refuses."""

    def close(self) -> None:
        """Close the connection. Idempotent."""


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
        connecting = self._connection is None
        try:
            return self._asked(driver, statement, bounds)
        except UnicodeError:
            self.close()  # its encoding may have been changed
            raise ForTheModel(messages.NO_TEXT) from None
        except driver.Error as error:
            no_login = connecting and self._connection is None and database_login.is_refused(error)
            kind = EndedForTheModel if no_login or messages.role_has_ended(error) else ForTheModel
            raise kind(messages.refused(error)) from None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _asked(self, driver: Any, statement: str, bounds: Bounds) -> str:
        if self._connection is None:
            login = self._role.connection_parameters(self._platform)
            self._connection = driver.connect(**login, autocommit=True, context=database_login.as_texts(driver))
        try:
            limit = cancelled_after(bounds.seconds, self._connection)
            with limit, self._connection.cursor() as cursor, closing(cursor.stream(statement)) as rows:
                return messages.table(rows, lambda: [column.name for column in cursor.description or ()], bounds.rows, bounds.characters)
        finally:
            self._tidy(driver)

    def _tidy(self, driver: Any) -> None:
        """Roll back an open transaction, and close a session that is broken or still busy."""
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
            kind = EndedForTheModel if messages.role_has_ended_on_snowflake(error) else ForTheModel
            raise kind(messages.refused_by_snowflake(error)) from None

    def close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with suppress(database_login.snowflake().Error):  # the connection is lost already
                connection.close()

    def _opened(self, driver: Any, bounds: Bounds) -> Any:
        limit = {} if bounds.seconds is None else {"query_timeout": max(1, round(bounds.seconds))}
        parameters = self._role.snowflake_parameters(self._platform)
        return driver.connect(**parameters, **limit)
