"""Derive a key for each purpose from the key of opaque handles, which operator and API share. Pure.

No two purposes have the same key, so what was made for one is of no use for another.
"""

import hashlib
import hmac


def derived_key(key: bytes, *purpose: str) -> bytes:
    """Return the key, or the code, of a purpose and its further parts. No part has a NUL."""
    return hmac.digest(key, "\0".join(purpose).encode(), hashlib.sha256)
