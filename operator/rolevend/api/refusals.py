"""Refused tokens on record. Anybody can make tokens up, faster than a disk can be read: those beyond a rate are counted, and told as one.

A full disk stops every vend, so it must not be in a stranger's power. Each agent has a rate of its own, and one is for whoever did not
prove to be an agent: a flood of one hides nothing of the others.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from rolevend.api.rate_limiter import TokenBucket
from rolevend.audit.api_events import RefusedCall
from rolevend.errors import AuditUnavailable
from rolevend.model import ObjectName
from rolevend.roles.audit_recorder import AuditRecorder

MOST_AT_ONCE: Final = 600
PER_MINUTE: Final = 120
"""Of each agent, and of all who are none: some hundred megabytes in a day of flood."""
TELL_SECONDS: Final = 60.0
"""How long those that were counted may go untold."""
LEFT_OUT: Final = "LeftOut"

_log = logging.getLogger(__name__)


class RefusalLog:
    def __init__(self, record: AuditRecorder, moment: Callable[[], float]) -> None:
        """`moment` is a clock that only ever runs forward, in seconds."""
        self._record = record
        self._moment = moment
        self._buckets: dict[ObjectName | None, TokenBucket] = {}
        self._left_out: dict[ObjectName | None, RefusedCall] = {}

    async def refused(self, refusal: RefusedCall) -> None:
        """Never raises: the call is refused all the same."""
        now = self._moment()
        bucket = self._buckets.setdefault(refusal.agent, TokenBucket(MOST_AT_ONCE, now))
        if bucket.take(now, MOST_AT_ONCE, PER_MINUTE):
            await self._tell(refusal)
            return
        before = self._left_out.get(refusal.agent)
        count = 1 if before is None or before.left_out is None else before.left_out + 1
        message = "more tokens were refused than are put on record one by one"
        self._left_out[refusal.agent] = RefusedCall(refusal.bearer, LEFT_OUT, message, agent=refusal.agent, left_out=count)

    async def run(self) -> None:
        """Until cancelled: tells of those that were left out."""
        while True:
            await asyncio.sleep(TELL_SECONDS)
            await self.tell_left_out()

    async def tell_left_out(self) -> None:
        """What cannot be written is told the next time."""
        left_out, self._left_out = self._left_out, {}
        for agent, refusal in left_out.items():
            if await self._tell(refusal):
                continue
            since = self._left_out.get(agent)
            count = (refusal.left_out or 0) + ((since.left_out or 0) if since else 0)
            self._left_out[agent] = replace(refusal, left_out=count)

    async def _tell(self, refusal: RefusedCall) -> bool:
        try:
            await self._record.refused(refusal)
        except AuditUnavailable as error:
            _log.error("a refused token: %s", error, extra={"code": refusal.code, "request_id": refusal.request_id})
            return False
        return True
