"""A provider's keys, which are made when it starts and exist in its process alone, and what is signed with them."""

from collections.abc import Mapping
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

ALGORITHM = "RS256"
"""Which every provider must know (OpenID Connect Core 15.1)."""
_BITS = 2048


class Signer:
    """Signs with its newest key, and believes what any published one signed."""

    def __init__(self) -> None:
        self._keys = [_new_key()]

    def rotate(self, *, keep_old: bool) -> None:
        """Sign with a new key from now on. The old ones stay published, or nobody can believe any more what they signed."""
        self._keys = [_new_key(), *(self._keys if keep_old else ())]

    @property
    def published(self) -> dict[str, Any]:
        """The key set (RFC 7517), without what is private."""
        return {"keys": [key.as_dict(private=False, use="sig", alg=ALGORITHM) for key in self._keys]}

    def sign(self, kind: str, claims: Mapping[str, Any]) -> str:
        """A token whose `typ` is `kind`."""
        key = self._keys[0]
        return jwt.encode({"typ": kind, "alg": ALGORITHM, "kid": str(key.kid)}, dict(claims), key, algorithms=[ALGORITHM])

    def signed(self, kind: str, token: str) -> dict[str, Any]:
        """The claims of a token of that `typ` that was signed here; ValueError where it was not. Whether it still holds is not asked."""
        try:
            decoded = jwt.decode(token, KeySet(list(self._keys)), algorithms=[ALGORITHM])
        except (JoseError, ValueError) as error:
            raise ValueError("the token is not of this provider") from error
        if decoded.header.get("typ") != kind:
            raise ValueError("the token is of another type")
        return decoded.claims


def _new_key() -> RSAKey:
    return RSAKey.generate_key(_BITS, auto_kid=True)
