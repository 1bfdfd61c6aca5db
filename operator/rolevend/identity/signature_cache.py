"""Cache of tokens whose signatures were verified. It proves nothing else: the caller checks expiry, issuer and audience at each call."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from rolevend.identity.compact import Compact
from rolevend.identity.key_set import KeySet


@dataclass(frozen=True, slots=True)
class SignedToken:
    token: Compact
    keys: KeySet
    """The key set that verified the signature. Keys that were read again, even the same ones, are another set."""


class SignatureCache:
    """Finds a token by its whole text, the signature included. Removes the oldest first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._verified: OrderedDict[bytes, SignedToken] = OrderedDict()

    def get(self, text: str) -> SignedToken | None:
        return self._verified.get(_key(text))

    def add(self, text: str, verified: SignedToken) -> None:
        key = _key(text)
        self._verified.pop(key, None)
        while len(self._verified) >= self._most:
            self._verified.popitem(last=False)
        self._verified[key] = verified


def _key(text: str) -> bytes:
    """Return a digest, so that no token stays in memory."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()
