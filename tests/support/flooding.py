"""Attacks of somebody without a token on an HTTP server: bytes without end, requests that are never whole, and many connections.

Each attack speaks over raw sockets, and each server is a real process, whose memory the kernel tells.
"""

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MOST_BYTES: Final = 24 * 1024 * 1024
"""How much one connection sends at most."""
AT_ONCE: Final = 3
_PIECE: Final = 64 * 1024
MOST_MIB: Final = 32.0
"""How much more memory a server may have at its peak under an attack: its buffers, for so many connections as the attacks open."""
_POST: Final = b"POST %s HTTP/1.1\r\nHost: %s\r\n"
_CHUNKED: Final = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass(frozen=True)
class Target:
    """A server that listens, and the process that it is."""

    host: str
    port: int
    path: str
    pid: int
    tls: ssl.SSLContext | None = None

    @property
    def post(self) -> bytes:
        """The first lines of a request."""
        return _POST % (self.path.encode(), f"{self.host}:{self.port}".encode())

    def connect(self, *, plain: bool = False) -> socket.socket:
        """`plain`: TCP alone, also where the server speaks TLS."""
        connection = socket.create_connection((self.host, self.port), timeout=20)
        if self.tls is None or plain:
            return connection
        return self.tls.wrap_socket(connection, server_hostname=self.host)

    @contextmanager
    def memory(self) -> Iterator[Callable[[], float]]:
        """How many MiB the process has had more than at the beginning of the block, at its peak."""
        process = Path(f"/proc/{self.pid}")
        process.joinpath("clear_refs").write_text("5")  # the peak begins anew
        before = _kib(process, "VmRSS")
        yield lambda: (_kib(process, "VmHWM") - before) / 1024


@dataclass(frozen=True)
class Endless:
    """What is sent first, and what then again and again."""

    opening: bytes
    piece: bytes


def endless(target: Target) -> dict[str, Endless]:
    """All bytes without end that a request can begin with, or go on with."""
    post = target.post
    one_header, many = b"X-Attack: " + b"a" * 1000, b"X: a\r\n" * (_PIECE // 6)
    return {
        "many headers": Endless(post, many),
        "a header without end": Endless(post + one_header, b"a" * _PIECE),
        "a name of a header without end": Endless(post, b"a" * _PIECE),
        "a path without end": Endless(b"GET /", b"a" * _PIECE),
        "a query without end": Endless(b"GET " + target.path.encode() + b"?", b"a" * _PIECE),
        "trailers": Endless(post + _CHUNKED + b"2\r\n{}\r\n0\r\n", many),
        "a trailer without end": Endless(post + _CHUNKED + b"2\r\n{}\r\n0\r\nX: ", b"a" * _PIECE),
        "an extension of a chunk without end": Endless(post + _CHUNKED + b"2;x=", b"a" * _PIECE),
        "requests whose answers nobody reads": Endless(b"", (post + b"Content-Length: 2\r\n\r\n{}") * 400),
        "a body without end": Endless(post + b"Content-Length: 1000000000\r\n\r\n", b"[" * _PIECE),
    }


def send_without_end(target: Target, attack: Endless) -> int:
    """How many bytes the server took on each of some connections before it closed them, or had enough of them."""
    with ExitStack() as stack:
        connections = [stack.enter_context(target.connect()) for _ in range(AT_ONCE)]
        sent = [_sent(each, attack.opening) for each in connections]
        deadline = time.monotonic() + 20
        left = set(range(AT_ONCE))
        while left and time.monotonic() < deadline:
            for number in tuple(left):
                count = _sent(connections[number], attack.piece)
                sent[number] += count
                if not count or sent[number] >= MOST_BYTES:
                    left.discard(number)
        return max(sent)


def _sent(connection: socket.socket, content: bytes) -> int:
    """0 where the connection is closed, or nobody reads it any more."""
    connection.settimeout(1)
    try:
        connection.sendall(content)
    except OSError:
        return 0
    return len(content)


def halves(target: Target) -> dict[str, bytes]:
    """Requests that are not whole."""
    return {
        "nothing": b"",
        "half a line": target.post[:6],
        "half a head": target.post + b"X-Attack: a\r\n",
        "half a body": target.post + b"Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{",
        "half a chunk": target.post + _CHUNKED + b"20\r\n{",
    }


def seconds_until_closed(connection: socket.socket, within: float, trickle: bytes = b"") -> float | None:
    """None where it was not closed in time. `trickle` is sent ten times in a second, and an answer is read and forgotten."""
    started = time.monotonic()
    connection.settimeout(0.1)
    while time.monotonic() - started < within:
        try:
            if trickle:
                connection.sendall(trickle)
            if not connection.recv(_PIECE):
                return time.monotonic() - started
        except TimeoutError:
            continue
        except OSError:
            return time.monotonic() - started
    return None


def alive(connection: socket.socket) -> bool:
    """True if the server has not closed it."""
    connection.settimeout(0)
    try:
        return bool(connection.recv(1, 0))
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False


@contextmanager
def many(target: Target, count: int, opening: bytes, *, plain: bool = False) -> Iterator[list[socket.socket]]:
    """So many connections at once, each with `opening` sent; some may be closed by the server already."""
    with ExitStack() as stack:
        connections = []
        for _ in range(count):
            with contextlib.suppress(OSError):
                each = stack.enter_context(target.connect(plain=plain))
                connections.append(each)
                each.sendall(opening)
        yield connections


def _kib(process: Path, name: str) -> int:
    (line,) = (each for each in process.joinpath("status").read_text().splitlines() if each.startswith(f"{name}:"))
    return int(line.split()[1])
