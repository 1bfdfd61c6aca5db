"""How many calls and roles an agent may have. Rates are those of one process; of roles there may be as many more as calls came at once."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rolevend.api.problems import Problem
from rolevend.model import ObjectName
from rolevend.vending.terms import Agent

_MINUTE: Final = 60.0
_ROOM_SECONDS: Final = 5
"""When there may be room for another role."""


@dataclass(slots=True)
class _Bucket:
    """So many calls may come at once, and as many more as have trickled in since."""

    left: float
    since: float


class Quotas:
    def __init__(self, moment: Callable[[], float]) -> None:
        """`moment` is a clock that only ever runs forward, in seconds."""
        self._moment = moment
        self._buckets: dict[ObjectName, _Bucket] = {}

    def expect_rate(self, agent: Agent) -> None:
        """Counts this call. Raises Problem with how long to wait."""
        rate = agent.vends_per_minute
        if rate is None:
            self._buckets.pop(agent.name, None)
            return
        now = self._moment()
        bucket = self._buckets.setdefault(agent.name, _Bucket(rate, now))
        bucket.left = min(rate, bucket.left + (now - bucket.since) * rate / _MINUTE)
        bucket.since = now
        if bucket.left < 1:
            why = f"Agent {agent.name.name} may vend {rate} times a minute; see its spec.limits.vendsPerMinute"
            raise Problem(429, "TooManyRequests", why, retry_after=max(1, math.ceil((1 - bucket.left) * _MINUTE / rate)))
        bucket.left -= 1

    @staticmethod
    def expect_room(agent: ObjectName, live: int, most: int) -> None:
        """Raises Problem where the agent has as many roles as it may."""
        if live >= most:
            why = f"Agent {agent.name} has {live} roles, and may have {most}; release one"
            raise Problem(429, "TooManyRoles", why, retry_after=_ROOM_SECONDS)
