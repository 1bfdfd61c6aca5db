"""Connections to PostgreSQL on which the end of the role is `RoleEnded`. psycopg is imported when it is needed."""

from __future__ import annotations

import asyncio
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from rolevend_client import database_login

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

    from rolevend_client.errors import RoleEnded

_MAY_HAVE_ENDED = frozenset({"57P01", "42501", "42P01"})
"""Codes with which the database ends a session, and with which it refuses statements of a role that is closed but still connected."""
_TOLD_WITHIN_SECONDS = 10.0
"""The longest wait for the API to tell an end that the database has enforced already. A login that is refused for longer has ended."""
_LOGIN_SECONDS = 5
"""The longest wait for a login that only asks if the role has ended."""


class AsyncMayEnd(Protocol):
    def known_end(self) -> RoleEnded | None:
        """Return the end of the role, if this process knows of it."""

    async def end_of(self) -> RoleEnded | None:
        """Return the end of the role, after asking the API; None: the API knows of none."""

    def note_end(self) -> None:
        """Remember that the role has ended."""


async def async_connect(login: Mapping[str, Any], role: AsyncMayEnd) -> psycopg.AsyncConnection[Any]:
    """Open a connection. Raises the end of the role in place of psycopg's error."""
    driver = database_login.psycopg()
    kind: Any = _async_role_connection()
    try:
        connection: psycopg.AsyncConnection[Any] = await kind.connect(**login)
    except driver.OperationalError as error:
        ended = await _end_of(role, login) if database_login.is_refused(error) else None
        if ended is not None:
            raise ended from error
        raise
    connection.role, connection.login = role, login  # type: ignore[attr-defined]
    return connection


async def _end_of(role: AsyncMayEnd, login: Mapping[str, Any]) -> RoleEnded | None:
    """Return the end of the role; None: it has not ended, and a connection alone was lost, or a statement alone was refused.

    An end reaches the database first. The API tells it as soon as the operator has written it.
    """
    deadline = time.monotonic() + _TOLD_WITHIN_SECONDS
    while (ended := await role.end_of()) is None and await _is_refused(login):
        if time.monotonic() >= deadline:  # the API is away, or too busy to tell
            role.note_end()
            return role.known_end()
        await asyncio.sleep(0.1)
    return ended


async def _is_refused(login: Mapping[str, Any]) -> bool:
    driver = database_login.psycopg()
    try:
        connection = await driver.AsyncConnection.connect(**{**login, "connect_timeout": _LOGIN_SECONDS})
    except driver.OperationalError as error:
        return database_login.is_refused(error)
    await connection.close()
    return False


@lru_cache
def _async_role_connection() -> type[psycopg.AsyncConnection[Any]]:
    import psycopg

    class AsyncRoleConnection(psycopg.AsyncConnection[Any]):
        role: AsyncMayEnd | None = None
        login: Mapping[str, Any]

        async def wait(self, *arguments: Any, **named: Any) -> Any:
            """Each operation of the connection and of its cursors waits here."""
            try:
                return await super().wait(*arguments, **named)
            except psycopg.Error as error:
                if self.role is not None and (error.sqlstate in _MAY_HAVE_ENDED or self.closed):
                    ended = await _end_of(self.role, self.login)
                    if ended is not None:
                        ended.may_have_run = error.sqlstate is None
                        raise ended from error
                raise

        def cursor(self, *arguments: Any, **named: Any) -> Any:
            """psycopg refuses a closed connection here, before it waits."""
            ended = self.role.known_end() if self.role is not None and self.closed else None
            if ended is not None:
                raise ended
            return super().cursor(*arguments, **named)

    return AsyncRoleConnection
