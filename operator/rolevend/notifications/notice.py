"""The message about one AccessRequest, for one occasion. Pure.

It has the facts that an approver needs to find the request and to decide: no rows of the platform, no attributes of the user, no token.
Words that an agent chose are marked as such. The id follows from request, occasion and receiver, so the receiver can drop copies.
"""

import shlex
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from rolevend.access_requests.request import whole_second
from rolevend.access_requests.text import sanitized
from rolevend.kinds import AccessRequest
from rolevend.kinds.status import body
from rolevend.kinds.text import timestamp_text
from rolevend.kinds.vended_role import ProvenUser
from rolevend.notifications.receivers import Occasion


@dataclass(frozen=True, slots=True)
class Notice:
    """The content of a notification."""

    id: str
    """Of the receiver's copy. It has no full stop, which would make a signature ambiguous."""
    occasion: Occasion
    subject: str
    """`namespace/name` of the AccessRequest."""
    at: datetime
    """When the occasion came."""
    data: dict[str, Any]


def notice(request: AccessRequest, occasion: Occasion, receiver: str, pending_seconds: int | None) -> Notice:
    """Return the message. `pending_seconds` of the offer are None if it is gone."""
    created = request.metadata.creation_timestamp
    since = request.status.state_since or created
    assert created is not None and since is not None  # noqa: S101, PT018 - it was read from a cluster, and judged
    expires_at = whole_second(created) + timedelta(seconds=pending_seconds) if pending_seconds is not None else None
    data = {
        "request": {"namespace": request.namespace, "name": request.name, "uid": request.uid, "createdAt": timestamp_text(created)},
        "state": request.status.state,
        "reason": request.status.reason,
        "message": _on_one_line(request.status.message),
        **_asked(request),
        **(_to_decide(request, expires_at) if occasion is Occasion.PENDING else _decided(request)),
    }
    return Notice(_id(request, occasion, receiver), occasion, f"{request.namespace}/{request.name}", since, _present(data))


def _id(request: AccessRequest, occasion: Occasion, receiver: str) -> str:
    digest = sha256(f"{request.uid}/{occasion.value}/{receiver}".encode()).hexdigest()
    return f"msg_{digest[:32]}"


def _on_one_line(message: str | None) -> str | None:
    """Return a sentence of the operator on one line. It may quote names of agents' choice."""
    return None if message is None else " ".join(message.split())


def _asked(request: AccessRequest) -> dict[str, Any]:
    spec, user = request.spec, request.status.user or request.spec.proven
    seen = request.status.offer
    return {
        "agent": {"namespace": request.namespace, "name": spec.agent_ref.name},
        "user": {"issuer": spec.user.issuer, "subject": spec.user.subject, **_proof(user)},
        "platform": spec.platform_ref.name,
        "offer": {
            "namespace": spec.offer_ref.namespace,
            "name": spec.offer_ref.name,
            "display": None if seen is None else seen.display,
            "digest": None if seen is None else seen.digest,
        },
        "tables": None if spec.tables is None else [body(each) for each in spec.tables],
        "columns": None if spec.columns is None else list(spec.columns),
        "expirationSeconds": spec.expiration_seconds,
        "purpose": spec.purpose,
        "ticket": spec.ticket,
        "task": None if spec.task is None else spec.task.id,
        "justification": None
        if spec.justification is None
        else {"text": sanitized(spec.justification.text), "writtenBy": "Agent", "verified": False},
    }


def _proof(user: ProvenUser | None) -> dict[str, Any]:
    """Return how the user is proven, without attributes and without anything of the token but its issuer's name here."""
    if user is None:
        return {"proof": None}
    return {"proof": user.proof, "provider": None if user.token is None else user.token.provider}


def _to_decide(request: AccessRequest, expires_at: datetime | None) -> dict[str, Any]:
    commands = {"show": "requests", "approve": "approve", "deny": "deny"}
    lines = {
        member: shlex.join(["rolevend", command, request.name, "--namespace", request.namespace]) for member, command in commands.items()
    }
    return {"expiresAt": None if expires_at is None else timestamp_text(expires_at), "commands": lines}


def _decided(request: AccessRequest) -> dict[str, Any]:
    approval = request.status.approval
    if approval is None:
        return {}
    return {
        "approval": {
            "rule": approval.rule,
            "approvers": [each.by for each in approval.approvers],
            "decidedAt": timestamp_text(approval.decided_at),
            "claimUntil": timestamp_text(approval.claim_until),
            "expirationSeconds": approval.expiration_seconds,
        }
    }


def _present(value: Any) -> Any:
    """Return the value without members that are None."""
    if isinstance(value, dict):
        return {name: _present(member) for name, member in value.items() if member is not None}
    return value
