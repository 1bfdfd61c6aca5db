"""Which request a token was taken for: written once, before anything is made for it, and kept for as long as the token holds.

Leases in the operator's own namespace, since all replicas share them, and since they say themselves when they are over. Whoever could
take one away could use its token twice; the operator may, and an admission policy of the chart keeps it to these Leases.
"""

import asyncio
import hashlib
import logging
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from rolevend.errors import RolevendError
from rolevend.kube.client import KubeClient, NotFound, ResourceConflict
from rolevend.kube.election import LEASES
from rolevend.model import Uid
from rolevend.naming import length_prefixed

PREFIX: Final = "rolevend-token-"
COLLECT_SECONDS: Final = 300.0
_LONGER: Final = timedelta(minutes=5)
"""Than the token holds: clocks differ, and a token is taken for a while after its end."""


_log = logging.getLogger(__name__)


class TokenReplayStore:
    def __init__(self, cluster: KubeClient, namespace: str, now: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._now = now

    async def take(self, issuer: str, token_id: str, uid: Uid, expires_at: datetime) -> bool:
        """Whether the token is this request's, from now on or already. `token_id` is unique with its issuer."""
        name = _name(issuer, token_id)
        now = self._now()
        seconds = max(1, math.ceil((expires_at + _LONGER - now).total_seconds()))
        spec = {"holderIdentity": uid, "leaseDurationSeconds": seconds, "acquireTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
        try:
            await self._cluster.create(LEASES, {"metadata": {"name": name}, "spec": spec}, self._namespace)
        except ResourceConflict:
            return await self.is_left_to(issuer, token_id, uid)
        return True

    async def is_left_to(self, issuer: str, token_id: str, uid: Uid) -> bool:
        """Whether nobody else has taken the token so far."""
        try:
            there = await self._cluster.get(LEASES, _name(issuer, token_id), self._namespace)
        except NotFound:
            return True
        return bool(there["spec"].get("holderIdentity") == uid)

    async def run(self) -> None:
        """Until cancelled: takes away what is over, now and then."""
        while True:
            try:
                await self.collect()
            except RolevendError as error:
                _log.warning("collecting records of tokens: %s", error)
            await asyncio.sleep(COLLECT_SECONDS)

    async def collect(self) -> int:
        """Takes away what is over; how many."""
        over = 0
        async for page in self._cluster.pages(LEASES, self._namespace):
            for lease in page["items"]:
                metadata = lease["metadata"]
                if metadata["name"].startswith(PREFIX) and self._is_over(lease["spec"]):
                    await self._cluster.delete(LEASES, metadata["name"], metadata["uid"], self._namespace)
                    over += 1
        return over

    def _is_over(self, spec: dict[str, Any]) -> bool:
        """What does not say when it ends stays."""
        if not spec.get("acquireTime") or not spec.get("leaseDurationSeconds"):
            return False
        return datetime.fromisoformat(spec["acquireTime"]) + timedelta(seconds=spec["leaseDurationSeconds"]) <= self._now()


def _name(issuer: str, token_id: str) -> str:
    return PREFIX + hashlib.sha256(length_prefixed(issuer, token_id)).hexdigest()
