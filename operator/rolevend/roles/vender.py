"""Create the role of a VendedRole on its platforms. The only orchestrator of a vend, for both doors.

The role exists on every platform or on none, unless the object allows less. Events and intent are recorded before anything is created on
a platform, and every profile and credential is ready before the first role can log in. Every step is idempotent. After a crash between
two steps, the next attempt completes them, or the end of the object undoes them: see `roles.side_effects`.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Final

from rolevend.decision.outcome import Decision, Denied, Request, revocation_code, withdrawal_reason
from rolevend.decision.snapshot import Snapshot
from rolevend.errors import Overtaken, PlatformUnavailable, Rejected, RolevendError
from rolevend.kinds import VendedRole
from rolevend.kube.client import Body
from rolevend.model import PlatformName
from rolevend.platform_runtime.executor import PlatformExecutor
from rolevend.platform_runtime.registry import PlatformRegistry
from rolevend.platforms.protocol import Credential, Randomness
from rolevend.roles.audit_recorder import AuditRecorder
from rolevend.roles.decision import PlatformGrant, RoleDecision
from rolevend.roles.door import Door
from rolevend.roles.objects import VendedRoleWriter, is_ending
from rolevend.roles.protocols import ApprovalRefused, Snapshots
from rolevend.roles.state import assigned_role_name, may_exist_on
from rolevend.roles.status import abandoned_platform, error_reason, skipped_platform
from rolevend.roles.store import RoleRecord
from rolevend.telemetry.metrics import Metrics
from rolevend.telemetry.timing import VendStep, observe, timed

_log = logging.getLogger(__name__)


class NotVendableEverywhere(RolevendError):
    """The role can never be created on one platform, because of `cause`, and exists on another, where it must be dropped."""

    ended_by: Final = "NotEverywhere"

    def __init__(self, platform: PlatformName, cause: Rejected) -> None:
        super().__init__(f"on {platform}: {cause}")
        self.cause = cause


class RoleEnding(RolevendError):
    """The deletion of the object began before anything was created."""


class GrantWithdrawn(RolevendError):
    """The grant was withdrawn while the role was created. `ended_by` is the code for `status.ended.by`."""

    def __init__(self, ended_by: str, message: str) -> None:
        super().__init__(message)
        self.ended_by = ended_by


def not_connected(platform: PlatformName) -> PlatformUnavailable:
    return PlatformUnavailable(f"DataPlatform {platform} is not connected yet")


@dataclass(frozen=True, slots=True)
class VendResult:
    created: tuple[PlatformGrant, ...]
    """At least one."""
    failed: dict[PlatformName, RolevendError]
    """The platforms that grant and have no role, which the object allows."""
    status: Body
    """The status to write; empty if the platform recorded the role."""


@dataclass(slots=True)
class _Attempt:
    """One run of `Vender.vend`."""

    role: VendedRole
    role_decision: RoleDecision
    snapshot: Snapshot
    record: RoleRecord
    door: Door
    executors: dict[PlatformName, PlatformExecutor]
    """Fixed for the attempt, even if a platform is connected again meanwhile."""
    created: list[PlatformGrant] = field(default_factory=list)
    failed: dict[PlatformName, RolevendError] = field(default_factory=dict)
    statuses: dict[PlatformName, Body] = field(default_factory=dict)
    """The status of each failed platform."""
    credentials: dict[PlatformName, Credential] = field(default_factory=dict)

    @property
    def remaining(self) -> list[PlatformGrant]:
        return [each for each in self.role_decision.grants if each.platform not in self.failed]

    def executor(self, grant: PlatformGrant) -> PlatformExecutor:
        """Return the executor. Raises PlatformUnavailable."""
        executor = self.executors.get(grant.platform)
        if executor is None:
            raise not_connected(grant.platform)
        return executor

    @contextmanager
    def on(self, grant: PlatformGrant, *, creating: bool = False) -> Iterator[None]:
        """An error inside fails this platform alone, if the object allows that. Otherwise it is raised. `creating`: a role may exist
        after an error."""
        try:
            yield
        except RolevendError as error:
            if not self.role_decision.allow_partial or len(self.role_decision.grants) == 1:
                self.record.blocked_on = grant.platform
                raise
            became = abandoned_platform if creating or self.may_exist else skipped_platform
            self.failed[grant.platform], self.statuses[grant.platform] = error, became(*error_reason(error))

    @property
    def may_exist(self) -> bool:
        """True if an earlier attempt may have created the role."""
        return not self.door.created_object and assigned_role_name(self.role) is not None

    def require_any(self) -> None:
        """Raises the first failure if no platform is left."""
        if not self.remaining:
            raise next(iter(self.failed.values()))


class Vender:
    def __init__(
        self,
        snapshots: Snapshots,
        platforms: PlatformRegistry,
        recorder: AuditRecorder,
        objects: VendedRoleWriter,
        metrics: Metrics,
        randomness: Randomness,
    ) -> None:
        self._snapshots = snapshots
        self._platforms = platforms
        self._recorder = recorder
        self.objects = objects
        self._metrics = metrics
        self._randomness = randomness

    @property
    def snapshot(self) -> Snapshot:
        """The newest snapshot."""
        return self._snapshots.snapshot

    def executor(self, platform: PlatformName) -> PlatformExecutor | None:
        """Return the executor, or None while the platform is not connected."""
        connected = self._platforms.get(platform)
        return connected.executor if connected else None

    def decide(self, requests: Iterable[Request], decide: Callable[[Request], Decision]) -> RoleDecision:
        """Decide all requests of one object by `decide`."""
        started = time.perf_counter()
        with timed(VendStep.DECIDE):
            role_decision = RoleDecision.for_platforms(requests, decide)
        self._metrics.decision_seconds.observe(time.perf_counter() - started)
        return role_decision

    def observe_steps(self) -> None:
        """Add the steps of this call, which created its role, to the metrics."""
        observe(self._metrics.vend_step_seconds)

    async def deny(self, role: VendedRole | None, request: Request, decision: Denied, snapshot: Snapshot, record: RoleRecord) -> None:
        """Record a denial, unless the object `role` has it already."""
        condition = role.status.condition("Granted") if role is not None else None
        if condition is None or (condition.reason, condition.message) != (decision.reason, decision.message):
            await self._recorder.denied(request, decision.reason, decision.message, snapshot, record.audit)
        self._metrics.denials.labels(request.platform, decision.reason).inc()

    async def vend(self, role: VendedRole, role_decision: RoleDecision, snapshot: Snapshot, record: RoleRecord, door: Door) -> VendResult:
        """Create the role that `snapshot` granted by `role_decision`. Idempotent.

        Raises Overtaken, NotVendableEverywhere, GrantWithdrawn or RoleEnding if this role can never be Ready. The class of any other
        error of `rolevend.errors` says if a retry can succeed. A role may then exist on a platform.
        """
        record.blocked_on = None
        executors = {each.platform: executor for each in role_decision.grants if (executor := self.executor(each.platform)) is not None}
        attempt = _Attempt(role, role_decision, snapshot, record, door, executors)
        try:
            await self._prepare(attempt)
            await self._create(attempt)
            await self._abandon(attempt)
            self._require_granted(attempt)
        except BaseException:
            self._observe([record.blocked_on] if record.blocked_on else [each.platform for each in role_decision.grants], "failed", door)
            raise
        self._observe(attempt.failed, "failed", door)
        self._observe([each.platform for each in attempt.created], "vended", door)
        is_recorded = door.recorder is not None  # as Ready, with the role
        status = {} if is_recorded else self.objects.report(role).ready_status(role_decision, attempt.statuses, record.audit.receipts)
        for each in attempt.created:
            about = {"role": role_decision.role, "platform": each.platform, "object": str(each.request.name)}
            _log.info("vended", extra={**about, "profile": each.granted.profile.name})
        return VendResult(tuple(attempt.created), attempt.failed, status)

    async def _prepare(self, attempt: _Attempt) -> None:
        """Prepare everything except the role. Nothing can log in yet."""
        request, door = attempt.role_decision.grants[0].request, attempt.door
        for grant in attempt.role_decision.grants:
            with attempt.on(grant):
                attempt.executor(grant)
        attempt.require_any()
        missing = {each.platform for each in attempt.remaining if not attempt.executor(each).is_built(each.granted.profile)}
        write_intent = bool(missing) or not door.created_object
        if request.approval is not None and door.recorder is not None:
            await door.token.redeem(request, final=False)  # the platform redeems it later, and a used one must not use up the approval
        await door.token.redeem(request, final=not missing)
        with timed(VendStep.RECORD):
            recording = self._put_on_record(attempt, write_intent=write_intent)
            uses = [] if write_intent else [self._use_approval(request, door)]
            await _all(recording, self._prepare_credentials(attempt), *uses)
        for grant in attempt.remaining:
            with attempt.on(grant), timed(VendStep.AWAIT_PROFILE) if grant.platform in missing else nullcontext():
                await door.profiles.provide(grant.request, attempt.executor(grant), grant.granted.profile)
        attempt.require_any()
        if missing:
            await door.token.redeem(request, final=True)
        if write_intent:
            await self._use_approval(request, door)

    async def _use_approval(self, request: Request, door: Door) -> None:
        try:
            await door.approvals.use(request)
        except ApprovalRefused as error:
            raise GrantWithdrawn(error.code, str(error)) from error

    async def _put_on_record(self, attempt: _Attempt, *, write_intent: bool) -> None:
        """Record the handles, the grants and the intent, so that a drop needs only the object. Raises Conflict if a handle belongs to
        another, Overtaken if the role has another name, and RoleEnding."""
        role_decision, record, status = attempt.role_decision, attempt.record, attempt.role.status
        name, request = assigned_role_name(attempt.role), role_decision.grants[0].request
        if name is not None and name != role_decision.role:
            raise Overtaken(f"{name} was begun under another handle")
        await self._recorder.handles(request, role_decision.grants[0].granted, attempt.snapshot, record.audit)
        if attempt.door.recorder is not None:
            await self._record_grants(attempt)
        elif self._recorder.gives_receipts:  # in sequence, so that the object names only written receipts
            receipts = await self._record_grants(attempt)
            if status.role_name is None:
                await self._write_intent(attempt, receipts)
            elif changed := self.objects.report(attempt.role).receipts_status(role_decision, receipts):  # written by another process
                await self.objects.write_status(request.name, request.uid, changed)
        elif status.role_name is not None or (name is not None and not write_intent):
            await self._record_grants(attempt)
        else:
            await _all(self._record_grants(attempt), self._write_intent(attempt, {}))

    async def _record_grants(self, attempt: _Attempt) -> dict[PlatformName, str | None]:
        """Record the grants and return the digests of the receipts."""
        snapshot, memory = attempt.snapshot, attempt.record.audit
        return {
            each.platform: await self._recorder.granted(each.request, each.granted, snapshot, memory)
            for each in attempt.role_decision.grants
        }

    async def _write_intent(self, attempt: _Attempt, receipts: dict[PlatformName, str | None]) -> None:
        request = attempt.role_decision.grants[0].request
        status = self.objects.report(attempt.role).pending_status(attempt.role_decision, receipts)
        if is_ending(await self.objects.write_status(request.name, request.uid, status)):
            raise RoleEnding(f"VendedRole {request.name} ends")

    async def _prepare_credentials(self, attempt: _Attempt) -> None:
        """Compute new credentials, and nothing else: that needs no event, and takes as long as writing one."""
        for grant in attempt.remaining:
            with attempt.on(grant):
                attempt.credentials[grant.platform] = await attempt.executor(grant).credential(grant.granted.lease, self._randomness)

    async def _create(self, attempt: _Attempt) -> None:
        """Store all credentials, then create the roles, one after the other."""
        credentials = attempt.credentials
        with timed(VendStep.MAKE_ROLE):
            for grant in attempt.remaining:
                with attempt.on(grant):
                    fresh, expires_at = credentials[grant.platform], grant.granted.lease.expires_at
                    credentials[grant.platform] = await attempt.door.credentials.keep(grant.request, fresh, expires_at)
            for grant in attempt.remaining:
                with attempt.on(grant, creating=True):
                    await self._create_on(attempt, grant, credentials[grant.platform])
        attempt.require_any()

    async def _create_on(self, attempt: _Attempt, grant: PlatformGrant, credential: Credential) -> None:
        try:
            recorder = attempt.door.recorder
            lease = grant.granted.lease if recorder is None else recorder.lease(grant, attempt.record.audit.receipts)
            created = await attempt.executor(grant).vend(lease, credential)
            if created.error is not None:
                raise created.error
        except Rejected as error:
            if isinstance(error, Overtaken) or not attempt.created or attempt.role_decision.allow_partial:
                raise
            raise NotVendableEverywhere(grant.platform, error) from error
        attempt.created.append(grant)
        attempt.record.set_grant(grant.platform, grant.granted)

    async def _abandon(self, attempt: _Attempt) -> None:
        """Give up the platforms without a role. A role that may exist there is dropped when the status says so."""
        failed = [each.request for each in attempt.role_decision.grants if each.platform in attempt.failed]
        skipped = [request for request, _ in attempt.role_decision.skipped if may_exist_on(attempt.role, request.platform)]
        for request in (*failed, *skipped):
            attempt.record.set_grant(request.platform, None)
            try:
                await attempt.door.credentials.discard(request)
            except RolevendError as error:
                _log.warning("cannot discard a credential: %s", error, extra={"object": str(request.name), "platform": request.platform})

    def _require_granted(self, attempt: _Attempt) -> None:
        """Decide again after the creation, because policy or the approval may have changed. Raises GrantWithdrawn."""
        newer = self.snapshot
        for grant in attempt.created:
            request = attempt.door.approvals.resolve(grant.request)
            if newer is attempt.snapshot and request.approval == grant.request.approval:
                continue
            with timed(VendStep.DECIDE):
                decision = newer.decide(request, role_exists=True)
            if reason := withdrawal_reason(decision, grant.granted):
                raise GrantWithdrawn(revocation_code(decision), f"{attempt.role_decision.where(grant.request)}{reason}")

    def _observe(self, platforms: Iterable[PlatformName], outcome: str, door: Door) -> None:
        for each in platforms:
            self._metrics.vend_seconds.labels(each, outcome).observe(time.perf_counter() - door.started)


async def _all(*actions: Awaitable[object]) -> None:
    """Run the actions concurrently until each has ended. Then raise the first error, if any."""
    for result in await asyncio.gather(*actions, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
