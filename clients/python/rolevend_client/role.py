# Generated from async_role.py by `make fix`. Do not edit.
"""An open role, its queries, and the connections that are opened as it."""

from __future__ import annotations

import os
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from rolevend_client import database_login
from rolevend_client.connection import connect
from rolevend_client.errors import NotFound, RolevendError, TooManyRows
from rolevend_client.open_role import OpenRole
from rolevend_client.rows import Rows, frame, library_for_frames
from rolevend_client.values import Credential
from rolevend_client.waiting import CANCEL_SECONDS, Alarm, Lock, limited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import psycopg

    from rolevend_client.database_login import SnowflakeConnection
    from rolevend_client.errors import RoleEnded
    from rolevend_client.values import VendedRole
    from rolevend_client.waiting import Look, Release


class Role(OpenRole):
    def __init__(self, vended: VendedRole, release: Release, look: Look) -> None:
        """`look` returns what the API knows of the role now."""
        super().__init__(vended)
        self._release = release
        self._look = look
        self._connections: list[psycopg.Connection[Any] | SnowflakeConnection] = []
        self._for_queries: dict[str, psycopg.Connection[Any]] = {}
        self._lock = Lock()
        self._process = os.getpid()
        self._alarms: list[Alarm] = []

    def query(
        self,
        statement: str,
        parameters: Any = None,
        *,
        platform: str | None = None,
        seconds: float | None = None,
        max_rows: int = 100_000,
    ) -> Rows:
        """Run one statement on PostgreSQL, and return its rows. `parameters` are psycopg's, for `%s` or `%(name)s`.

        After `seconds` it is cancelled. Raises `RoleEnded`, `QueryTimeout`, `TooManyRows`, or an error of psycopg.
        """
        connection = self._connection_for_queries(platform)
        with self._lock, connection.cursor() as cursor, limited(seconds, connection):
            rows: list[tuple[Any, ...]] = []
            streaming: Any = cursor.stream(statement, parameters, size=database_login.rows_at_once())
            with closing(streaming):
                for row in streaming:
                    if len(rows) == max_rows:
                        raise TooManyRows(max_rows)
                    rows.append(tuple(row))
            if not rows:  # psycopg then knows no columns
                return _rows(connection, _columns(connection, statement, parameters), rows)
            return _rows(connection, cursor.description or [], rows)

    def dataframe(
        self,
        statement: str,
        parameters: Any = None,
        *,
        library: str | None = None,
        platform: str | None = None,
        seconds: float | None = None,
        max_rows: int = 1_000_000,
    ) -> Any:
        """Run one statement, and return a data frame: of pandas if it is installed, or else of polars, or of the `library` that is named:
        pandas, polars or pyarrow."""
        chosen = library_for_frames(library)
        return frame(self.query(statement, parameters, platform=platform, seconds=seconds, max_rows=max_rows), chosen)

    def stream(
        self,
        statement: str,
        parameters: Any = None,
        *,
        platform: str | None = None,
        seconds: float | None = None,
        max_rows: int | None = None,
        batch_rows: int = 1_000,
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a SELECT, in batches from a cursor of the server, so that they need little memory. It has a connection of its
        own. `seconds` limit each batch."""
        connection = self.connect(platform)
        try:
            with connection.cursor(name="rolevend") as cursor:
                with limited(seconds, connection):
                    cursor.execute(statement, parameters)
                count = 0
                while True:
                    with limited(seconds, connection):
                        batch = cursor.fetchmany(batch_rows)
                    for row in batch:
                        if count == max_rows:
                            raise TooManyRows(max_rows)
                        yield tuple(row)
                        count += 1
                    if len(batch) < batch_rows:
                        return
        finally:
            self._disconnect(connection)

    def cancel(self) -> None:
        """Cancel the statements that run now, from another task or thread. Each of them raises psycopg's QueryCanceled."""
        for connection in list(self._connections):
            cancel = getattr(connection, "cancel_safe", None)  # of PostgreSQL; a lost session has nothing to cancel
            if cancel is not None:
                with suppress(database_login.psycopg().Error):
                    cancel(timeout=CANCEL_SECONDS)

    def connect(self, platform: str | None = None, **options: Any) -> psycopg.Connection[Any]:
        """Open a connection to PostgreSQL; it is closed with the role. `options` go to psycopg, e.g. autocommit=True.

        If the role has ended, this and each use of the connection raise `RoleEnded`.
        """
        login = {**self.connection_parameters(platform), **options}
        ended = self.known_end()
        if ended is not None:
            raise ended
        connection = connect(login, self)
        self._connections.append(connection)
        return connection

    def connect_snowflake(self, platform: str | None = None, **options: Any) -> SnowflakeConnection:
        """Open a connection to Snowflake; it is closed with the role. `options` go to Snowflake's connector."""
        login = {**self.snowflake_parameters(platform), **options}
        connection: SnowflakeConnection = database_login.snowflake().connect(**login)
        self._connections.append(connection)
        return connection

    def before_end(self, act: Callable[[Role], object], *, seconds: float = 30.0) -> None:
        """Call `act(role)` once, so many seconds before the role expires, or at once if that is sooner: AsyncRole calls it in the event
        loop, where it may be a coroutine function; Role in a thread of its own. It is not called after the block, or if the role ends
        early. An error is logged."""
        if self.remaining is not None:
            wait = max(self.remaining.total_seconds() - seconds, 0.0)
            self._alarms.append(Alarm(wait, partial(act, self)))

    def release(self) -> bool:
        """Release the role before the block ends. Returns True if it is known to be dropped. Raises where the release fails."""
        self.close()
        dropped = self._release()
        self.note_end("Released")
        return dropped

    def close(self) -> None:
        """Close the connections and delete the files made for them. The role stays."""
        for alarm in self._alarms:
            alarm.cancel()
        self._for_queries.clear()
        while self._connections:
            connection = self._connections.pop()
            if os.getpid() == self._process:  # a forked child would end the sessions of its parent
                connection.close()
        self._forget()

    def _connection_for_queries(self, platform: str | None) -> psycopg.Connection[Any]:
        """Return the connection that queries share. One that was lost is opened again."""
        place = self._login(Credential, platform)[0]
        with self._lock:
            known = self._for_queries.get(place)
            if known is None or known.closed:
                self._for_queries[place] = known = self.connect(platform, autocommit=True)
            return known

    def _disconnect(self, connection: psycopg.Connection[Any]) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
            connection.close()

    def end_of(self) -> RoleEnded | None:
        """Return the end of the role, after asking the API; None: it has not ended, and a connection alone was lost."""
        if self.ended is None and self._is_gone():
            self.note_end()
        return self.known_end()

    def _is_gone(self) -> bool:
        try:
            return (self._look()).state == "Ending" or self.is_past
        except NotFound:
            return True
        except RolevendError:  # the API does not answer now
            return self.is_past


def _columns(connection: Any, statement: str, parameters: Any) -> Sequence[psycopg.Column]:
    """Return the columns of a statement: those of a cursor of the server, which is not read. Others, such as SHOW, have none."""
    try:
        with connection.transaction(), connection.cursor(name="rolevend") as cursor:
            cursor.execute(statement, parameters)
            return list(cursor.description or ())
    except database_login.psycopg().Error:
        return ()


def _rows(connection: Any, columns: Sequence[psycopg.Column], rows: list[tuple[Any, ...]]) -> Rows:
    known = connection.adapters.types
    found = [known.get(each.type_code) for each in columns]
    types = ("" if kind is None or each.type_code == kind.array_oid else str(kind.name) for kind, each in zip(found, columns, strict=True))
    return Rows(tuple(each.name for each in columns), tuple(types), tuple(rows))
