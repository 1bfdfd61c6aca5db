"""The composition root of the operator process: it creates all parts, runs them together, and ends them together."""

import asyncio
import logging
import os
import secrets
import signal
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Never

from rolevend.access_objects.circumstances import CircumstancesReader
from rolevend.access_objects.profiles import ApprovedProfiles
from rolevend.access_objects.recorder import AccessRecorder
from rolevend.access_objects.store import AccessRequestStore
from rolevend.access_objects.use import Approvals
from rolevend.access_objects.votes import Votes
from rolevend.access_requests.retention import Retention
from rolevend.app.bootstrap import cluster_id_of, limit_gc, now, retry_until_available
from rolevend.app.drivers import drivers
from rolevend.app.notifications import notification_controller
from rolevend.audit.event_files import read_key
from rolevend.audit.journal import Journal
from rolevend.audit.receipt_files import receipts_by
from rolevend.controllers.access_request_collector import AccessRequestCollector
from rolevend.controllers.access_request_controller import AccessRequestController
from rolevend.controllers.api_vends import ApiVendSupervisor
from rolevend.controllers.attestation import AttestationController
from rolevend.controllers.catalog_publisher import CatalogPublisher
from rolevend.controllers.effect_previewer import EffectPreviewer
from rolevend.controllers.handlers import registry, run_kopf
from rolevend.controllers.limit_enforcer import LimitEnforcer
from rolevend.controllers.orphan_sweeper import OrphanSweeper
from rolevend.controllers.platform_finalizer import PlatformFinalizer
from rolevend.controllers.projector import Projector
from rolevend.controllers.reconciler import VendedRoleReconciler
from rolevend.controllers.record_drain import RecordDrain
from rolevend.controllers.record_ender import RecordEnder
from rolevend.controllers.record_follower import RecordFollower
from rolevend.controllers.record_observer import RecordObserver
from rolevend.controllers.record_verifier import RecordVerifier
from rolevend.controllers.reevaluator import Reevaluator
from rolevend.controllers.stray_dropper import StrayDropper
from rolevend.controllers.vended_events import VendedEvents
from rolevend.controllers.watcher import VendedRoleWatcher
from rolevend.identity.key_fetching import KeyFetcher
from rolevend.identity.key_store import KeyStore
from rolevend.identity.token_check import TokenCheck
from rolevend.kube.client import KubeClient
from rolevend.kube.credentials import CredentialSecrets
from rolevend.kube.election import ATTEMPT, Election
from rolevend.kube.handles import HandleRegistry
from rolevend.kube.informer import Informer
from rolevend.kube.leadership import identity
from rolevend.kube.operator_keys import CREDENTIAL_KEY_SECRET, operator_key
from rolevend.kube.token_replay import TokenReplayStore
from rolevend.model import ClusterId, PlatformName
from rolevend.platform_runtime.registry import ConnectedPlatform, PlatformRegistry
from rolevend.roles.audit_recorder import AuditRecorder
from rolevend.roles.build_progress import BuildProgressReporter
from rolevend.roles.door import Door
from rolevend.roles.dropper import ImmediateDrops, RoleDropper
from rolevend.roles.ender import RoleEnder
from rolevend.roles.expiry import ExpiryScheduler
from rolevend.roles.newest_decisions import NewestDecisions
from rolevend.roles.objects import VendedRoleWriter
from rolevend.roles.quota import RoleQuota
from rolevend.roles.record_writer import RecordDirectory, RecordWriter
from rolevend.roles.seal import LeaseSeal
from rolevend.roles.store import RoleStore
from rolevend.roles.token_ledger import TokenLedger
from rolevend.roles.user_authenticator import UserAuthenticator
from rolevend.roles.vender import Vender
from rolevend.settings import Settings
from rolevend.snapshot.builder import SnapshotBuilder
from rolevend.snapshot.condition_events import ConditionEvents
from rolevend.snapshot.controller import SnapshotController, SnapshotSources
from rolevend.snapshot.issuer_controller import IssuerController
from rolevend.telemetry.metrics import Metrics
from rolevend.telemetry.probes import ProbeServer

