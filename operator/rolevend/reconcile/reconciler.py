"""One VendedRole from its first event to its last, on all of its platforms: what the handlers call. Parses, asks the directory, lets
`vending` act, reports."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rolevend.atwork.platforms import Platforms
from rolevend.errors import Overtaken, RolevendError
from rolevend.kube.client import Body, Cluster
from rolevend.kube.paths import VENDED_ROLES
from rolevend.model import RoleName, Uid
from rolevend.picture.objects import Observed
from rolevend.platforms.base import Ending, EndReason
from rolevend.reconcile.api_vends import BY, MESSAGE, ApiVendSupervisor, is_unanswered
from rolevend.resources import VendedRole, parse
from rolevend.resources.shared import RECONSIDERED
from rolevend.roles.audit_recorder import AuditRecorder
from rolevend.roles.build_progress import BuildProgressReporter
from rolevend.roles.decision import RoleDecision
from rolevend.roles.dropper import RoleDropper, for_deletion, for_report
from rolevend.roles.expiry import ExpiryScheduler
from rolevend.roles.immediate_drops import ImmediateDrops
from rolevend.roles.objects import Making, delete, write_status
from rolevend.roles.quota import RoleQuota
from rolevend.roles.state import RoleState, RoleStore, assigned_role_name, is_platform_active, is_ready, role_requests, role_states
from rolevend.roles.status import StatusBuilder, error_reason, granted_condition, refused, unready, vended
from rolevend.roles.user_authenticator import UserAuthenticator
from rolevend.roles.vender import NOT_EVERYWHERE, CannotBe, Together
from rolevend.telemetry.metrics import Metrics
from rolevend.vending.directory import TOKEN_UNREAD, Directory
from rolevend.vending.proof import UserToken
from rolevend.vending.protocols import CredentialStore
from rolevend.vending.verdict import Denied, Request, Undecided, Verdict, ended_by, taken_by

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes Event, for people."""

    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    status: Body
    event: Event | None = None


