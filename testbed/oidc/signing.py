"""A provider's keys, generated at start and held in memory only."""

from collections.abc import Mapping
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

ALGORITHM = "RS256"
"""Mandatory for every provider (OpenID Connect Core 15.1)."""
_BITS = 2048


class Signer:
    """Signs with its newest key, and verifies with all published ones."""

    def __init__(self) -> None:
        self._keys = [_new_key()]

    def rotate(self, *, keep_old: bool) -> None:
        """Sign with a new key from now on. With `keep_old` tokens of the old keys stay valid."""
        self._keys = [_new_key(), *(self._keys if keep_old else ())]

    @property
    def published(self) -> dict[str, Any]:
        """Return the public key set (RFC 7517)."""
        return {"keys": [key.as_dict(private=False, use="sig", alg=ALGORITHM) for key in self._keys]}

    def sign(self, kind: str, claims: Mapping[str, Any]) -> str:
        """Return a signed token of `typ` `kind`."""
        key = self._keys[0]
        return jwt.encode({"typ": kind, "alg": ALGORITHM, "kid": str(key.kid)}, dict(claims), key, algorithms=[ALGORITHM])

    def signed(self, kind: str, token: str) -> dict[str, Any]:
        """Return the claims of a token of that `typ`, signed here. Does not check its times. Raises ValueError."""
        try:
            decoded = jwt.decode(token, KeySet(list(self._keys)), algorithms=[ALGORITHM])
        except (JoseError, ValueError) as error:
            raise ValueError("the token is not of this provider") from error
        if decoded.header.get("typ") != kind:
            raise ValueError("the token is of another type")
        return decoded.claims


def _new_key() -> RSAKey:
    return RSAKey.generate_key(_BITS, auto_kid=True)
