"""Limit the call rate of each agent, and of each page, in this process."""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rolevend.api.problems import Problem
from rolevend.decision.admission import Agent
from rolevend.model import ObjectName, Uid

DECISIONS_PER_MINUTE: Final = 600
"""For each agent, unless its limit for vends is lower."""
VISITS_PER_MINUTE: Final = 60
"""Of the page about one request."""
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


class VisitLimiter:
    """Limits the calls of a page about one request."""

    def __init__(self, moment: Callable[[], float], most: int = 4096) -> None:
        """`moment` is a monotonic clock, in seconds. At most so many requests are known at once; the oldest is forgotten first."""
        self._moment = moment
        self._most = most
        self._visits: OrderedDict[Uid, TokenBucket] = OrderedDict()

    def require_rate(self, request: Uid) -> None:
        """Count a call. Raises Problem with the seconds to wait."""
        now = self._moment()
        bucket = self._visits.setdefault(request, TokenBucket(VISITS_PER_MINUTE, now))
        while len(self._visits) > self._most:
            self._visits.popitem(last=False)
        if not bucket.take(now, VISITS_PER_MINUTE, VISITS_PER_MINUTE):
            seconds = max(1, math.ceil(bucket.seconds(VISITS_PER_MINUTE)))
            raise Problem(429, "TooManyRequests", f"this page was opened too often; wait {seconds} seconds", retry_after=seconds)


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
