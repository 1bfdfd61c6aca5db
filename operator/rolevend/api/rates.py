"""How often something may happen. Pure, but for what it remembers."""

from dataclasses import dataclass
from typing import Final

_MINUTE: Final = 60.0


@dataclass(slots=True)
class TokenBucket:
    """So much may come at once as it holds, and as much more as has trickled in since."""

    left: float
    since: float

    def take(self, now: float, most: float, per_minute: float) -> bool:
        """Whether there was one left, which is gone now."""
        self.left = min(most, self.left + (now - self.since) * per_minute / _MINUTE)
        self.since = now
        if self.left < 1:
            return False
        self.left -= 1
        return True

    def seconds(self, per_minute: float) -> float:
        """Until there is one again."""
        return (1 - self.left) * _MINUTE / per_minute
