"""The audit events of roles, and the records of their handles."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from rolevend.audit.api_events import RefusedCall, refused, release_requested
from rolevend.audit.events import AccessAnsweredEvent, AccessDecidedEvent, AccessRequestedEvent, AuditEvent, AuditSink, DroppedEvent
from rolevend.audit.evidence import AccessSummary, access_summary
from rolevend.audit.receipt import Receipts, SignedEvent, digest_of
from rolevend.audit.role_events import End, denied, dropped, granted, orphan_dropped
from rolevend.catalog import TableId
from rolevend.decision.approval import ActiveApproval
from rolevend.decision.outcome import Granted, Request
from rolevend.decision.snapshot import Snapshot
from rolevend.errors import Conflict, TooManyUnknownUsers
from rolevend.model import PlatformName, ProfileName, RoleName, Uid
from rolevend.roles.protocols import Handles

_MAX_PROFILES = 200


@dataclass(slots=True)
class AuditMemory:
    """The audit events of one VendedRole that this process wrote, so that a retried step writes none twice. A new process may write an
    event again, with the same id."""

    last: dict[PlatformName, str] = field(default_factory=dict)
    """The id of the last event on each platform."""
    unwritten: dict[PlatformName, DroppedEvent] = field(default_factory=dict)
    """Drops whose event could not be written yet. The event is retried unchanged."""
    receipts: dict[PlatformName, str] = field(default_factory=dict)
    """The digests of the written receipts."""
    approval: ActiveApproval | None = None
    """The approval by which the role was granted. The end of the role may come with the end of its AccessRequest."""


class AuditRecorder:
    """Writes audit events and the records of handles. Every method raises AuditUnavailable if an event cannot be written."""

    def __init__(self, trail: AuditSink, handles: Handles, now: Callable[[], datetime], receipts: Receipts | None = None) -> None:
        """Without `receipts` events have none."""
        self._trail = trail
        self._handles = handles
        self._now = now
        self._receipts = receipts
        self._given: dict[tuple[ProfileName, tuple[TableId, ...] | None], AccessSummary] = {}

    async def handles(self, request: Request, decision: Granted, snapshot: Snapshot, memory: AuditMemory) -> None:
        """Record the agent and the user of the role's handles. Raises Conflict if a handle belongs to another, and TooManyUnknownUsers.
        Each error is recorded as a denial."""
        is_known = decision.proof is not None or request.user in snapshot.people
        try:
            await self._handles.claim(decision.lease, decision.user_handle, is_known=is_known)
        except (Conflict, TooManyUnknownUsers) as error:
            await self.denied(request, type(error).__name__, str(error), snapshot, memory)
            raise

    @property
    def gives_receipts(self) -> bool:
        return self._receipts is not None

    async def granted(self, request: Request, decision: Granted, snapshot: Snapshot, memory: AuditMemory) -> str | None:
        """Write the event and return the digest of its receipt. Call it before anything is created."""
        if isinstance(request.approval, ActiveApproval):
            memory.approval = request.approval
        event = granted(request, decision, snapshot, self._summary(decision), self._now())
        if memory.last.get(request.platform) != event.id:
            signed = self._signed(event)
            await self._write(request, signed, memory)
            if signed.receipt is not None:
                memory.receipts[request.platform] = digest_of(signed.receipt)
        return memory.receipts.get(request.platform)

    async def denied(self, request: Request, reason: str, message: str, snapshot: Snapshot, memory: AuditMemory) -> None:
        await self._write(request, denied(request, reason, message, snapshot, self._now()), memory)

    async def dropped(self, request: Request, end: End, memory: AuditMemory) -> None:
        """Write the end of the role on the request's platform. The object must stay until this succeeds."""
        if request.platform not in memory.unwritten:
            if request.approval is not None and memory.approval is not None:
                request = replace(request, approval=memory.approval)
            memory.unwritten[request.platform] = self._signed(dropped(request, end, self._now()), end.receipt_digest)
        await self._trail.record(memory.unwritten[request.platform])
        memory.unwritten.pop(request.platform, None)

    async def refused(self, refusal: RefusedCall) -> None:
        """Write the event of an API call whose token was refused. The call is refused even if this fails."""
        await self._trail.record(refused(refusal, self._now()))

    async def release_requested(self, request: Request, role: RoleName | None, request_id: str | None) -> None:
        """Write that an API call requested the release; `role` is None if none was created yet. The release does not depend on it."""
        await self._trail.record(release_requested(request, role, request_id, self._now()))

    async def orphan_dropped(self, uid: Uid, platform: PlatformName, end: End) -> None:
        """Write the drop of a role without an object. The caller repeats the call if it fails."""
        await self._trail.record(self._signed(orphan_dropped(uid, platform, end, self._now()), end.receipt_digest))

    async def access(self, event: AccessRequestedEvent | AccessAnsweredEvent | AccessDecidedEvent) -> None:
        """Write an event of an AccessRequest. Call it before the status is written that makes an approval usable."""
        await self._trail.record(event)

    def _signed(self, event: SignedEvent, first: str | None = None) -> SignedEvent:
        return event if self._receipts is None else self._receipts.on(event, first)

    async def _write(self, request: Request, event: AuditEvent, memory: AuditMemory) -> None:
        if memory.last.get(request.platform) != event.id:
            await self._trail.record(event)
            memory.last[request.platform] = event.id

    def _summary(self, decision: Granted) -> AccessSummary:
        """Return the summary, cached: rendering a thousand tables takes longer than vending them."""
        name = decision.profile.name, decision.lease.resources
        if name not in self._given:
            if len(self._given) >= _MAX_PROFILES:
                self._given.clear()
            self._given[name] = access_summary(decision.tables)
        return self._given[name]
