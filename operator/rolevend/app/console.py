"""The composition root of the console. Any number of these processes run at once, and share sessions through the cluster."""

import asyncio
import logging
import secrets
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

from starlette.applications import Starlette

from rolevend.api.connections import ConnectionLimits
from rolevend.api.middleware import Tracing
from rolevend.app.bootstrap import limit_gc, now
from rolevend.app.http_server import ServerAddress, Serving
from rolevend.audit.receipt_files import read_public_keys
from rolevend.console.access_reading import AccessAnswers
from rolevend.console.acting import Acting
from rolevend.console.changes import ChangeStreams
from rolevend.console.health import InstallationHealth
from rolevend.console.health_pages import HealthPages
from rolevend.console.inbox import Requests
from rolevend.console.limits import CallLimits
from rolevend.console.live import VisibleRoles
from rolevend.console.login import ConsoleClient, ConsoleLogins
from rolevend.console.objects import WatchedObjects
from rolevend.console.observing import PlatformObserver
from rolevend.console.person import PersonMapping
from rolevend.console.reader_pages import ReaderPages
from rolevend.console.request_pages import RequestPages
from rolevend.console.rights import Rights
from rolevend.console.role_pages import RolePages
from rolevend.console.routes import Console
from rolevend.console.row_looks import LookSettings, RowLooks
from rolevend.console.row_pages import RowPages
from rolevend.console.section import Section
from rolevend.console.sessions import SessionLife, Sessions
from rolevend.console.statement_pages import StatementPages
from rolevend.console.stops import STALE
from rolevend.console.trail_files import TrailFiles
from rolevend.console.trail_pages import TrailPages
from rolevend.console.trails import Trails
from rolevend.errors import InvalidInput, RolevendError
from rolevend.identity.key_fetching import KeyFetcher
from rolevend.identity.key_store import KeyStore
from rolevend.identity.login_attempts import LoginAttempts
from rolevend.identity.login_client import LoginClient
from rolevend.identity.provider import Provider
from rolevend.identity.token_check import TokenCheck
from rolevend.kinds import IdentityProvider
from rolevend.kube.client import KubeClient
from rolevend.settings import PREFIX, ConsoleSettings
from rolevend.snapshot.identity_providers import IdentityProviderCache
from rolevend.snapshot.issuer_controller import IssuerController
from rolevend.telemetry.metrics import Metrics
from rolevend.telemetry.probes import ProbeServer

_LIMITS: Final = ConnectionLimits(header_bytes=32_768, read_seconds=30, connections=512)
_SWEEP_SECONDS: Final = 300.0
_PAUSE_SECONDS: Final = 5.0
"""Between two sweeps."""
_KEY_BYTES: Final = 32

_log = logging.getLogger(__name__)


async def run(settings: ConsoleSettings) -> None:
    """Run until SIGTERM or SIGINT. Raises InvalidInput, which names the setting."""
    mapping, client, key = PersonMapping.of(settings), ConsoleClient.of(settings), _key(settings.console_key_file)
    serving = Serving(ServerAddress.of_console(settings), _LIMITS)
    cluster = await KubeClient.connect(settings.kubeconfig, request_seconds=settings.request_seconds)
    try:
        await ConsoleProcess(settings, serving, cluster, client, mapping, key).run()
    finally:
        await cluster.close()


