"""The composition root of the API process, whose drivers have the vendor's login alone.

Any number of these processes run beside the operator. They share state through the cluster only.
"""

import asyncio
import logging
import secrets
import time
from datetime import timedelta
from uuid import uuid4

from fastapi import FastAPI

from rolevend.access_objects.store import AccessRequestStore
from rolevend.access_objects.use import Approvals
from rolevend.api.access.service import AccessService
from rolevend.api.authenticator import Authenticator
from rolevend.api.cluster_consent import ClusterConsent
from rolevend.api.confirm.links import ConfirmLinks
from rolevend.api.confirm.login import PersonLogins, Seals
from rolevend.api.confirm.routes import ConfirmPages
from rolevend.api.confirm.service import ConfirmService
from rolevend.api.connections import ConnectionLimits
from rolevend.api.index import VendedRoleIndex
from rolevend.api.middleware import Tracing
from rolevend.api.rate_limiter import RateLimiter, VisitLimiter
from rolevend.api.recorded_roles import RecordedRoles
from rolevend.api.refusals import RefusalLog
from rolevend.api.repository import VendedRoleRepository
from rolevend.api.role_service import RoleService
from rolevend.api.routes import CALLS, application
from rolevend.api.scim.calls import LONGEST_SCIM_BODY, SCIM
from rolevend.api.signals.bound import SignalObjects
from rolevend.api.signals.receiver import SignalReceiver
from rolevend.api.signals.routes import SignalRoutes
from rolevend.api.vend_service import VendService
from rolevend.app.bootstrap import cluster_id_of, limit_gc, now, retry_until_available
from rolevend.app.drivers import drivers
from rolevend.app.http_server import ServerAddress, Serving
from rolevend.audit.event_files import read_key
from rolevend.audit.journal import Journal
from rolevend.audit.receipt_files import receipts_by
from rolevend.audit.scim_events import ScimChange, scim_changed
from rolevend.audit.signal_events import ReceivedSignal, signal_received
from rolevend.identity.key_fetching import KeyFetcher
from rolevend.identity.key_store import KeyStore
from rolevend.identity.login_attempts import LoginAttempts
from rolevend.identity.login_client import LoginClient
from rolevend.identity.token_check import Reviews, TokenCheck
from rolevend.kinds import UserAttributes
from rolevend.kube.client import KubeClient
from rolevend.kube.handles import HandleRegistry
from rolevend.kube.operator_keys import operator_key
from rolevend.kube.token_replay import TokenReplayStore
from rolevend.model import ClusterId
from rolevend.platform_runtime.registry import PlatformRegistry, as_attested
from rolevend.roles.audit_recorder import AuditRecorder
from rolevend.roles.objects import VendedRoleWriter
from rolevend.roles.seal import LeaseSeal
from rolevend.roles.token_ledger import TokenLedger
from rolevend.roles.user_authenticator import TokenReviewer, UserAuthenticator
from rolevend.roles.vender import Vender
from rolevend.settings import ApiSettings
from rolevend.snapshot.builder import SnapshotBuilder
from rolevend.snapshot.controller import SnapshotController, SnapshotSources
from rolevend.snapshot.issuer_controller import IssuerController
from rolevend.telemetry.metrics import Metrics
from rolevend.telemetry.probes import ProbeServer

_OF_ITS_TIME = 0.9
"""A call gives up after this part of the time in which its role must be Ready, so that no call waits when the operator revokes the role."""

_log = logging.getLogger(__name__)


async def run(settings: ApiSettings) -> None:
    """Run until SIGTERM or SIGINT. Raises if a part ends by itself: then the process must be restarted."""
    limits = ConnectionLimits(settings.api_max_header_bytes, settings.api_read_seconds, settings.api_max_connections_without_token)
    metrics, serving = Metrics(), Serving(ServerAddress.of_api(settings), limits)
    cluster = await KubeClient.connect(settings.kubeconfig, request_seconds=settings.request_seconds)
    try:
        cluster_id = await retry_until_available(lambda: cluster_id_of(cluster))
        key = await retry_until_available(lambda: operator_key(cluster, settings.namespace, settings.handle_key_secret, None))
        await Api(settings, serving, cluster, cluster_id, key, metrics).run()
    finally:
        await cluster.close()


