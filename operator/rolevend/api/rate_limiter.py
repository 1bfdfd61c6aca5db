"""Limit the call rate of each agent, in this process."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rolevend.api.problems import Problem
from rolevend.decision.admission import Agent
from rolevend.model import ObjectName

DECISIONS_PER_MINUTE: Final = 600
"""For each agent, unless its limit for vends is lower."""
_MINUTE: Final = 60.0


@dataclass(slots=True)
class TokenBucket:
    """Holds the maximum burst, and is refilled at a constant rate."""

    left: float
    since: float

    def take(self, now: float, most: float, per_minute: float) -> bool:
        """Take one token. Return False if none was left."""
        self.left = min(most, self.left + (now - self.since) * per_minute / _MINUTE)
        self.since = now
        if self.left < 1:
            return False
        self.left -= 1
        return True

    def seconds(self, per_minute: float) -> float:
        """Return the seconds until one token is available."""
        return (1 - self.left) * _MINUTE / per_minute


class RateLimiter:
    def __init__(self, moment: Callable[[], float]) -> None:
        """`moment` is a monotonic clock, in seconds."""
        self._moment = moment
        self._vends: dict[ObjectName, TokenBucket] = {}
        self._decisions: dict[ObjectName, TokenBucket] = {}

    def require_rate(self, agent: Agent) -> None:
        """Count a vending call. Raises Problem with the seconds to wait."""
        rate = agent.vends_per_minute
        if rate is None:
            self._vends.pop(agent.name, None)
            return
        cause = f"Agent {agent.name.name} may vend {rate} times a minute; see its spec.limits.vendsPerMinute"
        self._count(self._vends, agent, rate, cause)

    def require_decision_rate(self, agent: Agent) -> None:
        """Count a call for a decision. Raises Problem with the seconds to wait."""
        rate = min(agent.vends_per_minute or DECISIONS_PER_MINUTE, DECISIONS_PER_MINUTE)
        cause = (
            f"Agent {agent.name.name} may ask for {rate} decisions a minute: as often as it may vend, at most {DECISIONS_PER_MINUTE} times"
        )
        self._count(self._decisions, agent, rate, cause)

    def _count(self, buckets: dict[ObjectName, TokenBucket], agent: Agent, rate: int, cause: str) -> None:
        now = self._moment()
        bucket = buckets.setdefault(agent.name, TokenBucket(rate, now))
        if not bucket.take(now, rate, rate):
            raise Problem(429, "TooManyRequests", cause, retry_after=max(1, math.ceil(bucket.seconds(rate))))
