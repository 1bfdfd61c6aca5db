"""Record refused tokens, at a limited rate. Refusals over the limit are counted and recorded as one.

Anybody can send invented tokens, and a full disk stops every vend. Each agent has a rate limit of its own, and all unauthenticated
callers share one, so that a flood hides no refusal of another agent.
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
"""For each agent, and for all unauthenticated callers: some hundred megabytes in a day of flood."""
WRITE_SECONDS: Final = 60.0
"""Maximum seconds until a count is recorded."""
LEFT_OUT: Final = "LeftOut"

_log = logging.getLogger(__name__)


class RefusalLog:
    def __init__(self, record: AuditRecorder, moment: Callable[[], float]) -> None:
        """`moment` is a monotonic clock, in seconds."""
        self._record = record
        self._moment = moment
        self._buckets: dict[ObjectName | None, TokenBucket] = {}
        self._left_out: dict[ObjectName | None, RefusedCall] = {}

    async def refused(self, refusal: RefusedCall) -> None:
        """Record or count a refusal. Never raises: the call is refused in any case."""
        now = self._moment()
        bucket = self._buckets.setdefault(refusal.agent, TokenBucket(MOST_AT_ONCE, now))
        if bucket.take(now, MOST_AT_ONCE, PER_MINUTE):
            await self._write(refusal)
            return
        before = self._left_out.get(refusal.agent)
        count = 1 if before is None or before.left_out is None else before.left_out + 1
        message = "the rate limit of refusal events was exceeded; this event counts the others"
        self._left_out[refusal.agent] = RefusedCall(refusal.bearer, LEFT_OUT, message, agent=refusal.agent, left_out=count)

    async def run(self) -> None:
        """Record the counts periodically, until cancelled."""
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            await self.write_left_out()

    async def write_left_out(self) -> None:
        """Record the counts. A count that cannot be written is kept."""
        left_out, self._left_out = self._left_out, {}
        for agent, refusal in left_out.items():
            if await self._write(refusal):
                continue
            since = self._left_out.get(agent)
            count = (refusal.left_out or 0) + ((since.left_out or 0) if since else 0)
            self._left_out[agent] = replace(refusal, left_out=count)

    async def _write(self, refusal: RefusedCall) -> bool:
        try:
            await self._record.refused(refusal)
        except AuditUnavailable as error:
            _log.error("cannot record a refused token: %s", error, extra={"code": refusal.code, "request_id": refusal.request_id})
            return False
        return True
