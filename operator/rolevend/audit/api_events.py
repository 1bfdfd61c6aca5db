"""Audit events of calls of the API: a token that is refused, and an end that is asked for. Pure."""

import enum
import json
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from rolevend.audit.events import AuditEvent, Body, EventType, asked
from rolevend.audit.truncate import MAX_BYTES, fit_event
from rolevend.decision.outcome import Request
from rolevend.model import ObjectName, RoleName


class Bearer(enum.StrEnum):
    """Whose token it was to be."""

    AGENT = "Agent"
    USER = "User"


@dataclass(frozen=True, slots=True)
class RefusedCall:
    """A token that proves nothing, or not what it should."""

    bearer: Bearer
    code: str
    """As in `identity.refusal`."""
    message: str
    """Says nothing of the token."""
    token_digest: str | None = None
    """As `identity.compact.digest` makes it; None where there was no token."""
    agent: ObjectName | None = None
    """The one that had proven itself before; None: nobody had."""
    request_id: str | None = None
    left_out: int | None = None
    """How many refusals this stands for, each of which was not written for itself."""


def refused(refusal: RefusedCall, now: datetime) -> AuditEvent:
    """Each call is an event of its own, also the same one again: who asks chooses its request id, and must not hide one behind another."""
    body = Body(
        agent=None if refusal.agent is None else str(refusal.agent),
        token_digest=refusal.token_digest,
        request_id=refusal.request_id,
        bearer=refusal.bearer.value,
        reason=refusal.code,
        message=refusal.message,
        refusals_left_out=refusal.left_out,
    )
    told = [refusal.bearer, refusal.code, refusal.token_digest, str(refusal.agent), refusal.request_id, now.isoformat()]
    return AuditEvent(f"refused/{_digest(told)}", EventType.REFUSED, str(refusal.agent or "api"), now, fit_event(MAX_BYTES, body))


def release_requested(request: Request, role: RoleName | None, request_id: str | None, now: datetime) -> AuditEvent:
    """`role` is None where none was made yet; `request_id` is that of this call, and not of the one that made the request."""
    body = Body(**{**asked(request), "request_id": request_id}, role=role)
    id_ = f"{request.uid}/releaserequested/{_digest([request_id, now.isoformat()])}"
    return AuditEvent(id_, EventType.RELEASE_REQUESTED, role or str(request.name), now, fit_event(MAX_BYTES, body))


def _digest(told: list[str | None]) -> str:
    return sha256(json.dumps(told).encode()).hexdigest()[:32]
