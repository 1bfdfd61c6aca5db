"""Create the audit events of roles: granted, denied, dropped. Pure."""

import json
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, TypedDict

from rolevend.audit.access import RoleApproval, role_approval
from rolevend.audit.events import DeniedEvent, DroppedEvent, GrantedEvent
from rolevend.audit.evidence import AccessSummary, evidence
from rolevend.audit.groups import RequestOrigin, RequestProof, RequestTerms, RequestUser
from rolevend.audit.truncate import fit_event
from rolevend.decision.outcome import Granted, Request
from rolevend.decision.proof import Proof, Unproven, UserProof
from rolevend.decision.snapshot import Snapshot
from rolevend.errors import InvalidInput
from rolevend.model import PlatformName, RoleName, Uid
from rolevend.naming import parse_role_name
from rolevend.platforms.protocol import EndReason


@dataclass(frozen=True, slots=True)
class End:
    """The end of a role that the operator verified."""

    role: RoleName
    reason: EndReason
    due_at: datetime
    """When the role was to end."""
    ended_at: datetime
    seconds: float
    sessions: int | None = None
    """None if it is not known any more."""
    by: str | None = None
    message: str | None = None
    profile: str | None = None
    receipt_digest: str | None = None
    """The digest of the receipt of its grant. None if there is no receipt, or if it is not known any more."""


class RequestGroups(TypedDict):
    """The groups of fields that every event about a request has."""

    origin: RequestOrigin
    user: RequestUser
    proof: RequestProof
    terms: RequestTerms


def granted(request: Request, decision: Granted, snapshot: Snapshot, given: AccessSummary, now: datetime) -> GrantedEvent:
    lease, profile = decision.lease, decision.profile
    shape = _digest(profile.name, [[key, list(values)] for key, values in lease.attributes])
    event = GrantedEvent(
        id=f"{request.uid}/granted/{request.platform}/{shape}",
        subject=lease.role,
        time=now,
        **request_groups(request),
        approval=role_approval(request.approval),
        evidence=evidence(snapshot, request),
        role=lease.role,
        agent_handle=lease.agent_handle,
        user_handle=decision.user_handle,
        expires_at=lease.expires_at,
        profile=profile.name,
        table_count=len(decision.tables),
        tables=given.tables,
        tables_left_out=given.left_out or None,
        functions=tuple(map(str, (*profile.functions, *profile.tools))) or None,
    )
    return fit_event(event)


def denied(request: Request, reason: str, message: str, snapshot: Snapshot, now: datetime) -> DeniedEvent:
    event = DeniedEvent(
        id=f"{request.uid}/denied/{request.platform}/{_digest(reason, message)}",
        subject=str(request.name),
        time=now,
        **request_groups(request),
        approval=role_approval(request.approval),
        evidence=evidence(snapshot, request),
        reason=reason,
        message=message,
    )
    return fit_event(event)


def dropped(request: Request, end: End, now: datetime) -> DroppedEvent:
    return _dropped(end, now, approval=role_approval(request.approval), expires_at=request.expires_at, **request_groups(request))


def orphan_dropped(uid: Uid, platform: PlatformName, end: End, now: datetime) -> DroppedEvent:
    return _dropped(end, now, RequestOrigin(request_uid=uid, platform=platform))


def _dropped(
    end: End,
    now: datetime,
    origin: RequestOrigin,
    user: RequestUser | None = None,
    proof: RequestProof | None = None,
    terms: RequestTerms | None = None,
    approval: RoleApproval | None = None,
    expires_at: datetime | None = None,
) -> DroppedEvent:
    agent_handle, user_handle = _handles(end.role)
    event = DroppedEvent(
        id=f"{origin.request_uid}/dropped/{origin.platform}/{end.reason.value}",
        subject=end.role,
        time=now,
        role=end.role,
        origin=origin,
        agent_handle=agent_handle,
        user=user,
        user_handle=user_handle,
        proof=proof,
        terms=terms,
        approval=approval,
        expires_at=expires_at,
        message=end.message,
        profile=end.profile,
        ended=end.reason,
        ended_by=end.by,
        ended_at=end.ended_at,
        sessions_ended=end.sessions,
        drop_seconds=round(end.seconds, 6),
        late_seconds=round(max(0.0, (end.ended_at - end.due_at).total_seconds()), 3),
    )
    return fit_event(event)


def request_groups(request: Request) -> RequestGroups:
    return {
        "origin": RequestOrigin(
            request=str(request.name),
            request_uid=request.uid,
            requested_by=request.requested_by,
            requested_at=request.created_at,
            platform=request.platform,
            agent=str(request.agent),
        ),
        "user": RequestUser(user_issuer=request.user.issuer, user_subject=request.user.subject),
        "proof": request_proof(request),
        "terms": RequestTerms(
            purpose=request.purpose,
            task_id=request.task.id if request.task else None,
            intent_digest=request.task.intent_digest if request.task else None,
            request_id=request.request_id,
            resources=None if request.resources is None else tuple(map(str, request.resources)),
            expiration_seconds=request.expiration_seconds,
        ),
    }


def request_proof(request: Request) -> RequestProof:
    match request.proof:
        case Proof() as proof:
            return RequestProof(
                user_proof=proof.kind.value,
                identity_provider=proof.provider,
                token_type=proof.token_type,
                token_digest=proof.digest,
                actors=tuple(map(str, proof.actors)) or None,
            )
        case Unproven(digest=digest):
            return RequestProof(token_digest=digest)
        case None:
            return RequestProof(user_proof=None if request.token is not None else UserProof.ASSERTED.value)


def _handles(role: RoleName) -> tuple[str | None, str | None]:
    """The handles of agent and user. An orphan may have any name, also one without handles."""
    try:
        parts = parse_role_name(role)
    except InvalidInput:
        return None, None
    return parts.agent, parts.user


def _digest(*parts: Any) -> str:
    return sha256(json.dumps(parts).encode()).hexdigest()[:16]
