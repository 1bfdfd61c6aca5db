"""Ways to the API server and to PostgreSQL that understand what passes: a test sees every request, may hold one of them before or
after its effect, and may cut the way. What the operator does not know is on the other side of them.
"""

import asyncio
import contextlib
import enum
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from testbed.kubeconfig import Server
from tests.support.waiting import DEADLINE

_MOST_HELD = 64


class Moment(enum.Enum):
    BEFORE = "before it is done"
    AFTER = "when it is done and nobody was told"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    what: str
    """`PATCH /apis/…`, or SQL: several statements that went together have a NUL between them."""
    values: str = ""
    """The body, or what goes for the parameters."""

    @property
    def text(self) -> str:
        return f"{self.what}\n{self.values}"


@dataclass
class Trap:
    """Holds the first request that is `wanted`, at that moment, until `drop` (as if the line broke) or `pass_on`."""

    wanted: Callable[[Asked], bool]
    moment: Moment
    caught: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)
    dropped: bool = False
    holds: Asked | None = None

    def catches(self, asked: Asked) -> bool:
        if self.holds is None and self.wanted(asked):
            self.holds = asked
        return self.holds is asked

    def hold(self) -> None:
        self.caught.set()
        self.opened.wait()
        if self.dropped:
            raise Cut

    def pass_on(self) -> None:
        self.opened.set()

    def drop(self) -> None:
        self.dropped = True
        self.opened.set()


class Cut(ConnectionError):
    """The line broke."""


class Proxy:
    """What both have in common. `seen` grows by every request."""

    def __init__(self) -> None:
        self.seen: list[Asked] = []
        self.traps: list[Trap] = []
        self.is_cut = False
        self.refused = 0
        """How often somebody came while the line was cut."""

    def set_trap(self, wanted: Callable[[Asked], bool], moment: Moment) -> Trap:
        """One more: a request is caught by the first that wants it and holds none yet."""
        self.traps.append(Trap(wanted, moment))
        return self.traps[-1]

    def take_traps_away(self) -> None:
        for trap in self.traps:
            trap.drop()
        self.traps.clear()

    def see(self, asked: Asked) -> Trap | None:
        """The trap that this one is in."""
        self.seen.append(asked)
        return next((trap for trap in self.traps if trap.catches(asked)), None)

    def cut(self) -> None:
        """Breaks every line, and takes no new one until `restore`."""
        self.is_cut = True

    def restore(self) -> None:
        self.is_cut = False


