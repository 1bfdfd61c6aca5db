"""Kubernetes Events of policies and platforms: one when an object begins to fail, and one when it is in order again.

Events are bounded: at most one for each object and minute, and ten a second in all. An object that fails and recovers within that time
gets none.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from rolevend.decision.outcome import SUSPENDED
from rolevend.kinds import AccessPolicy, DataPlatform, Guardrail, Resource, TagBinding
from rolevend.kinds.status import ConditionUpdate
from rolevend.kube.client import KubeClient
from rolevend.kube.events import emit_event
from rolevend.model import ObjectName, Uid
from rolevend.snapshot.conditions.common import StatusEvaluation

NO_USERS: Final = "NoUsers"
_KINDS: Final = (AccessPolicy, DataPlatform, Guardrail, TagBinding)
_NO_VERDICT: Final = "Connecting"
"""The reason of a platform until its first poll ends, also after each start of the operator."""
_PAUSE_SECONDS: Final = 0.1
"""Between two Events of any objects."""
_IDLE_SECONDS: Final = 1.0
_PER_OBJECT: Final = timedelta(minutes=1)
_MOST_WAITING: Final = 1000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConditionEvent:
    type: Literal["Normal", "Warning"]
    reason: str
    message: str


def event_of(evaluation: StatusEvaluation[Resource]) -> ConditionEvent | None:
    """Return the Event of the change from the status that the object has to the evaluation, or None if nothing begins to fail or ends."""
    resource = evaluation.resource
    ready = next((each for each in evaluation.findings if each.type == "Ready"), None)
    if not isinstance(resource, _KINDS) or ready is None:
        return None
    before = resource.status.condition("Ready")
    failed = before is not None and before.status == "False" and before.reason != _NO_VERDICT
    if ready.status == "False" and ready.reason != _NO_VERDICT and not (failed and before is not None and before.reason == ready.reason):
        return ConditionEvent("Normal" if ready.reason == SUSPENDED else "Warning", ready.reason, _message(resource, ready))
    if ready.status == "True" and failed:
        return ConditionEvent("Normal", ready.reason, _message(resource, ready))
    return _event_of_users(resource, ready, evaluation.counts.get("matchedUsers"))


def _message(resource: Resource, ready: ConditionUpdate) -> str:
    """Return the message of the condition. For a cluster-scoped object name the reason alone: its Event is in the namespace `default`,
    where people read it who may not read the names of tables."""
    if resource.namespace:
        return ready.message
    return f"Ready is {ready.status}: {ready.reason}; the conditions of {resource.kind} {resource.name} say why"


def _event_of_users(resource: Resource, ready: ConditionUpdate, covered: int | None) -> ConditionEvent | None:
    """Return the Event of a policy that begins to cover nobody. A new one may be for users who are known by their tokens alone."""
    if not isinstance(resource, AccessPolicy) or ready.status != "True" or covered is None:
        return None
    before = resource.status.matched_users
    if covered == 0 and before:
        return ConditionEvent("Warning", NO_USERS, f"covers no user of UserAttributes any more, and covered {before}")
    if covered and before == 0:
        return ConditionEvent("Normal", ready.reason, f"covers {covered} users of UserAttributes")
    return None


@dataclass(slots=True)
class _Object:
    kind: str
    name: ObjectName
    emitted: ConditionEvent | None = None
    not_before: datetime | None = None
    waiting: ConditionEvent | None = None


class ConditionEvents:
    def __init__(self, cluster: KubeClient, now: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._now = now
        self._objects: dict[Uid, _Object] = {}
        """Objects with an Event that waits, or that was emitted lately."""

    @property
    def waiting(self) -> int:
        """The number of objects with an Event that waits, or that was emitted lately."""
        return len(self._objects)

    def on_published(self, evaluation: StatusEvaluation[Resource]) -> None:
        """Handle an evaluation whose status was written. Returns at once."""
        event = event_of(evaluation)
        if event is None:
            return
        resource = evaluation.resource
        known = self._objects.get(Uid(resource.uid))
        if known is None:
            if len(self._objects) >= _MOST_WAITING:
                return  # the conditions of the objects say the same
            known = self._objects[Uid(resource.uid)] = _Object(resource.kind, ObjectName(resource.namespace, resource.name))
        same = known.emitted is not None and (known.emitted.type, known.emitted.reason) == (event.type, event.reason)
        known.waiting = None if same else event

    async def run(self) -> None:
        """Emit Events until cancelled."""
        while True:
            await self.emit_due()
            await asyncio.sleep(_IDLE_SECONDS)

    async def emit_due(self) -> None:
        """Emit the Events of all objects that had none within the last minute."""
        for uid in self._due():
            await self._emit(uid)
            await asyncio.sleep(_PAUSE_SECONDS)

    def _due(self) -> list[Uid]:
        now = self._now()
        over = {uid for uid, each in self._objects.items() if each.not_before is None or each.not_before <= now}
        for uid in [uid for uid in over if self._objects[uid].waiting is None]:
            del self._objects[uid]
        return [uid for uid in over if uid in self._objects]

    async def _emit(self, uid: Uid) -> None:
        known = self._objects[uid]
        known.emitted, known.waiting, known.not_before = known.waiting, None, self._now() + _PER_OBJECT
        event = known.emitted
        if event is None:
            return
        problem = await emit_event(self._cluster, known.name, uid, event.type, event.reason, event.message, self._now(), kind=known.kind)
        if problem is not None:
            _log.info("cannot write an Event: %s", problem, extra={"object": str(known.name)})