class ConsoleProcess:
    """Creates the parts, and runs them."""

    def __init__(
        self, settings: ConsoleSettings, serving: Serving, cluster: KubeClient, client: ConsoleClient, mapping: PersonMapping, key: bytes
    ) -> None:
        self._serving = serving
        self._provider_name = client.provider
        self._caught_up = False
        self._knew_provider = False
        """Later on, people who are signed in go on without it."""
        self._changed = asyncio.Event()
        self._changes = ChangeStreams(lambda: serving.unready is not None)
        self._ended = asyncio.Event()
        """Set when a session may have to end."""
        self._ended.set()
        self._objects = WatchedObjects(cluster, now, self._on_change, self._ended.set)
        fetcher = KeyFetcher(cluster=cluster.document)
        keys = KeyStore(fetcher.read, now, time.monotonic)
        self._check = TokenCheck(keys, now)
        self._providers = IdentityProviderCache()
        self._issuers = IssuerController(cluster, settings.namespace, self._check, keys, self._changed.set, now)
        rights = Rights(cluster, time.monotonic)
        life = SessionLife(timedelta(seconds=settings.console_session_seconds), timedelta(seconds=settings.console_idle_seconds))
        self._sessions = Sessions(cluster, settings.namespace, key, life, self._objects.stopped, now)
        attempts = LoginAttempts(key, "console-login", now)
        logins = ConsoleLogins(client, self._provider, LoginClient(fetcher), self._check, attempts, mapping)
        limits = CallLimits(time.monotonic)
        acting = Acting(cluster, enabled=settings.console_impersonation)
        health = InstallationHealth(cluster, settings.namespace, self._objects, rights, settings.console_impersonation, now)
        requests, roles = Requests(self._objects, rights), VisibleRoles(self._objects, rights)
        answers = AccessAnswers(cluster, roles, settings.namespace, now, enabled=settings.console_impersonation)
        trails = Trails(_trail_files(settings), self._objects, rights, requests, roles)
        row_settings = LookSettings.of(settings, client)
        sections: list[Section] = [
            RequestPages(requests, acting, now, limits, shows_rows=row_settings is not None),
            RolePages(roles, acting),
            StatementPages(roles, PlatformObserver(cluster, settings.namespace, now)),
            ReaderPages(answers),
            TrailPages(trails, now),
            HealthPages(health),
        ]
        if row_settings is not None:
            row_attempts = LoginAttempts(key, "console-rows", now)
            row_logins = ConsoleLogins(row_settings.client, self._provider, LoginClient(fetcher), self._check, row_attempts, mapping)
            sections.append(RowPages(requests, acting, RowLooks(row_logins, row_settings, cluster), now))
        console = Console(logins, self._sessions, self._changes, sections, requests.waiting, limits)
        metrics = Metrics()
        self._application = Tracing(Starlette(routes=console.routes()), secrets.token_bytes, metrics.answered)
        self._probes = ProbeServer(
            settings.probe_host, settings.probe_port, metrics.registry, lambda: None, self._unready, lambda: "ok", lambda: None
        )

    async def run(self) -> None:
        try:
            _log.info("probes and metrics", extra={"port": await self._probes.start()})
            async with asyncio.TaskGroup() as parts:
                tasks = [parts.create_task(each.run()) for each in self._objects.informers]
                tasks += [parts.create_task(each) for each in (self._issuers.run(), self._follow(), self._sweep())]
                tasks.append(parts.create_task(self._serving.follow_certificate()))
                limit_gc()
                await self._serving.run(self._application)
                for task in tasks:
                    task.cancel()
        finally:
            await self._probes.stop()

    def _on_change(self) -> None:
        self._changed.set()
        self._changes.tell()

    async def _follow(self) -> None:
        """Read what changed, and hand the identity providers to the check of tokens, after each change."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            listed = self._objects.listed
            await self._objects.catch_up()
            self._caught_up = self._caught_up or listed
            self._providers.update(self._objects.providers(), self._issuers.states)
            self._issuers.sync(self._accepted())
            await asyncio.sleep(1)

    async def _sweep(self) -> None:
        """Delete sessions that are over: from time to time, and after somebody was suspended, who may not be back later."""
        while True:
            await asyncio.sleep(_PAUSE_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(_SWEEP_SECONDS):
                    await self._ended.wait()
            self._ended.clear()
            try:
                await self._sessions.sweep()
            except RolevendError as error:
                _log.warning("cannot delete the sessions that are over: %s", error)

    def _provider(self) -> Provider | None:
        return next((self._check.provider(issuer) for issuer in self._accepted()), None)

    def _accepted(self) -> dict[str, tuple[IdentityProvider, Provider]]:
        """Return the identity provider of the console by its issuer, if it is accepted."""
        return {issuer: each for issuer, each in self._providers.accepted.items() if each[0].name == self._provider_name}

    def _unready(self) -> str | None:
        if self._serving.unready is not None:
            return self._serving.unready
        if not self._caught_up:
            return "the objects were not read yet"
        if not self._objects.stopped.is_current:
            return STALE
        self._knew_provider = self._knew_provider or self._provider() is not None
        return None if self._knew_provider else f"IdentityProvider {self._provider_name} is not known, so nobody can sign in"


def _key(file: Path | None) -> bytes:
    """Raises InvalidInput."""
    name = f"{PREFIX}CONSOLE_KEY_FILE"
    if file is None:
        raise InvalidInput(name, "must be set: a file with at least 32 random bytes, the same for all replicas")
    try:
        key = file.read_bytes()
    except OSError as error:
        raise InvalidInput(name, f"{file} cannot be read: {error.strerror or error}") from error
    if len(key) < _KEY_BYTES:
        raise InvalidInput(name, f"{file} has {len(key)} bytes, and needs at least {_KEY_BYTES}")
    return key


def _trail_files(settings: ConsoleSettings) -> TrailFiles:
    """Raises InvalidInput if the keys of receipts cannot be read."""
    file = settings.console_receipt_keys_file
    keys = None if file is None else read_public_keys([str(file)])
    audit, ledger = (
        [each.strip() for each in text.split(",") if each.strip()] for text in (settings.console_audit_files, settings.console_ledger_files)
    )
    return TrailFiles(audit, ledger, keys)