_SILENCE = timedelta(minutes=5)
"""An informer receives a bookmark every minute. After this time without one its watch is dead."""
_log = logging.getLogger(__name__)


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. Raises if a part ends by itself: then the process must be restarted."""
    # Until kopf installs its own handlers: without one a signal does not end process 1 of a container.
    running = asyncio.current_task()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, lambda: running and running.cancel())
    metrics = Metrics()
    health = Health()
    probes = ProbeServer(
        settings.probe_host, settings.probe_port, metrics.registry, health.unhealthy, health.unready, health.standing, health.measure
    )
    cluster = await KubeClient.connect(settings.kubeconfig, request_seconds=settings.request_seconds)
    voting = await KubeClient.connect(settings.kubeconfig, calls=1, request_seconds=settings.leadership_seconds * ATTEMPT)
    election = Election(
        voting,
        settings.namespace,
        identity(settings.pod_name, secrets.token_hex(8)),
        settings.leadership_seconds,
        now=now,
        lost=_exit,
    )
    try:
        _log.info("probes and metrics", extra={"port": await probes.start()})
        cluster_id = await retry_until_available(lambda: cluster_id_of(cluster))
        keys = Keys(
            handles=await _key(cluster, settings.namespace, settings.handle_key_secret),
            credentials=await _key(cluster, settings.namespace, CREDENTIAL_KEY_SECRET),
        )
        health.operator = OperatorParts(settings, cluster, election, cluster_id, keys, metrics)
        await health.operator.run()
    finally:
        await probes.stop()
        await cluster.close()
        await voting.close()


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys in Secrets of the operator's namespace."""

    handles: bytes
    """The key of opaque user handles."""
    credentials: bytes
    """The key of the MACs of credentials."""


async def _key(cluster: KubeClient, namespace: str, name: str) -> bytes:
    return await retry_until_available(lambda: operator_key(cluster, namespace, name, secrets.token_bytes))


def _exit(why: str) -> Never:
    """End the process at once: another replica may lead now, and it repairs what is half done."""
    _log.error("no longer leading: %s; this process ends", why)
    os._exit(1)


class Health:
    """The results of the probes. Before `operator` is set the process is healthy and not ready."""

    operator: "OperatorParts | None" = None

    def measure(self) -> None:
        if self.operator is not None:
            self.operator.measure()

    def unready(self) -> str | None:
        """A replica that does not lead is ready, too: otherwise an update of the Deployment would never finish."""
        if self.operator is None:
            return "the operator has not reached the API server yet"
        return self.operator.observed.pending or self.operator.election.problem

    def standing(self) -> str:
        election = self.operator.election if self.operator else None
        return "ok" if election is None or election.leading else f"standing by: {election.leader or 'nobody'} leads"

    def unhealthy(self) -> str | None:
        """Return a problem that only a restart solves, such as a silent watch while the API server answers."""
        if self.operator is None or (answered_at := self.operator.election.answered_at) is None:
            return None
        if self.operator.sweeper.stale_watch is not None:
            return self.operator.sweeper.stale_watch
        for informer in self.operator.informers:
            if informer.heard_at is not None and answered_at - informer.heard_at > _SILENCE:
                return f"no watch event of {informer.resource.plural} since {informer.heard_at:%H:%M:%S} UTC"
        return None


