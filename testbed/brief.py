"""Run work on objects with a short lifetime, on a machine that may be busy."""

import time
from collections.abc import Callable
from typing import TypeVar

_WHOLE_SECOND = 1.0
"""A VendedRole may expire this much earlier than its lifetime: Kubernetes truncates the creation time to seconds."""

Answer = TypeVar("Answer")


def in_time(work: Callable[[int], Answer], seconds: int) -> Answer:
    """Return the result of `work(seconds)`, which creates an object with that lifetime.

    If it fails and the object may have expired, retry with twice the lifetime, because a busy machine is no reason to fail. `work` must
    clean up for a retry.
    """
    for life in (seconds, 2 * seconds, 4 * seconds):
        start = time.monotonic()
        try:
            return work(life)
        except Exception:
            if time.monotonic() - start < life - _WHOLE_SECOND:
                raise
    return work(8 * seconds)
