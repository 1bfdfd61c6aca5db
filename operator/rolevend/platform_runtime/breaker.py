"""Whether a platform is worth asking. One that did not answer again and again is asked by one call at a time, for all who wait."""

from collections.abc import Callable

from rolevend.errors import PlatformUnavailable

FAILURES = 3
"""Calls in a row that found the platform unavailable open the breaker; the first answer closes it."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.25, 1.0
"""Between two calls that try whether it is back. The longest is short: what waits is done within five seconds of its return."""


class CircuitBreaker:
    """Of one platform. Not thread-safe; `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures = 0
        self._reason = ""
        self.next_try = 0.0
        """While it is open: when the next call may find out more."""

    @property
    def is_open(self) -> bool:
        return self._failures >= FAILURES

    def refusal(self) -> PlatformUnavailable | None:
        """Why this call is not to be made; or None, and then it must be made, and its outcome be `record_result`."""
        if not self.is_open:
            return None
        if self._clock() < self.next_try:
            return PlatformUnavailable(self._reason)
        self.next_try = self._clock() + self._pause()
        return None

    def record_result(self, failure: PlatformUnavailable | None) -> bool:
        """How a call went: what kept the platform from answering, or None where it answered. Whether it is just back."""
        if failure is None:
            back, self._failures = self.is_open, 0
            return back
        self._failures += 1
        self._reason = str(failure)
        if self._failures == FAILURES:
            self.next_try = self._clock() + FIRST_PAUSE_SECONDS
        return False

    def _pause(self) -> float:
        return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(self._failures - FAILURES + 1, 10))
