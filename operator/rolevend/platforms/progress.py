"""Progress of a profile build, reported by a driver."""

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BuildProgress:
    done: int
    """The number of the profile's `tables` that have this `part`."""
    tables: int
    part: str
    """In the platform's terms, such as `view`."""

    def __str__(self) -> str:
        return f"{self.done:,} of {self.tables:,} tables have their {self.part}"


ProgressCallback = Callable[[BuildProgress], None]
"""Must return at once. Any thread of a build may call it. An exception ends the build; the next build continues from there."""


def no_progress(_: BuildProgress) -> None:
    """Ignore the progress."""


class Counting:
    """Counts the tables that have one part. Safe to use from several threads."""

    def __init__(self, on_progress: ProgressCallback, tables: int, part: str, done: int = 0) -> None:
        self._on_progress = on_progress
        self._progress = BuildProgress(done, tables, part)
        self._lock = threading.Lock()
        on_progress(self._progress)

    def more(self, count: int) -> None:
        with self._lock:
            before = self._progress
            self._progress = BuildProgress(before.done + count, before.tables, before.part)
            self._on_progress(self._progress)
