"""A way to a server under a name that stays: where it leads can be changed, as after a failover, and what comes back can be rewritten."""

import contextlib
import socket
import threading
from collections.abc import Callable

from rolevend.policytools.embedded.connection import Connection

Rewrite = Callable[[bytes], bytes]


class Proxy:
    """Use as ``with Proxy(connection) as proxy:``. Listens on `port` of 127.0.0.1."""

    def __init__(self, target: Connection, rewrite: Rewrite = bytes) -> None:
        """`rewrite` sees each piece that the server sends, as it comes."""
        self._target = target
        self._rewrite = rewrite
        self._open: set[socket.socket] = set()

    def __enter__(self) -> "Proxy":
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._hang_up()

    def lead_to(self, target: Connection, *, hang_up: bool = True) -> None:
        """From the next connection on; what is connected hears the end of it, unless it shall not."""
        self._target = target
        if hang_up:
            self._hang_up()

    def _hang_up(self) -> None:
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection((self._target.host, self._target.port))
                except OSError:
                    near.close()
                    continue
                self._open |= {near, far}
                threading.Thread(target=self._pass_on, args=(near, far, bytes), name="proxy", daemon=True).start()
                threading.Thread(target=self._pass_on, args=(far, near, self._rewrite), name="proxy", daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, rewrite: Rewrite) -> None:
        with contextlib.suppress(OSError):
            while heard := source.recv(65536):
                sink.sendall(rewrite(heard))
        for each in (source, sink):
            self._open.discard(each)
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
