"""Record whether a receiver was notified: in the status of the AccessRequest, as a metric, and as a Kubernetes Event if it was not."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rolevend.access_objects.store import AccessRequestStore
from rolevend.errors import RolevendError, Unavailable
from rolevend.kinds import AccessRequest
from rolevend.kinds.access_request import MOST_NOTIFICATIONS
from rolevend.kinds.status import Body, body
from rolevend.kinds.text import timestamp_text
from rolevend.kube.client import KubeClient, NotFound, ResourceConflict
from rolevend.kube.events import emit_event
from rolevend.model import ObjectName
from rolevend.notifications.due import DueNotification
from rolevend.telemetry.metrics import Metrics

_RETRY_SECONDS: Final = 1.0
_LONGEST_MESSAGE: Final = 256
_UNKNOWN: Final = "unknown"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    is_delivered: bool
    attempts: int
    problem: str | None = None
    """The last failure; it may have been followed by a success."""


class NotificationRecorder:
    def __init__(
        self, store: AccessRequestStore, cluster: KubeClient, metrics: Metrics, now: Callable[[], datetime], receivers: Iterable[str]
    ) -> None:
        """`receivers` are the names in the configuration: no other becomes a label of the metric."""
        self._store = store
        self._cluster = cluster
        self._metrics = metrics
        self._now = now
        self._receivers = frozenset(receivers)
        metrics.notify((*self._receivers, _UNKNOWN))

    def retried(self, name: ObjectName, due: DueNotification, problem: str) -> None:
        self._count(due.receiver, "retried")
        _log.info("a receiver was not notified yet: %s", problem, extra={"object": str(name), "receiver": due.receiver})

    async def record(self, name: ObjectName, due: DueNotification, result: DeliveryResult) -> None:
        """Write the result into the status, with retries while the API server does not answer."""
        self._count(due.receiver, "delivered" if result.is_delivered else "failed")
        if not result.is_delivered:
            _log.warning("a receiver cannot be notified: %s", result.problem, extra={"object": str(name), "receiver": due.receiver})
        while not await self._written(name, due, result):
            await asyncio.sleep(_RETRY_SECONDS)
        if not result.is_delivered:
            message = f"receiver {due.receiver} cannot be notified of it ({due.occasion.value}): {result.problem}"
            await emit_event(
                self._cluster, name, due.uid, "Warning", "NotificationFailed", message, self._now(), kind=AccessRequest.__name__
            )

    async def _written(self, name: ObjectName, due: DueNotification, result: DeliveryResult) -> bool:
        """Return False if a retry may succeed."""
        found = self._store.get(name)
        if found is None or found.uid != due.uid:
            return True
        try:
            await self._store.write_status(found, {"notifications": self._with(found, due, result)})
        except NotFound:
            return True
        except ResourceConflict:
            return await self._read(name)
        except Unavailable:
            return False
        except RolevendError as error:
            _log.warning("cannot record that a receiver was notified: %s", error, extra={"object": str(name), "receiver": due.receiver})
        return True

    async def _read(self, name: ObjectName) -> bool:
        """Read the object that changed since the watch reported it. Returns False, for a retry."""
        try:
            await self._store.read(name)
        except RolevendError as error:
            _log.info("cannot read an AccessRequest: %s", error, extra={"object": str(name)})
        return False

    def _with(self, request: AccessRequest, due: DueNotification, result: DeliveryResult) -> list[Body]:
        """Return the records with this one."""
        key = (due.receiver, due.occasion.value)
        others = [body(each) for each in request.status.notifications if (each.receiver, each.event) != key]
        record: Body = {
            "receiver": due.receiver,
            "event": due.occasion.value,
            "state": "Delivered" if result.is_delivered else "Failed",
            "attempts": result.attempts,
            "at": timestamp_text(self._now()),
        }
        if result.problem is not None:
            record["message"] = result.problem[:_LONGEST_MESSAGE]
        return [*others[1 - MOST_NOTIFICATIONS :], record]

    def _count(self, receiver: str, outcome: str) -> None:
        name = receiver if receiver in self._receivers else _UNKNOWN
        self._metrics.notifications.labels(name, outcome).inc()
