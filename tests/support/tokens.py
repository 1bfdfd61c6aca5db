"""Issuers, their keys and their tokens: real signatures, over headers and payloads that may be as wrong as a test wants them."""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from rolevend.identity.key_set import KnownKeys, parse
from rolevend.identity.proven import AgentWanted, Party, Proven, UserWanted, Wanting
from rolevend.identity.provider import Algorithm, InlineKeys, Provider, TokenType, by_issuer
from rolevend.identity.verification import verify

Key = RSAKey | ECKey | OKPKey
Body = dict[str, Any]

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
MOMENT = int(NOW.timestamp())
AUDIENCE = "https://rolevend.example.org"
ISSUER = "https://idp.example.org"
OTHER_ISSUER = "https://other.example.org"
CLUSTER = "https://kubernetes.default.svc.cluster.local"
AGENT = Party(ISSUER, "finbot")
UID = "2f0c6b1e-6a0e-4f0e-9a52-0c1d2e3f4a5b"
POD_UID = "3a0c6b1e-6a0e-4f0e-9a52-0c1d2e3f4a5b"
EVERYTHING = frozenset({TokenType.ACCESS_TOKEN, TokenType.EXCHANGED, TokenType.ID_TOKEN})
AS_AGENT = AgentWanted()
FOR_AGENT = UserWanted(AGENT, frozenset({AGENT}))
"""A person whom the agent acts for."""


@cache
def key(name: str) -> Key:
    """A key pair of this name: `rsa`, `rsa-2`, `p256`, `p384`, `p521`, `ed25519`."""
    match name.partition("-")[0]:
        case "rsa":
            return RSAKey.generate_key(2048)
        case "p256":
            return ECKey.generate_key("P-256")
        case "p384":
            return ECKey.generate_key("P-384")
        case "p521":
            return ECKey.generate_key("P-521")
        case _:
            return OKPKey.generate_key("Ed25519")


def public(name: str, **members: Any) -> Body:
    """As a member of a key set, named as the key is."""
    return {**key(name).as_dict(private=False), "kid": name, **members}


def key_set(*members: Body) -> bytes:
    return json.dumps({"keys": list(members)}).encode()


KEYS = key_set(*(public(name) for name in ("rsa", "rsa-2", "p256", "p384", "p521", "ed25519")))
PROVIDER = Provider(
    name="workforce",
    issuer=ISSUER,
    audiences=frozenset({AUDIENCE}),
    algorithms=frozenset(Algorithm),
    accepts=EVERYTHING,
    keys=InlineKeys(KEYS.decode()),
)
OTHER_KEYS = key_set(public("rsa-other"), public("p256-other"))
OTHER = replace(PROVIDER, name="partner", issuer=OTHER_ISSUER, keys=InlineKeys(OTHER_KEYS.decode()))
CLUSTER_KEYS = key_set(public("rsa-cluster"))
CLUSTER_PROVIDER = replace(
    PROVIDER, name="cluster", issuer=CLUSTER, accepts=frozenset({TokenType.SERVICE_ACCOUNT}), keys=InlineKeys(CLUSTER_KEYS.decode())
)
PROVIDERS = by_issuer((PROVIDER, OTHER, CLUSTER_PROVIDER))


def known(read_at: datetime | None = None, **keys: bytes) -> dict[str, KnownKeys]:
    """What a key store knows of the three; `issuer`, `other` and `cluster` may be other keys."""
    sets = {
        ISSUER: keys.get("issuer", KEYS),
        OTHER_ISSUER: keys.get("other", OTHER_KEYS),
        CLUSTER: keys.get("cluster", CLUSTER_KEYS),
    }
    return {issuer: KnownKeys(parse(raw), read_at) for issuer, raw in sets.items()}


KNOWN = known()


def claims(without: tuple[str, ...] = (), **changed: Any) -> Body:
    """Of an access token that `anna` let the agent's client have."""
    body = {
        "iss": ISSUER,
        "sub": "anna",
        "aud": AUDIENCE,
        "client_id": AGENT.name,
        "iat": MOMENT - 60,
        "exp": MOMENT + 600,
        "jti": "token-1",
        **changed,
    }
    return {name: value for name, value in body.items() if name not in without}


def agent_claims(**changed: Any) -> Body:
    return claims(**{"sub": AGENT.name, **changed})


def id_claims(**changed: Any) -> Body:
    return claims(without=("client_id",), **{"aud": AGENT.name, **changed})


def service_account_claims(**changed: Any) -> Body:
    bound = {
        "namespace": "agents",
        "serviceaccount": {"name": "finbot", "uid": UID},
        "pod": {"name": "finbot-1", "uid": POD_UID},
        "node": {"name": "node-1", "uid": UID},
    }
    body = {"iss": CLUSTER, "sub": "system:serviceaccount:agents:finbot", "aud": [AUDIENCE], "kubernetes.io": bound}
    return claims(without=("client_id",), **{**body, **changed})


def header(without: tuple[str, ...] = (), **changed: Any) -> Body:
    body = {"typ": "at+jwt", "alg": "RS256", "kid": "rsa", **changed}
    return {name: value for name, value in body.items() if name not in without}


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def written(value: Body | bytes) -> str:
    """A segment: of an object, or of whatever bytes."""
    return encode(value if isinstance(value, bytes) else json.dumps(value).encode())


def header_of(text: str) -> Body:
    return _read(text.split(".")[0])


def payload_of(text: str) -> Body:
    return _read(text.split(".")[1])


def _read(segment: str) -> Body:
    value = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    assert isinstance(value, dict)
    return value


def token(payload: Body | bytes | None = None, head: Body | bytes | None = None, *, by: str = "rsa", algorithm: str = "RS256") -> str:
    """Signed with the key `by`, whatever the header says."""
    signed = f"{written(header() if head is None else head)}.{written(claims() if payload is None else payload)}"
    return f"{signed}.{encode(JWSRegistry.algorithms[algorithm].sign(signed.encode(), key(by)))}"


def access_token(*, by: str = "rsa", algorithm: str = "RS256", **changed: Any) -> str:
    return token(claims(**changed), header(kid=by, alg=algorithm), by=by, algorithm=algorithm)


def agent_token(**changed: Any) -> str:
    return token(agent_claims(**changed))


def exchanged(act: Any, **changed: Any) -> str:
    return token(claims(act=act, **changed))


def id_token(**changed: Any) -> str:
    return token(id_claims(**changed), header(typ="JWT"))


def service_account_token(**changed: Any) -> str:
    """Kubernetes writes no `typ`."""
    return token(service_account_claims(**changed), header(without=("typ",), kid="rsa-cluster"), by="rsa-cluster")


def checked(
    text: str,
    wanting: Wanting = FOR_AGENT,
    providers: Mapping[str, Provider] = PROVIDERS,
    keys: Mapping[str, KnownKeys] = KNOWN,
    now: datetime = NOW,
) -> Proven:
    return verify(text, providers, keys, now, wanting)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)
