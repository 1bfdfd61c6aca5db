"""An identity provider: issuer, audiences, accepted types of tokens, and source of keys. Values, and their bounds."""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from rolevend.errors import Conflict, InvalidInput
from rolevend.identity.claim_mapping import ClaimMapping

MAXIMUM_ISSUER_LENGTH: Final = 512
LEEWAY: Final = timedelta(seconds=30)
"""The maximum difference of clocks."""

_MAXIMUM_LEEWAY: Final = timedelta(minutes=2)
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


class Algorithm(enum.StrEnum):
    """Asymmetric signatures only: a verifier cannot sign."""

    RS256 = "RS256"
    RS384 = "RS384"
    RS512 = "RS512"
    PS256 = "PS256"
    PS384 = "PS384"
    PS512 = "PS512"
    ES256 = "ES256"
    ES384 = "ES384"
    ES512 = "ES512"
    EDDSA = "EdDSA"


class TokenType(enum.StrEnum):
    ACCESS_TOKEN = "AccessToken"
    """RFC 9068: `typ` is `at+jwt`."""
    UNTYPED_ACCESS_TOKEN = "UntypedAccessToken"
    """For issuers without RFC 9068: the header has no `at+jwt`, and the claims must rule out every other type."""
    EXCHANGED = "Exchanged"
    """RFC 8693: `act` names the actor for the subject."""
    ID_TOKEN = "IdToken"
    """For its own client alone."""
    SERVICE_ACCOUNT = "ServiceAccount"
    """Of a pod in a Kubernetes cluster."""


@dataclass(frozen=True, slots=True)
class InlineKeys:
    """The key set itself, for an issuer that cannot be contacted."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeysUrl:
    url: str
    authorities: str | None = None
    """PEM of the only authorities that are trusted for the server. Without it: those of this machine."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """OpenID Connect discovery: the issuer's document has the URL of the keys."""

    authorities: str | None = None
    """As in `KeysUrl`, for the document and the keys."""


@dataclass(frozen=True, slots=True)
class ClusterKeys:
    """The API server of this cluster returns its own keys to an authenticated caller. For ServiceAccounts only."""


KeySource = InlineKeys | KeysUrl | Discovery | ClusterKeys


@dataclass(frozen=True, slots=True)
class SignalTerms:
    """The security event tokens that are accepted from an issuer."""

    audience: str
    """The audience of rolevend's stream: `aud` of a security event token must have it."""
    user_issuer: str
    """The issuer of the tokens of the users whom the events are about."""


@dataclass(frozen=True, slots=True)
class Provider:
    name: str
    issuer: str
    """As in `iss`, compared literally."""
    audiences: frozenset[str]
    """The audiences of rolevend: `aud` must have one of them."""
    algorithms: frozenset[Algorithm]
    accepts: frozenset[TokenType]
    keys: KeySource
    mapping: ClaimMapping = field(default_factory=ClaimMapping)
    leeway: timedelta = LEEWAY
    maximum_life: timedelta | None = None
    """Maximum age of a token since it was issued, even if it has not expired."""
    keys_maximum_age: timedelta = timedelta(hours=24)
    """Maximum time since the last successful read of the keys. Older keys verify nothing."""
    signals: SignalTerms | None = None
    """None: security event tokens of the issuer are refused."""


def admit(provider: Provider, field: str = "spec") -> Provider:
    """Return the provider if it is valid. Raises InvalidInput with the fix."""
    if not is_plain(provider.issuer, MAXIMUM_ISSUER_LENGTH):
        raise InvalidInput(f"{field}.issuer", f"must be a plain text of 1 to {MAXIMUM_ISSUER_LENGTH} characters")
    for member, given in (("audiences", provider.audiences), ("algorithms", provider.algorithms), ("accepts", provider.accepts)):
        if not given:
            raise InvalidInput(f"{field}.{member}", "must not be empty")
    if TokenType.SERVICE_ACCOUNT in provider.accepts and len(provider.accepts) > 1:
        raise InvalidInput(f"{field}.accepts", "a cluster issues only tokens of ServiceAccounts; remove the other types")
    if {TokenType.UNTYPED_ACCESS_TOKEN, TokenType.ID_TOKEN} <= provider.accepts:
        raise InvalidInput(f"{field}.accepts", "UntypedAccessToken and IdToken cannot be distinguished: accept one of them")
    if not timedelta() <= provider.leeway <= _MAXIMUM_LEEWAY:
        raise InvalidInput(f"{field}.leeway", f"must be from 0 to {_MAXIMUM_LEEWAY.seconds} seconds; synchronize the clocks instead")
    match provider.keys:
        case KeysUrl(url):
            admit_url(url, f"{field}.keys.url")
        case Discovery():
            admit_url(provider.issuer, f"{field}.issuer")
        case ClusterKeys():
            if provider.accepts != {TokenType.SERVICE_ACCOUNT}:  # otherwise any account of the cluster could pose as a user
                raise InvalidInput(f"{field}.accepts", "this cluster's keys sign only tokens of ServiceAccounts; accept no other type")
        case InlineKeys():
            pass  # `key_set.parse` validates it
    return provider


def admit_url(url: str, field: str) -> str:
    """Return the URL if its content is protected in transit. Raises InvalidInput."""
    if not is_secure(url):
        raise InvalidInput(field, "must be an https:// URL with a host and without user, query or fragment; http:// to this machine alone")
    return url


def is_secure(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or not is_plain(url, MAXIMUM_ISSUER_LENGTH * 4) or parts.username is not None or parts.query or "#" in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url))


def is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in _LOOPBACK


def by_issuer(providers: Iterable[Provider]) -> Mapping[str, Provider]:
    """Return the providers by issuer. Raises Conflict if two have the same issuer: an issuer has one key set."""
    found: dict[str, Provider] = {}
    for provider in providers:
        other = found.setdefault(provider.issuer, provider)
        if other is not provider:
            raise Conflict(f"identity providers {other.name} and {provider.name} have the same issuer; keep one of them")
    return found


def is_plain(text: str, longest: int) -> bool:
    """True if the text is printable: not empty, within its bound, without control characters and surrounding spaces."""
    return 0 < len(text) <= longest and text.isprintable() and text == text.strip()
