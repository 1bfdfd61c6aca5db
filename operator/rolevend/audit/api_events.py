"""Create the audit events of API calls: refused, releaserequested. Pure."""

import enum
import json
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

from rolevend.audit.events import RefusedEvent, ReleaseRequestedEvent
from rolevend.audit.role_events import request_groups
from rolevend.audit.truncate import fit_event
from rolevend.decision.outcome import Request
from rolevend.model import ObjectName, RoleName


class Bearer(enum.StrEnum):
    """Whose token it was expected to be."""

    AGENT = "Agent"
    USER = "User"
    SCIM = "SCIM"
    """Of an identity provider that pushes users."""
    SIGNAL = "Signal"
    """Of an identity provider that sends security event tokens."""


@dataclass(frozen=True, slots=True)
class RefusedCall:
    """A token that proves nothing, or not what it must prove."""

    bearer: Bearer
    code: str
    """See `identity.refusal`."""
    message: str
    """Contains nothing of the token."""
    token_digest: str | None = None
    """See `identity.compact.digest`. None if there was no token."""
    agent: ObjectName | None = None
    """The agent that had authenticated before, if any."""
    request_id: str | None = None
    left_out: int | None = None
    """How many refusals this one stands for that have no event of their own."""


def refused(refusal: RefusedCall, now: datetime) -> RefusedEvent:
    """Return an event with an id of its own, also for a repeated call: callers choose request ids, and must not hide one call behind
    another."""
    call = [refusal.bearer, refusal.code, refusal.token_digest, str(refusal.agent), refusal.request_id, now.isoformat()]
    event = RefusedEvent(
        id=f"refused/{_digest(call)}",
        subject=str(refusal.agent or "api"),
        time=now,
        agent=None if refusal.agent is None else str(refusal.agent),
        token_digest=refusal.token_digest,
        request_id=refusal.request_id,
        bearer=refusal.bearer.value,
        refusals_left_out=refusal.left_out,
        reason=refusal.code,
        message=refusal.message,
    )
    return fit_event(event)


def release_requested(request: Request, role: RoleName | None, request_id: str | None, now: datetime) -> ReleaseRequestedEvent:
    """`role` is None if none was created yet. `request_id` is that of this call, not that of the call that created the request."""
    groups = request_groups(request)
    groups["terms"] = replace(groups["terms"], request_id=request_id)
    event = ReleaseRequestedEvent(
        id=f"{request.uid}/releaserequested/{_digest([request_id, now.isoformat()])}",
        subject=role or str(request.name),
        time=now,
        role=role,
        **groups,
    )
    return fit_event(event)


def _digest(parts: list[str | None]) -> str:
    return sha256(json.dumps(parts).encode()).hexdigest()[:32]
