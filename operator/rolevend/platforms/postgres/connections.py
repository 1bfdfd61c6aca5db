"""A bounded pool of connections for one login. The only module that connects.

It connects on demand, so the operator recovers by itself if the server is down when it starts.
"""

import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import psycopg
import psycopg.errors
from psycopg_pool import ConnectionPool, PoolTimeout

from rolevend.errors import ReadOnlyServer
from rolevend.platforms.postgres.failures import translated
from rolevend.platforms.postgres.tls import Trust, explained
from rolevend.platforms.protocol import Address, Secret

Connection = psycopg.Connection[tuple[Any, ...]]
Result = TypeVar("Result")
_SLICE = 0.1
"""Seconds between checks whether a connection can be established at all."""
_CONNECT_SECONDS = 10
_MOMENT = 0.02
"""Seconds: long enough to connect."""


@dataclass(frozen=True, slots=True)
class PostgresLogin:
    user: str
    password: Secret


@dataclass(frozen=True, slots=True)
class PostgresLimits:
    """Seconds, and numbers of connections."""

    vendor_connections: int = 4
    programmer_connections: int = 2
    connect_timeout: float = 3.0
    wait_for_connection: float = 5.0
    vendor_statement_timeout: float = 15.0
    programmer_statement_timeout: float = 60.0
    lock_timeout: float = 5.0
    """Build statements have a much shorter one: see `render.LOCK_TIMEOUT`."""
    build_attempts: int = 8
    """The number of attempts on a locked table before `PlatformLocked`."""
    scram_iterations: int = 4096
    """The main cost of a vend for the server, and of a login for the agent. Fewer are as safe for passwords with 256 random bits, but some
    drivers refuse them.
    """
    drop_patience: float = 2.0
    """The time that a drop waits for sessions to end."""


def connect_person(dsn: str, database: str | None = None) -> Connection:
    """Connect with the DSN of a person, such as a superuser. The owner of a database can set a search_path for it, in which operators and
    functions of others come first: ours look in `pg_catalog` only."""
    connection = psycopg.connect(dsn, autocommit=True, connect_timeout=_CONNECT_SECONDS, client_encoding="utf8", dbname=database)
    connection.execute("SET search_path = pg_catalog, pg_temp")
    return connection


class PostgresPool:
    """Connections in autocommit: a transaction starts with an explicit BEGIN."""

    def __init__(
        self,
        address: Address,
        login: PostgresLogin,
        *,
        size: int,
        wait: float,
        connect_timeout: float,
        settings: Mapping[str, str],
        application_name: str,
    ) -> None:
        self._address = address
        self._trust = Trust(address.tls)
        self._parameters: dict[str, Any] = {
            **_where(address, login, self._trust),
            "connect_timeout": max(2, round(connect_timeout)),
            "application_name": application_name,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
        }
        self._size = size
        self._wait = wait
        self._settings = settings
        self._pool: ConnectionPool[Connection] | None = None
        self._lock = threading.Lock()
        self._failures = _Failures()

    def run(self, attempt: str, work: Callable[[Connection], Result]) -> Result:
        """Return the result of `work`, which must be safe to run twice: a connection that the server closed, or that leads to a standby,
        fails only in use, and then `work` gets another one.
        """
        try:
            try:
                return self._once(work)
            except _Lost:
                self._opened().check()
            except (ReadOnlyServer, psycopg.errors.ReadOnlySqlTransaction):
                self._opened().drain()  # the host name may resolve to the primary by now
            return self._once(work)
        except psycopg.Error as error:
            raise explained(translated(attempt, error), self._address) from error

    @contextmanager
    def spare(self) -> Iterator[Connection | None]:
        """Yield a second connection for a caller that has one; None if all are in use, because two callers would deadlock."""
        pool = self._opened()
        try:
            connection = pool.getconn(_MOMENT)
        except (psycopg.Error, PoolTimeout):
            yield None
            return
        try:
            yield connection
        finally:
            pool.putconn(connection)

    def close(self) -> None:
        with self._lock:
            if self._pool is not None:
                self._pool.close(timeout=5.0)
            self._trust.close()

    def _once(self, work: Callable[[Connection], Result]) -> Result:
        pool = self._opened()
        connection = self._connection(pool)
        try:
            return work(connection)
        except psycopg.OperationalError as error:
            if connection.broken:
                raise _Lost(*error.args) from error
            raise
        finally:
            pool.putconn(connection)

    def _connection(self, pool: ConnectionPool[Connection]) -> Connection:
        """Wait for a free connection; raise at once if none can be established."""
        deadline = time.monotonic() + self._wait
        while True:
            known = self._failures.count
            try:
                return pool.getconn(min(_SLICE, self._wait))
            except PoolTimeout:
                if self._failures.count > known and self._failures.last is not None:
                    raise self._failures.last from None
                if time.monotonic() >= deadline:
                    raise

    def _opened(self) -> ConnectionPool[Connection]:
        with self._lock:
            if self._pool is None:
                self._pool = ConnectionPool(
                    kwargs={**self._parameters, "autocommit": True},
                    connection_class=_recording_connection(self._failures),
                    min_size=0,
                    max_size=self._size,
                    max_idle=300.0,
                    reconnect_timeout=_SLICE,
                    num_workers=1,
                    configure=self._configure,
                    name=self._parameters["application_name"],
                    open=False,
                )
                self._pool.open()
            return self._pool

    def _configure(self, connection: Connection) -> None:
        names = list(self._settings)
        connection.execute(
            "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS setting (name, value)",
            [names, [self._settings[name] for name in names]],
        )


