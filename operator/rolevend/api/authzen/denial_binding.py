"""Bind a request for access to the denial that named it: the denial hands out a sealed text, and the request brings it back.

Any replica verifies the seal, because it is of the key of opaque handles. Nothing is stored. Pure.
"""

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

from rolevend.api.problems import Problem
from rolevend.derived_keys import derived_key

BINDING_SECONDS: Final = 600
"""How long a denial can be answered with a request."""
_PURPOSE: Final = "rolevend denial binding 1"
_TYPE: Final = "urn:openid:authzen:access-request:error:"
_LONGEST: Final = 4_096


@dataclass(frozen=True, slots=True)
class DeniedAccess:
    """A denial of one access to one user of one agent, and the offer that shows it."""

    agent: str
    issuer: str
    subject: str
    platform: str
    schema: str
    table: str
    column: str | None
    purpose: str | None
    offer: str
    """`namespace/name`."""
    expires_at: int
    """In seconds of Unix time."""

    @property
    def deadline(self) -> datetime:
        return datetime.fromtimestamp(self.expires_at, UTC)


def sealed(denied: DeniedAccess, key: bytes) -> str:
    """Return the denial as a text that only a holder of `key` can make."""
    text = json.dumps(asdict(denied), separators=(",", ":")).encode()
    return f"{_encoded(text)}.{_encoded(_seal(text, key))}"


def unsealed(token: str, key: bytes, now: datetime, field: str) -> DeniedAccess:
    """Return the denial. Raises Problem if it is not ours, or too old. `field` is the member of the request."""
    text, _, seal = token.partition(".")
    try:
        content = _decoded(text)
        is_ours = len(token) <= _LONGEST and hmac.compare_digest(_decoded(seal), _seal(content, key))
    except ValueError:
        is_ours = False
    if not is_ours:
        raise invalid_binding(field, "it is of no denial of this installation; evaluate again, and bring it back unchanged")
    denied = DeniedAccess(**json.loads(content))
    if now >= denied.deadline:
        raise Problem(410, "ExpiredDenial", f"{field}: the denial is too old; evaluate again", field=field, type=f"{_TYPE}expired_denial")
    return denied


def invalid_binding(field: str, cause: str) -> Problem:
    return Problem(400, "InvalidDenialBinding", f"{field}: {cause}", field=field, type=f"{_TYPE}invalid_denial_binding")


def task_problem(problem: Problem, kind: str) -> Problem:
    """Return the problem with the type of the profile for tasks."""
    return Problem(problem.status, problem.code, problem.detail, problem.field, type=f"{_TYPE}{kind}")


def _seal(text: bytes, key: bytes) -> bytes:
    return hmac.digest(derived_key(key, _PURPOSE), text, hashlib.sha256)


def _encoded(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    if not text.isascii():
        raise ValueError(text)
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
