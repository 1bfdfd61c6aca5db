"""Put the effects of a verified security event token on record, and write them. Idempotent: the sender repeats a call that failed."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

from rolevend.api.signals.bound import SignalObjects
from rolevend.api.signals.records import SignalRecord, after, change_of, name_of, object_of, record_of
from rolevend.audit.signal_events import ReceivedSignal
from rolevend.errors import Conflict
from rolevend.identity.security_event import SecurityEvents, Signal, SignalEffect
from rolevend.kinds import UserAttributes
from rolevend.kinds.parse import parse
from rolevend.kube.client import KubeClient, NotFound, ResourceConflict, path_of
from rolevend.model import User

_USERS: Final = path_of(UserAttributes)
_ATTEMPTS: Final = 12
_MOST_REPEATED: Final = 4_096

OnSignal = Callable[[str, str], None]
"""Called with the name of the event and its outcome: `changed`, `unchanged` or `ignored`."""


class SignalReceiver:
    def __init__(
        self,
        cluster: KubeClient,
        record: Callable[[ReceivedSignal], Awaitable[None]],
        now: Callable[[], datetime],
        on_signal: OnSignal,
        objects: SignalObjects,
    ) -> None:
        """`record` writes an audit event."""
        self._cluster = cluster
        self._record = record
        self._now = now
        self._on_signal = on_signal
        self._objects = objects
        self._repeated: OrderedDict[tuple[str, str], None] = OrderedDict()
        """Events that changed nothing when they came last. They have no further audit event, so that repeats fill no disk."""

    async def receive(self, events: SecurityEvents, request_id: str) -> None:
        """Write the effects of all events. Raises Unavailable if one of them may not be written; the same call then does the rest."""
        for signal in events.signals:
            if signal.user is None or signal.effect is SignalEffect.NONE:
                await self._put_on_record(events, signal, "Ignored", request_id)
                self._on_signal(signal.name, "ignored")
                continue
            has_changed = await self._apply(events, signal, signal.user, request_id)
            self._on_signal(signal.name, "changed" if has_changed else "unchanged")

    async def _apply(self, events: SecurityEvents, signal: Signal, user: User, request_id: str) -> bool:
        """Write the effect. False if there is none."""
        for attempt in range(_ATTEMPTS):
            before = await self._read(user)
            record = after(before, signal, events.provider, self._now())
            if before.version is None and record != before:
                self._objects.require_room(user)
            await self._put_on_record(events, signal, change_of(record, before), request_id)
            if record == before:
                return False
            try:
                await self._write(record, before, events, signal)
            except ResourceConflict:
                if attempt == _ATTEMPTS - 1:
                    raise
                continue
            return True
        raise AssertionError

    async def _read(self, user: User) -> SignalRecord:
        """Return what is known of the user, as it is now."""
        try:
            body = await self._cluster.get(_USERS, name_of(user))
        except NotFound:
            return SignalRecord(user)
        record = record_of(body, user)
        if record is None:
            raise Conflict(f"UserAttributes {name_of(user)}: signals did not make it; delete it")
        return record

    async def _write(self, record: SignalRecord, before: SignalRecord, events: SecurityEvents, signal: Signal) -> None:
        """Write the record. Raises InvalidInput if the user cannot be one of this cluster."""
        body = object_of(record, before, events, signal)
        parse(UserAttributes, {**body, "metadata": {"name": body["metadata"]["name"]}})
        if before.version is None:
            await self._cluster.create(_USERS, body)
        else:
            await self._cluster.merge(_USERS, name_of(record.user), body)

    async def _put_on_record(self, events: SecurityEvents, signal: Signal, change: str, request_id: str) -> None:
        key = (events.digest, signal.event)
        has_effect = change not in ("Unchanged", "Ignored")
        if has_effect or key not in self._repeated:
            provider, token_id, digest = events.provider, events.token_id, events.digest
            await self._record(ReceivedSignal(provider, signal.event, change, signal.user, signal.at, token_id, digest, request_id))
        if not has_effect:
            self._repeated[key] = None
            self._repeated.move_to_end(key)
            while len(self._repeated) > _MOST_REPEATED:
                self._repeated.popitem(last=False)
