"""Sign texts of rolevend, and verify them with public keys: a JWS in compact form (RFC 7515). Pure. One algorithm: Ed25519. Its `typ`
differs from that of every token, so that neither can pose as the other."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry

from rolevend.errors import InvalidInput, Rejected
from rolevend.identity import base64url, compact
from rolevend.identity.key_set import KeySet
from rolevend.identity.provider import Algorithm
from rolevend.identity.refusal import TokenRefused
from rolevend.identity.strict_json import NotJson, read_object

TYPE: Final = "rolevend-receipt+json"
_CURVE: Final = "Ed25519"
_PRIVATE: Final = ("kty", "crv", "x", "d")


class SigningKey:
    """A private key that shows only its public part."""

    def __init__(self, key: OKPKey) -> None:
        self._key = key
        self.id: Final = key.thumbprint()
        """Derived from the public key (RFC 7638), so that it is unique."""

    @classmethod
    def new(cls) -> "SigningKey":
        return cls(OKPKey.generate_key(_CURVE))

    def sign(self, payload: bytes) -> str:
        """Sign. Deterministic."""
        header = json.dumps({"alg": Algorithm.EDDSA.value, "kid": self.id, "typ": TYPE}, separators=(",", ":")).encode()
        signed = f"{base64url.encode(header)}.{base64url.encode(payload)}"
        return f"{signed}.{base64url.encode(JWSRegistry.algorithms[Algorithm.EDDSA].sign(signed.encode(), self._key))}"

    @property
    def public(self) -> dict[str, str]:
        """Return the public key as a member of a key set."""
        members = self._key.as_dict(private=False)
        return {"kty": "OKP", "crv": _CURVE, "x": str(members["x"]), "kid": self.id, "alg": Algorithm.EDDSA.value, "use": "sig"}

    @property
    def private_text(self) -> str:
        """Return PEM (PKCS #8). A secret."""
        return self._key.as_pem(private=True).decode()


def parse_signing_key(text: bytes, field: str) -> SigningKey:
    """Parse PEM, or one JWK. Raises InvalidInput without any part of the text."""
    try:
        members = read_object(text) if text.lstrip().startswith(b"{") else None
        given = text if members is None else {name: members[name] for name in _PRIVATE}
        key = OKPKey.import_key(given)
        if key.is_private and key.curve_name == _CURVE:
            # Import again, so that the public part is derived from the private one, even if a JWK has another.
            return SigningKey(OKPKey.import_key(key.as_pem(private=True)))
    except (JoseError, NotJson, ValueError, TypeError, KeyError):
        pass
    raise InvalidInput(field, "is no private Ed25519 key, as PEM without a password or as a JWK; make one with: rolevend receipt new-key")


@dataclass(frozen=True, slots=True)
class Signed:
    """A text that one of the given keys has signed."""

    key_id: str
    payload: dict[str, Any] = field(repr=False)


def checked(text: str, keys: KeySet) -> Signed:
    """Verify a receipt. Raises Rejected unless one of `keys` has signed it."""
    try:
        found = compact.read(text)
    except TokenRefused as error:
        raise Rejected(f"the receipt is not in canonical form ({error.code})") from error
    if found.type != TYPE or found.algorithm != Algorithm.EDDSA or found.key_id is None:
        raise Rejected(f"this is no receipt: the header of one says {TYPE}, {Algorithm.EDDSA} and a key")
    try:
        key = keys.choose(found.key_id, Algorithm.EDDSA)
    except TokenRefused as error:
        raise Rejected("this receipt is signed with a key that was not given") from error
    if not key.verifies(Algorithm.EDDSA, found.signed, found.signature):
        raise Rejected("this receipt was altered or forged: the signature is not that of the key it names")
    return Signed(found.key_id, found.claims)
