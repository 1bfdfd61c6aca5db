"""The HTTP server of API and console: checks port and certificate at the start, and answers every running call before it ends."""

import asyncio
import contextlib
import logging
import math
import signal
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network
from pathlib import Path
from typing import Any, Final, Self

import uvicorn

from rolevend.api.connections import ConnectionLimits, LimitedServer
from rolevend.api.parsing import ApiConnection
from rolevend.errors import InvalidInput
from rolevend.settings import PREFIX, ApiSettings, ConsoleSettings

GRACE_SECONDS: Final = 20
"""After a signal running calls may take this long to finish."""
_UNDOING_SECONDS: Final = 5.0
"""Calls that did not finish may take this long to undo their effects."""
_CERTIFICATE_SECONDS: Final = 30.0
"""The time between two checks for a renewed certificate."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a process takes calls, and with which certificate."""

    host: str
    port: int
    certificate: Path | None
    key: Path | None
    prefix: str
    """Of the names of these settings."""
    trusted_proxies: tuple[str, ...] = ()
    """The networks of proxies that say in `X-Forwarded-For` who calls."""

    @classmethod
    def of_api(cls, settings: ApiSettings) -> Self:
        return cls(settings.api_host, settings.api_port, settings.api_tls_cert_file, settings.api_tls_key_file, f"{PREFIX}API_")

    @classmethod
    def of_console(cls, settings: ConsoleSettings) -> Self:
        """Raises InvalidInput."""
        certificate, key = settings.console_tls_cert_file, settings.console_tls_key_file
        proxies = trusted_proxies(f"{PREFIX}CONSOLE_TRUSTED_PROXIES", settings.console_trusted_proxies)
        return cls(settings.console_host, settings.console_port, certificate, key, f"{PREFIX}CONSOLE_", proxies)


def trusted_proxies(name: str, text: str) -> tuple[str, ...]:
    """Return the networks, those of IPv4 also as a socket of IPv6 has them. Raises InvalidInput, which names the setting."""
    found: list[str] = []
    for each in filter(None, (part.strip() for part in text.split(","))):
        try:
            network = ip_network(each)
        except ValueError as error:
            raise InvalidInput(name, f"{error}; write networks such as 10.0.0.0/8") from error
        if network.prefixlen == 0:
            raise InvalidInput(name, f"{each} has every address, so each client could name its own; name the networks of your proxies")
        found.append(str(network))
        if isinstance(network, IPv4Network):
            found.append(f"::ffff:{network.network_address}/{network.prefixlen + 96}")
    return tuple(found)


class Serving:
    def __init__(self, address: ServerAddress, limits: ConnectionLimits) -> None:
        """Raises InvalidInput if the port is taken, or the certificate is not valid."""
        self._files = _certificate(address)
        self._socket = listening(address)
        self._trusted_proxies = list(address.trusted_proxies)
        self._limits = limits
        self._server: _Server | None = None

    @property
    def unready(self) -> str | None:
        """The reason to send no calls here, or None."""
        if self._server is None or not self._server.started:
            return "no calls are taken yet"
        return "this process is ending" if self._server.should_exit else None

    async def run(self, application: Any) -> None:
        """Run until SIGTERM or SIGINT, and then until every running call is answered."""
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
                proxy_headers=bool(self._trusted_proxies),
                forwarded_allow_ips=self._trusted_proxies,
                timeout_graceful_shutdown=GRACE_SECONDS,
                timeout_keep_alive=math.ceil(self._limits.read_seconds),  # longer than clients keep idle connections: httpx 5 seconds
                http=ApiConnection,
                ws="none",
                h11_max_incomplete_event_size=self._limits.header_bytes,
            ),
            self._limits,
            self._socket,
        )
        await self._server.serve()

    async def follow_certificate(self) -> None:
        """Load the certificate when its file changes, until cancelled."""
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
                _log.warning("cannot read the renewed certificate: %s", error)
                continue
            known = version
            _log.info("loaded the renewed certificate")


class _Server(LimitedServer):
    """Ends after a signal, and lets the caller continue: uvicorn would raise the signal again, which ends the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        for each in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(each, self.handle_exit, each, None)
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        if self.server_state.tasks:  # cancelled, and still undoing their effects
            await asyncio.wait(self.server_state.tasks, timeout=_UNDOING_SECONDS)


def listening(address: ServerAddress) -> socket.socket:
    """Return a listening socket, whose connections send without delay. Raises InvalidInput if it cannot listen there."""
    host, port = address.host, address.port
    is_six = ":" in host
    family = socket.AF_INET6 if is_six else socket.AF_INET
    try:
        taken = socket.create_server((host, port), family=family, dualstack_ipv6=is_six, backlog=2048)
    except OSError as error:
        raise InvalidInput(f"{address.prefix}PORT", f"calls cannot be taken on {host}:{port}: {error.strerror or error}") from error
    # Connections inherit the option; asyncio sets it only on sockets with an explicit protocol. Without it the body of a response waits
    # for the acknowledgement of its headers, which clients delay by 40 ms.
    taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return taken


def _certificate(address: ServerAddress) -> tuple[Path, Path] | None:
    certificate, key = address.certificate, address.key
    names = f"{address.prefix}TLS_CERT_FILE", f"{address.prefix}TLS_KEY_FILE"
    if certificate is None and key is None:
        return None
    if certificate is None:
        raise InvalidInput(names[0], "a key is named, and no certificate")
    if key is None:
        raise InvalidInput(names[1], "a certificate is named, and no key of it")
    for name, file in zip(names, (certificate, key), strict=True):
        try:
            file.read_bytes()
        except OSError as error:
            raise InvalidInput(name, f"{file} cannot be read: {error.strerror or error}") from error
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        raise InvalidInput(names[0], f"{certificate} and {key} are no certificate and its key: {error.reason or error}") from error
    return certificate, key


def _version(path: Path) -> float:
    """Return the time of the last change, or 0 if the file does not exist at this moment."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
