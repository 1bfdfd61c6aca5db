"""Kubernetes Events `Vended` of roles that the API vends: one when the object is seen to be Ready, also of an object that shows a recorded
role. No call waits for it.

Events are bounded: ten a second, and none for roles that are seen while a thousand wait; the audit has every vend.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from rolevend.kube.client import Body, KubeClient
from rolevend.kube.events import emit_event
from rolevend.model import ObjectName, Uid
from rolevend.roles.objects import uid_of

VENDED: Final = "Vended"
_LATEST: Final = timedelta(minutes=1)
"""A role that was Ready for longer when it is seen first had its Event by the leader before this one."""
_PAUSE_SECONDS: Final = 0.1
_MAX_WAITING: Final = 1000

_log = logging.getLogger(__name__)


def vended_message(role: str, tables: Iterable[tuple[str, int]], until: datetime) -> str:
    """Return the message of the Event. `tables` are the platforms, each with the number of tables that the lease reads there."""
    reads = (f"on {platform} reads {count} {'table' if count == 1 else 'tables'}" for platform, count in tables)
    return f"{role} {', '.join(reads)} until {until:%H:%M:%S} UTC"


@dataclass(frozen=True, slots=True)
class _Waiting:
    name: ObjectName
    uid: Uid
    message: str


class VendedEvents:
    def __init__(self, cluster: KubeClient, now: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._now = now
        self._waiting: asyncio.Queue[_Waiting] = asyncio.Queue(_MAX_WAITING)
        self._seen: OrderedDict[Uid, datetime] = OrderedDict()
        """Objects that were Ready within the last minute, by the time from which they need no Event."""

    @property
    def waiting(self) -> int:
        """The number of Events that wait."""
        return self._waiting.qsize()

    @property
    def remembered(self) -> int:
        """The number of objects that are known to need no other Event."""
        return len(self._seen)

    def on_event(self, event: str | None, body: Body) -> None:
        """Handle an event of the watch, or an object of its first listing. Returns at once."""
        if event == "DELETED" or body["spec"].get("delivery") != "Response" or body["metadata"].get("deletionTimestamp"):
            return
        uid, status = uid_of(body), body.get("status") or {}
        ready = next((each for each in status.get("conditions", ()) if each["type"] == "Ready" and each["status"] == "True"), None)
        if ready is None or uid in self._seen:
            return
        begun = max(map(datetime.fromisoformat, (ready["lastTransitionTime"], body["metadata"]["creationTimestamp"])))
        if begun + _LATEST < self._now():
            return
        self._forget_old()
        self._seen[uid] = self._now() + 2 * _LATEST
        if not self._waiting.full():
            name = ObjectName(body["metadata"]["namespace"], body["metadata"]["name"])
            tables = [(each["name"], each.get("tableCount", 0)) for each in status["platforms"] if each["state"] == "Live"]
            message = vended_message(status["roleName"], tables, datetime.fromisoformat(status["expirationTimestamp"]))
            self._waiting.put_nowait(_Waiting(name, uid, message))

    async def run(self) -> None:
        """Emit Events until cancelled."""
        while True:
            each = await self._waiting.get()
            problem = await emit_event(self._cluster, each.name, each.uid, "Normal", VENDED, each.message, self._now())
            if problem is not None:
                _log.info("cannot write an Event: %s", problem, extra={"object": str(each.name)})
            await asyncio.sleep(_PAUSE_SECONDS)

    def _forget_old(self) -> None:
        while self._seen and next(iter(self._seen.values())) < self._now():
            self._seen.popitem(last=False)
