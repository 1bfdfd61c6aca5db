"""One bounded pool of connections for one login. The only place that connects.

Nothing is opened before it is needed, so a server that is down when the operator starts heals by itself.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from rolevend.platforms.base import Address, Secret
from rolevend.platforms.postgres.failures import translated

Connection = psycopg.Connection[tuple[Any, ...]]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Login:
    user: str
    password: Secret


@dataclass(frozen=True, slots=True)
class Tls:
    """libpq's words. With `verify-full` and no certificate file the system's own authorities count."""

    mode: str = "prefer"
    root_certificate: str | None = None

    def parameters(self) -> dict[str, str]:
        if self.root_certificate is not None:
            return {"sslmode": self.mode, "sslrootcert": self.root_certificate}
        return {"sslmode": self.mode, **({"sslrootcert": "system"} if self.mode == "verify-full" else {})}


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, and numbers of connections."""

    vendor_connections: int = 4
    programmer_connections: int = 2
    connect_timeout: float = 3.0
    wait_for_connection: float = 5.0
    vendor_statement_timeout: float = 15.0
    programmer_statement_timeout: float = 60.0
    lock_timeout: float = 5.0
    """Building statements wait much shorter: see `render.LOCK_TIMEOUT`."""
    build_attempts: int = 8
    """How often a table that is locked by somebody is tried before it is `PlatformBusy`."""
    scram_iterations: int = 4096
    """What a vend costs the server most, and a login the agent. Fewer are as safe with passwords that hold 256 random bits,
    but some drivers refuse them."""
    drop_patience: float = 2.0
    """How long a drop waits for sessions that do not end."""


@dataclass(slots=True)
class Pool:
    """Connections in autocommit: what runs together says BEGIN itself."""

    address: Address
    login: Login
    tls: Tls
    size: int
    connect_timeout: float
    wait: float
    settings: dict[str, str]
    application_name: str
    _pool: ConnectionPool[Connection] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, attempt: str, work: Callable[[Connection], Result]) -> Result:
        """The result of `work`, which must be safe to run twice: a connection that the server has closed meanwhile is
        noticed only in use, and then `work` gets a second one."""
        try:
            try:
                return self._once(work)
            except psycopg.OperationalError as error:
                if isinstance(error, PoolTimeout) or not _lost(error):
                    raise
                self._opened().check()
                return self._once(work)
        except PoolTimeout as error:
            raise translated(attempt, self._reason(error)) from error
        except psycopg.Error as error:
            raise translated(attempt, error) from error

    def close(self) -> None:
        with self._lock:
            if self._pool is not None:
                self._pool.close(timeout=5.0)

    def _once(self, work: Callable[[Connection], Result]) -> Result:
        with self._opened().connection(self.wait) as connection:
            try:
                return work(connection)
            except psycopg.OperationalError:
                if connection.broken:
                    raise _Lost("the server closed the connection") from None
                raise

    def _opened(self) -> ConnectionPool[Connection]:
        with self._lock:
            if self._pool is None:
                self._pool = ConnectionPool(
                    kwargs={**self._parameters(), "autocommit": True},
                    min_size=0,
                    max_size=self.size,
                    timeout=self.wait,
                    max_idle=300.0,
                    reconnect_timeout=self.wait,
                    num_workers=1,
                    configure=self._configure,
                    name=self.application_name,
                    open=False,
                )
                self._pool.open()
            return self._pool

    def _parameters(self) -> dict[str, Any]:
        return {
            "host": self.address.host,
            "port": self.address.port,
            "dbname": self.address.database,
            "user": self.login.user,
            "password": self.login.password.reveal(),
            "connect_timeout": max(2, round(self.connect_timeout)),
            "application_name": self.application_name,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
            "client_encoding": "UTF8",
            **self.tls.parameters(),
        }

    def _configure(self, connection: Connection) -> None:
        names = list(self.settings)
        connection.execute(
            "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS setting (name, value)",
            [names, [self.settings[name] for name in names]],
        )

    def _reason(self, timeout: PoolTimeout) -> psycopg.Error:
        """Why the pool had no connection to give: what a connection made now says, or that all are in use."""
        try:
            psycopg.connect(**self._parameters()).close()
        except psycopg.Error as error:
            return error
        return timeout


class _Lost(psycopg.OperationalError):
    """The connection was gone before or while it was used."""


def _lost(error: psycopg.OperationalError) -> bool:
    return isinstance(error, _Lost)


@contextmanager
def connected(address: Address, login: Login, tls: Tls | None = None) -> Iterator[Connection]:
    """One connection outside of any pool, for an installation."""
    parameters: dict[str, Any] = {"host": address.host, "port": address.port, "dbname": address.database, **(tls or Tls()).parameters()}
    try:
        connection = psycopg.connect(**parameters, user=login.user, password=login.password.reveal(), client_encoding="UTF8")
    except psycopg.Error as error:
        raise translated(f"connect to {address.host}:{address.port} as {login.user}", error) from error
    with connection:
        yield connection
