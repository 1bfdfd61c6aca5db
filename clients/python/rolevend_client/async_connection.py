"""Connections to PostgreSQL on which the end of the role is `RoleEnded`. psycopg is imported when it is needed."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from rolevend_client import database_login

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

    from rolevend_client.errors import RoleEnded

_MAY_HAVE_ENDED = frozenset({"57P01", "42501", "42P01"})
"""Codes with which the database ends a session, and with which it refuses statements of a role that is closed but still connected."""


class AsyncMayEnd(Protocol):
    def known_end(self) -> RoleEnded | None:
        """Return the end of the role, if this process knows of it."""

    async def end_of(self) -> RoleEnded | None:
        """Return the end of the role, after asking the API; None: it has not ended, and the connection alone was lost."""


async def async_connect(login: Mapping[str, Any], role: AsyncMayEnd) -> psycopg.AsyncConnection[Any]:
    """Open a connection. Raises the end of the role in place of psycopg's error."""
    driver = database_login.psycopg()
    kind: Any = _async_role_connection()
    try:
        connection: psycopg.AsyncConnection[Any] = await kind.connect(**login)
    except driver.OperationalError as error:
        ended = await role.end_of() if "FATAL" in str(error) else None  # said by the server; psycopg has no code for it
        if ended is not None:
            raise ended from error
        raise
    connection.role = role  # type: ignore[attr-defined]
    return connection


@lru_cache
def _async_role_connection() -> type[psycopg.AsyncConnection[Any]]:
    import psycopg

    class AsyncRoleConnection(psycopg.AsyncConnection[Any]):
        role: AsyncMayEnd | None = None

        async def wait(self, *arguments: Any, **named: Any) -> Any:
            """Each operation of the connection and of its cursors waits here."""
            try:
                return await super().wait(*arguments, **named)
            except psycopg.Error as error:
                if self.role is not None and (error.sqlstate in _MAY_HAVE_ENDED or self.closed):
                    ended = await self.role.end_of()
                    if ended is not None:
                        raise ended from error
                raise

        def cursor(self, *arguments: Any, **named: Any) -> Any:
            """psycopg refuses a closed connection here, before it waits."""
            ended = self.role.known_end() if self.role is not None and self.closed else None
            if ended is not None:
                raise ended
            return super().cursor(*arguments, **named)

    return AsyncRoleConnection
