"""The effects of signals on a user, and the object that keeps them. Pure.

Effects are monotonic: an event that comes again, late or in another order gives the same result.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final, assert_never

from rolevend.identity.provider import LEEWAY
from rolevend.identity.security_event import SecurityEvents, Signal, SignalEffect
from rolevend.kinds import API_VERSION
from rolevend.kinds.shared import MANAGED_BY
from rolevend.kinds.signals import SIGNAL_ANNOTATION, SIGNAL_MANAGER, is_made_by_signals
from rolevend.kinds.text import timestamp_text
from rolevend.kube.client import Body
from rolevend.model import User

PREFIX: Final = "signal-"
"""Of all names that signals give."""
DISABLED: Final = "Disabled"
PURGED: Final = "Purged"
ENABLED: Final = "Enabled"
_STATES: Final = (ENABLED, DISABLED, PURGED)


@dataclass(frozen=True, slots=True)
class AccountState:
    """The state of the account by the newest event of one IdentityProvider that states one."""

    state: str
    at: datetime

    @property
    def is_stopped(self) -> bool:
        return self.state != ENABLED

    @property
    def rank(self) -> tuple[bool, datetime, int]:
        """The state of the higher rank counts."""
        return self.state == PURGED, self.at, _STATES.index(self.state)


@dataclass(frozen=True, slots=True)
class SignalRecord:
    """The effects of signals on a user, with the version of the object that keeps it."""

    user: User
    not_before: datetime | None = None
    ended_at: datetime | None = None
    """The time of the newest event that ended sessions. Without it, an event that comes again could move `not_before`."""
    accounts: Mapping[str, AccountState] = field(default_factory=dict)
    """By the name of the IdentityProvider that sent it: none takes back what another one said."""
    version: str | None = field(default=None, compare=False)
    """None: there is no object yet."""

    @property
    def is_stopped(self) -> bool:
        return any(each.is_stopped for each in self.accounts.values())


def name_of(user: User) -> str:
    """Return the name of the object. Two replicas choose the same one."""
    digest = sha256(json.dumps([user.issuer, user.subject]).encode()).hexdigest()
    return f"{PREFIX}{digest[:32]}"


def after(before: SignalRecord, signal: Signal, provider: str, now: datetime) -> SignalRecord:
    """Return the record after the signal of the provider; the same one if nothing changes."""
    match signal.effect:
        case SignalEffect.NONE:
            return before
        case SignalEffect.END_SESSIONS:
            return _ended(before, signal.at, now)
        case SignalEffect.DISABLE:
            return _ended(_in_state(before, provider, AccountState(DISABLED, signal.at)), signal.at, now)
        case SignalEffect.PURGE:
            return _ended(_in_state(before, provider, AccountState(PURGED, signal.at)), signal.at, now)
        case SignalEffect.ENABLE:
            return _in_state(before, provider, AccountState(ENABLED, signal.at))
    assert_never(signal.effect)


def _ended(before: SignalRecord, at: datetime, now: datetime) -> SignalRecord:
    """Return the record without sessions until the event.

    Tokens have the clock of their issuer, and requests have ours. A session of before the event has at most the later of the two times,
    so long as the event is new; an event that was delivered late ends what began up to the leeway after it. The result is at most the
    leeway in the future, because no token is accepted that was issued later.
    """
    if before.ended_at is not None and at <= before.ended_at:
        return before
    until = datetime.fromtimestamp(math.ceil(min(max(now, at), at + LEEWAY).timestamp()), UTC)
    return replace(before, ended_at=at, not_before=until if before.not_before is None else max(until, before.not_before))


def _in_state(before: SignalRecord, provider: str, account: AccountState) -> SignalRecord:
    """Return the record with the newer of two states. At the same time, the one that stops more wins; a purged account stays purged."""
    known = before.accounts.get(provider)
    if known is not None and account.rank <= known.rank:
        return before
    return replace(before, accounts={**before.accounts, provider: account})


def change_of(record: SignalRecord, before: SignalRecord) -> str:
    """Return what the audit event says of the change."""
    if (suspend := _suspension(record, before)) is not None:
        return "Suspended" if suspend else "Resumed"
    return "SessionRevoked" if record.ended_at != before.ended_at else "Unchanged"


def _suspension(record: SignalRecord, before: SignalRecord) -> bool | None:
    """Return the new value of `spec.suspend`, or None if it stays: a responder's own one, unless a newer event stops the account."""
    if record.is_stopped:
        stops = any(account.is_stopped and before.accounts.get(provider) != account for provider, account in record.accounts.items())
        return True if stops else None
    return False if before.is_stopped else None


def record_of(body: Body, user: User) -> SignalRecord | None:
    """Return the record that the object keeps, or None if signals did not make it for this user."""
    metadata, spec = body["metadata"], body["spec"]
    if not is_made_by_signals(metadata.get("labels") or {}) or User(spec["user"]["issuer"], spec["user"]["subject"]) != user:
        return None
    known = _known(metadata.get("annotations") or {})
    return SignalRecord(user, _time(spec.get("notBefore")), _time(known.get("endedAt")), _accounts(known), metadata["resourceVersion"])


def object_of(record: SignalRecord, before: SignalRecord, events: SecurityEvents, signal: Signal) -> Body:
    """Return the object, or the patch of it."""
    known: Body = {"provider": events.provider, "event": signal.event, "at": signal.at.isoformat(), "jti": events.token_id}
    known |= {} if record.ended_at is None else {"endedAt": record.ended_at.isoformat()}
    if record.accounts:
        known["accounts"] = {
            provider: {"state": account.state, "at": account.at.isoformat()} for provider, account in record.accounts.items()
        }
    metadata: Body = {
        "name": name_of(record.user),
        "labels": {MANAGED_BY: SIGNAL_MANAGER},
        "annotations": {SIGNAL_ANNOTATION: json.dumps(known, ensure_ascii=False, sort_keys=True, separators=(",", ":"))},
    }
    metadata |= {} if record.version is None else {"resourceVersion": record.version}
    spec: Body = {"user": {"issuer": record.user.issuer, "subject": record.user.subject}}
    spec |= {} if record.not_before is None else {"notBefore": timestamp_text(record.not_before)}
    spec |= {} if (suspend := _suspension(record, before)) is None else {"suspend": suspend}
    return {"apiVersion": API_VERSION, "kind": "UserAttributes", "metadata": metadata, "spec": spec}


def _known(annotations: dict[str, str]) -> Body:
    try:
        known = json.loads(annotations[SIGNAL_ANNOTATION])
    except (KeyError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _accounts(known: Body) -> dict[str, AccountState]:
    accounts = known.get("accounts")
    states = {provider: _account(each) for provider, each in accounts.items()} if isinstance(accounts, dict) else {}
    return {provider: state for provider, state in states.items() if state is not None}


def _account(account: object) -> AccountState | None:
    if not isinstance(account, dict) or account.get("state") not in _STATES:
        return None
    at = _time(account.get("at"))
    return None if at is None else AccountState(account["state"], at)


def _time(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