class _Lost(psycopg.OperationalError):
    """The connection was lost before or during its use."""


@dataclass(slots=True)
class _Failures:
    """The last failure to connect."""

    count: int = 0
    last: psycopg.Error | None = None


def _recording_connection(failures: _Failures) -> type[Connection]:
    """Return a connection class that records in `failures` why it could not connect, which the pool does not report."""

    class RecordingConnection(psycopg.Connection[Any]):
        @classmethod
        def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
            try:
                return super().connect(conninfo, **kwargs)
            except psycopg.Error as error:
                failures.count, failures.last = failures.count + 1, error
                raise

    return RecordingConnection


def _where(address: Address, login: PostgresLogin, trust: Trust) -> dict[str, Any]:
    return {
        "host": address.host,
        "port": address.port,
        "dbname": address.database,
        "user": login.user,
        "password": login.password.reveal(),
        "client_encoding": "UTF8",
        # A server may ask for the password in clear text; it never gets it.
        "require_auth": "scram-sha-256",
        **trust.parameters(),
    }


@contextmanager
def connected(address: Address, login: PostgresLogin) -> Iterator[Connection]:
    """Yield one connection outside of any pool, for an installation."""
    with connect(address, login) as connection:
        yield connection


@asynccontextmanager
async def connected_async(
    address: Address, login: PostgresLogin, kind: type[psycopg.AsyncConnection[Any]], **more: Any
) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """Yield one connection whose calls can be cancelled. `more` are parameters of libpq."""
    trust = Trust(address.tls)
    try:
        connection = await kind.connect(**_where(address, login, trust) | more)
    finally:
        trust.close()
    async with connection:
        yield connection


def connect(address: Address, login: PostgresLogin, *, proof: bool = True, **more: Any) -> Connection:
    """Connect. With `proof=False` also to a server that requires no authentication. `more` are parameters of libpq."""
    trust = Trust(address.tls)
    parameters = _where(address, login, trust) | {"connect_timeout": _CONNECT_SECONDS} | ({} if proof else {"require_auth": None}) | more
    try:
        return psycopg.connect(**parameters)
    except psycopg.Error as error:
        raise explained(translated(f"connect to {address.host}:{address.port} as {login.user}", error), address) from error
    finally:
        trust.close()
