"""What is over soon, on a machine that may be busy."""

import time
from collections.abc import Callable
from typing import TypeVar

_WHOLE_SECOND = 1.0
"""So much earlier a VendedRole may be over than its life says: Kubernetes cuts the moment in which it was made to the second."""

Answer = TypeVar("Answer")


def in_time(work: Callable[[int], Answer], seconds: int) -> Answer:
    """What `work` comes to with something that it makes, and that is over after as many seconds as it is given.

    Where it fails and that may have been over, it is tried with twice the time: a busy machine is no reason to fail. `work` takes
    away what is in the way of another try.
    """
    for life in (seconds, 2 * seconds, 4 * seconds):
        start = time.monotonic()
        try:
            return work(life)
        except Exception:
            if time.monotonic() - start < life - _WHOLE_SECOND:
                raise
    return work(8 * seconds)