class OperatorParts:
    """Creates the parts, and runs them."""

    def __init__(
        self,
        settings: Settings,
        cluster: KubeClient,
        election: Election,
        cluster_id: ClusterId,
        keys: Keys,
        metrics: Metrics,
    ) -> None:
        self.election = election
        self._settings = settings
        self._cluster_id = cluster_id
        self._metrics = metrics
        self._listed = asyncio.Event()
        self._roles = RoleStore()
        changed = asyncio.Event()
        handles = HandleRegistry(cluster, settings.namespace, changed.set, unknown_users=settings.unknown_users_per_agent)
        issuer_keys = KeyStore(KeyFetcher(cluster=cluster.document).read, now, time.monotonic)
        check = TokenCheck(issuer_keys, now)
        self._issuers = IssuerController(cluster, settings.namespace, check, issuer_keys, changed.set, now)
        sources = SnapshotSources(settings.namespace, changed, handles.refused, self._issuers.states)
        self.observed = SnapshotController(cluster, SnapshotBuilder(cluster_id, keys.handles), metrics, now, sources)
        self._events = ConditionEvents(cluster, now)
        self._vended = VendedEvents(cluster, now)
        self._attesting = AttestationController(settings, metrics, changed.set, now, secrets.token_bytes)
        self._platforms = PlatformRegistry(cluster, settings, drivers(cluster_id, settings.platform_workers), changed.set, now)
        self._holding = PlatformFinalizer(cluster, self._in_use)
        self._publishing = CatalogPublisher(cluster, settings.namespace, self._platforms, now)
        audit_key = read_key(settings.audit_key_file) if settings.audit_key_file else None
        source = f"/rolevend/clusters/{cluster_id}"
        self._journal = Journal(settings.audit_file, source, now, lambda: secrets.token_hex(8), metrics, audit_key)
        recorder = AuditRecorder(self._journal, handles, now, receipts_by(settings.receipt_key_file, source))
        self._used_tokens = TokenLedger(TokenReplayStore(cluster, settings.namespace, now), self._platforms, self.observed)
        authenticator = UserAuthenticator(cluster, check, self._used_tokens, now)
        credentials = CredentialSecrets(cluster, keys.credentials)
        directory = RecordDirectory()
        objects = RecordWriter(cluster, now, self._platforms, directory)
        drops = ImmediateDrops(self._platforms, metrics)
        builds = BuildProgressReporter(objects)
        self._access_requests = AccessRequestStore(cluster, now)
        approvals = Approvals(self._access_requests, self.observed, now)
        decisions = NewestDecisions(self.observed, approvals)
        quota = RoleQuota(self._roles, objects, approvals)
        ender = RoleEnder(self._roles, objects, drops, metrics)
        vender = Vender(self.observed, self._platforms, recorder, objects, metrics, secrets.token_bytes)
        api_vends = ApiVendSupervisor(
            self._roles,
            objects,
            self._platforms,
            decisions,
            builds,
            timedelta(seconds=settings.unanswered_seconds),
        )
        self._expiry = ExpiryScheduler(now, metrics)
        self._reevaluator = Reevaluator(self.observed, self._roles, quota, objects, ender)
        self._votes = Votes(cluster, now, self._access_requests.touch)
        circumstances = CircumstancesReader(self._access_requests, self._votes, self._roles, now)
        self._judging = AccessRequestController(
            AccessRecorder(recorder, metrics, cluster, now),
            circumstances,
            authenticator,
            self.observed,
            self._reevaluator,
            ApprovedProfiles(decisions, self._platforms),
        )
        retention = Retention(timedelta(seconds=settings.access_request_kept_seconds))
        self._collecting = AccessRequestCollector(self._access_requests, self._votes, self.observed, retention, now)
        self._notifying = notification_controller(settings, cluster, self._access_requests, self.observed, metrics, source)
        self._previewing = EffectPreviewer(self._access_requests, self._votes, self.observed, self._platforms, now)
        self._watcher = VendedRoleWatcher(self._roles, quota, self._expiry, ender, api_vends, self._reevaluator)
        self._reconciler = VendedRoleReconciler(self._roles, authenticator, quota, vender, ender, Door(credentials, builds, approvals))
        self._dropper = RoleDropper(self._roles, objects, drops, credentials, recorder, self._expiry)
        self._projector = Projector(VendedRoleWriter(cluster, now), objects, directory, settings.projections_per_second)
        ends = RecordEnder(self._platforms, directory, self._roles, self._watcher, self._dropper, self._projector)
        verifier = RecordVerifier(LeaseSeal(keys.handles), metrics)
        strays = StrayDropper(self._roles, objects, metrics)
        observer = RecordObserver(directory, verifier, self._watcher, self._projector, ends, strays)
        drain = RecordDrain(cluster, directory)
        self._follower = RecordFollower(self.observed, self._platforms, directory, observer, ends, drain)
        self.sweeper = OrphanSweeper(ender, self._platforms, recorder, objects, settings, metrics)
        self._curb = LimitEnforcer(cluster, ender, self._platforms, metrics, now, settings.curb_seconds)
        self._platforms.add_poll_handler(self._on_polled)

    @property
    def informers(self) -> tuple[Informer, ...]:
        return (*self.observed.informers, self._access_requests.informer, self._votes.informer)

    def measure(self) -> None:
        self._metrics.leader.set(self.election.leading)
        self._platforms.measure(self._metrics)
        self._metrics.follow_providers(self._issuers.up)
        self.sweeper.measure()
        self._metrics.projections_waiting.set(self._projector.waiting)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as watching:
            # A replica that does not lead watches, too: when it takes over, everything is listed.
            tasks = [watching.create_task(informer.run()) for informer in self.informers]
            async with self.election:
                await self._lead()
            for task in tasks:
                task.cancel()

    async def _lead(self) -> None:
        try:
            async with asyncio.TaskGroup() as parts:
                tasks = [parts.create_task(self.observed.run(self._platforms, self._on_snapshot, self._events.on_published))]
                tasks.append(parts.create_task(self._expiry.run(self._watcher.expire)))
                tasks.append(parts.create_task(self._reevaluator.run()))
                tasks.append(parts.create_task(self._issuers.run()))
                tasks.append(parts.create_task(self._used_tokens.run()))
                # kopf starts when the snapshot is complete, so that each request is decided once.
                await self._listed.wait()
                tasks.append(parts.create_task(self.sweeper.run(self._reevaluator.retry)))
                tasks.append(parts.create_task(self._curb.run()))
                tasks.append(parts.create_task(self._follower.run(self._settings.record_seconds)))
                tasks.append(parts.create_task(self._projector.run()))
                tasks.append(parts.create_task(self._judging.run()))
                tasks.append(parts.create_task(self._previewing.run()))
                tasks.append(parts.create_task(self._collecting.run(self._settings.sweep_seconds)))
                tasks.append(parts.create_task(self._notifying.run()))
                tasks.append(parts.create_task(self._publishing.run()))
                tasks.append(parts.create_task(self._events.run()))
                tasks.append(parts.create_task(self._vended.run()))
                limit_gc()
                handlers = registry(self._watcher, self._reconciler, self._dropper, self._projector, self._vended)
                await run_kopf(handlers, self._settings.kubeconfig, now)
                for task in tasks:
                    task.cancel()
        finally:
            await asyncio.gather(self._platforms.stop(), self._attesting.end())
            await self._journal.close()

    async def _on_polled(self, name: PlatformName, platform: ConnectedPlatform) -> None:
        self._metrics.platform_up.labels(name).set(platform.state.problem is None)
        if platform.state.drift:
            await self._reevaluator.drifted(name, platform.state.drift)
        self._attesting.consider(name, platform)
        await self._holding.consider(name, platform)

    def _in_use(self, name: PlatformName) -> bool:
        return any(standing.role for standing in self._roles.on(name))

    def _on_snapshot(self) -> None:
        self._issuers.sync(self.observed.providers)
        if not self.observed.snapshot.pending:
            self._listed.set()
        self._reevaluator.wake()
