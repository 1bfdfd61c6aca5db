"""An open role, its queries, and the connections that are opened as it."""

from __future__ import annotations

import os
from contextlib import aclosing, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from rolevend_client import database_login
from rolevend_client.async_connection import async_connect
from rolevend_client.errors import NotFound, RolevendError, TooManyRows
from rolevend_client.open_role import OpenRole
from rolevend_client.rows import Rows, frame, library_for_frames
from rolevend_client.values import Credential
from rolevend_client.waiting import CANCEL_SECONDS, AsyncAlarm, AsyncLock, async_limited

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    import psycopg

    from rolevend_client.database_login import AsyncSnowflakeConnection
    from rolevend_client.errors import RoleEnded
    from rolevend_client.values import VendedRole
    from rolevend_client.waiting import AsyncLook, AsyncRelease


class AsyncRole(OpenRole):
    def __init__(self, vended: VendedRole, release: AsyncRelease, look: AsyncLook) -> None:
        """`look` returns what the API knows of the role now."""
        super().__init__(vended)
        self._release = release
        self._look = look
        self._connections: list[psycopg.AsyncConnection[Any] | AsyncSnowflakeConnection] = []
        self._for_queries: dict[str, psycopg.AsyncConnection[Any]] = {}
        self._lock = AsyncLock()
        self._process = os.getpid()
        self._alarms: list[AsyncAlarm] = []

    async def query(
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
        connection = await self._connection_for_queries(platform)
        async with self._lock, connection.cursor() as cursor, async_limited(seconds, connection):
            rows: list[tuple[Any, ...]] = []
            streaming: Any = cursor.stream(statement, parameters, size=database_login.rows_at_once())
            async with aclosing(streaming):
                async for row in streaming:
                    if len(rows) == max_rows:
                        raise TooManyRows(max_rows)
                    rows.append(tuple(row))
            if not rows:  # psycopg then knows no columns
                return _rows(connection, await _columns(connection, statement, parameters), rows)
            return _rows(connection, cursor.description or [], rows)

    async def dataframe(
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
        return frame(await self.query(statement, parameters, platform=platform, seconds=seconds, max_rows=max_rows), chosen)

    async def stream(
        self,
        statement: str,
        parameters: Any = None,
        *,
        platform: str | None = None,
        seconds: float | None = None,
        max_rows: int | None = None,
        batch_rows: int = 1_000,
    ) -> AsyncIterator[tuple[Any, ...]]:
        """Yield the rows of a SELECT, in batches from a cursor of the server, so that they need little memory. It has a connection of its
        own. `seconds` limit each batch."""
        connection = await self.connect(platform)
        try:
            async with connection.cursor(name="rolevend") as cursor:
                async with async_limited(seconds, connection):
                    await cursor.execute(statement, parameters)
                count = 0
                while True:
                    async with async_limited(seconds, connection):
                        batch = await cursor.fetchmany(batch_rows)
                    for row in batch:
                        if count == max_rows:
                            raise TooManyRows(max_rows)
                        yield tuple(row)
                        count += 1
                    if len(batch) < batch_rows:
                        return
        finally:
            await self._disconnect(connection)

    async def cancel(self) -> None:
        """Cancel the statements that run now, from another task or thread. Each of them raises psycopg's QueryCanceled."""
        for connection in list(self._connections):
            cancel = getattr(connection, "cancel_safe", None)  # of PostgreSQL; a lost session has nothing to cancel
            if cancel is not None:
                with suppress(database_login.psycopg().Error):
                    await cancel(timeout=CANCEL_SECONDS)

    async def connect(self, platform: str | None = None, **options: Any) -> psycopg.AsyncConnection[Any]:
        """Open a connection to PostgreSQL; it is closed with the role. `options` go to psycopg, e.g. autocommit=True.

        If the role has ended, this and each use of the connection raise `RoleEnded`.
        """
        login = {**self.connection_parameters(platform), **options}
        ended = self.known_end()
        if ended is not None:
            raise ended
        connection = await async_connect(login, self)
        self._connections.append(connection)
        return connection

    async def connect_snowflake(self, platform: str | None = None, **options: Any) -> AsyncSnowflakeConnection:
        """Open a connection to Snowflake; it is closed with the role. `options` go to Snowflake's connector."""
        login = {**self.snowflake_parameters(platform), **options}
        connection: AsyncSnowflakeConnection = await database_login.async_snowflake().connect(**login)
        self._connections.append(connection)
        return connection

    def before_end(self, act: Callable[[AsyncRole], object], *, seconds: float = 30.0) -> None:
        """Call `act(role)` once, so many seconds before the role expires, or at once if that is sooner: AsyncRole calls it in the event
        loop, where it may be a coroutine function; Role in a thread of its own. It is not called after the block, or if the role ends
        early. An error is logged."""
        if self.remaining is not None:
            wait = max(self.remaining.total_seconds() - seconds, 0.0)
            self._alarms.append(AsyncAlarm(wait, partial(act, self)))

    async def release(self) -> bool:
        """Release the role before the block ends. Returns True if it is known to be dropped. Raises where the release fails."""
        await self.close()
        dropped = await self._release()
        self.note_end("Released")
        return dropped

    async def close(self) -> None:
        """Close the connections and delete the files made for them. The role stays."""
        for alarm in self._alarms:
            alarm.cancel()
        self._for_queries.clear()
        while self._connections:
            connection = self._connections.pop()
            if os.getpid() == self._process:  # a forked child would end the sessions of its parent
                await connection.close()
        self._forget()

    async def _connection_for_queries(self, platform: str | None) -> psycopg.AsyncConnection[Any]:
        """Return the connection that queries share. One that was lost is opened again."""
        place = self._login(Credential, platform)[0]
        async with self._lock:
            known = self._for_queries.get(place)
            if known is None or known.closed:
                self._for_queries[place] = known = await self.connect(platform, autocommit=True)
            return known

    async def _disconnect(self, connection: psycopg.AsyncConnection[Any]) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
            await connection.close()

    async def end_of(self) -> RoleEnded | None:
        """Return the end of the role, after asking the API; None: it has not ended, and a connection alone was lost."""
        if self.ended is None and await self._is_gone():
            self.note_end()
        return self.known_end()

    async def _is_gone(self) -> bool:
        try:
            return (await self._look()).state == "Ending" or self.is_past
        except NotFound:
            return True
        except RolevendError:  # the API does not answer now
            return self.is_past


async def _columns(connection: Any, statement: str, parameters: Any) -> Sequence[psycopg.Column]:
    """Return the columns of a statement: those of a cursor of the server, which is not read. Others, such as SHOW, have none."""
    try:
        async with connection.transaction(), connection.cursor(name="rolevend") as cursor:
            await cursor.execute(statement, parameters)
            return list(cursor.description or ())
    except database_login.psycopg().Error:
        return ()


def _rows(connection: Any, columns: Sequence[psycopg.Column], rows: list[tuple[Any, ...]]) -> Rows:
    known = connection.adapters.types
    found = [known.get(each.type_code) for each in columns]
    types = ("" if kind is None or each.type_code == kind.array_oid else str(kind.name) for kind, each in zip(found, columns, strict=True))
    return Rows(tuple(each.name for each in columns), tuple(types), tuple(rows))
