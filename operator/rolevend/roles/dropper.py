"""Drop the role of one VendedRole on all platforms concurrently, then remove the finalizer.

An unreachable platform delays only its own drop, and the object. A finished drop is neither repeated nor recorded again by this process.
"""

import asyncio
import contextlib
import logging
import time
from datetime import datetime

from rolevend.audit.role_events import End
from rolevend.decision.outcome import Delivery, Request
from rolevend.errors import InvalidInput, PlatformUnavailable, RolevendError
from rolevend.kinds import FINALIZER, VendedRole, shell
from rolevend.kinds.shared import HANDLES
from rolevend.kube.client import Body, NotFound
from rolevend.model import ObjectName, PlatformName, RoleName
from rolevend.platform_runtime.registry import PlatformRegistry
from rolevend.platforms.protocol import DropRequest, DropResult, EndReason
from rolevend.roles.audit_recorder import AuditRecorder
from rolevend.roles.expiry import ExpiryScheduler
from rolevend.roles.objects import VendedRoleWriter, uid_of
from rolevend.roles.protocols import AsyncPlatform, CredentialStore
from rolevend.roles.state import assigned_role_name, for_deletion, for_report, is_platform_active, role_requests, state_on
from rolevend.roles.status import error_reason
from rolevend.roles.store import RoleRecord, RoleStore
from rolevend.telemetry.metrics import Metrics

_log = logging.getLogger(__name__)


class ImmediateDrops:
    """Drops that start before the end of the role is written to its object.

    When many roles are revoked together, the last one would otherwise live until the API server has taken the writes for all others. The
    finalizer then finds the role gone. After a crash the next evaluation or sweep ends it.
    """

    def __init__(self, platforms: PlatformRegistry, metrics: Metrics) -> None:
        self._platforms = platforms
        self._metrics = metrics
        self._tasks: set[asyncio.Task[DropResult]] = set()
        """References to running tasks: asyncio keeps none, and a record may be removed before its drop is done."""

    def begin(self, record: RoleRecord, request: Request, ending: DropRequest) -> None:
        """Start the drop, once for each object and platform. If the platform is not connected, the finalizer drops the role."""
        connected = self._platforms.get(request.platform)
        executor = connected.executor if connected else None
        if executor is not None and request.platform not in record.drops:
            task = record.drops[request.platform] = asyncio.create_task(_drop(ending, executor))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def finish(self, record: RoleRecord, request: Request, ending: DropRequest, patience: float) -> DropResult:
        """Return when the role is gone from the platform: wait for the drop that was started, or drop now. Raises until then.

        The platform's queue retries a failed drop; `patience` is how many seconds to wait for its success.
        """
        connected = await self._platforms.appeared(request.platform, patience)
        if connected is None:
            cause = (
                f"there is no DataPlatform {request.platform}, or it cannot be read; it must be there, under this name, to drop the role"
            )
            raise PlatformUnavailable(f"dropping {ending.role}: {cause}")
        executor = await connected.connected(patience)
        if executor is None:
            raise PlatformUnavailable(f"dropping {ending.role}: DataPlatform {request.platform} is not connected")
        started = time.perf_counter()
        try:
            dropped = await self._begun(record, request)
            if dropped is None or dropped.error is not None:
                dropped = await executor.drop(ending, patience)
            if dropped.error is not None:
                raise dropped.error
        except RolevendError:
            self._metrics.drop_seconds.labels(request.platform, "failed").observe(time.perf_counter() - started)
            raise
        self._metrics.drop_seconds.labels(request.platform, "dropped").observe(dropped.seconds)
        return dropped

    async def _begun(self, record: RoleRecord, request: Request) -> DropResult | None:
        """Return the result of a drop that was started, once."""
        drop = record.drops.pop(request.platform, None)
        return await asyncio.shield(drop) if drop else None


async def _drop(ending: DropRequest, executor: AsyncPlatform) -> DropResult:
    try:
        return await executor.drop(ending)
    except RolevendError as error:
        return DropResult(ending.role, error)


