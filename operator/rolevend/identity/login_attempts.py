"""The logins that were begun: a browser keeps each of them, sealed, so that any replica can complete it."""

import base64
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from rolevend.derived_keys import derived_key
from rolevend.identity.login_client import LoginAttempt
from rolevend.identity.sealed import Seal

LOGIN_LIFE: Final = timedelta(minutes=10)
"""Of a login that was begun."""
_STATE_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class ResumedLogin:
    """A login whose browser came back from the issuer."""

    attempt: LoginAttempt
    path: str
    """Where the browser goes afterwards."""
    issuer: str


class LoginAttempts:
    def __init__(self, key: bytes, purpose: str, now: Callable[[], datetime]) -> None:
        """`key` is one that all replicas have. A text that was sealed for another purpose cannot be opened."""
        self._key = key
        self._seal = Seal(key, purpose, LOGIN_LIFE, now)

    def begin(self, path: str, issuer: str) -> tuple[LoginAttempt, str]:
        """Return the attempt, and the cookie for the way back."""
        state = secrets.token_urlsafe(_STATE_BYTES)
        return self._attempt(state), self._seal.close(state=state, path=path, issuer=issuer)

    def resume(self, cookie: str | None, state: str | None) -> ResumedLogin | None:
        """Return the login that was begun with the state, in this browser; None if there is none, or if it began too long ago."""
        begun = self._seal.open(cookie)
        if begun is None or state is None or not hmac.compare_digest(begun["state"].encode(), state.encode(errors="replace")):
            return None
        return ResumedLogin(self._attempt(state), begun["path"], begun["issuer"])

    def _attempt(self, state: str) -> LoginAttempt:
        """Return the secrets of the login with this state. They are derived, so the browser does not see them."""
        nonce, verifier = (derived_key(self._key, "rolevend", purpose, state) for purpose in ("nonce", "verifier"))
        return LoginAttempt(state, nonce.hex(), base64.urlsafe_b64encode(verifier).rstrip(b"=").decode())
