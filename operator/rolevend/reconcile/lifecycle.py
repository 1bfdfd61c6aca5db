"""One VendedRole from its first event to its last: what the handlers call. Parses, asks the directory, lets `vending` act, reports."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from rolevend.atwork.platforms import Platforms
from rolevend.errors import InvalidInput, Overtaken, PlatformUnavailable, RolevendError
from rolevend.kube.client import Body, Cluster
from rolevend.kube.paths import VENDED_ROLES
from rolevend.model import RoleName, Uid
from rolevend.picture.objects import Observed
from rolevend.platforms.base import Ending, EndReason
from rolevend.reconcile.answering import BY, MESSAGE, Answering, is_unanswered
from rolevend.reconcile.clock import Clock
from rolevend.reconcile.closing import Closing
from rolevend.reconcile.room import Room
from rolevend.requests.making import Making, delete, write_status
from rolevend.requests.proving import Proving
from rolevend.requests.record import Record
from rolevend.requests.roles import Roles, Standing, begun_as, is_ready, request_of, standing_of, why_it_ends
from rolevend.requests.status import Report, dropping, refused, unready, vended
from rolevend.resources import VendedRole, parse, shell
from rolevend.resources.shared import HANDLES, RECONSIDERED
from rolevend.telemetry.metrics import Metrics
from rolevend.vending.audit import End
from rolevend.vending.directory import TOKEN_UNREAD, Directory
from rolevend.vending.proof import UserToken
from rolevend.vending.vend import CredentialStore, end
from rolevend.vending.verdict import Delivery, Granted, Request, Undecided, Verdict, ended_by, taken_by

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


class Lifecycle:
    def __init__(
        self,
        cluster: Cluster,
        observed: Observed,
        platforms: Platforms,
        store: CredentialStore,
        record: Record,
        metrics: Metrics,
        now: Callable[[], datetime],
        making: Making,
        proving: Proving,
        unanswered: timedelta = timedelta(seconds=10),
    ) -> None:
        """`unanswered` is how long a role of the API that is not Ready is left to the call that asked for it."""
        self.roles = Roles()
        self._revoking: set[Uid] = set()
        self._closing = Closing(platforms)
        self.room = Room(self._make_room)
        self._answering = Answering(cluster, platforms, lambda: observed.directory, self._judge, unanswered)
        self.clock = Clock(now, self.expire, metrics)
        self._cluster = cluster
        self._observed = observed
        self._platforms = platforms
        self._store = store
        self._record = record
        self._proving = proving
        self._metrics = metrics
        self._now = now
        self._making = making

    def remember(self, event: str | None, body: Body) -> None:
        """Every event of the watch, and every object of its first listing."""
        uid = Uid(body["metadata"]["uid"])
        if event == "DELETED":
            self.roles.gone(uid)
            self.room.gone(uid)
            self._revoking.discard(uid)
            self._closing.forget(uid)
            self._answering.forget(uid)
            self.clock.gone(uid)
            self._record.forget(uid)
            return
        try:
            standing = standing_of(_ending(body))
        except RolevendError as error:
            _log.error("a VendedRole that cannot be read: %s", error, extra={"object": _object(body)})
            self.roles.unread(uid)
            return
        standing = self.roles.seen(standing)
        self.room.saw(standing)
        if standing.ending_since is not None:
            self.clock.remove(uid)
        else:
            if not standing.ready:
                self.clock.asked()
            self.clock.put(uid, self._answering.due_at(standing), standing.request.platform)
            self._answering.saw(standing)

    async def vend(self, body: Body) -> Outcome:
        """Makes the object's role, or says why not. Raises what is worth another try, or what a person must mend on a platform."""
        role = parse(VendedRole, body)
        if role.spec.delivery == "Response":
            return Outcome({})  # the API does: see `answering`
        request = self.roles.as_proven(request_of(role))
        report = Report(role, self._now())
        if is_ready(role) or self._now() >= request.expires_at:
            return Outcome({})
        directory = self._observed.directory
        request = await self._prove(request, directory, begun=role.status.role_name is not None)
        started = time.perf_counter()
        verdict = self.room.judged(request, directory, begun=role.status.role_name is not None)
        self.room.taken(request, verdict)
        self._metrics.decision_seconds.observe(time.perf_counter() - started)
        if not isinstance(verdict, Granted):
            if role.status.role_name is not None and verdict.withdrawn:
                # An earlier run may have made the role, and could not say so before the grant was taken away.
                await self._revoke(request, role.status.role_name, taken_by(verdict), verdict.message)
                return Outcome({})
            status = refused(report, verdict, request)
            if isinstance(verdict, Undecided):
                return Outcome(status)
            condition = role.status.condition("Granted")
            if condition is None or (condition.reason, condition.message) != (verdict.reason, verdict.message):
                await self._record.denied(request, verdict.reason, verdict.message, directory)
            self._metrics.denials.labels(request.platform, verdict.reason).inc()
            return Outcome(status, Event("Warning", "Denied", verdict.message))
        try:
            live = await self._make(request, verdict, directory, report)
        except Overtaken as error:
            await self._revoke(request, verdict.lease.role, "PolicyChanged", str(error))
            return Outcome({})
        except RolevendError:
            self._metrics.vend_seconds.labels(request.platform, "failed").observe(time.perf_counter() - started)
            raise
        self.roles.vended(request.uid, verdict)
        now = self._observed.directory.verdict(request, begun=True)
        if why := ended_by(now, verdict):
            await self._revoke(request, live, taken_by(now), why)
            return Outcome({})
        self._metrics.vend_seconds.labels(request.platform, "vended").observe(time.perf_counter() - started)
        _log.info(
            "vended", extra={"role": live, "platform": request.platform, "object": str(request.name), "profile": verdict.profile.name}
        )
        message = f"{live} on {request.platform} reads {len(verdict.profile.tables)} tables until {request.expires_at:%H:%M:%S} UTC"
        return Outcome(vended(report, verdict, request), Event("Normal", "Vended", message))

    async def _prove(self, request: Request, directory: Directory, *, begun: bool) -> Request:
        """The same with what its user's token proves, where that is all that a verdict waits for."""
        agent = directory.agents.get(request.agent)
        if not isinstance(request.token, UserToken) or agent is None or not _waits_for_token(directory.verdict(request, begun=begun)):
            return request
        proof = await self._proving.prove(request, request.token, agent, directory)
        self.roles.proven(request.uid, proof)
        request = self.roles.as_proven(request)
        self.clock.put(request.uid, request.expires_at, request.platform)
        return request

    async def _make(self, request: Request, verdict: Granted, directory: Directory, report: Report) -> RoleName:
        at_work = self._platforms.get(request.platform)
        executor = at_work.executor if at_work else None  # one for the whole vend: it may be replaced while we write
        if executor is None:
            raise PlatformUnavailable(f"DataPlatform {request.platform} is not connected yet")
        await self._making.begin(request, verdict, directory, report)
        return (await self._making.make(request, verdict, executor, self._store)).role

    def not_ready(self, body: Body, error: Exception) -> Body:
        return unready(Report(_reported(body), self._now()), *_told(error))

    async def drop(self, body: Body, patience: float = 0.0) -> Event | None:
        """Returns when the role was looked for and is gone; raises until then. Reads nothing that a namespace may have lost.
        What fails goes on by itself, and is waited for as long as `patience` says, in seconds."""
        try:
            role = _ending(body)
        except InvalidInput:
            if await self._was_begun(body):
                raise
            return None
        request = request_of(role)
        self.clock.remove(request.uid)
        if begun_as(role) is None:
            # The watch may lag behind what we wrote ourselves: the finalizer goes only on the API server's own word.
            role = _ending(await self._cluster.get(VENDED_ROLES, request.name.name, request.name.namespace))
        name = begun_as(role)
        if name is None:
            await self._discard(request)
            return None  # nothing was ever begun on a platform
        reason = self._end_reason(role, request)
        at_work = self._platforms.get(request.platform)
        if at_work is None:
            why = f"there is no DataPlatform {request.platform}, or it cannot be read; it must be there, under this name, to drop the role"
            raise PlatformUnavailable(f"dropping {name}: {why}")
        executor = await at_work.connected(patience)
        if executor is None:
            raise PlatformUnavailable(f"dropping {name}: DataPlatform {request.platform} is not connected")
        started = time.perf_counter()
        try:
            dropped = await self._closing.done(request.uid) or await end(Ending(name, request.uid, reason), executor, patience)
        except RolevendError:
            self._metrics.drop_seconds.labels(request.platform, "failed").observe(time.perf_counter() - started)
            raise
        self._metrics.drop_seconds.labels(request.platform, "dropped").observe(dropped.seconds)
        await self._discard(request)
        due = request.expires_at if reason is EndReason.EXPIRED else role.metadata.deletion_timestamp or self._now()
        ended, sessions = role.status.ended, len(dropped.sessions)
        by, message = (ended.by, ended.message) if ended else (None, None)
        done = End(name, reason, due, self._now(), dropped.seconds, sessions, by, message, _profile(role), role.status.receipt_digest)
        await self._record.dropped(request, done)
        _log.info(
            "dropped",
            extra={
                "role": name,
                "platform": request.platform,
                "object": str(request.name),
                "reason": reason.value,
                "sessions": sessions,
            },
        )
        why = f"{reason.value} by {ended.by}" if ended and ended.by else reason.value
        return Event("Normal", "Dropped", f"{name} is gone from {request.platform}: {why}, {sessions} sessions ended")

    async def _discard(self, request: Request) -> None:
        if request.delivery is Delivery.SECRET:
            await self._store.discard(request)

    async def _was_begun(self, body: Body) -> bool:
        """Whether there may be a role for an object that cannot be read."""
        metadata = body["metadata"]
        now = shell(VendedRole, await self._cluster.get(VENDED_ROLES, metadata["name"], metadata["namespace"]))
        return now.status.role_name is not None or HANDLES in now.metadata.annotations

    def not_dropped(self, body: Body, error: Exception) -> Body:
        self.clock.stuck(Uid(body["metadata"]["uid"]))
        return dropping(Report(_reported(body), self._now()), *_told(error))

    async def expire(self, uid: Uid) -> None:
        standing = self.roles.get(uid)
        if standing is None:
            return
        if is_unanswered(standing) and self._now() < standing.request.expires_at:
            if await self._answering.given_up(standing):
                await self._revoke(standing.request, standing.role or "", BY, MESSAGE)
                return
            self.clock.gone(uid)  # answered at the last moment: it lives as long as it may
            self.clock.put(uid, standing.request.expires_at, standing.request.platform)
        else:
            await delete(self._cluster, standing.request)

    def close(self, request: Request, role: str | None, reason: EndReason = EndReason.REVOKED) -> None:
        """Begins to end a live role before its time. `revoke` must follow."""
        if role:
            self._closing.begin(request, Ending(RoleName(role), request.uid, reason))

    async def revoke(self, standing: Standing, by: str, message: str, reason: EndReason = EndReason.REVOKED) -> None:
        """Ends a live role before its time: the reason is written, and the object is deleted."""
        await self._revoke(standing.request, standing.role or "", by, message, reason)

    async def _revoke(self, request: Request, role: str, by: str, message: str, reason: EndReason = EndReason.REVOKED) -> None:
        if request.uid in self._revoking:
            return
        self._revoking.add(request.uid)
        self.close(request, role, reason)
        _log.warning("ending (%s): %s", by, message, extra={"role": role, "platform": request.platform, "object": str(request.name)})
        try:
            await write_status(self._cluster, request, {"ended": {"reason": reason.value, "by": by, "message": message[:1024]}})
        except RolevendError as error:
            _log.warning("writing down why: %s", error, extra={"role": role})  # no reason to let it live
        try:
            await delete(self._cluster, request)
        except RolevendError:
            self._revoking.discard(request.uid)
            raise
        self._metrics.revoked_roles.labels(request.platform, by).inc()

    async def _judge(self, standing: Standing, granted: Granted | None) -> None:
        """One that the API has vended by its own picture, which may have been another one than ours."""
        verdict = granted or self._observed.directory.verdict(standing.request, begun=True)
        if why := why_it_ends(verdict, standing):
            await self._revoke(standing.request, standing.role or "", taken_by(verdict), why)
        elif granted is not None:
            self.roles.vended(standing.request.uid, granted)

    async def reconsider(self, standing: Standing, why: str) -> None:
        """Has kopf run the vend handler again: an update that every operator, this one or the next, sees."""
        patch = {"metadata": {"uid": standing.request.uid, "annotations": {RECONSIDERED: f"{self._now().isoformat()} {why}"}}}
        await self._cluster.merge(VENDED_ROLES, standing.request.name.name, patch, standing.request.name.namespace)

    async def _make_room(self, uid: Uid) -> None:
        standing = self.roles.get(uid)
        if standing is not None and standing.ending_since is None:
            await self.reconsider(standing, "there is room")

    def _end_reason(self, role: VendedRole, request: Request) -> EndReason:
        if role.status.ended is not None:
            return EndReason(role.status.ended.reason)
        deleted_at = role.metadata.deletion_timestamp or self._now()
        return EndReason.EXPIRED if deleted_at >= request.expires_at else EndReason.RELEASED


def _waits_for_token(verdict: Verdict) -> bool:
    return isinstance(verdict, Undecided) and verdict.reason == TOKEN_UNREAD


def _ending(body: Body) -> VendedRole:
    """The object as far as its end needs it: a field of a newer version must not keep a role alive."""
    return parse(VendedRole, body, unknown="ignore")


def _reported(body: Body) -> VendedRole:
    """For its conditions, which an object that cannot be read has, too."""
    try:
        return _ending(body)
    except InvalidInput:
        return shell(VendedRole, body)


def _profile(role: VendedRole) -> str | None:
    return role.status.platforms[0].profile if role.status.platforms else None


def _told(error: Exception) -> tuple[str, str]:
    """Reason and message of a condition. What we did not raise on purpose might hold anything, so only its kind is told."""
    if isinstance(error, RolevendError):
        return type(error).__name__, str(error)
    return "InternalError", f"{type(error).__name__}; see the operator's log"


def _object(body: Body) -> str:
    return f"{body['metadata'].get('namespace', '')}/{body['metadata'].get('name', '')}"
