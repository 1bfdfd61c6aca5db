"""Read the first rows of a table as a vended role, for its user. Every call can be cancelled, also while the server does not answer."""

import os
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.abc import RV, PQGen

from rolevend.errors import PlatformBusy
from rolevend.platforms.postgres.connections import PostgresLogin, connected_async
from rolevend.platforms.postgres.failures import translating
from rolevend.platforms.protocol import Address

Row = tuple[str | None, ...]
_SETTINGS: Final = {
    "statement_timeout": "3000",
    "lock_timeout": "500",
    "default_transaction_read_only": "on",
    "DateStyle": "ISO",
    "IntervalStyle": "iso_8601",
    "TimeZone": "UTC",
}
_BOUNDS: Final[dict[str, Any]] = {
    "application_name": "rolevend console",
    "connect_timeout": 3,
    "options": " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items()),
}
_MOST_BYTES: Final = 4 << 20
"""From the server, in one connection. Five rows of forty columns take 200 KiB."""
_RECEIVED: Final = struct.Struct("128xQ")
"""The bytes that were received, in Linux's `struct tcp_info`."""


class TooManyBytes(psycopg.OperationalError):
    """The server sends more than any rows take."""


class BoundedConnection(psycopg.AsyncConnection[Any]):
    """Raises TooManyBytes, and is closed then. libpq keeps a message of any length in memory, and code of a table's owner can fail with a
    message of hundreds of megabytes."""

    async def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        return await super().wait(self._bounded(gen), interval, timeout)

    def _bounded(self, gen: PQGen[RV]) -> PQGen[RV]:
        with socket.socket(fileno=os.dup(self.pgconn.socket)) as own:
            try:
                wanted = next(gen)
                while True:
                    ready = yield wanted
                    try:
                        wanted = gen.send(ready)
                    finally:  # in one step libpq reads on while the server sends, perhaps to the end of the message
                        self._require_bounds(own)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]

    def _require_bounds(self, own: socket.socket) -> None:
        if (received := _received(own)) > _MOST_BYTES:
            self.pgconn.finish()
            raise TooManyBytes(f"the server sent {received} bytes")


def _received(connection: socket.socket) -> int:
    """Return the bytes that the connection has received; 0 on a kernel that does not count them."""
    facts = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RECEIVED.size)
    return int(_RECEIVED.unpack(facts)[0]) if len(facts) == _RECEIVED.size else 0


@dataclass(frozen=True, slots=True)
class ReadableTable:
    """A table as the role finds it."""

    schema: str
    view: str
    columns: Sequence[str]


async def first_rows(address: Address, login: PostgresLogin, table: ReadableTable, rows: int, characters: int) -> list[Row]:
    """Return the texts of at most so many rows, each cut after so many characters. Raises an Unavailable error, whose text has nothing of a
    row: code of the table's owner can fail with any message and any SQLSTATE."""
    cell = sql.SQL("pg_catalog.left({}::pg_catalog.text, {})")
    query = sql.SQL("SELECT {} FROM {} LIMIT {}").format(
        sql.SQL(", ").join(cell.format(sql.Identifier(each), sql.Literal(characters)) for each in table.columns),
        sql.Identifier(table.schema, table.view),
        sql.Literal(rows),
    )
    with translating(f"read {table.view} on {address.host}"):
        async with connected_async(address, login, BoundedConnection, **_BOUNDS) as connection:
            try:
                return await (await connection.execute(query)).fetchall()
            except psycopg.Error as error:
                raise PlatformBusy(f"cannot read {table.view} on {address.host}: {type(error).__name__}") from None
