"""Waiting for a condition, with a deadline."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

DEADLINE: Final = 90.0
"""Seconds that a test waits for a condition before it fails. Generous, because a test that passes does not wait for it."""
PROGRAM: Final = 300.0
"""Seconds that a program has to end which a test starts and awaits. It bounds a program that hangs, and not one on a slow machine."""
_FIRST_POLL, _LAST_POLL, _GROWTH = 0.02, 0.25, 1.25
"""Seconds between two looks. They grow: a look at an API server takes milliseconds of processor time, of which a slow machine has none."""

Answer = TypeVar("Answer")


def eventually(condition: Callable[[], Answer], *, within: float = DEADLINE) -> Answer:
    """Return the first true answer of `condition`.

    A condition that raises AssertionError or LookupError is not met yet: it may look at a key that appears later.

    Raises: the last error of the condition, or AssertionError, after `within` seconds.
    """
    deadline, poll = time.monotonic() + within, _FIRST_POLL
    while True:
        try:
            if answer := condition():
                return answer
            problem: Exception = AssertionError(f"{condition} did not come true within {within:g} s")
        except (AssertionError, LookupError) as error:
            problem = error
        if time.monotonic() > deadline:
            raise problem
        time.sleep(poll)
        poll = min(poll * _GROWTH, _LAST_POLL)