class Api:
    """Creates the parts, and runs them."""

    def __init__(
        self, settings: ApiSettings, serving: Serving, cluster: KubeClient, cluster_id: ClusterId, key: bytes, metrics: Metrics
    ) -> None:
        self._serving = serving
        self._metrics = metrics
        self._accepts_scim = settings.api_scim
        changed = asyncio.Event()
        handles = HandleRegistry(cluster, settings.namespace, changed.set, unknown_users=settings.unknown_users_per_agent)
        fetcher = KeyFetcher(cluster=cluster.document)
        issuer_keys = KeyStore(fetcher.read, now, time.monotonic)
        check = TokenCheck(issuer_keys, now, Reviews(TokenReviewer(cluster), time.monotonic))
        self._issuers = IssuerController(cluster, settings.namespace, check, issuer_keys, changed.set, now)
        sources = SnapshotSources(settings.namespace, changed, handles.refused, self._issuers.states, as_attested)
        self._observed = SnapshotController(cluster, SnapshotBuilder(cluster_id, key), metrics, now, sources, reports=False)
        self._index = VendedRoleIndex(cluster, now)
        self._access_requests = AccessRequestStore(cluster, now)
        build = drivers(cluster_id, settings.platform_workers)
        self._platforms = PlatformRegistry(cluster, settings, build, changed.set, now, programs=False)
        audit_key = read_key(settings.audit_key_file) if settings.audit_key_file else None
        source = f"/rolevend/clusters/{cluster_id}/api"
        self._journal = Journal(settings.audit_file, source, now, lambda: secrets.token_hex(8), metrics, audit_key)
        recorder = AuditRecorder(self._journal, handles, now, receipts_by(settings.receipt_key_file, source))
        tokens = TokenLedger(TokenReplayStore(cluster, settings.namespace, now), self._platforms, self._observed)
        users = UserAuthenticator(cluster, check, tokens, now)
        self._refusals = RefusalLog(recorder, time.monotonic)
        authenticator = Authenticator(check, users, self._refusals)
        objects = VendedRoleWriter(cluster, now)
        consent = ClusterConsent(cluster, time.monotonic, settings.api_unreachable_cluster_seconds)
        records_new = settings.api_record == "Database"
        recorded = self._recorded = RecordedRoles(
            self._observed, self._platforms, objects, LeaseSeal(key), consent, records_new=records_new
        )
        limiter = RateLimiter(time.monotonic)
        service = VendService(
            authenticator,
            VendedRoleRepository(objects, self._index, Approvals(self._access_requests, self._observed, now), uuid4, cluster_id),
            recorded,
            Vender(self._observed, self._platforms, recorder, objects, metrics, secrets.token_bytes),
            limiter,
            timedelta(seconds=settings.unanswered_seconds * _OF_ITS_TIME),
        )
        roles = RoleService(objects, self._index, recorded, recorder)
        links, seals = ConfirmLinks(key, now), Seals(key, now)
        access = AccessService(authenticator, self._access_requests, self._observed, limiter, links)
        answers = ConfirmService(self._access_requests, self._observed, links, recorder, self._refusals, VisitLimiter(time.monotonic))
        logins = PersonLogins(LoginClient(fetcher), check, cluster, settings.namespace, LoginAttempts(key, "login", now))
        pages = ConfirmPages(answers, logins, seals, self._observed)
        routes = application(service, roles, access, authenticator, self._observed)
        pages.add_to(routes)
        if settings.api_scim:
            self._add_scim(routes, settings, cluster, check)
        if settings.api_signals:
            self._add_signals(routes, cluster, check, metrics)
        longer_bodies = {f"{SCIM}/": LONGEST_SCIM_BODY} if settings.api_scim else {}
        self._application = Tracing(routes, secrets.token_bytes, metrics.answered, longer_bodies)
        metrics.answer(CALLS)
        self._probes = ProbeServer(
            settings.probe_host, settings.probe_port, metrics.registry, lambda: None, self._unready, lambda: "ok", self._measure
        )

    def _add_scim(self, routes: FastAPI, settings: ApiSettings, cluster: KubeClient, check: TokenCheck) -> None:
        from rolevend.api.scim.authentication import ScimAuthenticator  # scim2-models takes most of a second to import
        from rolevend.api.scim.directory import ScimDirectory
        from rolevend.api.scim.groups import ScimGroups
        from rolevend.api.scim.routes import ScimRoutes
        from rolevend.api.scim.users import ScimUsers

        async def record(change: ScimChange) -> None:
            await self._journal.record(scim_changed(change, now()))

        directory = ScimDirectory(cluster, settings.namespace, self._observed.informer(UserAttributes), time.monotonic)
        users = ScimUsers(directory, record, now)
        authenticator = ScimAuthenticator(check, cluster, settings.namespace, self._observed, self._refusals, time.monotonic)
        ScimRoutes(authenticator, directory, users, ScimGroups(directory, users, record, now), self._metrics.pushed).add_to(routes)

    def _add_signals(self, routes: FastAPI, cluster: KubeClient, check: TokenCheck, metrics: Metrics) -> None:
        async def record(signal: ReceivedSignal) -> None:
            await self._journal.record(signal_received(signal, now()))

        objects = SignalObjects(self._observed.informer(UserAttributes))
        receiver = SignalReceiver(cluster, record, now, metrics.received, objects)
        SignalRoutes(check, receiver, self._observed, self._refusals, metrics.received).add_to(routes)

    async def run(self) -> None:
        try:
            _log.info("probes and metrics", extra={"port": await self._probes.start()})
            async with asyncio.TaskGroup() as parts:
                tasks = [
                    parts.create_task(each.run())
                    for each in (*self._observed.informers, self._index.informer, self._access_requests.informer)
                ]
                tasks.append(parts.create_task(self._observed.run(self._platforms, self._on_snapshot)))
                tasks.append(parts.create_task(self._issuers.run()))
                tasks.append(parts.create_task(self._refusals.run()))
                tasks.append(parts.create_task(self._serving.follow_certificate()))
                limit_gc()
                await self._serving.run(self._application)
                for task in tasks:
                    task.cancel()
        finally:
            await self._recorded.close()
            await self._platforms.stop()
            await self._refusals.write_left_out()
            await self._journal.close()
            await self._probes.stop()

    def _on_snapshot(self) -> None:
        self._issuers.sync(self._observed.providers)

    def _unready(self) -> str | None:
        pending = self._serving.unready or self._observed.snapshot.pending
        listed = self._index.informer.synced and self._access_requests.informer.synced
        return pending or (None if listed else "the vended roles and access requests were not listed yet")

    def _measure(self) -> None:
        self._metrics.api_ready.set(not self._unready())
        self._platforms.measure(self._metrics)
        self._metrics.follow_providers(self._issuers.up)
        if self._accepts_scim:
            self._metrics.expect_pushes(each.name for each, _ in self._observed.providers.values() if each.spec.scim is not None)
