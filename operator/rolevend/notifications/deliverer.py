"""Notify one receiver of one occasion: call it until it accepts the message, wants no more calls, or was called often enough."""

import asyncio
import random
from collections import defaultdict
from typing import Final

from rolevend.access_objects.store import AccessRequestStore
from rolevend.kinds import AccessRequest
from rolevend.model import ObjectName
from rolevend.notifications.due import DueNotification, waits_for_people
from rolevend.notifications.notice import notice
from rolevend.notifications.receivers import Occasion, Receivers
from rolevend.notifications.recorder import DeliveryResult, NotificationRecorder
from rolevend.notifications.schedule import RetrySchedule
from rolevend.notifications.sender import NotificationSender

_MOST_AT_ONCE: Final = 4
"""Calls of one receiver."""
_DECIDED: Final = "the request was decided before the receiver was notified"
_UNKNOWN: Final = "the configuration of the operator has no receiver of this name"


class NotificationDeliverer:
    def __init__(
        self,
        store: AccessRequestStore,
        receivers: Receivers,
        sender: NotificationSender,
        recorder: NotificationRecorder,
        schedule: RetrySchedule,
    ) -> None:
        self._store = store
        self._receivers = receivers
        self._sender = sender
        self._recorder = recorder
        self._schedule = schedule
        self._places: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_MOST_AT_ONCE))

    async def deliver(self, name: ObjectName, due: DueNotification, pending_seconds: int | None) -> None:
        """Deliver the message, and record the result. `pending_seconds` are those of the offer; None: it is gone."""
        result = await self._result(name, due, pending_seconds)
        if result is not None:
            await self._recorder.record(name, due, result)

    async def _result(self, name: ObjectName, due: DueNotification, pending_seconds: int | None) -> DeliveryResult | None:
        """Return None if there is no need to notify any more, and the receiver was not called."""
        receiver = self._receivers.by_name.get(due.receiver)
        if receiver is None:
            return DeliveryResult(False, 0, _UNKNOWN)
        attempts, problem = 0, None
        while True:
            async with self._places[receiver.name]:
                request = self._store.get(name)
                if request is None or request.uid != due.uid:
                    return None
                if not _is_current(request, due):
                    return DeliveryResult(False, attempts, f"{_DECIDED}; {problem}") if attempts else None
                found = await self._sender.send(receiver, notice(request, due.occasion, receiver.name, pending_seconds))
            attempts += 1
            if found.problem is None:
                return DeliveryResult(True, attempts, problem)
            problem = found.problem
            delay = None if found.is_final else self._schedule.delay(attempts, random.random(), found.retry_after)  # noqa: S311 - no secret
            if delay is None:
                return DeliveryResult(False, attempts, problem)
            self._recorder.retried(name, due, problem)
            await asyncio.sleep(delay)


def _is_current(request: AccessRequest, due: DueNotification) -> bool:
    return due.occasion is Occasion.DECIDED or waits_for_people(request)
