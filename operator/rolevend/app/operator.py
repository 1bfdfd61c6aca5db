"""The operator process: informers, drivers, kopf, the clock, the sweep and the probes, tied together and ended together."""

import asyncio
import logging
import os
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import aiohttp
import kopf

from rolevend.errors import Unavailable
from rolevend.kube.client import NAMESPACES, Cluster
from rolevend.kube.secrets import CredentialSecrets, Login, handle_key
from rolevend.model import ClusterId, PlatformName
from rolevend.platforms.base import Drift, Platform
from rolevend.platforms.postgres import PostgresPlatform
from rolevend.reconcile.handlers import configure, registry
from rolevend.reconcile.lifecycle import Lifecycle
from rolevend.reconcile.objects import Observed
from rolevend.reconcile.picture import Painter
from rolevend.reconcile.platforms import Platforms
from rolevend.reconcile.review import review
from rolevend.reconcile.sweep import Sweeper
from rolevend.resources import DataPlatform, values
from rolevend.settings import Settings
from rolevend.telemetry.metrics import Metrics
from rolevend.telemetry.probes import ProbeServer
from rolevend.vending.directory import Directory

_KOPF_CONNECTIONS = 64
"""Unlimited workers opened two thousand connections for two thousand objects."""
_LOGIN_SECONDS = 600
"""A pod's token is replaced now and then: kopf reads it again this often."""
_SILENCE_SECONDS = 300
"""An informer hears a bookmark a minute; silence of this length is a dead watch that did not notice."""
_RETRY_SECONDS = 2.0

T = TypeVar("T")

_log = logging.getLogger(__name__)


def now() -> datetime:
    return datetime.now(UTC)


async def run(settings: Settings) -> None:
    """Until SIGTERM or SIGINT. Raises if a part of it ends by itself: then the process must go, and be started again."""
    cluster = await Cluster.connect(settings.kubeconfig)
    try:
        await _run(settings, cluster)
    finally:
        await cluster.close()


async def _run(settings: Settings, cluster: Cluster) -> None:
    cluster_id = await _patiently(lambda: _cluster_id(cluster))
    key = await _patiently(lambda: handle_key(cluster, settings.namespace, settings.handle_key_secret, secrets.token_bytes))
    metrics = Metrics()
    observed = Observed(cluster, Painter(cluster_id, key), metrics, now)

    def build(platform: DataPlatform, programmer: Login, vendor: Login) -> Platform:
        return PostgresPlatform(
            values.address(platform),
            programmer=(programmer.username, programmer.password),
            vendor=(vendor.username, vendor.password),
            cluster=cluster_id,
            connections=settings.platform_workers,
        )

    async def drifted(name: PlatformName, drift: tuple[Drift, ...]) -> None:
        for each in drift:
            for standing in lifecycle.roles.named(each.roles):
                if standing.ending_since is None:
                    await lifecycle.revoke(standing, "Drift", f"{name}: {each.table}: {each.finding}")

    def platform_changed(name: PlatformName) -> None:
        at_work = platforms.get(name)
        metrics.platform_up.labels(name).set(at_work is not None and at_work.state.problem is None)
        observed.changed()

    platforms = Platforms(cluster, settings, build, platform_changed, drifted)
    lifecycle = Lifecycle(cluster, observed, platforms, CredentialSecrets(cluster), metrics, now, secrets.token_bytes)
    sweeper = Sweeper(cluster, lifecycle, platforms, settings, metrics, now)
    started = asyncio.Event()

    async def viewed(directory: Directory) -> None:
        if not directory.pending:
            started.set()
        await review(lifecycle, directory)

    probes = ProbeServer(
        settings.probe_host,
        settings.probe_port,
        metrics.registry,
        healthy=lambda: sweeper.deaf or _silent(observed, sweeper),
        ready=lambda: observed.pending,
    )
    port = await probes.start()
    _log.info("probes and metrics", extra={"port": port})
    stop = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as parts:
            tasks = [parts.create_task(informer.run()) for informer in observed.informers]
            tasks.append(parts.create_task(observed.run(platforms, viewed)))
            tasks.append(parts.create_task(lifecycle.clock.run()))
            await started.wait()
            tasks.append(parts.create_task(sweeper.run()))
            await _run_kopf(settings, lifecycle, stop)
            for task in tasks:
                task.cancel()
    finally:
        await platforms.stop()
        await probes.stop()


async def _run_kopf(settings: Settings, lifecycle: Lifecycle, stop: asyncio.Event) -> None:
    handlers = registry(lifecycle)

    @kopf.on.login(registry=handlers)
    async def login(settings: kopf.OperatorSettings, **_: object) -> kopf.AiohttpSession | None:
        return _session(settings)

    if settings.kubeconfig is not None:
        os.environ["KUBECONFIG"] = settings.kubeconfig  # kopf's own login reads nothing else
    kopf_settings = kopf.OperatorSettings()
    configure(kopf_settings)
    await kopf.operator(registry=handlers, settings=kopf_settings, clusterwide=True, standalone=True, stop_flag=stop)


def _session(settings: kopf.OperatorSettings) -> kopf.AiohttpSession | None:
    """kopf's own credentials over a bounded number of connections."""
    info = kopf.login_with_service_account(settings=settings) or kopf.login_with_kubeconfig(settings=settings)
    if info is None:
        return None
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=_KOPF_CONNECTIONS, ssl=info.as_ssl_context()),
        headers=info.as_http_headers(),
        proxy=info.proxy_url,
    )
    return kopf.AiohttpSession(
        server=info.server,
        aiohttp_session=session,
        default_namespace=info.default_namespace,
        expiration=now() + timedelta(seconds=_LOGIN_SECONDS),
    )


def _silent(observed: Observed, sweeper: Sweeper) -> str:
    """Only while the API server answers listings: if it is down, a restart of ours mends nothing."""
    for informer in observed.informers:
        if informer.heard_at is not None and sweeper.listed_at is not None:
            silence = sweeper.listed_at - informer.heard_at
            if silence > timedelta(seconds=_SILENCE_SECONDS):
                return f"nothing was heard of {informer.resource.plural} for {silence.total_seconds():.0f} s"
    return ""


async def _cluster_id(cluster: Cluster) -> ClusterId:
    """The uid of `kube-system`: there is one in every cluster, and never the same in two."""
    namespace = await cluster.get(NAMESPACES, "kube-system")
    return ClusterId(namespace["metadata"]["uid"])


async def _patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Asks until there is an answer: a pod may well start before the API server can be reached."""
    while True:
        try:
            return await ask()
        except Unavailable as error:
            _log.warning("starting: %s", error)
            await asyncio.sleep(_RETRY_SECONDS)
