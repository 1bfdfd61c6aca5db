"""Read the approval that a request for a role names, and record its use before the role is created."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from rolevend.access_objects.store import AccessRequestStore
from rolevend.access_requests.request import Approval as RecordedApproval
from rolevend.access_requests.use import IntendedUse, MayNotUse, MayUse, UseRefusal, may_use
from rolevend.decision.approval import ActiveApproval, Approval, UnusableApproval
from rolevend.decision.outcome import Request
from rolevend.decision.proof import Proof, UserToken
from rolevend.errors import Conflict
from rolevend.kinds import AccessRequest
from rolevend.kinds.access_request_facts import login_facts, recorded, requested_access
from rolevend.kinds.status import body
from rolevend.kinds.text import timestamp_text
from rolevend.kube.client import NotFound, ResourceConflict
from rolevend.model import ObjectName
from rolevend.roles.protocols import ApprovalRefused, Snapshots

_ATTEMPTS: Final = 5
_DELETED: Final = "AccessRequestDeleted"


class Approvals:
    """See `roles.protocols.ApprovalUses`."""

    def __init__(self, store: AccessRequestStore, snapshots: Snapshots, now: Callable[[], datetime]) -> None:
        self._store = store
        self._snapshots = snapshots
        self._now = now

    async def refresh(self, name: ObjectName) -> None:
        await self._store.read(name)

    def resolve(self, request: Request) -> Request:
        """Return the request with the approval that it names, as far as the role may use it. Until all AccessRequests are listed, it is
        the same request."""
        if request.approval is None or not self._store.informer.synced:
            return request
        is_login_read = not isinstance(request.token, UserToken) or isinstance(request.proof, Proof)
        use = _intended(request, request.created_at, is_login_read=is_login_read)
        approval, _ = self._usable(self._store.get(request.approval.name), use, request.approval)
        return replace(request, approval=approval)

    async def use(self, request: Request) -> None:
        named = request.approval
        if named is None:
            return
        found = self._store.get(named.name)
        for _ in range(_ATTEMPTS):
            approval, may = self._usable(found, _intended(request, self._now(), is_login_read=True), named)
            if isinstance(approval, UnusableApproval):
                raise ApprovalRefused(approval.code, approval.message, approval.needed)
            if found is None or may is None or may.is_recorded:
                return
            use = {"roleUid": request.uid, "roleName": request.name.name, "at": timestamp_text(self._now())}
            try:
                await self._store.write_status(found, {"uses": [*map(body, found.status.uses), use]})
            except (ResourceConflict, NotFound):  # it changed since the watch reported it: perhaps it may not be used any more
                found = await self._store.read(named.name)
            else:
                return
        raise Conflict(f"AccessRequest {named.name.name} changes all the time; try again")

    def _usable(
        self, found: AccessRequest | None, use: IntendedUse, named: Approval
    ) -> tuple[ActiveApproval | UnusableApproval, MayUse | None]:
        if found is None:
            cause = f"there is no AccessRequest {named.name.name} of this agent for this user"
            return UnusableApproval(named.name, UseRefusal.NOT_APPROVED, cause, named.uid, ended_by=_DELETED), None
        if named.uid not in (None, found.uid):
            cause = f"AccessRequest {named.name.name} is another one than the role was begun with, which does not exist any more"
            return UnusableApproval(named.name, UseRefusal.NOT_APPROVED, cause, named.uid, ended_by=_DELETED), None
        asked, life = requested_access(found), recorded(found)
        answer = may_use(asked, life, self._snapshots.snapshot.offers.get(asked.offer), use)
        if isinstance(answer, MayNotUse):
            return UnusableApproval(named.name, answer.refusal, answer.message, named.uid, answer.needed, answer.ended_by), None
        assert life.approval is not None  # noqa: S101 - `may_use` says so
        assert life.offered is not None  # noqa: S101
        active = ActiveApproval(
            name=asked.name,
            uid=asked.uid,
            asked=asked.activation,
            granted=life.approval.activation(asked),
            digest=life.offered.digest,
            ends_by=answer.ends_by,
            approved_by=approved_by(life.approval),
        )
        return active, answer


def _intended(request: Request, at: datetime, *, is_login_read: bool) -> IntendedUse:
    login = login_facts(request.proof) if isinstance(request.proof, Proof) else None
    return IntendedUse(request.uid, request.agent, request.user, request.platform, at, request.purpose, request.task, login, is_login_read)


def approved_by(approval: RecordedApproval) -> tuple[str, ...]:
    """Return the people who approved, or the rule."""
    return tuple(each.by for each in approval.approvers) or (f"rule {approval.rule}",)
