"""Budgets of calls: of one address before the login, of a session, and of a person. In this process, and in bounded memory."""

import math
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from rolevend.api.rate_limiter import TokenBucket

_SITE_BITS: Final = 64
"""Of an IPv6 address: one customer has all addresses below."""


@dataclass(frozen=True, slots=True)
class Budget:
    name: str
    """For people: the page says `too many <name>`."""
    per_minute: int
    burst: int


LOGINS: Final = Budget("logins", 1_200, 1_200)
"""Of one address, which may be that of a proxy before the console. A login has two calls."""
PAGES: Final = Budget("pages", 1_200, 600)
"""Of one session. Eight open pages that follow changes ask eight times a second."""
PAGES_OF_ONE: Final = Budget("pages of one person", 4_800, 2_400)
"""In all sessions."""
SIGN_INS: Final = Budget("logins of one person", 30, 60)
"""Each makes a session, which is stored until it ends."""
SEARCHES: Final = Budget("searches", 600, 300)
"""Of one person."""
COUNTS: Final = Budget("counts of rows", 30, 30)
"""Of one person. A platform counts for each."""
LOOKS: Final = Budget("looks at statements", 60, 60)
"""Of one person. A platform is asked for each."""
ROWS: Final = Budget("looks at rows", 60, 60)
"""Of one person. Each look has two calls, and makes a role."""
CHECKS: Final = Budget("checks of receipts", 30, 30)
"""Of one person. Each takes up to some tenths of a second, in which no other page is made."""
CHANGES: Final = Budget("changes", 120, 120)
"""Of one person: votes, withdrawals and ends."""


class TooMany(Exception):
    """The budget is used up for now."""

    def __init__(self, budget: Budget, seconds: int) -> None:
        super().__init__(f"too many {budget.name}")
        self.seconds = seconds
        """After which the next call is served."""


class CallLimits:
    def __init__(self, moment: Callable[[], float], most: int = 8192) -> None:
        """`moment` is a monotonic clock, in seconds. At most so many keys of a budget are known at once; the one that was used longest ago
        is forgotten first. Many addresses make the console forget no person."""
        self._moment = moment
        self._most = most
        self._buckets: defaultdict[Budget, OrderedDict[str, TokenBucket]] = defaultdict(OrderedDict)

    def take(self, budget: Budget, key: str) -> None:
        """Count a call. Raises TooMany."""
        now, buckets = self._moment(), self._buckets[budget]
        bucket = buckets.setdefault(key, TokenBucket(budget.burst, now))
        buckets.move_to_end(key)
        while len(buckets) > self._most:
            buckets.popitem(last=False)
        if not bucket.take(now, budget.burst, budget.per_minute):
            raise TooMany(budget, max(1, math.ceil(bucket.seconds(budget.per_minute))))


def address_key(host: str | None) -> str:
    """Return the part of a client's address that one customer of a network has."""
    try:
        address = ip_address((host or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if not isinstance(address, IPv6Address):
        return str(address)
    return str(address.ipv4_mapped or ip_network((address, _SITE_BITS), strict=False))
