"""How far the build of a profile is, as a driver tells whoever waits for it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BuildProgress:
    done: int
    """So many of the profile's `tables` have their `part`."""
    tables: int
    part: str
    """In the platform's own word, such as `view`."""

    def __str__(self) -> str:
        return f"{self.done:,} of {self.tables:,} tables have their {self.part}"


ProgressCallback = Callable[[BuildProgress], None]
"""Returns at once. Called by any thread of a build; what it raises ends that, and the next one goes on with what is there."""


def no_progress(_: BuildProgress) -> None:
    """Nobody waits."""


class Counting:
    """One part of a profile's tables, as more and more of them have it, whichever thread makes it."""

    def __init__(self, told: ProgressCallback, tables: int, part: str, done: int = 0) -> None:
        self._told = told
        self._progress = BuildProgress(done, tables, part)
        self._lock = threading.Lock()
        told(self._progress)

    def more(self, count: int) -> None:
        with self._lock:
            before = self._progress
            self._progress = BuildProgress(before.done + count, before.tables, before.part)
            self._told(self._progress)
