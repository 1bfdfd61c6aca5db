"""Verify a security event token (RFC 8417, SSF 1.0), and read what its events mean for a user. Pure.

Its `typ` differs from that of every token that proves somebody, so that neither can pose as the other.
"""

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from rolevend.identity.claim_mapping import ClaimMapping
from rolevend.identity.key_set import KnownKeys
from rolevend.identity.provider import Provider, SignalTerms
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.identity.registered import MAXIMUM_TOKEN_ID_LENGTH, audiences, required_text, seconds
from rolevend.identity.signal_subject import subject_of
from rolevend.identity.verification import signed
from rolevend.model import User

MAXIMUM_AGE: Final = timedelta(days=7)
"""Longer than transmitters try again, and than tokens and roles live. An older event would end nothing."""
_TYPES: Final = ("secevent+jwt", "application/secevent+jwt")
_MAXIMUM_EVENTS: Final = 8
_CAEP: Final = "https://schemas.openid.net/secevent/caep/event-type/"
_RISC: Final = "https://schemas.openid.net/secevent/risc/event-type/"
_SSF: Final = "https://schemas.openid.net/secevent/ssf/event-type/"
_MILLISECONDS: Final = 100_000_000_000
"""A time from here on is in milliseconds, as in drafts of CAEP; in seconds it would be in the year 5138."""


class SignalEffect(enum.Enum):
    """The effect of an event on its user."""

    END_SESSIONS = "EndSessions"
    """Sessions and tokens until then are void."""
    DISABLE = "Disable"
    """The account is disabled, and its sessions are void."""
    PURGE = "Purge"
    """The account is gone for good."""
    ENABLE = "Enable"
    """The account is not disabled any more."""
    NONE = "None"


_EFFECTS: Final[dict[str, SignalEffect]] = {
    f"{_CAEP}session-revoked": SignalEffect.END_SESSIONS,
    f"{_CAEP}credential-change": SignalEffect.END_SESSIONS,
    f"{_CAEP}token-claims-change": SignalEffect.END_SESSIONS,
    f"{_CAEP}assurance-level-change": SignalEffect.END_SESSIONS,
    f"{_CAEP}session-established": SignalEffect.NONE,
    f"{_CAEP}session-presented": SignalEffect.NONE,
    f"{_RISC}sessions-revoked": SignalEffect.END_SESSIONS,
    f"{_RISC}account-credential-change-required": SignalEffect.END_SESSIONS,
    f"{_RISC}credential-compromise": SignalEffect.END_SESSIONS,
    f"{_RISC}account-disabled": SignalEffect.DISABLE,
    f"{_RISC}account-purged": SignalEffect.PURGE,
    f"{_RISC}account-enabled": SignalEffect.ENABLE,
    f"{_SSF}verification": SignalEffect.NONE,
    f"{_SSF}stream-updated": SignalEffect.NONE,
}


@dataclass(frozen=True, slots=True)
class Signal:
    """One event of a token."""

    event: str
    """Its URI."""
    effect: SignalEffect
    user: User | None
    """None if the effect is `NONE`."""
    at: datetime
    """When it happened: as the event says, and not after the token was issued."""

    @property
    def name(self) -> str:
        """Return the last part of a known URI, or `other`."""
        return self.event.rpartition("/")[2] if self.event in _EFFECTS else "other"


@dataclass(frozen=True, slots=True)
class SecurityEvents:
    """A verified token."""

    provider: str
    """Name of the IdentityProvider that sent it."""
    digest: str
    token_id: str
    issued_at: datetime
    signals: tuple[Signal, ...] = field(default=())