class VendedRoleReconciler:
    def __init__(
        self,
        cluster: Cluster,
        observed: Observed,
        platforms: Platforms,
        store: CredentialStore,
        record: AuditRecorder,
        metrics: Metrics,
        now: Callable[[], datetime],
        making: Making,
        proving: UserAuthenticator,
        judge: Callable[[Sequence[RoleState]], None],
        unanswered: timedelta = timedelta(seconds=10),
    ) -> None:
        """`judge` is told of each event of an object that does not end: see `Reevaluator.saw`. `unanswered` is how long a role of the API
        that is not Ready is left to the call that asked for it."""
        self.roles = RoleStore()
        self._revoking: set[Uid] = set()
        self._closing = ImmediateDrops(platforms)
        self.room = RoleQuota(self._make_room)
        building = BuildProgressReporter(cluster, now)
        self._answering = ApiVendSupervisor(cluster, platforms, lambda: observed.directory, unanswered, building)
        self.clock = ExpiryScheduler(now, self.expire, metrics)
        self._cluster = cluster
        self._observed = observed
        self._record = record
        self._proving = proving
        self._judge = judge
        self._metrics = metrics
        self._now = now
        self._together = Together(platforms, making, store, self.roles, metrics, building)
        self._dropping = RoleDropper(cluster, platforms, store, record, self._closing, metrics, now)

    def remember(self, event: str | None, body: Body) -> None:
        """Every event of the watch, and every object of its first listing."""
        uid = Uid(body["metadata"]["uid"])
        if event == "DELETED":
            self.roles.gone(uid)
            self.room.gone(uid)
            self._revoking.discard(uid)
            self._closing.forget(uid)
            self._dropping.forget(uid)
            self._together.forget(uid)
            self._answering.forget(uid)
            self.clock.gone(uid)
            self._record.forget(uid)
            return
        try:
            standings = role_states(for_deletion(body))
        except RolevendError as error:
            _log.error("a VendedRole that cannot be read: %s", error, extra={"object": _object(body)})
            self.roles.unread(uid)
            return
        first, *_ = standings = self.roles.seen(*standings)
        for standing in standings:
            self.room.saw(standing)
        if first.ending_since is not None:
            self.clock.remove(uid)
            self._answering.forget(uid)
            if first.let_go:
                self.room.gone(uid)
        else:
            if not first.ready:
                self.clock.asked()
            self.clock.put(uid, self._answering.due_at(first), first.request.platform)
            for standing in standings:
                self._answering.saw(standing)
                if standing.ready and standing.absent:  # it could not be made there, and what may be there must go
                    self._close(standing.request, standing.role, EndReason.REVOKED)
            self._judge(standings)

    async def vend(self, body: Body) -> Outcome:
        """Makes the object's role on each of its platforms, or says why not. Raises what is worth another try, or what a person must mend
        on a platform."""
        role = parse(VendedRole, body)
        if role.spec.delivery == "Response":
            return Outcome({})  # the API does: see `answering`
        requests = tuple(self.roles.as_proven(each) for each in role_requests(role) if is_platform_active(role, each.platform))
        report = StatusBuilder(role, self._now())
        if not requests or is_ready(role) or self._now() >= requests[0].expires_at:
            return Outcome({})
        directory, begun = self._observed.directory, role.status.role_name is not None
        requests = await self._prove(requests, directory, begun=begun)
        started = time.perf_counter()
        whole = RoleDecision.of(requests, lambda request: self.room.judged(request, directory, begun=begun))
        self.room.taken(requests[0], whole.verdict)
        self.roles.said(whole.uid, granted_condition(whole))
        self._metrics.decision_seconds.observe(time.perf_counter() - started)
        if whole.refusal is not None:
            return await self._refused(whole, *whole.refusal, directory, report)
        try:
            failed = await self._together.make(whole, directory, report)
        except Overtaken as error:
            await self._revoke(requests, whole.role, "PolicyChanged", str(error))
            return Outcome({})
        except CannotBe as error:
            await self._revoke(requests, whole.role, NOT_EVERYWHERE, str(error))
            return Outcome({})
        live = [each for each in whole.vends if each.platform not in failed]
        now = self._observed.directory
        for each in live:
            verdict = now.verdict(each.request, begun=True)
            if why := ended_by(verdict, each.granted):
                await self._revoke(requests, whole.role, taken_by(verdict), _where(each.request, requests) + why)
                return Outcome({})
        for each in live:
            self._metrics.vend_seconds.labels(each.platform, "vended").observe(time.perf_counter() - started)
            about = {"role": whole.role, "platform": each.platform, "object": str(each.request.name)}
            _log.info("vended", extra={**about, "profile": each.granted.profile.name})
        reads = ", ".join(f"on {each.platform} reads {len(each.granted.profile.tables)} tables" for each in live)
        message = f"{whole.role} {reads} until {requests[0].expires_at:%H:%M:%S} UTC"
        status = vended(report, whole, failed, self._record.receipts(whole.uid))
        return Outcome(status, Event("Normal", "Vended", message))

    async def _refused(
        self, whole: RoleDecision, request: Request, verdict: Undecided | Denied, directory: Directory, report: StatusBuilder
    ) -> Outcome:
        role = report.role
        if role.status.role_name is not None and verdict.withdrawn:
            # An earlier run may have made the role, and could not say so before the grant was taken away.
            requests = tuple(each for each, _ in whole.verdicts)
            await self._revoke(requests, assigned_role_name(role), taken_by(verdict), _where(request, requests) + verdict.message)
            return Outcome({})
        status = refused(report, verdict, whole)
        if isinstance(verdict, Undecided):
            return Outcome(status)
        condition = role.status.condition("Granted")
        if condition is None or (condition.reason, condition.message) != (verdict.reason, verdict.message):
            await self._record.denied(request, verdict.reason, verdict.message, directory)
        self._metrics.denials.labels(request.platform, verdict.reason).inc()
        return Outcome(status, Event("Warning", "Denied", verdict.message))

    async def _prove(self, requests: tuple[Request, ...], directory: Directory, *, begun: bool) -> tuple[Request, ...]:
        """The same with what their user's token proves, where that is all that a verdict waits for."""
        first = requests[0]
        agent = directory.agents.get(first.agent)
        if not isinstance(first.token, UserToken) or agent is None:
            return requests
        refusal = RoleDecision.of(requests, lambda request: directory.verdict(request, begun=begun)).refusal
        if refusal is None or not _waits_for_token(refusal[1]):
            return requests
        proof = await self._proving.prove(first, first.token, agent, directory)
        self.roles.proven(first.uid, proof)
        requests = tuple(map(self.roles.as_proven, requests))
        self.clock.put(first.uid, requests[0].expires_at, first.platform)
        return requests

    def not_ready(self, body: Body, error: Exception) -> Body:
        uid = Uid(body["metadata"]["uid"])
        made = [each.request.platform for each in self.roles.of(uid) if each.granted is not None]
        return unready(StatusBuilder(for_report(body), self._now()), *error_reason(error), self._together.in_the_way(uid), made)

    async def drop(self, body: Body, patience: float, *, told: bool = False) -> Event | None:
        """Returns when the role was looked for and is gone from all its platforms; raises until then. Reads nothing that a namespace may
        have lost. What fails goes on by itself: why is written into the status, unless it was `told` before, and its success is waited for
        as long as `patience` says, in seconds. So the many that fail together when a platform is away cost one write each."""
        self.clock.remove(Uid(body["metadata"]["uid"]))
        try:
            message = await self._dropping.drop(body, patience if told else 0.0)
        except Exception as error:
            if told:
                raise
            await self._dropping.tell(body, self.not_dropped(body, error))
            message = await self._dropping.drop(body, patience)
        return None if message is None else Event("Normal", "Dropped", message)

    def not_dropped(self, body: Body, error: Exception) -> Body:
        """The status, after `error`."""
        self.clock.stuck(Uid(body["metadata"]["uid"]))
        return self._dropping.status(body, error)

    async def expire(self, uid: Uid) -> None:
        standing = self.roles.get(uid)
        if standing is None:
            return
        if is_unanswered(standing) and self._now() < standing.request.expires_at:
            if await self._answering.given_up(standing):
                await self.revoke(standing, BY, MESSAGE)
                return
            self.clock.gone(uid)  # answered at the last moment: it lives as long as it may
            self.clock.put(uid, standing.request.expires_at, standing.request.platform)
        else:
            await delete(self._cluster, standing.request)

    def close(self, standing: RoleState, reason: EndReason = EndReason.REVOKED) -> None:
        """Begins to end a live role before its time, on all of its platforms. `revoke` must follow."""
        for each in self.roles.of(standing.request.uid):
            self._close(each.request, each.role, reason)

    def _close(self, request: Request, role: RoleName | None, reason: EndReason) -> None:
        if role:
            self._closing.begin(request, Ending(role, request.uid, reason))

    async def revoke(self, standing: RoleState, by: str, message: str, reason: EndReason = EndReason.REVOKED) -> None:
        """Ends a live role before its time, on all of its platforms: the reason is written, and the object is deleted."""
        there = [each for each in self.roles.of(standing.request.uid) if each.role is not None] or [standing]
        await self._revoke([each.request for each in there], standing.role or there[0].role, by, message, reason)

    async def _revoke(
        self, requests: Sequence[Request], role: RoleName | None, by: str, message: str, reason: EndReason = EndReason.REVOKED
    ) -> None:
        first = requests[0]
        if first.uid in self._revoking:
            return
        self._revoking.add(first.uid)
        for request in requests:
            self._close(request, role, reason)
        _log.warning("ending (%s): %s", by, message, extra={"role": role, "platform": first.platform, "object": str(first.name)})
        try:
            await write_status(self._cluster, first, {"ended": {"reason": reason.value, "by": by, "message": message[:1024]}})
        except RolevendError as error:
            _log.warning("writing down why: %s", error, extra={"role": role})  # no reason to let it live
        try:
            await delete(self._cluster, first)
        except RolevendError:
            self._revoking.discard(first.uid)
            raise
        self._metrics.revoked_roles.labels(first.platform, by).inc()

    async def reconsider(self, standing: RoleState, why: str) -> None:
        """Has kopf run the vend handler again: an update that every operator, this one or the next, sees."""
        patch = {"metadata": {"uid": standing.request.uid, "annotations": {RECONSIDERED: f"{self._now().isoformat()} {why}"}}}
        await self._cluster.merge(VENDED_ROLES, standing.request.name.name, patch, standing.request.name.namespace)

    async def _make_room(self, uid: Uid) -> None:
        standing = self.roles.get(uid)
        if standing is not None and standing.ending_since is None:
            await self.reconsider(standing, "there is room")


def _waits_for_token(verdict: Verdict) -> bool:
    return isinstance(verdict, Undecided) and verdict.reason == TOKEN_UNREAD


def _where(request: Request, requests: Sequence[Request]) -> str:
    return f"on {request.platform}: " if len(requests) > 1 else ""


def _object(body: Body) -> str:
    return f"{body['metadata'].get('namespace', '')}/{body['metadata'].get('name', '')}"
