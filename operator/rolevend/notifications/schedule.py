"""When a call that failed is repeated. Pure."""

from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

_LONGEST_DELAY: Final = 300.0
_LONGEST_ASKED_FOR: Final = 600.0
"""A receiver may ask for a later call (Retry-After), and for no later one than this."""


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """Delays that double, up to five minutes, each a quarter shorter or longer by chance."""

    first_seconds: float
    attempts: int
    """Of all calls."""

    def delay(self, attempts: int, chance: float, asked_for: float | None = None) -> float | None:
        """Return the seconds until the next call, after so many; None: no more. `chance` is from 0 to 1, `asked_for` of the receiver."""
        if attempts >= self.attempts:
            return None
        doubled = min(self.first_seconds * 2.0 ** min(attempts - 1, 32), _LONGEST_DELAY)
        return max(doubled * (0.75 + chance / 2), min(asked_for or 0.0, _LONGEST_ASKED_FOR))


def retry_after(header: str | None, now: datetime) -> float | None:
    """Return the seconds of a header Retry-After, which has seconds or a date; None if it has neither."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # of a number that no date has
        return None
    return None if moment.tzinfo is None else max(0.0, (moment - now).total_seconds())