def verify_events(text: str, providers: Mapping[str, Provider], keys: Mapping[str, KnownKeys], now: datetime) -> SecurityEvents:
    """Verify a security event token. `providers` and `keys` are by issuer. Raises TokenRefused.

    Replays are for the caller: the effects of an event do not depend on how often it comes. `exp` and `sub` are not read, because such a
    token has none.
    """
    token, provider = signed(text, providers, keys, now)
    terms = provider.signals
    if token.type not in _TYPES:
        raise TokenRefused(Code.WRONG_TYPE, f"the token's typ is not {_TYPES[0]}")
    if terms is None:
        raise TokenRefused(Code.UNKNOWN_ISSUER, f"no signals are accepted from identity provider {provider.name}: it has no spec.signals")
    if terms.audience not in audiences(token.claims):
        raise TokenRefused(Code.WRONG_AUDIENCE, "the token is for another audience: its aud does not have spec.signals.audience")
    issued_at = _issued_at(token.claims, provider, now)
    token_id = required_text(token.claims, "jti", MAXIMUM_TOKEN_ID_LENGTH)
    users = providers.get(terms.user_issuer)
    mapping = ClaimMapping() if users is None else users.mapping
    signals = tuple(
        _signal(event, payload, token.claims, _Context(provider.issuer, terms, mapping, issued_at))
        for event, payload in _events(token.claims).items()
    )
    return SecurityEvents(provider.name, token.digest, token_id, issued_at, signals)


@dataclass(frozen=True, slots=True)
class _Context:
    issuer: str
    terms: SignalTerms
    mapping: ClaimMapping
    issued_at: datetime


def _issued_at(claims: dict[str, Any], provider: Provider, now: datetime) -> datetime:
    issued = seconds(claims, "iat")
    if issued is None:
        raise TokenRefused(Code.MISSING_CLAIM, "the token has no iat")
    issued_at = datetime.fromtimestamp(issued, UTC)
    if issued_at - provider.leeway > now:
        raise TokenRefused(Code.ISSUED_IN_THE_FUTURE, "the token was issued in the future; synchronize the clocks")
    if now - issued_at > MAXIMUM_AGE:
        raise TokenRefused(Code.TOO_OLD, f"the token was issued more than {MAXIMUM_AGE.days} days ago: it would end nothing")
    return issued_at


def _events(claims: dict[str, Any]) -> dict[str, dict[str, Any]]:
    events = claims.get("events")
    if not isinstance(events, dict) or not 0 < len(events) <= _MAXIMUM_EVENTS:
        raise TokenRefused(Code.MALFORMED_CLAIM, f"the token's events is no object with 1 to {_MAXIMUM_EVENTS} events")
    if not all(isinstance(payload, dict) for payload in events.values()):
        raise TokenRefused(Code.MALFORMED_CLAIM, "the token's events: each must be an object")
    return events


def _signal(event: str, payload: dict[str, Any], claims: dict[str, Any], context: _Context) -> Signal:
    effect = _EFFECTS.get(event, SignalEffect.NONE)
    if event == f"{_CAEP}assurance-level-change" and payload.get("change_direction") == "increase":
        effect = SignalEffect.NONE
    if effect is SignalEffect.NONE:
        return Signal(event, effect, None, context.issued_at)
    return Signal(event, effect, _user(payload, claims, context), _happened_at(payload, claims, context.issued_at))


def _user(payload: dict[str, Any], claims: dict[str, Any], context: _Context) -> User:
    """Return the user by `sub_id` of the token, by `subject` of the event as in drafts, or by both if they agree."""
    issuers = frozenset({context.issuer, context.terms.user_issuer})
    given = [(holder[name], name) for holder, name in ((claims, "sub_id"), (payload, "subject")) if name in holder]
    found = {subject_of(sub_id, where, issuers, context.mapping.subject) for sub_id, where in given}
    if not found:
        raise TokenRefused(Code.MISSING_CLAIM, "the token has no sub_id")
    if len(found) > 1:
        raise TokenRefused(Code.MALFORMED_CLAIM, "the token's sub_id and the subject of its event are two users")
    return User(context.terms.user_issuer, found.pop())


def _happened_at(payload: dict[str, Any], claims: dict[str, Any], issued_at: datetime) -> datetime:
    """Return the time of the event: `event_timestamp` (CAEP), `toe` (RFC 8417), or that of the token. None is after the token."""
    stated = payload.get("event_timestamp", claims.get("toe"))
    if stated is None:
        return issued_at
    if type(stated) not in (int, float) or not 0 <= stated <= _MILLISECONDS * 1_000:
        raise TokenRefused(Code.MALFORMED_CLAIM, "the token's event_timestamp, or toe, is no time in seconds")
    value = stated / 1_000 if stated >= _MILLISECONDS else stated
    return min(datetime.fromtimestamp(math.floor(value), UTC), issued_at)
