"""Create the role of a VendedRole on its platforms. The only orchestrator of a vend, for every door.

The role exists on every platform or on none, unless the object allows less. Everything is on record before anything is created on a
platform, and every profile and credential is ready before the first role can log in. Every step may run twice. A crash between two steps
leaves something that the next attempt completes, or the end of the object undoes: see `roles.side_effects`.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator
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
from rolevend.roles.protocols import Snapshots
from rolevend.roles.state import assigned_role_name, may_exist_on
from rolevend.roles.status import abandoned_platform, error_reason, skipped_platform
from rolevend.roles.store import RoleRecord
from rolevend.telemetry.metrics import Metrics
from rolevend.telemetry.timing import VendStep, timed

_log = logging.getLogger(__name__)


class NotVendableEverywhere(RolevendError):
    """The role can never be created on one platform, because of `cause`, and exists on another, where it must be dropped."""

    ended_by: Final = "NotEverywhere"

    def __init__(self, platform: PlatformName, cause: Rejected) -> None:
        super().__init__(f"on {platform}: {cause}")
        self.cause = cause


class RoleEnding(RolevendError):
    """The object began to end before anything was created."""


class GrantWithdrawn(RolevendError):
    """What the role reads ceased to be granted while it was created. `revocation_reason` is the code for `status.ended.by`."""

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
    """What the object must say next."""


@dataclass(slots=True)
class _Attempt:
    """One run of `Vender.vend`."""

    role: VendedRole
    decision: RoleDecision
    snapshot: Snapshot
    record: RoleRecord
    door: Door
    executors: dict[PlatformName, PlatformExecutor]
    """Taken once: a platform that is connected again meanwhile does not change the attempt."""
    created: list[PlatformGrant] = field(default_factory=list)
    failed: dict[PlatformName, RolevendError] = field(default_factory=dict)
    statuses: dict[PlatformName, Body] = field(default_factory=dict)
    """What the object says of the failed platforms."""

    @property
    def remaining(self) -> list[PlatformGrant]:
        return [each for each in self.decision.grants if each.platform not in self.failed]

    def executor(self, grant: PlatformGrant) -> PlatformExecutor:
        """Raises PlatformUnavailable."""
        executor = self.executors.get(grant.platform)
        if executor is None:
            raise not_connected(grant.platform)
        return executor

    @contextmanager
    def on(self, grant: PlatformGrant, *, creating: bool = False) -> Iterator[None]:
        """An error inside fails the platform alone, if the object allows that. Otherwise it is raised. `creating`: a role may exist
        afterwards, whatever is raised."""
        try:
            yield
        except RolevendError as error:
            if not self.decision.allow_partial or len(self.decision.grants) == 1:
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
        """The newest one."""
        return self._snapshots.snapshot

    def executor(self, platform: PlatformName) -> PlatformExecutor | None:
        """None while the platform is not connected."""
        connected = self._platforms.get(platform)
        return connected.executor if connected else None

    def decide(self, requests: Iterable[Request], decide: Callable[[Request], Decision]) -> RoleDecision:
        """Decide all requests of one object by `decide`."""
        started = time.perf_counter()
        with timed(VendStep.DECIDE):
            decision = RoleDecision.for_platforms(requests, decide)
        self._metrics.decision_seconds.observe(time.perf_counter() - started)
        return decision

    async def deny(self, role: VendedRole | None, request: Request, verdict: Denied, snapshot: Snapshot, record: RoleRecord) -> None:
        """Put a denial on record, unless the object `role` says it already."""
        condition = role.status.condition("Granted") if role is not None else None
        if condition is None or (condition.reason, condition.message) != (verdict.reason, verdict.message):
            await self._recorder.denied(request, verdict.reason, verdict.message, snapshot, record.audit)
        self._metrics.denials.labels(request.platform, verdict.reason).inc()

    async def vend(self, role: VendedRole, decision: RoleDecision, snapshot: Snapshot, record: RoleRecord, door: Door) -> VendResult:
        """Create the role that `snapshot` granted by `decision`. Idempotent.

        Raises Overtaken, NotVendableEverywhere, GrantWithdrawn or RoleEnding if this role can never be Ready; any other error of
        `rolevend.errors` says by its class whether to try again. A role may then exist on a platform.
        """
        record.blocked_on = None
        executors = {each.platform: executor for each in decision.grants if (executor := self.executor(each.platform)) is not None}
        attempt = _Attempt(role, decision, snapshot, record, door, executors)
        try:
            await self._prepare(attempt)
            await self._create(attempt)
            await self._abandon(attempt)
            self._require_granted(attempt)
        except BaseException:
            self._observe([record.blocked_on] if record.blocked_on else [each.platform for each in decision.grants], "failed", door)
            raise
        self._observe(attempt.failed, "failed", door)
        self._observe([each.platform for each in attempt.created], "vended", door)
        status = self.objects.report(role).ready_status(decision, attempt.statuses, record.audit.receipts)
        for each in attempt.created:
            about = {"role": decision.role, "platform": each.platform, "object": str(each.request.name)}
            _log.info("vended", extra={**about, "profile": each.granted.profile.name})
        return VendResult(tuple(attempt.created), attempt.failed, status)

    async def _prepare(self, attempt: _Attempt) -> None:
        """All that comes before the role. Nothing can log in yet."""
        request, door = attempt.decision.grants[0].request, attempt.door
        for grant in attempt.decision.grants:
            with attempt.on(grant):
                attempt.executor(grant)
        attempt.require_any()
        missing = {each.platform for each in attempt.remaining if not attempt.executor(each).is_built(each.granted.profile)}
        await door.token.redeem(request, final=not missing)
        with timed(VendStep.RECORD):
            await self._put_on_record(attempt, write_intent=bool(missing) or not door.created_object)
        for grant in attempt.remaining:
            with attempt.on(grant), timed(VendStep.AWAIT_PROFILE) if grant.platform in missing else nullcontext():
                await door.profiles.provide(grant.request, attempt.executor(grant), grant.granted.profile)
        attempt.require_any()
        if missing:
            await door.token.redeem(request, final=True)

    async def _put_on_record(self, attempt: _Attempt, *, write_intent: bool) -> None:
        """Write whom the handles stand for, why the role may exist, and the intent, for a drop needs nothing but the object.

        Raises Conflict if a handle is somebody else's, Overtaken if the role has another name, and RoleEnding.
        """
        decision, record, status = attempt.decision, attempt.record, attempt.role.status
        name, request = assigned_role_name(attempt.role), decision.grants[0].request
        if name is not None and name != decision.role:
            raise Overtaken(f"{name} was begun under another handle")
        await self._recorder.handles(request, decision.grants[0].granted, attempt.snapshot, record.audit)
        if self._recorder.gives_receipts:  # one after the other, so that the object names no receipt that was never written
            receipts = await self._record_grants(attempt)
            if status.role_name is None:
                await self._write_intent(attempt, receipts)
            elif changed := self.objects.report(attempt.role).receipts_status(decision, receipts):  # written by another process
                await self.objects.write_status(request.name, request.uid, changed)
        elif status.role_name is not None or (name is not None and not write_intent):
            await self._record_grants(attempt)
        else:
            results = await asyncio.gather(self._record_grants(attempt), self._write_intent(attempt, {}), return_exceptions=True)
            for result in results:
                if isinstance(result, BaseException):
                    raise result

    async def _record_grants(self, attempt: _Attempt) -> dict[PlatformName, str | None]:
        """Return the digests of the receipts."""
        snapshot, memory = attempt.snapshot, attempt.record.audit
        return {
            each.platform: await self._recorder.granted(each.request, each.granted, snapshot, memory) for each in attempt.decision.grants
        }

    async def _write_intent(self, attempt: _Attempt, receipts: dict[PlatformName, str | None]) -> None:
        request = attempt.decision.grants[0].request
        status = self.objects.report(attempt.role).pending_status(attempt.decision, receipts)
        if is_ending(await self.objects.write_status(request.name, request.uid, status)):
            raise RoleEnding(f"VendedRole {request.name} ends")

    async def _create(self, attempt: _Attempt) -> None:
        """First every credential is stored, then the roles are created, one after the other."""
        credentials: dict[PlatformName, Credential] = {}
        with timed(VendStep.MAKE_ROLE):
            for grant in attempt.remaining:
                with attempt.on(grant):
                    lease = grant.granted.lease
                    fresh = attempt.executor(grant).credential(lease, self._randomness)
                    credentials[grant.platform] = await attempt.door.credentials.keep(grant.request, fresh, lease.expires_at)
            for grant in attempt.remaining:
                with attempt.on(grant, creating=True):
                    await self._create_on(attempt, grant, credentials[grant.platform])
        attempt.require_any()

    async def _create_on(self, attempt: _Attempt, grant: PlatformGrant, credential: Credential) -> None:
        try:
            created = await attempt.executor(grant).vend(grant.granted.lease, credential)
            if created.error is not None:
                raise created.error
        except Rejected as error:
            if isinstance(error, Overtaken) or not attempt.created or attempt.decision.allow_partial:
                raise
            raise NotVendableEverywhere(grant.platform, error) from error
        attempt.created.append(grant)
        attempt.record.set_grant(grant.platform, grant.granted)

    async def _abandon(self, attempt: _Attempt) -> None:
        """Give up the platforms without a role. What may exist there is dropped as soon as the object says so."""
        failed = [each.request for each in attempt.decision.grants if each.platform in attempt.failed]
        skipped = [request for request, _ in attempt.decision.skipped if may_exist_on(attempt.role, request.platform)]
        for request in (*failed, *skipped):
            attempt.record.set_grant(request.platform, None)
            try:
                await attempt.door.credentials.discard(request)
            except RolevendError as error:
                _log.warning("cannot discard a credential: %s", error, extra={"object": str(request.name), "platform": request.platform})

    def _require_granted(self, attempt: _Attempt) -> None:
        """Decide again what was created, because policy may have changed meanwhile. Raises GrantWithdrawn."""
        newer = self.snapshot
        if newer is attempt.snapshot:
            return
        with timed(VendStep.DECIDE):
            for grant in attempt.created:
                verdict = newer.decide(grant.request, role_exists=True)
                if reason := withdrawal_reason(verdict, grant.granted):
                    raise GrantWithdrawn(revocation_code(verdict), f"{attempt.decision.where(grant.request)}{reason}")

    def _observe(self, platforms: Iterable[PlatformName], outcome: str, door: Door) -> None:
        for each in platforms:
            self._metrics.vend_seconds.labels(each, outcome).observe(time.perf_counter() - door.started)
