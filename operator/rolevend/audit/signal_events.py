"""Create the audit event of a signal. Pure."""

import json
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from rolevend.audit.events import SignalReceivedEvent
from rolevend.audit.groups import RequestUser
from rolevend.audit.truncate import fit_event
from rolevend.model import User


@dataclass(frozen=True, slots=True)
class ReceivedSignal:
    """One event of a security event token, and what it changes."""

    identity_provider: str
    event: str
    """Its URI."""
    change: str
    user: User | None
    happened_at: datetime
    token_id: str
    token_digest: str
    request_id: str


def signal_received(signal: ReceivedSignal, now: datetime) -> SignalReceivedEvent:
    parts = [signal.token_digest, signal.event, signal.change, signal.request_id, now.isoformat()]
    event = SignalReceivedEvent(
        id=f"signal/{sha256(json.dumps(parts).encode()).hexdigest()[:32]}",
        subject=f"IdentityProvider {signal.identity_provider}",
        time=now,
        identity_provider=signal.identity_provider,
        event=signal.event,
        change=signal.change,
        user=None if signal.user is None else RequestUser(user_issuer=signal.user.issuer, user_subject=signal.user.subject),
        happened_at=signal.happened_at,
        token_id=signal.token_id,
        token_digest=signal.token_digest,
        request_id=signal.request_id,
    )
    return fit_event(event)
