"""Where calls are taken: a port and a certificate that are there when the process starts, and an end at which every call has its answer."""

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import uvicorn

from rolevend.api.connections import ConnectionLimits, LimitedServer
from rolevend.api.parsing import ApiConnection
from rolevend.errors import InvalidInput
from rolevend.settings import PREFIX, ApiSettings

GRACE_SECONDS: Final = 20
"""What was begun is brought to its end within this, once the process is told to stop."""
_UNDOING_SECONDS: Final = 5.0
"""What was not, has as long to be undone."""
_CERTIFICATE_SECONDS: Final = 30.0
"""How soon a renewed certificate is used."""
_PORT, _CERTIFICATE, _KEY = f"{PREFIX}API_PORT", f"{PREFIX}API_TLS_CERT_FILE", f"{PREFIX}API_TLS_KEY_FILE"

_log = logging.getLogger(__name__)


class Serving:
    def __init__(self, settings: ApiSettings) -> None:
        """Raises InvalidInput where the port is taken, or the certificate is none: before anything else begins."""
        self._files = _certificate(settings)
        self._socket = listening(settings.api_host, settings.api_port)
        self._limits = ConnectionLimits(
            settings.api_max_header_bytes, settings.api_read_seconds, settings.api_max_connections_without_token
        )
        self._server: _Server | None = None

    @property
    def unready(self) -> str | None:
        """The reason to send no calls here, or None."""
        if self._server is None or not self._server.started:
            return "no calls are taken yet"
        return "this process is ending" if self._server.should_exit else None

    async def run(self, application: Any) -> None:
        """Until SIGTERM or SIGINT, and then until each call that was begun has its answer."""
        certificate, key = self._files or (None, None)
        self._server = _Server(
            uvicorn.Config(
                application,
                ssl_certfile=certificate,
                ssl_keyfile=key,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
                http=ApiConnection,
                ws="none",
                h11_max_incomplete_event_size=self._limits.header_bytes,
            ),
            self._limits,
            self._socket,
        )
        await self._server.serve()

    async def follow_certificate(self) -> None:
        """Until cancelled. A certificate is renewed every few weeks, and the process lives on."""
        if self._files is None:
            return
        known = _version(self._files[0])
        while True:
            await asyncio.sleep(_CERTIFICATE_SECONDS)
            context = self._server.config.ssl if self._server else None
            if context is None or (version := _version(self._files[0])) == known:
                continue
            try:
                context.load_cert_chain(*self._files)
            except (OSError, ssl.SSLError) as error:
                _log.warning("reading the renewed certificate: %s", error)
                continue
            known = version
            _log.info("the certificate was renewed")


class _Server(LimitedServer):
    """Ends when it is told to, and lets the process end by itself: uvicorn would raise the signal once more when the last call is
    answered, and nothing after it would be done."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        for each in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(each, self.handle_exit, each, None)
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        if self.server_state.tasks:  # told to give up what they do, which takes a moment
            await asyncio.wait(self.server_state.tasks, timeout=_UNDOING_SECONDS)


def listening(host: str, port: int) -> socket.socket:
    """Raises InvalidInput where it cannot be listened there. What is accepted from it sends at once whatever is written."""
    is_six = ":" in host
    family = socket.AF_INET6 if is_six else socket.AF_INET
    try:
        taken = socket.create_server((host, port), family=family, dualstack_ipv6=is_six, backlog=2048)
    except OSError as error:
        raise InvalidInput(_PORT, f"calls cannot be taken on {host}:{port}: {error.strerror or error}") from error
    # Each connection has it from here: asyncio sets it only on sockets that say which protocol they are of. Without it the body of an
    # answer waits for the acknowledgement of its headers, which callers delay by 40 ms.
    taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return taken


def _certificate(settings: ApiSettings) -> tuple[Path, Path] | None:
    certificate, key = settings.api_tls_cert_file, settings.api_tls_key_file
    if certificate is None and key is None:
        return None
    if certificate is None:
        raise InvalidInput(_CERTIFICATE, "a key is named, and no certificate")
    if key is None:
        raise InvalidInput(_KEY, "a certificate is named, and no key of it")
    for name, file in ((_CERTIFICATE, certificate), (_KEY, key)):
        try:
            file.read_bytes()
        except OSError as error:
            raise InvalidInput(name, f"{file} cannot be read: {error.strerror or error}") from error
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        raise InvalidInput(_CERTIFICATE, f"{certificate} and {key} are no certificate and its key: {error.reason or error}") from error
    return certificate, key


def _version(path: Path) -> float:
    """0 while it is not there: it is replaced just now."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
