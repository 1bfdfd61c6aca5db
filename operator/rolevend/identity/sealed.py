"""Values that a browser or an object keeps for rolevend, and nobody else can change: signed with a key of all replicas, until a time."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from rolevend.derived_keys import derived_key

_ALGORITHM: Final = "HS256"
_LONGEST: Final = 4096
"""Of what a browser keeps."""


class Seal:
    def __init__(self, key: bytes, purpose: str, life: timedelta, now: Callable[[], datetime], longest: int = _LONGEST) -> None:
        """`key` is the key of opaque handles, which all replicas have. The key of the seal is derived from it and from `purpose`, so what
        was sealed for another purpose cannot be opened. `longest`: of a sealed text."""
        self._key = OctKey.import_key(derived_key(key, "rolevend", purpose))
        self.life = life
        self.longest = longest
        self._now = now

    def close(self, **members: str) -> str:
        """Return the members as a text that `open` accepts for `life`. The members can be read by everybody who has the text."""
        until = self._now() + self.life
        return jwt.encode({"alg": _ALGORITHM}, {**members, "exp": int(until.timestamp())}, self._key, algorithms=[_ALGORITHM])

    def open(self, text: str | None) -> dict[str, str] | None:
        """Return the members, or None if the text was not sealed here for this purpose, or too long ago."""
        if text is None or len(text) > self.longest:
            return None
        try:
            claims: dict[str, Any] = jwt.decode(text, self._key, algorithms=[_ALGORITHM]).claims
        except (JoseError, ValueError):
            return None
        until = claims.pop("exp", None)
        return claims if isinstance(until, int) and self._now().timestamp() < until else None
