"""An identity provider: whose tokens are taken, for which audiences, of which types, and where its keys are. Values, and their bounds."""

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
"""By which clocks may differ."""

_MAXIMUM_LEEWAY: Final = timedelta(minutes=2)
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


class Algorithm(enum.StrEnum):
    """Signatures by a key pair alone: whoever can check one of these cannot make it."""

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
    """For whom writes no RFC 9068: its header does not say that it is an access token, and its claims must leave nothing else."""
    EXCHANGED = "Exchanged"
    """RFC 8693: `act` says who acts for the subject."""
    ID_TOKEN = "IdToken"
    """For its own client alone."""
    SERVICE_ACCOUNT = "ServiceAccount"
    """Of a pod in a cluster of Kubernetes."""


@dataclass(frozen=True, slots=True)
class InlineKeys:
    """The key set itself, for who cannot or will not be asked."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeysUrl:
    url: str
    authorities: str | None = None
    """PEM of the only authorities that may vouch for the server. Without it: those of this machine."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """OpenID Connect discovery: the issuer's own document says where its keys are."""

    authorities: str | None = None
    """As in `KeysUrl`, for the document and the keys alike."""


@dataclass(frozen=True, slots=True)
class ClusterKeys:
    """The API server of this cluster says its own keys, to whom it knows: of ServiceAccounts, and of nobody else."""


KeySource = InlineKeys | KeysUrl | Discovery | ClusterKeys


@dataclass(frozen=True, slots=True)
class Provider:
    name: str
    issuer: str
    """As in `iss`, and compared as it is written."""
    audiences: frozenset[str]
    """Ours: one of them must be in `aud`."""
    algorithms: frozenset[Algorithm]
    accepts: frozenset[TokenType]
    keys: KeySource
    mapping: ClaimMapping = field(default_factory=ClaimMapping)
    leeway: timedelta = LEEWAY
    maximum_life: timedelta | None = None
    """Tokens that were issued longer ago are refused, also those that live on."""
    keys_maximum_age: timedelta = timedelta(hours=24)
    """After so long without a successful look at its keys nothing of it is believed."""


def admit(provider: Provider, field: str = "spec") -> Provider:
    """The same, where it can be used as it stands. Raises InvalidInput with the way out."""
    if not is_plain(provider.issuer, MAXIMUM_ISSUER_LENGTH):
        raise InvalidInput(f"{field}.issuer", f"must be a plain text of 1 to {MAXIMUM_ISSUER_LENGTH} characters")
    for member, given in (("audiences", provider.audiences), ("algorithms", provider.algorithms), ("accepts", provider.accepts)):
        if not given:
            raise InvalidInput(f"{field}.{member}", "must not be empty, or no token would ever be taken")
    if TokenType.SERVICE_ACCOUNT in provider.accepts and len(provider.accepts) > 1:
        raise InvalidInput(f"{field}.accepts", "a cluster issues tokens of ServiceAccounts alone; leave the others out")
    if {TokenType.UNTYPED_ACCESS_TOKEN, TokenType.ID_TOKEN} <= provider.accepts:
        raise InvalidInput(f"{field}.accepts", "UntypedAccessToken and IdToken look alike: accept one of them")
    if not timedelta() <= provider.leeway <= _MAXIMUM_LEEWAY:
        raise InvalidInput(f"{field}.leeway", f"must be from 0 to {_MAXIMUM_LEEWAY.seconds} seconds; set the clocks right instead")
    match provider.keys:
        case KeysUrl(url):
            admit_url(url, f"{field}.keys.url")
        case Discovery():
            admit_url(provider.issuer, f"{field}.issuer")
        case ClusterKeys():
            if provider.accepts != {TokenType.SERVICE_ACCOUNT}:  # else whoever is an account of the cluster could be a person to us
                raise InvalidInput(f"{field}.accepts", "the keys of this cluster sign tokens of ServiceAccounts alone; accept no others")
        case InlineKeys():
            pass  # read, and so judged, by `key_set.parse`
    return provider


def admit_url(url: str, field: str) -> str:
    """The same, where nobody in between can change what is read there. Raises InvalidInput."""
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
    """Raises Conflict where two are for one issuer: an issuer has one set of keys."""
    found: dict[str, Provider] = {}
    for provider in providers:
        other = found.setdefault(provider.issuer, provider)
        if other is not provider:
            raise Conflict(f"identity providers {other.name} and {provider.name} have the same issuer; keep one of them")
    return found


def is_plain(text: str, longest: int) -> bool:
    """Whether it is what a person sees of it: not empty, within its bound, no control characters, no spaces around it."""
    return 0 < len(text) <= longest and text.isprintable() and text == text.strip()
