"""Delete AccessRequests some time after their end, and the AccessDecisions on them, which have no owner in another namespace."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from rolevend.access_objects.store import AccessRequestStore
from rolevend.access_objects.votes import Votes
from rolevend.access_requests.retention import Retention, requests_to_delete
from rolevend.errors import RolevendError
from rolevend.kinds import AccessDecision
from rolevend.roles.protocols import Snapshots

_PREVIEW_KEPT: Final = timedelta(minutes=10)
"""Its author deletes it as soon as it is answered."""

_log = logging.getLogger(__name__)


class AccessRequestCollector:
    def __init__(
        self, store: AccessRequestStore, votes: Votes, snapshots: Snapshots, retention: Retention, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._votes = votes
        self._snapshots = snapshots
        self._retention = retention
        self._now = now

    async def run(self, interval_seconds: float) -> None:
        """Run until cancelled."""
        while True:
            await asyncio.sleep(interval_seconds)
            if self._store.informer.synced and self._votes.informer.synced and not self._snapshots.snapshot.pending:
                try:
                    await self.collect()
                except RolevendError as error:
                    _log.warning("cannot delete an AccessRequest: %s", error)
                except Exception:  # a bug must not end the loop
                    _log.exception("cannot delete an AccessRequest")

    async def collect(self) -> None:
        """Delete the objects whose time is over. The votes on a request go first, so that none is left over."""
        offers = self._snapshots.snapshot.offers
        for each in requests_to_delete(self._store.everything(), offers, self._retention, self._now()):
            for vote in self._votes.on(each.request.uid):
                await self._votes.delete(vote)
            await self._store.delete(each.request.name, each.request.uid)
            _log.info("deleted an ended AccessRequest", extra={"object": str(each.request.name), "state": each.recorded.state})
        await self._collect_orphans()

    async def _collect_orphans(self) -> None:
        """Delete votes on requests that do not exist, and previews that are left."""
        known = {each["metadata"]["uid"] for each in self._store.informer.objects.values()}  # also those that cannot be read
        for vote in self._votes.all():
            if vote.spec.request_ref.uid not in known and self._is_older(vote, self._retention.time_to_live):
                await self._votes.delete(vote)
        for preview in self._votes.previews:
            if self._is_older(preview, _PREVIEW_KEPT):
                await self._votes.delete(preview)

    def _is_older(self, vote: AccessDecision, age: timedelta) -> bool:
        created = vote.metadata.creation_timestamp
        return created is not None and self._now() >= created + age
