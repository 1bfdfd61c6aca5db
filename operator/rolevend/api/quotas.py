"""How many calls and roles an agent may have. Rates are those of one process; of roles there may be as many more as calls came at once."""

import math
from collections.abc import Callable
from typing import Final

from rolevend.api.problems import Problem
from rolevend.api.rates import Bucket
from rolevend.model import ObjectName
from rolevend.vending.terms import Agent

_ROOM_SECONDS: Final = 5
"""When there may be room for another role."""


class Quotas:
    def __init__(self, moment: Callable[[], float]) -> None:
        """`moment` is a clock that only ever runs forward, in seconds."""
        self._moment = moment
        self._buckets: dict[ObjectName, Bucket] = {}

    def expect_rate(self, agent: Agent) -> None:
        """Counts this call. Raises Problem with how long to wait."""
        rate = agent.vends_per_minute
        if rate is None:
            self._buckets.pop(agent.name, None)
            return
        now = self._moment()
        bucket = self._buckets.setdefault(agent.name, Bucket(rate, now))
        if not bucket.take(now, rate, rate):
            why = f"Agent {agent.name.name} may vend {rate} times a minute; see its spec.limits.vendsPerMinute"
            raise Problem(429, "TooManyRequests", why, retry_after=max(1, math.ceil(bucket.seconds(rate))))

    @staticmethod
    def expect_room(agent: ObjectName, live: int, most: int) -> None:
        """Raises Problem where the agent has as many roles as it may."""
        if live >= most:
            why = f"Agent {agent.name} has {live} roles, and may have {most}; release one"
            raise Problem(429, "TooManyRoles", why, retry_after=_ROOM_SECONDS)
