"""The public keys of one issuer (RFC 7517), and the selection of a key for a token. Pure.

The set is parsed leniently, so that an unknown kind of key disables no other; each used key is parsed strictly. Ignored keys are
reported.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from rolevend.errors import InvalidInput
from rolevend.identity import base64url
from rolevend.identity.compact import MAXIMUM_KEY_ID_LENGTH
from rolevend.identity.provider import Algorithm
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.identity.strict_json import NotJson, read_object

MAXIMUM_BYTES: Final = 1024 * 1024
MAXIMUM_KEYS: Final = 64

_RSA_BITS: Final = range(2048, 8193)
_EXPONENT_BITS: Final = 32
"""A larger exponent makes verification slow without more security."""
_SECRET: Final = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_RSA: Final = (Algorithm.RS256, Algorithm.RS384, Algorithm.RS512, Algorithm.PS256, Algorithm.PS384, Algorithm.PS512)
_FITTING: Final[dict[tuple[str, str | None], tuple[Algorithm, ...]]] = {
    ("RSA", None): _RSA,
    ("EC", "P-256"): (Algorithm.ES256,),
    ("EC", "P-384"): (Algorithm.ES384,),
    ("EC", "P-521"): (Algorithm.ES512,),
    ("OKP", "Ed25519"): (Algorithm.EDDSA,),
}
_MEMBERS: Final = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y"), "OKP": ("kty", "crv", "x")}
_CLASSES: Final[dict[str, type[RSAKey] | type[ECKey] | type[OKPKey]]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}


@dataclass(frozen=True, slots=True)
class PublicKey:
    key_id: str | None
    algorithms: frozenset[Algorithm]
    """The possible algorithms of its signatures."""
    key: RSAKey | ECKey | OKPKey = field(repr=False)

    def verifies(self, algorithm: Algorithm, signed: bytes, signature: bytes) -> bool:
        # Use the library's algorithm, but not its parser of tokens: `compact` is stricter.
        try:
            return algorithm in self.algorithms and JWSRegistry.algorithms[algorithm].verify(signed, signature, self.key)
        except (JoseError, ValueError):
            return False


@dataclass(frozen=True, slots=True)
class KeySet:
    keys: tuple[PublicKey, ...]
    ignored: tuple[str, ...] = ()
    """The ignored keys and the reasons, one sentence each."""

    def choose(self, key_id: str | None, algorithm: Algorithm) -> PublicKey:
        """Return the one key that may have signed a token with this header. Raises TokenRefused."""
        named = [key for key in self.keys if key_id is None or key.key_id == key_id]
        fitting = [key for key in named if algorithm in key.algorithms]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise TokenRefused(Code.AMBIGUOUS_KEY, "several keys of the issuer fit the token; its header must name one by kid")
        if named and key_id is not None:
            raise TokenRefused(Code.KEY_MISMATCH, "the key that the token names is not for its algorithm")
        raise TokenRefused(Code.UNKNOWN_KEY, "the token's key is not a known key of its issuer")


@dataclass(frozen=True, slots=True)
class KnownKeys:
    """A key set, and the time of its read."""

    keys: KeySet
    read_at: datetime | None
    """None for a key set from the configuration, which does not age."""


def parse(raw: bytes, field: str = "") -> KeySet:
    """Parse a key set. Raises InvalidInput if it is malformed or has no usable key."""
    if len(raw) > MAXIMUM_BYTES:
        raise InvalidInput(field, f"the key set has more than {MAXIMUM_BYTES} bytes")
    try:
        members = read_object(raw).get("keys")
    except NotJson as error:
        raise InvalidInput(field, f"this is no key set: {error}") from error
    if not isinstance(members, list) or len(members) > MAXIMUM_KEYS:
        raise InvalidInput(field, f"this is no key set: keys must be a list of at most {MAXIMUM_KEYS}")
    return _taken(list(_read(members)), field)


def _taken(read: list[PublicKey | str], field: str) -> KeySet:
    keys = tuple(each for each in read if isinstance(each, PublicKey))
    ignored = tuple(each for each in read if isinstance(each, str))
    if not keys:
        raise InvalidInput(
            field, f"the key set has no key that signatures could be checked with; {'; '.join(ignored[:3]) or 'it is empty'}"
        )
    return KeySet(keys, ignored)


def _read(members: list[Any]) -> Iterator[PublicKey | str]:
    for place, member in enumerate(members):
        reason = _unfit(member)
        try:
            yield _key(member) if reason is None else f"key {place} {reason}"
        except (JoseError, ValueError, TypeError, KeyError, AttributeError):
            yield f"key {place} is no key of its kind"


def _unfit(jwk: Any) -> str | None:
    """Return the reason why the key is ignored, or None. No library parses it before."""
    if not isinstance(jwk, dict):
        return "is no object"
    if jwk.get("kty") == "oct":
        return "is symmetric: a verifier could sign with it"
    if any(member in jwk for member in _SECRET):
        return "is private, and was published: its issuer must replace it"
    if not _algorithms(jwk):
        return "is of a kind or for an algorithm that is not taken"
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return "is not for signatures"
    key_id = jwk.get("kid")
    if key_id is not None and not (isinstance(key_id, str) and len(key_id) <= MAXIMUM_KEY_ID_LENGTH):
        return f"has a kid that is no text of at most {MAXIMUM_KEY_ID_LENGTH} characters"
    return _unfit_rsa(jwk) if jwk["kty"] == "RSA" else None


def _algorithms(jwk: dict[str, Any]) -> frozenset[Algorithm]:
    kind, curve = jwk.get("kty"), jwk.get("crv")
    if not isinstance(kind, str) or not isinstance(curve, str | None):
        return frozenset()
    fitting = _FITTING.get((kind, None if kind == "RSA" else curve), ())
    return frozenset(algorithm for algorithm in fitting if jwk.get("alg", algorithm) == algorithm)


def _unfit_rsa(jwk: dict[str, Any]) -> str | None:
    try:
        modulus, exponent = (int.from_bytes(base64url.decode(jwk[member])) for member in ("n", "e"))
    except (KeyError, AttributeError, ValueError):
        return "is no key of its kind"
    if modulus.bit_length() not in _RSA_BITS:
        return f"has not {_RSA_BITS.start} to {_RSA_BITS.stop - 1} bits"
    return "has an exponent that is too large" if exponent.bit_length() > _EXPONENT_BITS else None


def _key(jwk: dict[str, Any]) -> PublicKey:
    """Parse only its public members. Raises the errors of the library."""
    kind = jwk["kty"]
    key = _CLASSES[kind].import_key({member: jwk[member] for member in _MEMBERS[kind]})
    return PublicKey(jwk.get("kid"), _algorithms(jwk), key)
