"""Records of the request that redeemed a token, so that no token is used for two requests.

A record is written before anything is created for the request, and kept until the token expires. The records are Leases in the operator's
namespace: all replicas share them, and a Lease holds its own expiry. Deleting a record lets its token be used again. The operator has
that right, and an admission policy of the chart restricts it to these Leases.
"""

import hashlib
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from rolevend.errors import Rejected
from rolevend.kube.client import KubeClient, NotFound, ResourceConflict
from rolevend.kube.election import LEASES
from rolevend.model import Uid
from rolevend.naming import length_prefixed

PREFIX: Final = "rolevend-token-"
_LONGER: Final = timedelta(minutes=5)
"""A record outlives its token by this time: clocks differ, and the check accepts a token shortly after its expiry."""
_LATEST: Final = datetime.max.replace(tzinfo=UTC) - _LONGER
_MAX_LEASE_SECONDS: Final = 2**31 - 1


def token_digest(issuer: str, token_id: str) -> str:
    """Return the name of a token's record, wherever it is kept: SHA-256 in hex. `token_id` is unique with its issuer."""
    return hashlib.sha256(length_prefixed(issuer, token_id)).hexdigest()


def record_expiry(expires_at: datetime) -> datetime:
    """Return when the record of a token with this expiry may be deleted."""
    return min(expires_at, _LATEST) + _LONGER


class TokenReplayStore:
    def __init__(self, cluster: KubeClient, namespace: str, now: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._now = now

    async def take(self, issuer: str, token_id: str, uid: Uid, expires_at: datetime) -> bool:
        """Redeem the token, whose id is unique with its issuer, for the request `uid`. Idempotent.

        Returns False if another request redeemed it.
        """
        name = _name(issuer, token_id)
        now = self._now()
        seconds = min(max(1, math.ceil((record_expiry(expires_at) - now).total_seconds())), _MAX_LEASE_SECONDS)
        spec = {"holderIdentity": uid, "leaseDurationSeconds": seconds, "acquireTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
        try:
            await self._cluster.create(LEASES, {"metadata": {"name": name}, "spec": spec}, self._namespace)
        except ResourceConflict:
            return await self.is_left_to(issuer, token_id, uid)
        return True

    async def is_left_to(self, issuer: str, token_id: str, uid: Uid) -> bool:
        """True if no other request redeemed the token."""
        try:
            there = await self._cluster.get(LEASES, _name(issuer, token_id), self._namespace)
        except NotFound:
            return True
        return bool(there["spec"].get("holderIdentity") == uid)

    async def collect(self) -> int:
        """Delete expired records, and return how many. Raises the last error of a record that cannot be deleted, after all others."""
        over, refused = 0, None
        async for page in self._cluster.pages(LEASES, self._namespace):
            for lease in page["items"]:
                metadata = lease["metadata"]
                if metadata["name"].startswith(PREFIX) and self._is_over(lease["spec"]):
                    try:
                        await self._cluster.delete(LEASES, metadata["name"], metadata["uid"], self._namespace)
                        over += 1
                    except Rejected as error:
                        refused = error
        if refused is not None:
            raise refused
        return over

    def _is_over(self, spec: dict[str, Any]) -> bool:
        """True if the record expired. A Lease without an expiry stays, and so does one whose expiry is beyond the calendar."""
        if not spec.get("acquireTime") or not spec.get("leaseDurationSeconds"):
            return False
        try:
            return datetime.fromisoformat(spec["acquireTime"]) + timedelta(seconds=spec["leaseDurationSeconds"]) <= self._now()
        except (ValueError, OverflowError):
            return False


def _name(issuer: str, token_id: str) -> str:
    return PREFIX + token_digest(issuer, token_id)
