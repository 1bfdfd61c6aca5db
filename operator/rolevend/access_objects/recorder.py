"""Record the life of AccessRequests: audit events, metrics and Kubernetes Events."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from rolevend.access_requests.counted import CountedVote
from rolevend.access_requests.request import Recorded
from rolevend.access_requests.states import RequestReason, RequestState
from rolevend.audit.access_events import StatedAccess, access_decided, access_requested, withdrawn_by_deletion
from rolevend.audit.events import AccessDecidedEvent, AccessRequestedEvent
from rolevend.errors import AuditUnavailable
from rolevend.kinds import AccessRequest
from rolevend.kube.client import KubeClient
from rolevend.kube.events import emit_event
from rolevend.model import Uid
from rolevend.roles.audit_recorder import AuditRecorder
from rolevend.telemetry.metrics import Metrics

_PATIENCE_SECONDS: Final = 2.0
"""For one audit event: other requests wait to be judged meanwhile, and their revocations."""
_BAD: Final = frozenset({RequestState.DENIED, RequestState.EXPIRED, RequestState.LAPSED, RequestState.REVOKED, RequestState.SUPERSEDED})
_DECIDED_BY: Final = {
    RequestReason.APPROVED_BY_RULE: "rule",
    RequestReason.NO_RULE_APPROVES: "rule",
    RequestReason.APPROVED_BY_PEOPLE: "people",
    RequestReason.DENIED_BY_PERSON: "people",
    RequestReason.NOTHING_IN_COMMON: "people",
}
_Event = AccessRequestedEvent | AccessDecidedEvent

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StateChange:
    """The change of an AccessRequest by one judgement."""

    stated: StatedAccess
    before: Recorded
    after: Recorded
    votes: tuple[CountedVote, ...] = ()

    @property
    def is_first(self) -> bool:
        return self.before.state is None

    @property
    def changes_state(self) -> bool:
        return self.before.state is not self.after.state

    @property
    def ends_approval(self) -> bool:
        """True if roles could be vended before, and cannot any more."""
        was_live = self.before.state is not None and self.before.state.is_live
        return was_live and self.after.state is not None and not self.after.state.is_live


class AccessRecorder:
    def __init__(self, audit: AuditRecorder, metrics: Metrics, cluster: KubeClient, now: Callable[[], datetime]) -> None:
        self._audit = audit
        self._metrics = metrics
        self._cluster = cluster
        self._now = now
        self._written: dict[Uid, set[str]] = {}
        """The ids of the events that this process wrote, by open AccessRequest."""
        self._unwritten: list[_Event] = []
        """Events of ended approvals that could not be written yet. They are retried unchanged, and lost if the process ends before."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def before_status(self, change: StateChange) -> None:
        """Write the audit events of a change, before its status is written. Raises AuditUnavailable: then the status must not be written.

        The end of an approval waits for no event: its event is written later, see `retry`.
        """
        now, uid = self._now(), change.stated.asked.uid
        events: list[_Event] = [access_requested(change.stated, change.after.offered, now)] if change.is_first else []
        if change.changes_state:
            events.append(access_decided(change.stated, change.after, change.votes, now))
        try:
            await self._write(uid, *events)
        except AuditUnavailable as error:
            if not change.ends_approval:
                raise
            _log.error("the end of an approval has no audit event yet: %s", error, extra={"object": str(change.stated.asked.name)})
            self._unwritten += events
            self._written.setdefault(uid, set()).update(each.id for each in events)

    def after_status(self, change: StateChange) -> None:
        """Count a change whose status is written, and tell people of it. Returns at once."""
        state, reason, asked = change.after.state, change.after.reason, change.stated.asked
        if not change.changes_state or state is None or reason is None:
            return
        if state.is_final:
            self._written.pop(asked.uid, None)
        self._metrics.access_decisions.labels(state.value, reason.value).inc()
        by = _DECIDED_BY.get(reason)
        if by is not None and change.before.approval is None:
            seconds = max(0.0, (self._now() - asked.created_at).total_seconds())
            self._metrics.access_decision_seconds.labels(by).observe(seconds)
        self._begin(self._emit(change, state))

    def failed(self) -> None:
        """Count a judgement that an unexpected error ended."""
        self._metrics.access_judgement_failures.inc()

    async def deleted(self, stated: StatedAccess, life: Recorded) -> None:
        """Write the end of an open request whose object was deleted. Raises nothing: the event is retried."""
        event = access_decided(stated, withdrawn_by_deletion(life), (), self._now())
        try:
            await self._write(stated.asked.uid, event)
        except AuditUnavailable as error:
            _log.error("the deletion of an AccessRequest has no audit event yet: %s", error, extra={"object": event.subject})
            self._unwritten.append(event)
        self._written.pop(stated.asked.uid, None)
        self._metrics.access_decisions.labels(event.state, event.reason).inc()

    async def retry(self) -> None:
        """Write the events that could not be written, as far as possible."""
        while self._unwritten:
            try:
                await self._record(self._unwritten[0])
            except AuditUnavailable:
                return
            self._unwritten.pop(0)

    def measure(self, requests: Iterable[AccessRequest]) -> None:
        """Set the gauges of open requests; `requests` are all."""
        now, states, oldest = self._now(), Counter[str](), 0.0
        for each in requests:
            state, created = each.status.state or RequestState.PENDING.value, each.metadata.creation_timestamp
            states[state] += 1
            if state == RequestState.PENDING.value and created is not None:
                oldest = max(oldest, (now - created).total_seconds())
        for state in (each.value for each in RequestState if not each.is_final):
            self._metrics.access_requests.labels(state).set(states[state])
        self._metrics.access_request_oldest_seconds.set(oldest)

    async def _write(self, uid: Uid, *events: _Event) -> None:
        """Write the events that this process did not write, in this order and at once."""
        written = self._written.setdefault(uid, set())
        missing = [each for each in events if each.id not in written]
        await self._record(*missing)
        written.update(each.id for each in missing)

    async def _record(self, *events: _Event) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await asyncio.gather(*map(self._audit.access, events))
        except TimeoutError as error:
            raise AuditUnavailable(f"writing an audit event takes longer than {_PATIENCE_SECONDS:.0f} seconds") from error

    async def _emit(self, change: StateChange, state: RequestState) -> None:
        asked = change.stated.asked
        type_: Literal["Normal", "Warning"] = "Warning" if state in _BAD else "Normal"
        problem = await emit_event(
            self._cluster, asked.name, asked.uid, type_, state.value, change.after.message, self._now(), kind="AccessRequest"
        )
        if problem is not None:
            _log.info("cannot write an Event: %s", problem, extra={"object": str(asked.name)})

    def _begin(self, action: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(action)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
