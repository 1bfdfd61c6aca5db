"""What is written down before a role exists, and after it is gone: whom its handles stand for, and the audit events."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime

from rolevend.catalog import TableId
from rolevend.errors import Conflict, TooManyUnknownUsers
from rolevend.model import PlatformName, ProfileName, RoleName, Uid
from rolevend.vending.audit import End, Event, Trail, denied, dropped, granted, orphan_dropped
from rolevend.vending.calls import Refusal, refused, release_requested
from rolevend.vending.directory import Directory
from rolevend.vending.evidence import Given, given
from rolevend.vending.protocols import Handles
from rolevend.vending.receipt import Receipts, digest_of
from rolevend.vending.verdict import Granted, Request

_MOST_PROFILES = 200


class AuditRecorder:
    """Remembers, for as long as an object stands, which events it has: a step that is tried again writes none twice. After a restart
    it may; the event then has the same id."""

    def __init__(self, trail: Trail, handles: Handles, now: Callable[[], datetime], receipts: Receipts | None = None) -> None:
        """Without `receipts` events have none."""
        self._trail = trail
        self._handles = handles
        self._now = now
        self._receipts = receipts
        self._given_receipts: dict[Uid, dict[PlatformName, str]] = defaultdict(dict)
        """Digests of those that are written."""
        self._last: dict[Uid, dict[PlatformName, str]] = defaultdict(dict)
        self._untold: dict[Uid, dict[PlatformName, Event]] = defaultdict(dict)
        self._given: dict[tuple[ProfileName, tuple[TableId, ...] | None], Given] = {}

    async def handles(self, request: Request, verdict: Granted, directory: Directory) -> None:
        """Raises Conflict where a handle of the role stands for somebody else, and TooManyUnknownUsers; each is recorded as a denial."""
        is_known = verdict.proof is not None or request.user in directory.people
        try:
            await self._handles.claim(verdict.lease, verdict.user_handle, is_known=is_known)
        except (Conflict, TooManyUnknownUsers) as error:
            await self.denied(request, type(error).__name__, str(error), directory)
            raise

    @property
    def gives_receipts(self) -> bool:
        return self._receipts is not None

    async def granted(self, request: Request, verdict: Granted, directory: Directory) -> str | None:
        """The digest of its receipt, which is written then: whoever keeps it names no receipt that nobody has. Raises AuditUnavailable:
        then nothing may be made."""
        event = granted(request, verdict, directory, self._told(verdict), self._now())
        if self._last[request.uid].get(request.platform) != event.id:
            signed = self._signed(event)
            await self._tell(request, signed)
            if signed.body.receipt is not None:
                self._given_receipts[request.uid][request.platform] = digest_of(signed.body.receipt)
        return self._given_receipts[request.uid].get(request.platform)

    def receipts(self, uid: Uid) -> Mapping[PlatformName, str]:
        """The digests of those that `granted` wrote here."""
        return self._given_receipts.get(uid, {})

    async def denied(self, request: Request, reason: str, message: str, directory: Directory) -> None:
        await self._tell(request, denied(request, reason, message, directory, self._now()))

    async def dropped(self, request: Request, end: End) -> None:
        """On the request's platform. Raises AuditUnavailable: then the object must stay, and this be called again. What it said first is
        what is written."""
        untold = self._untold[request.uid]
        if request.platform not in untold:
            untold[request.platform] = self._signed(dropped(request, end, self._now()), end.receipt_digest)
        await self._trail.record(untold[request.platform])
        untold.pop(request.platform, None)

    async def refused(self, refusal: Refusal) -> None:
        """Of a token that a call of the API brought. Raises AuditUnavailable; the call is refused all the same."""
        await self._trail.record(refused(refusal, self._now()))

    async def release_requested(self, request: Request, role: RoleName | None, request_id: str | None) -> None:
        """By a call of the API; `role` is None where none was made yet. Raises AuditUnavailable: an end need not wait for that."""
        await self._trail.record(release_requested(request, role, request_id, self._now()))

    async def orphan_dropped(self, uid: Uid, platform: PlatformName, end: End) -> None:
        """Raises AuditUnavailable: then this must be called again."""
        await self._trail.record(self._signed(orphan_dropped(uid, platform, end, self._now()), end.receipt_digest))

    def forget(self, uid: Uid) -> None:
        self._last.pop(uid, None)
        self._untold.pop(uid, None)
        self._given_receipts.pop(uid, None)

    def _signed(self, event: Event, first: str | None = None) -> Event:
        return event if self._receipts is None else self._receipts.on(event, first)

    async def _tell(self, request: Request, event: Event) -> None:
        if self._last[request.uid].get(request.platform) != event.id:
            await self._trail.record(event)
            self._last[request.uid][request.platform] = event.id

    def _told(self, verdict: Granted) -> Given:
        """Rendering a thousand tables takes longer than vending them."""
        name = verdict.profile.name, verdict.lease.resources
        if name not in self._given:
            if len(self._given) >= _MOST_PROFILES:
                self._given.clear()
            self._given[name] = given(verdict.tables)
        return self._given[name]
