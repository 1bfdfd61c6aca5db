"""The links to the page on which a user confirms a request. Only this API makes them: nobody finds out by guessing which requests exist."""

import base64
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rolevend.access_requests.pending import confirm_by
from rolevend.decision.snapshot import Snapshot
from rolevend.derived_keys import derived_key
from rolevend.kinds import AccessRequest
from rolevend.kinds.access_request_facts import awaits_user, requested_access
from rolevend.model import ObjectName

CONFIRM: Final = "/confirm"
_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class ConfirmPage:
    url: str
    expires_at: datetime


class ConfirmLinks:
    def __init__(self, key: bytes, now: Callable[[], datetime]) -> None:
        """`key` is the key of opaque handles, which all replicas have."""
        self._key = key
        self.now = now

    def path(self, request: AccessRequest) -> str:
        """Return the path of the page about this one object."""
        return f"{CONFIRM}/{request.namespace}/{request.name}/{self._code(request)}"

    def opens(self, request: AccessRequest, code: str) -> bool:
        """True if `code` is the last part of the path of this object."""
        return hmac.compare_digest(self._code(request).encode(), code.encode(errors="replace"))

    def page(self, request: AccessRequest, snapshot: Snapshot) -> ConfirmPage | None:
        """Return the page on which the user must answer, or None if there is nothing to answer, or no more time."""
        login = snapshot.logins.get(request.spec.user.issuer)
        terms = snapshot.offers.get(ObjectName(request.spec.offer_ref.namespace, request.spec.offer_ref.name))
        if login is None or terms is None or not awaits_user(request):
            return None
        expires_at = confirm_by(requested_access(request), terms)
        return ConfirmPage(f"{login.url}{self.path(request)}", expires_at) if self.now() < expires_at else None

    def _code(self, request: AccessRequest) -> str:
        code = derived_key(self._key, "rolevend", "link", request.namespace, request.name, request.uid)[:_BYTES]
        return base64.urlsafe_b64encode(code).rstrip(b"=").decode()