class ApiProxy(Proxy):
    """Plain HTTP on this side, so that it can be read; TLS to the API server."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self._target = server.url
        self._tls = ssl.create_default_context(cadata=server.authority.decode())
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(_MOST_HELD))
        self._transports: set[asyncio.BaseTransport] = set()
        self.port = asyncio.run_coroutine_threadsafe(self._start(), self._started()).result(DEADLINE)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        super().cut()
        self._loop.call_soon_threadsafe(self._abort)

    def close(self) -> None:
        self.cut()
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(DEADLINE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _started(self) -> asyncio.AbstractEventLoop:
        self._thread = threading.Thread(target=self._loop.run_forever, name="api-proxy", daemon=True)
        self._thread.start()
        return self._loop

    async def _start(self) -> int:
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=0)
        self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None))
        application = web.Application(client_max_size=1 << 30)
        application.router.add_route("*", "/{path:.*}", self._pass_on)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return int(self._runner.addresses[0][1])

    async def _stop(self) -> None:
        await self._session.close()
        serving = asyncio.all_tasks() - {asyncio.current_task()}
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await self._runner.cleanup()

    def _abort(self) -> None:
        for transport in self._transports:
            transport.abort()  # type: ignore[attr-defined]

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        transport = request.transport
        if transport is None or self.is_cut:
            self.refused += 1
            return self._broken(transport)
        self._transports.add(transport)
        try:
            return await self._ask(request)
        except (Cut, aiohttp.ClientError, ConnectionError):
            return self._broken(transport)
        finally:
            self._transports.discard(transport)

    async def _ask(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        trap = self.see(Asked(f"{request.method} {request.path_qs}", body.decode()))
        if trap is not None and trap.moment is Moment.BEFORE:
            await asyncio.to_thread(trap.hold)
        kept = {name: value for name, value in request.headers.items() if name.lower() not in ("host", "content-length", "connection")}
        async with self._session.request(request.method, self._target + request.path_qs, data=body or None, headers=kept) as answer:
            if trap is not None and trap.moment is Moment.AFTER:
                await asyncio.to_thread(trap.hold)
            headers = {
                name: value for name, value in answer.headers.items() if name.lower() not in ("transfer-encoding", "connection", "date")
            }
            response = web.StreamResponse(status=answer.status, headers=headers)
            await response.prepare(request)
            async for part in answer.content.iter_any():
                await response.write(part)
            await response.write_eof()
            return response

    @staticmethod
    def _broken(transport: asyncio.BaseTransport | None) -> web.StreamResponse:
        if transport is not None:
            transport.abort()  # type: ignore[attr-defined]
        return web.Response(status=502)


class WireProxy(Proxy):
    """Speaks PostgreSQL's protocol, without TLS: it says that it has none."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__()
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._serving: list[threading.Thread] = []
        threading.Thread(target=self._accept, name="wire-proxy", daemon=True).start()

    def cut(self) -> None:
        super().cut()
        for each in list(self._open):
            _shut(each)

    def close(self) -> None:
        self.cut()
        self.take_traps_away()
        self._listener.close()
        for thread in self._serving:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self.is_cut:
                self.refused += 1
                near.close()
                continue
            self._serving.append(threading.Thread(target=self._serve, args=(near,), name="wire-proxy", daemon=True))
            self._serving[-1].start()

    def _serve(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(self._target)
        except OSError:
            near.close()
            return
        for each in (near, far):  # or all messages of an answer but the first wait for an acknowledgement, which takes its time
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open |= {near, far}
        line = _Line(self, near, far)
        answers = threading.Thread(target=self._until_broken, args=(line.answers, near, far), name="wire-proxy", daemon=True)
        answers.start()
        self._until_broken(line.requests, near, far)
        answers.join()
        self._open -= {near, far}
        near.close()
        far.close()

    @staticmethod
    def _until_broken(work: Callable[[], None], *sockets: socket.socket) -> None:
        with contextlib.suppress(OSError):
            work()
        for each in sockets:
            _shut(each)


class _Line:
    """One connection."""

    _NO_TLS = (80877103, 80877104)
    _ENDS = b"QSHXpFcd"
    """After these the server begins to work."""

    def __init__(self, proxy: WireProxy, near: socket.socket, far: socket.socket) -> None:
        self._proxy = proxy
        self._near, self._far = near, far
        self._prepared: dict[bytes, str] = {}
        self._held_answer: Trap | None = None

    def requests(self) -> None:
        while True:
            length = _exactly(self._near, 4)
            body = _exactly(self._near, struct.unpack("!I", length)[0] - 4)
            if struct.unpack("!I", body[:4])[0] not in self._NO_TLS:
                break
            self._near.sendall(b"N")
        self._far.sendall(length + body)
        of_an_agent = b"user\0IMMUTA_VENDED_" in body
        while True:
            messages, texts, values = b"", [], b""
            kind = b""
            while not kind or kind not in self._ENDS:
                kind, whole, payload = _message(self._near)
                messages += whole
                if kind == b"Q":
                    texts.append(payload.rstrip(b"\0").decode())
                elif kind == b"P":
                    name, text, _ = payload.split(b"\0", 2)
                    self._prepared[name] = text.decode()
                elif kind == b"B":
                    _, name, rest = payload.split(b"\0", 2)
                    texts.append(self._prepared.get(name, ""))
                    values += rest
            trap = self._proxy.see(Asked("\0".join(texts), values.decode(errors="replace"))) if texts and not of_an_agent else None
            if trap is not None and trap.moment is Moment.BEFORE:
                trap.hold()
            elif trap is not None:
                self._held_answer = trap
            self._far.sendall(messages)

    def answers(self) -> None:
        while True:
            kind, whole, _ = _message(self._far)
            if kind == b"Z" and self._held_answer is not None:
                trap, self._held_answer = self._held_answer, None
                trap.hold()
            self._near.sendall(whole)


def _message(source: socket.socket) -> tuple[bytes, bytes, bytes]:
    head = _exactly(source, 5)
    payload = _exactly(source, struct.unpack("!I", head[1:])[0] - 4)
    return head[:1], head + payload, payload


def _exactly(source: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = source.recv(count - len(data))
        if not part:
            raise ConnectionResetError
        data += part
    return data


def _shut(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
