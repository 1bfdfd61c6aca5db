"""A role that is open: how to log in as it. It renews nothing, and is gone when its `with` block ends."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rolevend_client import connecting
from rolevend_client.errors import Unexpected
from rolevend_client.values import Credential, Explanation, Platform, VendedRole

if TYPE_CHECKING:
    import psycopg


class OpenRole:
    """What is the same in both colours."""

    def __init__(self, vended: VendedRole) -> None:
        self.vended = vended
        self.platform, self._credential = _login(vended)
        self._authority: connecting.Authority | None = None

    @property
    def id(self) -> str:
        return self.vended.id

    @property
    def name(self) -> str:
        """As the database knows it."""
        return self._credential.username

    @property
    def expires_at(self) -> datetime | None:
        """Its end at the latest, whoever is connected then."""
        return self.vended.expires_at

    @property
    def explanation(self) -> Explanation:
        """What it may read, and why."""
        return self.vended.explanation or Explanation()

    def connection_parameters(self) -> dict[str, str | int]:
        """For `psycopg.connect(**…)`, or anything else that knows libpq's names. The certificates that they name are gone with the role."""
        certificates = self._credential.ca_certificates
        if certificates is not None and self._authority is None:
            self._authority = connecting.Authority(certificates)
        return connecting.parameters(self._credential, self._authority)

    @property
    def uri(self) -> str:
        """The same for libpq, as one text, password and all."""
        return connecting.url("postgresql", self.connection_parameters())

    def sqlalchemy_url(self, driver: str = "psycopg") -> str:
        """For `sqlalchemy.create_engine`. Dispose of the engine before the block ends; `poolclass=NullPool` keeps nothing to dispose of."""
        return connecting.url(f"postgresql+{driver}", self.connection_parameters())

    def _forget(self) -> None:
        if self._authority is not None:
            self._authority.close()
            self._authority = None

    def __repr__(self) -> str:
        until = f" until {self.expires_at.isoformat()}" if self.expires_at else ""
        return f"<{type(self).__name__} {self.name} on {self.platform.name}{until}>"


class Role(OpenRole):
    def __init__(self, vended: VendedRole, release: Callable[[], bool]) -> None:
        super().__init__(vended)
        self._release = release
        self._connections: list[psycopg.Connection[Any]] = []

    def connect(self, **options: Any) -> "psycopg.Connection[Any]":
        """A new connection (DB-API 2.0), closed with the role. `options` go to `psycopg.connect`, such as autocommit=True."""
        made: psycopg.Connection[Any] = connecting.psycopg().connect(**{**self.connection_parameters(), **options})
        self._connections.append(made)
        return made

    def release(self) -> bool:
        """Before the block's end, and with an error where that does not work. Whether it is known to be gone: else it is on its way."""
        self.close()
        return self._release()

    def close(self) -> None:
        """Its connections, and what was made for them; the role stays."""
        while self._connections:
            self._connections.pop().close()
        self._forget()


class AsyncRole(OpenRole):
    def __init__(self, vended: VendedRole, release: Callable[[], Awaitable[bool]]) -> None:
        super().__init__(vended)
        self._release = release
        self._connections: list[psycopg.AsyncConnection[Any]] = []

    async def connect(self, **options: Any) -> "psycopg.AsyncConnection[Any]":
        """A new connection, closed with the role. `options` go to `psycopg.AsyncConnection.connect`."""
        driver = connecting.psycopg()
        made: psycopg.AsyncConnection[Any] = await driver.AsyncConnection.connect(**{**self.connection_parameters(), **options})
        self._connections.append(made)
        return made

    async def release(self) -> bool:
        """Before the block's end, and with an error where that does not work. Whether it is known to be gone: else it is on its way."""
        await self.close()
        return await self._release()

    async def close(self) -> None:
        """Its connections, and what was made for them; the role stays."""
        while self._connections:
            await self._connections.pop().close()
        self._forget()


def _login(vended: VendedRole) -> tuple[Platform, Credential]:
    for platform in vended.platforms:
        if platform.credential is not None:
            return platform, platform.credential
    raise Unexpected(f"cannot use the role {vended.id}: the answer holds no credential")
