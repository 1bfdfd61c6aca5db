# Generated from async_role.py by `make fix`. Do not edit.
"""An open role, and the connections that are opened as it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rolevend_client import database_login
from rolevend_client.open_role import OpenRole

if TYPE_CHECKING:
    import psycopg

    from rolevend_client.database_login import SnowflakeConnection
    from rolevend_client.values import VendedRole
    from rolevend_client.waiting import Release


class Role(OpenRole):
    def __init__(self, vended: VendedRole, release: Release) -> None:
        super().__init__(vended)
        self._release = release
        self._connections: list[psycopg.Connection[Any] | SnowflakeConnection] = []

    def connect(self, platform: str | None = None, **options: Any) -> psycopg.Connection[Any]:
        """Open a connection to PostgreSQL; it is closed with the role. `options` go to psycopg, e.g. autocommit=True."""
        login = {**self.connection_parameters(platform), **options}
        connection: psycopg.Connection[Any] = database_login.psycopg().Connection.connect(**login)
        self._connections.append(connection)
        return connection

    def connect_snowflake(self, platform: str | None = None, **options: Any) -> SnowflakeConnection:
        """Open a connection to Snowflake; it is closed with the role. `options` go to Snowflake's connector."""
        login = {**self.snowflake_parameters(platform), **options}
        connection: SnowflakeConnection = database_login.snowflake().connect(**login)
        self._connections.append(connection)
        return connection

    def release(self) -> bool:
        """Release the role before the block ends. Returns True if it is known to be dropped. Raises where the release fails."""
        self.close()
        return self._release()

    def close(self) -> None:
        """Close the connections and delete the files made for them. The role stays."""
        while self._connections:
            self._connections.pop().close()
        self._forget()
