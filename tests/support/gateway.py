"""A way to the API server that can be frozen: what is connected hangs, what connects anew gets through, as after a lost route.

Or closed: then nothing gets through, and nobody is told.
"""

import contextlib
import socket
import threading
from collections.abc import Sequence


class Gateway:
    """Listens on `port` of 127.0.0.1 and passes bytes on, TLS included."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"https://127.0.0.1:{self.port}"
        self._generation = threading.Event()
        self._open: set[socket.socket] = set()
        self._blocked = False
        threading.Thread(target=self._accept, name="gateway", daemon=True).start()

    def freeze(self) -> None:
        """Everything that is connected now hears nothing more, and is not told."""
        frozen, self._generation = self._generation, threading.Event()
        frozen.set()

    def block(self) -> None:
        """The same for everything that connects from now on."""
        self._blocked = True
        self.freeze()

    def unblock(self) -> None:
        """Whatever connects from now on gets through."""
        self._blocked = False

    def hang_up(self) -> None:
        """Everything that is connected hears the end of it, and may connect anew."""
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._generation.set()
        self._listener.close()
        for each in list(self._open):
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return  # it was closed
            if self._blocked:
                self._open.add(near)
                continue
            try:
                far = self._connect()
            except OSError:  # refused, or reset by a server that is killed at this moment
                near.close()
                continue
            self._open |= {near, far}
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(source, sink, self._generation), name="gateway", daemon=True).start()

    def _connect(self) -> socket.socket:
        return socket.create_connection(self._target)

    def _pass_on(self, source: socket.socket, sink: socket.socket, frozen: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if frozen.is_set():
                    return  # the sockets stay open
                sink.sendall(data)
        if frozen.is_set():
            return
        for each in (source, sink):
            self._open.discard(each)
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


class Front(Gateway):
    """Passes each connection on to the first of several servers of this machine that accepts it, as a Service does with its pods."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports = ports
        super().__init__("127.0.0.1", ports[0])

    def _connect(self) -> socket.socket:
        for port in self._ports[:-1]:
            with contextlib.suppress(OSError):
                return socket.create_connection(("127.0.0.1", port))
        return socket.create_connection(("127.0.0.1", self._ports[-1]))
