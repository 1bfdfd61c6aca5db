"""The time to live: deletes a VendedRole in the second in which it ends. It keeps no state that a restart could lose."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

from rolevend.errors import RolevendError
from rolevend.model import Uid
from rolevend.telemetry.metrics import Metrics
from rolevend.vending.expiry import Expiries

_RETRY_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 60.0
"""So that a wall clock that was set is noticed."""

_log = logging.getLogger(__name__)


class Clock:
    def __init__(self, now: Callable[[], datetime], expire: Callable[[Uid], Awaitable[None]], metrics: Metrics) -> None:
        self._now = now
        self._expire = expire
        self._metrics = metrics
        self._expiries = Expiries()
        self._earlier = asyncio.Event()

    def put(self, uid: Uid, due_at: datetime) -> None:
        if self._expiries.put(uid, due_at):
            self._earlier.set()

    def remove(self, uid: Uid) -> None:
        self._expiries.remove(uid)

    async def run(self) -> None:
        """Until cancelled. Endings run beside each other: one slow answer holds up no other."""
        async with asyncio.TaskGroup() as endings:
            while True:
                self._earlier.clear()
                due_at = self._expiries.next_due()
                wait = _LONGEST_WAIT_SECONDS if due_at is None else (due_at - self._now()).total_seconds()
                if wait > 0:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._earlier.wait(), min(wait, _LONGEST_WAIT_SECONDS))
                    continue
                for uid in self._expiries.pop_due(self._now()):
                    endings.create_task(self._end(uid, due_at or self._now()))

    async def _end(self, uid: Uid, due_at: datetime) -> None:
        try:
            await self._expire(uid)
            self._metrics.expiry_lateness_seconds.observe(max(0.0, (self._now() - due_at).total_seconds()))
        except RolevendError as error:
            _log.warning("deleting an expired VendedRole: %s", error, extra={"uid": uid})
            asyncio.get_running_loop().call_later(_RETRY_SECONDS, self.put, uid, due_at)
