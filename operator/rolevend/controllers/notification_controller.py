"""Notify receivers of the AccessRequests on which people decide. Only the leader does.

No judgement waits for a receiver: each is notified by a task of its own. The status of the request records who was notified. If the
operator ends between a call and its record, the next leader calls again, with the same id.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final

from rolevend.access_objects.store import AccessRequestStore
from rolevend.kinds import AccessRequest
from rolevend.kinds.values import object_name
from rolevend.model import ObjectName
from rolevend.notifications.deliverer import NotificationDeliverer
from rolevend.notifications.due import DueNotification, calls_in_vain, due_notifications, waits_for_people
from rolevend.notifications.receivers import Receivers
from rolevend.roles.protocols import Snapshots

_FULL_PASS_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.2
"""Between two passes over all AccessRequests."""
_log = logging.getLogger(__name__)


class NotificationController:
    def __init__(
        self,
        store: AccessRequestStore,
        snapshots: Snapshots,
        receivers: Receivers,
        deliverer: NotificationDeliverer,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._snapshots = snapshots
        self._receivers = receivers
        self._deliverer = deliverer
        self._now = now
        self._begun: set[DueNotification] = set()
        """Those that this process began. None begins twice, also if it could not be recorded."""

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as deliveries:
            while True:
                seen = self._store.changes
                if self._store.informer.synced and not self._snapshots.snapshot.pending:
                    self._begin_due(deliveries)
                await asyncio.sleep(_PAUSE_SECONDS)
                if self._store.changes == seen:
                    await self._store.changed(_FULL_PASS_SECONDS)

    def _begin_due(self, deliveries: asyncio.TaskGroup) -> None:
        now = self._now()
        found = [each for each in self._store.all() if waits_for_people(each) or each.status.notifications]
        uids = {each.uid for each in found}
        self._begun = {due for due in self._begun if due.uid in uids}
        for request in found:
            if request.metadata.deletion_timestamp is None:
                self._begin(request, now, deliveries)

    def _begin(self, request: AccessRequest, now: datetime, deliveries: asyncio.TaskGroup) -> None:
        offer = ObjectName(request.spec.offer_ref.namespace, request.spec.offer_ref.name)
        terms = self._snapshots.snapshot.offers.get(offer)
        found = [each for each in due_notifications(request, terms, self._receivers, now) if each not in self._begun]
        if found and waits_for_people(request) and self._calls_in_vain(request, now):
            return  # a later pass begins it
        for due in found:
            self._begun.add(due)
            deliveries.create_task(self._deliver(object_name(request), due, None if terms is None else terms.pending_seconds))

    def _calls_in_vain(self, request: AccessRequest, now: datetime) -> bool:
        agent = ObjectName(request.namespace, request.spec.agent_ref.name)
        return calls_in_vain((each for each, _ in self._store.of(agent)), now)

    async def _deliver(self, name: ObjectName, due: DueNotification, pending_seconds: int | None) -> None:
        try:
            await self._deliverer.deliver(name, due, pending_seconds)
        except Exception:  # an error of ours about one request must not end the operator
            _log.exception("cannot notify a receiver", extra={"object": str(name), "receiver": due.receiver})
