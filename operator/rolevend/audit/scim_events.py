"""Create the audit event of a change by SCIM. Pure."""

import json
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from rolevend.audit.events import ScimChangedEvent
from rolevend.audit.groups import RequestUser
from rolevend.audit.truncate import fit_event
from rolevend.model import User


@dataclass(frozen=True, slots=True)
class ScimChange:
    """A change of one object."""

    identity_provider: str
    object: str
    """Kind and name."""
    change: str
    user: User | None
    members: tuple[str, ...]
    """Names of the SCIM attributes that change, without their values."""
    request_id: str


def scim_changed(change: ScimChange, now: datetime) -> ScimChangedEvent:
    digest = sha256(json.dumps([change.change, change.members, change.request_id, now.isoformat()]).encode()).hexdigest()[:32]
    event = ScimChangedEvent(
        id=f"{change.object.replace(' ', '/')}/scim/{digest}",
        subject=change.object,
        time=now,
        identity_provider=change.identity_provider,
        change=change.change,
        user=None if change.user is None else RequestUser(user_issuer=change.user.issuer, user_subject=change.user.subject),
        members=change.members or None,
        request_id=change.request_id,
    )
    return fit_event(event)
