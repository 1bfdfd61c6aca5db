"""Limit the connections of an HTTP server whose callers have shown no valid token: in bytes, in time and in number.

uvicorn limits none of that. Its parser httptools keeps headers of any length. h11 limits the head of a request, but only while it is not
complete: whatever one read of the socket brings passes. No time limit holds until the first answer. `limit_concurrency` counts idle
connections and refuses the calls of others, so that idle connections would block all callers.

rolevend's API and its MCP server share no code that is installed, so each has a copy of this file. A test compares them.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import uvicorn

MAX_HEADERS: Final = 100
"""Of one request. Each costs far more memory than its bytes."""
_STEP: Final = 4096
"""So many bytes are parsed before the limits are checked again, so that much more than a limit may pass."""
_LOG_SECONDS: Final = 60.0
_ACCEPT_RETRY_SECONDS: Final = 0.5

_log = logging.getLogger(__name__)

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    header_bytes: int
    """Of the request line and all headers of a request. A connection may also send so many bytes ahead of an answer."""
    read_seconds: float
    """In which a connection must send a whole request, its TLS handshake included, and read the answer."""
    connections: int
    """That have shown no valid token."""


_connection: ContextVar["LimitedConnection | None"] = ContextVar("_connection", default=None)


def token_is_valid() -> None:
    """Say of the request that is answered now that its token is valid. From then on its connection is none without a token."""
    if (connection := _connection.get()) is not None:
        connection.leave()


class LimitedConnection(asyncio.Protocol):
    """Comes before one of uvicorn's protocols, in a class of both."""

    transport: Any
    """None until the connection is made."""
    cycle: Any
    """The request that is answered, or was answered last."""
    app: Any

    def limit(self, limits: ConnectionLimits, crowd: "Crowd", abort: Callable[[], object]) -> None:
        """Begin, before anything of the connection is read. `abort` ends it as long as there is no transport."""
        self._limits = limits
        self._crowd = crowd
        self._abort = abort
        self._timer: asyncio.TimerHandle | None = None
        self._unsent: int | None = None
        self._ahead = 0
        self._application, self.app = self.app, self._answer
        self._expect_client()

    @property
    def waits_for_client(self) -> bool:
        return self._timer is not None

    def abort(self) -> None:
        self.leave()
        abort, self._abort = self._abort, _nothing
        abort()

    def leave(self) -> None:
        """Be no connection without a token any more: it has shown one, or it ends."""
        self._crowd.discard(self)

    def ended(self) -> None:
        """Keep nothing in memory that waits for the garbage collector: over TLS that is a quarter of a megabyte."""
        self.leave()
        self._expect_nothing()
        self._abort, self.app = _nothing, self._application

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a stream's
        self._abort = transport.abort

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        for start in range(0, len(data), _STEP):
            if self.transport.is_closing():
                return
            part = data[start : start + _STEP]
            if self._is_whole:
                self._ahead += len(part)
                if self._ahead > self._limits.header_bytes:
                    self.abort()
                    return
            super().data_received(part)
        if self._is_whole:
            self._expect_nothing()

    def on_response_complete(self) -> None:
        self._ahead = 0
        self._expect_client()  # first: the next request may be whole already
        super().on_response_complete()  # type: ignore[misc]  # uvicorn's
        if self._is_whole:
            self._expect_nothing()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_client()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._is_whole:
            self._expect_nothing()

    @property
    def _is_whole(self) -> bool:
        """True while a request that was received whole is answered."""
        return self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete

    async def _answer(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        _connection.set(self)
        if len(scope["headers"]) <= MAX_HEADERS:
            await self._application(scope, receive, send)
            return
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 431, "headers": headers})
        await send({"type": "http.response.body", "body": f"the request has more than {MAX_HEADERS} headers; send fewer".encode()})

    def _expect_client(self) -> None:
        """Give the client `read_seconds` from now."""
        self._expect_nothing()
        self._unsent = None
        self._timer = asyncio.get_running_loop().call_later(self._limits.read_seconds, self._late)

    def _expect_nothing(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        unsent = 0 if self.transport is None else self.transport.get_write_buffer_size()
        if not unsent or (self._unsent is not None and unsent >= self._unsent):
            self.abort()
            return
        self._expect_client()  # it still reads a long answer
        self._unsent = unsent


def _nothing() -> None:
    """Nothing is left to abort."""


class Crowd:
    """The connections without a token, in the order in which they came."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._all: dict[LimitedConnection, None] = {}
        self._dropped = 0
        self._log_at = clock()

    def make_room(self) -> bool:
        """Abort the oldest connection that waits for its client where there are too many. False where none does."""
        if len(self._all) < self._most:
            return True
        self._count_dropped()
        oldest = next((each for each in self._all if each.waits_for_client), None)
        if oldest is None:
            return False
        oldest.abort()
        return True

    def add(self, connection: LimitedConnection) -> None:
        self._all[connection] = None

    def discard(self, connection: LimitedConnection) -> None:
        self._all.pop(connection, None)

    def _count_dropped(self) -> None:
        self._dropped += 1
        if self._clock() >= self._log_at:
            _log.warning("more than %d connections show no valid token: %d were dropped", self._most, self._dropped)
            self._dropped, self._log_at = 0, self._clock() + _LOG_SECONDS


class Listener:
    """Accepts connections of one socket. Counts each from before its TLS handshake, whose buffers are the largest part of it."""

    def __init__(
        self, listening: socket.socket, limits: ConnectionLimits, connection: Callable[[], LimitedConnection], tls: ssl.SSLContext | None
    ) -> None:
        self._listening = listening
        self._limits = limits
        self._connection = connection
        self._tls = tls
        self._crowd = Crowd(limits.connections)
        self._begun: set[asyncio.Task[None]] = set()
        self._accepting = asyncio.create_task(self._accept())

    def close(self) -> None:
        """Accept no more. See asyncio.Server, in whose place this is."""
        for task in (self._accepting, *self._begun):
            task.cancel()

    async def wait_closed(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await self._accepting

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        self._listening.setblocking(False)
        with self._listening:
            while True:
                try:
                    accepted, _ = await loop.sock_accept(self._listening)
                except OSError as error:
                    _log.warning("a connection is not accepted: %s", error.strerror or error)
                    await asyncio.sleep(_ACCEPT_RETRY_SECONDS)
                    continue
                if self._crowd.make_room():
                    self._begin(accepted)
                else:
                    accepted.close()
                await asyncio.sleep(0)  # where many wait to be accepted, everything else goes on

    def _begin(self, accepted: socket.socket) -> None:
        connection = self._connection()
        task = asyncio.create_task(self._connect(accepted, connection))
        connection.limit(self._limits, self._crowd, task.cancel)
        self._crowd.add(connection)
        self._begun.add(task)
        task.add_done_callback(partial(self._connected, accepted, connection))

    async def _connect(self, accepted: socket.socket, connection: LimitedConnection) -> None:
        with contextlib.suppress(OSError):  # the handshake failed, or the client is gone
            await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, accepted, ssl=self._tls)

    def _connected(self, accepted: socket.socket, connection: LimitedConnection, task: asyncio.Task[None]) -> None:
        self._begun.discard(task)
        if connection.transport is None:
            connection.ended()
            accepted.close()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a connection failed: %s", error)


class LimitedServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, limits: ConnectionLimits, listening: socket.socket) -> None:
        """The protocol of `config` is a `LimitedConnection`."""
        super().__init__(config)
        self._limits = limits
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002
        await super().startup([])  # all but what accepts
        self.servers = [Listener(self._listening, self._limits, self._connection, self.config.ssl)]  # type: ignore[list-item]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002
        await super().shutdown(None)  # the listener closes its socket

    def _connection(self) -> LimitedConnection:
        made: Any = self.config.http_protocol_class
        connection = made(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
        assert isinstance(connection, LimitedConnection)  # noqa: S101 - see __init__
        return connection