class RoleDropper:
    def __init__(
        self,
        roles: RoleStore,
        objects: VendedRoleWriter,
        drops: ImmediateDrops,
        credentials: CredentialStore,
        recorder: AuditRecorder,
        expiry: ExpiryScheduler,
    ) -> None:
        self._roles = roles
        self._objects = objects
        self._drops = drops
        self._credentials = credentials
        self._recorder = recorder
        self._expiry = expiry

    def now(self) -> datetime:
        return self._objects.now()

    async def drop(self, body: Body, patience: float, *, is_retry: bool) -> str | None:
        """Return the final message when the role is gone from all platforms; None if no role was begun. Raises until then.

        The platforms' queues retry failed drops; `patience` is how many seconds to wait for their success. The first failure is written
        to the status at once, so that many failures at one platform cost one write each.
        """
        try:
            return await self._drop(body, patience if is_retry else 0.0)
        except Exception as error:
            if is_retry:
                raise
            metadata = body["metadata"]
            with contextlib.suppress(RolevendError):  # the next failure writes it again
                name = ObjectName(metadata["namespace"], metadata["name"])
                await self._objects.write_status(name, metadata["uid"], self.failed_status(body, error))
            return await self._drop(body, patience)

    def failed_status(self, body: Body, error: Exception) -> Body:
        """Return the status after `error`, which the last attempt raised."""
        uid = uid_of(body)
        self._expiry.yield_turn(uid)
        record = self._roles.record(uid)
        failures: dict[PlatformName | None, tuple[str, str]] = {
            platform: error_reason(failure) for platform, failure in record.drop_failures.items()
        }
        report = self._objects.report(for_report(body))
        return report.dropping_status(failures or {None: error_reason(error)}, record.ended_sessions)

    async def _drop(self, body: Body, patience: float) -> str | None:
        try:
            role = for_deletion(body)
        except InvalidInput:
            if await self._was_begun(body):
                raise
            return None
        requests = role_requests(role)
        first = requests[0]
        if assigned_role_name(role) is None:
            # The watch may lag behind our own writes: the finalizer goes only if the API server confirms the state.
            role = for_deletion(await self._objects.read(first.name, first.uid))
        name = assigned_role_name(role)
        if name is None:
            await self._discard(*requests)
            return None
        record = self._roles.record(first.uid)
        await self._drop_everywhere(role, name, record, patience)
        ended, reason = role.status.ended, self._reason(role, first)
        cause = f"{reason.value} by {ended.by}" if ended and ended.by else reason.value
        where = ", ".join(record.ended_sessions) or ", ".join(each.platform for each in requests)
        message = f"{name} is gone from {where}: {cause}, {sum(record.ended_sessions.values())} sessions ended"
        if others := [each for each in role.metadata.finalizers if each != FINALIZER]:  # no new one can be added
            with contextlib.suppress(NotFound):
                await self._objects.write_status(first.name, first.uid, self._objects.report(role).gone_status(message, others))
        return message

    async def _drop_everywhere(self, role: VendedRole, name: RoleName, record: RoleRecord, patience: float) -> None:
        """Drop the role on every platform. Then raise the first failure, if any."""
        record.drop_failures.clear()
        left = [
            each for each in role_requests(role) if is_platform_active(role, each.platform) and each.platform not in record.ended_sessions
        ]
        results = await asyncio.gather(*(self._drop_on(each, name, role, record, patience) for each in left), return_exceptions=True)
        for request, result in zip(left, results, strict=True):
            if isinstance(result, int):
                record.ended_sessions[request.platform] = result
            elif isinstance(result, Exception):
                record.drop_failures[request.platform] = result
            else:
                raise result
        for failure in record.drop_failures.values():
            raise failure

    async def _drop_on(self, request: Request, name: RoleName, role: VendedRole, record: RoleRecord, patience: float) -> int:
        """Drop the role and return how many sessions were ended on the request's platform."""
        reason = self._reason(role, request)
        dropped = await self._drops.finish(record, request, DropRequest(name, request.uid, reason), patience)
        await self._discard(request)
        sessions = await self._objects.sessions_ended(request.uid, len(dropped.sessions))
        await self._recorder.dropped(request, self._end(request, name, role, dropped.seconds, sessions), record.audit)
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
            due_at=request.expires_at if reason is EndReason.EXPIRED else role.metadata.deletion_timestamp or self._objects.now(),
            ended_at=self._objects.now(),
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
        deleted_at = role.metadata.deletion_timestamp or self._objects.now()
        return EndReason.EXPIRED if deleted_at >= request.expires_at else EndReason.RELEASED

    async def _discard(self, *requests: Request) -> None:
        for request in requests:
            if request.delivery is Delivery.SECRET:
                await self._credentials.discard(request)

    async def _was_begun(self, body: Body) -> bool:
        """True if there may be a role for an object that cannot be parsed."""
        metadata = body["metadata"]
        now = shell(VendedRole, await self._objects.read(ObjectName(metadata["namespace"], metadata["name"]), metadata["uid"]))
        return now.status.role_name is not None or HANDLES in now.metadata.annotations
