"""Read the registered claims of RFC 7519, with types, bounds and times. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from rolevend.identity.provider import MAXIMUM_ISSUER_LENGTH, Provider, is_plain
from rolevend.identity.refusal import Code, TokenRefused

MAXIMUM_SUBJECT_LENGTH: Final = 255
MAXIMUM_TOKEN_ID_LENGTH: Final = 255
MAXIMUM_ACR_LENGTH: Final = 255

_MAXIMUM_AUDIENCES: Final = 64
_LATEST: Final = 253402300799
"""The end of the year 9999, the maximum of datetime."""


@dataclass(frozen=True, slots=True)
class Registered:
    issuer: str
    subject: str
    audiences: frozenset[str]
    expires_at: datetime
    issued_at: datetime | None
    token_id: str | None
    """`jti`."""
    authenticated_at: datetime | None = None
    """`auth_time`; None: not stated, or not readable. A time in the future is none."""
    acr: str | None = None
    """None: not stated, or not readable."""


def issuer(claims: dict[str, Any]) -> str:
    """Return the unverified issuer, which selects the keys."""
    return required_text(claims, "iss", MAXIMUM_ISSUER_LENGTH)


def registered(claims: dict[str, Any], provider: Provider, now: datetime) -> Registered:
    """Read the claims after the signature was verified. Raises TokenRefused, also if the token is not valid now."""
    expires, not_before, issued = (seconds(claims, name) for name in ("exp", "nbf", "iat"))
    if expires is None:
        raise TokenRefused(Code.MISSING_CLAIM, "the token has no exp: a token without an expiry is not accepted")
    _in_time(provider, now.timestamp(), expires, not_before, issued)
    return Registered(
        issuer=provider.issuer,
        subject=required_text(claims, "sub", MAXIMUM_SUBJECT_LENGTH),
        audiences=audiences(claims),
        expires_at=datetime.fromtimestamp(expires, UTC),
        issued_at=None if issued is None else datetime.fromtimestamp(issued, UTC),
        token_id=text(claims, "jti", MAXIMUM_TOKEN_ID_LENGTH),
        authenticated_at=_login_time(claims.get("auth_time"), now.timestamp() + provider.leeway.total_seconds()),
        acr=_acr(claims.get("acr")),
    )


def _login_time(value: object, latest: float) -> datetime | None:
    return datetime.fromtimestamp(value, UTC) if type(value) is int and 0 <= value <= latest else None


def _acr(value: object) -> str | None:
    return value if isinstance(value, str) and is_plain(value, MAXIMUM_ACR_LENGTH) else None


def text(claims: dict[str, Any], name: str, longest: int) -> str | None:
    """Return the claim, or None if it is absent. Raises TokenRefused unless it is a printable text of at most `longest` characters."""
    if name not in claims:
        return None
    value = claims[name]
    if not isinstance(value, str) or not is_plain(value, longest):
        raise TokenRefused(Code.MALFORMED_CLAIM, f"the token's {name} is no plain text of 1 to {longest} characters")
    return value


def required_text(claims: dict[str, Any], name: str, longest: int) -> str:
    value = text(claims, name, longest)
    if value is None:
        raise TokenRefused(Code.MISSING_CLAIM, f"the token has no {name}")
    return value


def seconds(claims: dict[str, Any], name: str) -> int | None:
    """Return the time of a claim in whole seconds, because parsers round floats differently."""
    if name not in claims:
        return None
    value = claims[name]
    if type(value) is not int or not 0 <= value <= _LATEST:
        raise TokenRefused(Code.MALFORMED_CLAIM, f"the token's {name} is no time in whole seconds")
    return value


def _in_time(provider: Provider, now: float, expires: int, not_before: int | None, issued: int | None) -> None:
    leeway = provider.leeway.total_seconds()
    if expires + leeway <= now:
        raise TokenRefused(Code.EXPIRED, "the token is expired; get a new one")
    if not_before is not None and not_before - leeway > now:
        raise TokenRefused(Code.NOT_YET_VALID, "the token is not valid yet; synchronize the clocks")
    if issued is not None and issued - leeway > now:
        raise TokenRefused(Code.ISSUED_IN_THE_FUTURE, "the token was issued in the future; synchronize the clocks")
    if provider.maximum_life is not None:
        _young_enough(provider.maximum_life.total_seconds() + leeway, now, issued)


def _young_enough(longest: float, now: float, issued: int | None) -> None:
    if issued is None:
        raise TokenRefused(Code.MISSING_CLAIM, "the token has no iat, which is needed for its age")
    if now - issued > longest:
        raise TokenRefused(Code.TOO_OLD, "the token was issued too long ago; get a new one")


def audiences(claims: dict[str, Any]) -> frozenset[str]:
    """Return the audiences, at least one."""
    if "aud" not in claims:
        raise TokenRefused(Code.MISSING_CLAIM, "the token has no aud: a token without an audience is not accepted")
    audience = claims["aud"]
    given = [audience] if isinstance(audience, str) else audience
    if not isinstance(given, list) or not 0 < len(given) <= _MAXIMUM_AUDIENCES:
        raise TokenRefused(Code.MALFORMED_CLAIM, "the token's aud is neither a text nor a list of texts")
    if not all(isinstance(each, str) and is_plain(each, MAXIMUM_ISSUER_LENGTH) for each in given):
        raise TokenRefused(Code.MALFORMED_CLAIM, "the token's aud is neither a plain text nor a list of them")
    return frozenset(given)
