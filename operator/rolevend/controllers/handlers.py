"""kopf's handlers for VendedRole: create, resume, update -> vend; delete -> drop; every event -> on_event.

`PermanentError`, exhausted retries and timeouts in a delete handler would remove the finalizer and leak the role, so nothing here has a
limit and every failure is a `TemporaryError`. Handlers return nothing, because kopf would write it into the status.
"""

import asyncio
import logging
import os
import random
import socket
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import kopf

from rolevend.controllers.projector import Projector
from rolevend.controllers.reconciler import VendedRoleReconciler
from rolevend.controllers.vended_events import VendedEvents
from rolevend.controllers.watcher import VendedRoleWatcher
from rolevend.errors import RolevendError, Unavailable
from rolevend.kinds import FINALIZER, GROUP, VERSION
from rolevend.kinds.shared import RECONSIDERED
from rolevend.roles.dropper import RoleDropper
from rolevend.roles.state import recorded_uid

_LONGEST_PAUSE_SECONDS = 30.0
_LONGEST_UNAVAILABLE_SECONDS = 8.0
"""Maximum pause after an error that needs no person."""
_LONGEST_BETWEEN_DROPS_SECONDS = 4.0
"""A platform that is connected again gets its drops within five seconds."""
_BETWEEN_LOOKS_SECONDS = 0.25
"""First pause before another look if the role of a deleted object that only shows it is gone."""
_CONNECTIONS = 64
"""Unlimited workers opened two thousand connections for two thousand objects."""
_LOGIN_SECONDS = 600
"""kopf reads the pod's token again at this interval, because the kubelet rotates it."""
_KIND = (GROUP, VERSION, "vendedroles")

_log = logging.getLogger(__name__)


