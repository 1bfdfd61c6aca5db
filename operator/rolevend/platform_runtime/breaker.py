"""Circuit breaker: after three failed calls in a row only one probe at a time is let through."""

from collections.abc import Callable

from rolevend.errors import PlatformUnavailable

FAILURES = 3
"""So many unavailable calls in a row open the breaker. The first answer closes it."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.25, 1.0
"""The backoff between two probes. The longest is short, so that waiting drops are done within five seconds of the platform's return."""


class CircuitBreaker:
    """The circuit breaker of one platform. Not thread-safe. `clock` returns seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures = 0
        self._last_failure: PlatformUnavailable | None = None
        self.next_try = 0.0
        """When the next probe is due, while the breaker is open."""

    @property
    def is_open(self) -> bool:
        return self._failures >= FAILURES

    def refusal(self) -> PlatformUnavailable | None:
        """Return the error for a call that must not be made, or None. After None the caller must make it, and call `record_result`."""
        if not self.is_open:
            return None
        if self._clock() < self.next_try:
            return PlatformUnavailable(str(self._last_failure))
        self.next_try = self._clock() + self._pause()
        return None

    def record_result(self, failure: PlatformUnavailable | None) -> bool:
        """Record the failure of a call, or None if the platform answered. True if this answer closed the breaker."""
        if failure is None:
            back, self._failures = self.is_open, 0
            return back
        self._failures += 1
        self._last_failure = failure
        if self._failures == FAILURES:
            self.next_try = self._clock() + FIRST_PAUSE_SECONDS
        return False

    def _pause(self) -> float:
        return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(self._failures - FAILURES + 1, 10))
