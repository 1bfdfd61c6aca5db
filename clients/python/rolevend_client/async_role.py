"""An open role, and the connections that are opened as it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rolevend_client import database_login
from rolevend_client.open_role import OpenRole

if TYPE_CHECKING:
    import psycopg

    from rolevend_client.database_login import AsyncSnowflakeConnection
    from rolevend_client.values import VendedRole
    from rolevend_client.waiting import AsyncRelease


class AsyncRole(OpenRole):
    def __init__(self, vended: VendedRole, release: AsyncRelease) -> None:
        super().__init__(vended)
        self._release = release
        self._connections: list[psycopg.AsyncConnection[Any] | AsyncSnowflakeConnection] = []

    async def connect(self, platform: str | None = None, **options: Any) -> psycopg.AsyncConnection[Any]:
        """Open a connection to PostgreSQL; it is closed with the role. `options` go to psycopg, e.g. autocommit=True."""
        login = {**self.connection_parameters(platform), **options}
        connection: psycopg.AsyncConnection[Any] = await database_login.psycopg().AsyncConnection.connect(**login)
        self._connections.append(connection)
        return connection

    async def connect_snowflake(self, platform: str | None = None, **options: Any) -> AsyncSnowflakeConnection:
        """Open a connection to Snowflake; it is closed with the role. `options` go to Snowflake's connector."""
        login = {**self.snowflake_parameters(platform), **options}
        connection: AsyncSnowflakeConnection = await database_login.async_snowflake().connect(**login)
        self._connections.append(connection)
        return connection

    async def release(self) -> bool:
        """Release the role before the block ends. Returns True if it is known to be dropped. Raises where the release fails."""
        await self.close()
        return await self._release()

    async def close(self) -> None:
        """Close the connections and delete the files made for them. The role stays."""
        while self._connections:
            await self._connections.pop().close()
        self._forget()