def registry(
    watcher: VendedRoleWatcher,
    reconciler: VendedRoleReconciler,
    dropper: RoleDropper,
    projector: Projector,
    vended: VendedEvents,
) -> kopf.OperatorRegistry:
    """Return a new registry: two operators in one process must not share handlers."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.event(*_KIND, registry=handlers)
    async def remember(event: Any, **_: Any) -> None:
        follower = watcher if recorded_uid(event["object"]) is None else projector
        follower.on_event(event["type"], event["object"])
        vended.on_event(event["type"], event["object"])

    @kopf.on.create(*_KIND, registry=handlers, id="vend")
    @kopf.on.resume(*_KIND, registry=handlers, id="vend")
    @kopf.on.update(*_KIND, registry=handlers, id="vend")
    async def vend(body: kopf.Body, patch: kopf.Patch, retry: int, **_: Any) -> None:
        if recorded_uid(dict(body)) is not None:  # nobody follows an object with this label, so it must have no role
            return
        try:
            outcome = await reconciler.reconcile(dict(body))
        except Exception as error:  # retry a bug, too: giving up would leak a role
            patch.status.update(reconciler.not_ready_status(dict(body), error))
            raise _again(error, _pause(error, retry)) from error
        patch.status.update(outcome.status)
        if outcome.event is not None:
            kopf.event(body, type=outcome.event.type, reason=outcome.event.reason, message=outcome.event.message)

    @kopf.on.delete(*_KIND, registry=handlers, id="drop")
    async def drop(body: kopf.Body, patch: kopf.Patch, retry: int, **_: Any) -> None:
        if recorded_uid(dict(body)) is not None:
            try:
                await projector.release(dict(body))
            except Exception as error:
                pause = min(_LONGEST_BETWEEN_DROPS_SECONDS, _BETWEEN_LOOKS_SECONDS * 2.0 ** min(retry, 10))
                raise _again(error, pause) from error
            return
        try:
            message = await dropper.drop(dict(body), _spread(_LONGEST_PAUSE_SECONDS), is_retry=retry > 0)
        except Exception as error:
            patch.status.update(dropper.failed_status(dict(body), error))
            raise _again(error, _spread(_LONGEST_BETWEEN_DROPS_SECONDS)) from error
        if message is not None:
            kopf.event(body, type="Normal", reason="Dropped", message=message)

    return handlers


class _Handled(kopf.StatusDiffBaseStorage):
    """The part of the object by which kopf detects a change. The spec of a VendedRole never changes, so this is one annotation. Nothing
    is stored for a role of the API, which saves one PATCH a vend."""

    def build(self, *, body: kopf.Body, extra_fields: object = None) -> kopf.BodyEssence:  # noqa: ARG002
        reconsidered = body.metadata.annotations.get(RECONSIDERED)
        return kopf.BodyEssence(metadata={"annotations": {RECONSIDERED: reconsidered}} if reconsidered else {})

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return self.build(body=body) if body.spec.get("delivery") == "Response" else super().fetch(body=body)


def configure(settings: kopf.OperatorSettings) -> None:
    """Configure kopf. The values were measured on a real API server."""
    settings.persistence.finalizer = FINALIZER
    # In the status, not in annotations: one PATCH a vend instead of three, and a status that was removed is written again.
    settings.persistence.progress_storage = kopf.StatusProgressStorage(field="status.kopf.progress")
    settings.persistence.diffbase_storage = _Handled(field="status.kopf.last-handled-configuration")
    # No limit on workers: kopf waits for a retry inside its worker, so three roles that cannot be dropped would stop all others.
    settings.queueing.idle_timeout = 0.1
    # A stale watch ends and is restarted.
    settings.watching.server_timeout = 240
    settings.watching.client_timeout = 270
    settings.watching.connect_timeout = 10
    # Ten thousand objects in one answer took 280 MB more, and most of it was never freed.
    settings.watching.chunk_size = 500
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    # Retry for ten minutes if the API server answers 429 or 500: the default stops the process after one.
    settings.networking.error_backoffs = (1, 1, 2, 3, 5, 8, *(10,) * 60)
    # rolevend posts Kubernetes Events explicitly; kopf's log lines are not events.
    settings.posting.loggers = False
    settings.posting.reporting_component = "rolevend"
    settings.posting.event_name_prefix = "rolevend-"


async def run_kopf(handlers: kopf.OperatorRegistry, kubeconfig: str | None, now: Callable[[], datetime]) -> None:
    """Run kopf until SIGTERM or SIGINT."""

    @kopf.on.login(registry=handlers)
    async def login(settings: kopf.OperatorSettings, **_: object) -> kopf.AiohttpSession | None:
        return _session(settings, now() + timedelta(seconds=_LOGIN_SECONDS))

    if kubeconfig is not None:
        os.environ["KUBECONFIG"] = kubeconfig  # kopf's own login reads nothing else
    os.environ.setdefault("POD_ID", socket.gethostname())  # kopf otherwise looks up the user's name, and a pod's user has none
    kopf_settings = kopf.OperatorSettings()
    configure(kopf_settings)
    tasks = await kopf.spawn_tasks(registry=handlers, settings=kopf_settings, clusterwide=True, standalone=True)
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # Like `kopf.run_tasks`, which also cancels all other tasks of this loop after five seconds.
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in ended:
        task.result()


def _session(settings: kopf.OperatorSettings, expires_at: datetime) -> kopf.AiohttpSession | None:
    """Return a session with kopf's own credentials and a bounded number of connections."""
    info = kopf.login_with_service_account(settings=settings) or kopf.login_with_kubeconfig(settings=settings)
    if info is None:
        return None
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=info.as_ssl_context()),
        headers=info.as_http_headers(),
        proxy=info.proxy_url,
    )
    return kopf.AiohttpSession(
        server=info.server,
        aiohttp_session=session,
        default_namespace=info.default_namespace,
        expiration=expires_at,
    )


def _again(error: Exception, delay: float) -> kopf.TemporaryError:
    """Return the error that makes kopf retry the handler."""
    if not isinstance(error, RolevendError):
        _log.exception("a handler failed", exc_info=error)
    return kopf.TemporaryError(str(error), delay=delay)


def _spread(longest: float) -> float:
    """Return seconds with jitter: two hundred simultaneous retries delayed all other vends."""
    return random.uniform(longest / 2, longest)  # noqa: S311


def _pause(error: Exception, retry: int) -> float:
    """Return the pause before a retry: exponential backoff, slower for errors that a person must fix."""
    first, longest = (0.5, _LONGEST_UNAVAILABLE_SECONDS) if isinstance(error, Unavailable) else (5.0, _LONGEST_PAUSE_SECONDS)
    return min(longest, first * 2.0 ** min(retry, 10))
