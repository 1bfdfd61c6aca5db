"""The end of one VendedRole: dropped on each of its platforms, beside each other, and the object goes when it is gone from all.

A platform that is away keeps its own part alone, and the object. What is done is not done, or told, again while this process lives.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from rolevend.atwork.platforms import Platforms
from rolevend.errors import InvalidInput, PlatformUnavailable, RolevendError
from rolevend.kube.client import Body, Cluster, NotFound
from rolevend.kube.paths import VENDED_ROLES
from rolevend.model import ObjectName, PlatformName, RoleName, Uid
from rolevend.platforms.base import Ending, EndReason
from rolevend.resources import FINALIZER, VendedRole, parse, shell
from rolevend.resources.shared import HANDLES
from rolevend.roles.audit_recorder import AuditRecorder
from rolevend.roles.immediate_drops import ImmediateDrops
from rolevend.roles.objects import write_status_of
from rolevend.roles.state import assigned_role_name, is_platform_active, role_requests, state_on
from rolevend.roles.status import StatusBuilder, dropping, error_reason, gone
from rolevend.telemetry.metrics import Metrics
from rolevend.vending.audit import End
from rolevend.vending.protocols import CredentialStore, end
from rolevend.vending.verdict import Delivery, Request

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Progress:
    """Of one object."""

    sessions: dict[PlatformName, int] = field(default_factory=dict)
    """How many were ended, where it was looked for and is gone."""
    failures: dict[PlatformName, Exception] = field(default_factory=dict)
    """Of the last try."""


class RoleDropper:
    def __init__(
        self,
        cluster: Cluster,
        platforms: Platforms,
        store: CredentialStore,
        record: AuditRecorder,
        closing: ImmediateDrops,
        metrics: Metrics,
        now: Callable[[], datetime],
    ) -> None:
        self._cluster = cluster
        self._platforms = platforms
        self._store = store
        self._record = record
        self._closing = closing
        self._metrics = metrics
        self._now = now
        self._progress: dict[Uid, _Progress] = {}

    def forget(self, uid: Uid) -> None:
        self._progress.pop(uid, None)

    async def drop(self, body: Body, patience: float) -> str | None:
        """What is to be told when it is gone from all platforms; None: nothing was ever begun there. Raises until then. What fails goes on
        by itself, and is waited for as long as `patience` says, in seconds."""
        try:
            role = for_deletion(body)
        except InvalidInput:
            if await self._was_begun(body):
                raise
            return None
        requests = role_requests(role)
        first = requests[0]
        if assigned_role_name(role) is None:
            # The watch may lag behind what we wrote ourselves: the finalizer goes only on the API server's own word.
            role = for_deletion(await self._cluster.get(VENDED_ROLES, first.name.name, first.name.namespace))
        name = assigned_role_name(role)
        if name is None:
            await self._discard(*requests)
            return None
        progress = self._progress.setdefault(first.uid, _Progress())
        progress.failures.clear()
        left = [each for each in requests if is_platform_active(role, each.platform) and each.platform not in progress.sessions]
        answers = await asyncio.gather(*(self._drop_on(each, name, role, patience) for each in left), return_exceptions=True)
        for request, answer in zip(left, answers, strict=True):
            if isinstance(answer, int):
                progress.sessions[request.platform] = answer
            elif isinstance(answer, Exception):
                progress.failures[request.platform] = answer
            else:
                raise answer
        for failure in progress.failures.values():
            raise failure
        ended, reason = role.status.ended, self._reason(role, first)
        why = f"{reason.value} by {ended.by}" if ended and ended.by else reason.value
        where = ", ".join(progress.sessions) or ", ".join(each.platform for each in requests)
        message = f"{name} is gone from {where}: {why}, {sum(progress.sessions.values())} sessions ended"
        if others := [each for each in role.metadata.finalizers if each != FINALIZER]:  # nobody adds one to an object that ends
            with contextlib.suppress(NotFound):
                await write_status_of(self._cluster, first.name, first.uid, gone(StatusBuilder(role, self._now()), message, others))
        return message

    def status(self, body: Body, error: Exception) -> Body:
        """After `error`, which the last try raised."""
        progress = self._progress.get(Uid(body["metadata"]["uid"]), _Progress())
        failures = {platform: error_reason(failure) for platform, failure in progress.failures.items()}
        return dropping(
            StatusBuilder(for_report(body), self._now()), failures or {PlatformName(""): error_reason(error)}, progress.sessions
        )

    async def tell(self, body: Body, status: Body) -> None:
        """Writes it; what cannot be written now is written with the next failure."""
        metadata = body["metadata"]
        name = ObjectName(metadata["namespace"], metadata["name"])
        with contextlib.suppress(RolevendError):
            await write_status_of(self._cluster, name, Uid(metadata["uid"]), status)

    async def _drop_on(self, request: Request, name: RoleName, role: VendedRole, patience: float) -> int:
        """On one platform; how many sessions were ended there."""
        at_work = self._platforms.get(request.platform)
        if at_work is None:
            why = f"there is no DataPlatform {request.platform}, or it cannot be read; it must be there, under this name, to drop the role"
            raise PlatformUnavailable(f"dropping {name}: {why}")
        executor = await at_work.connected(patience)
        if executor is None:
            raise PlatformUnavailable(f"dropping {name}: DataPlatform {request.platform} is not connected")
        started, reason = time.perf_counter(), self._reason(role, request)
        try:
            dropped = await self._closing.done(request.uid, request.platform)
            dropped = dropped or await end(Ending(name, request.uid, reason), executor, patience)
        except RolevendError:
            self._metrics.drop_seconds.labels(request.platform, "failed").observe(time.perf_counter() - started)
            raise
        self._metrics.drop_seconds.labels(request.platform, "dropped").observe(dropped.seconds)
        await self._discard(request)
        sessions = len(dropped.sessions)
        await self._record.dropped(request, self._end(request, name, role, dropped.seconds, sessions))
        about = {"role": name, "platform": request.platform, "object": str(request.name)}
        _log.info("dropped", extra={**about, "reason": reason.value, "sessions": sessions})
        return sessions

    def _end(self, request: Request, name: RoleName, role: VendedRole, seconds: float, sessions: int) -> End:
        reason, ended, state = self._reason(role, request), role.status.ended, state_on(role, request.platform)
        receipt = role.status.receipt_digest
        if request.further:
            receipt = state.receipt_digest if state else None
        return End(
            role=name,
            reason=reason,
            due_at=request.expires_at if reason is EndReason.EXPIRED else role.metadata.deletion_timestamp or self._now(),
            ended_at=self._now(),
            seconds=seconds,
            sessions=sessions,
            by=ended.by if ended else None,
            message=ended.message if ended else None,
            profile=state.profile if state else None,
            receipt_digest=receipt,
        )

    def _reason(self, role: VendedRole, request: Request) -> EndReason:
        if role.status.ended is not None:
            return EndReason(role.status.ended.reason)
        deleted_at = role.metadata.deletion_timestamp or self._now()
        return EndReason.EXPIRED if deleted_at >= request.expires_at else EndReason.RELEASED

    async def _discard(self, *requests: Request) -> None:
        for request in requests:
            if request.delivery is Delivery.SECRET:
                await self._store.discard(request)

    async def _was_begun(self, body: Body) -> bool:
        """Whether there may be a role for an object that cannot be read."""
        metadata = body["metadata"]
        now = shell(VendedRole, await self._cluster.get(VENDED_ROLES, metadata["name"], metadata["namespace"]))
        return now.status.role_name is not None or HANDLES in now.metadata.annotations


def for_deletion(body: Body) -> VendedRole:
    """The object as far as its end needs it: a field of a newer version must not keep a role alive."""
    return parse(VendedRole, body, unknown="ignore")


def for_report(body: Body) -> VendedRole:
    """For its conditions, which an object that cannot be read has, too."""
    try:
        return for_deletion(body)
    except InvalidInput:
        return shell(VendedRole, body)
