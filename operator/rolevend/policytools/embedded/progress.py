"""Progress output for a waiting user: a line that redraws itself on a terminal, plain lines elsewhere.

The starters use only the `StepProgress` protocol, so that tests can be silent. It imports only the standard library, because it
also runs while packages are installed.
"""

import itertools
import os
import shutil
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TextIO

Clock = Callable[[], float]

_BAR = 20


class ProgressStep(Protocol):
    """A step that takes some time."""

    def update(self, detail: str, *, fraction: float | None = None) -> None:
        """Report the current activity, and the finished part of the step, from 0 to 1. Cheap: may be called thousands of times."""


class StepProgress(Protocol):
    """An output for steps."""

    def step(self, title: str, expected: float | None = None) -> AbstractContextManager[ProgressStep]:
        """Report that `title` (lower case, "-ing") begins, and on exit, that it is done or failed, with its duration.

        `expected` is the usual number of seconds.
        """


class Silence:
    """A silent output."""

    @contextmanager
    def step(self, title: str, expected: float | None = None) -> Iterator[ProgressStep]:  # noqa: ARG002 - the protocol's
        yield _Mute()


class _Mute:
    def update(self, detail: str, *, fraction: float | None = None) -> None:
        pass


class State:
    """One step: its latest update, and an estimate of its time. The reporting thread reads it."""

    def __init__(self, title: str, expected: float | None, clock: Clock = time.monotonic) -> None:
        self.title = title
        self.detail = ""
        self.fraction: float | None = None
        self.expected = expected
        self._clock = clock
        self._start = clock()

    def update(self, detail: str, *, fraction: float | None = None) -> None:
        self.detail = detail
        if fraction is not None:
            self.fraction = min(fraction, 1.0)

    @property
    def elapsed(self) -> float:
        return self._clock() - self._start

    @property
    def total(self) -> float | None:
        """The estimated seconds of the whole step; None if nothing is known.

        At first the expected time, then more and more an estimate from the speed so far.
        """
        if self.expected is None or self.fraction is None:
            return self.expected
        left = 1 - self.fraction
        return self.elapsed + left * (left * self.expected + self.elapsed)

    @property
    def time(self) -> str:
        total = self.total
        if total is None:
            return duration(self.elapsed)
        if self.elapsed <= total:
            return f"{duration(self.elapsed)} of {about(total)}"
        return f"{duration(self.elapsed)}, longer than the usual {about(total).removeprefix('about ')}"


class _StreamProgress(ABC):
    """A `StepProgress` that writes on `stream`: when a step begins, every `every` seconds while it lasts, and when it ends."""

    def __init__(self, stream: TextIO, *, every: float, clock: Clock) -> None:
        self._stream = stream
        self._every = every
        self._clock = clock

    @contextmanager
    def step(self, title: str, expected: float | None = None) -> Iterator[ProgressStep]:
        state = State(title, expected, self._clock)
        over = threading.Event()

        def remind() -> None:
            while not over.wait(self._every):
                self._remind(state)

        self._begin(state)
        reminder = threading.Thread(target=remind, name="rolevend-progress", daemon=True)
        reminder.start()
        done = False
        try:
            yield state
            done = True
        finally:
            over.set()
            reminder.join()
            self._end(state, done=done)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    @abstractmethod
    def _begin(self, state: State) -> None: ...

    @abstractmethod
    def _remind(self, state: State) -> None: ...

    @abstractmethod
    def _end(self, state: State, *, done: bool) -> None: ...


class Lines(_StreamProgress):
    """Plain lines for logs. A step that ends before `quiet` seconds writes only its first line."""

    def __init__(self, stream: TextIO, *, every: float = 15.0, quiet: float = 1.0, clock: Clock = time.monotonic) -> None:
        super().__init__(stream, every=every, clock=clock)
        self._quiet = quiet

    def _begin(self, state: State) -> None:
        self._write_line(state, "" if state.expected is None else about(state.expected))

    def _remind(self, state: State) -> None:
        self._write_line(state, _percent(state), state.time, state.detail)

    def _end(self, state: State, *, done: bool) -> None:
        if not done or state.elapsed >= self._quiet:
            self._write_line(state, "done" if done else "failed", duration(state.elapsed))

    def _write_line(self, state: State, *facts: str) -> None:
        self._write(f"{state.title} … {', '.join(filter(None, facts))}".rstrip() + "\n")


class Live(_StreamProgress):
    """One line on a terminal, with a bar and the time. It redraws itself."""

    def __init__(self, stream: TextIO, *, every: float = 0.2, clock: Clock = time.monotonic) -> None:
        super().__init__(stream, every=every, clock=clock)
        self._turns = itertools.cycle("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")

    def _begin(self, state: State) -> None:
        self._remind(state)

    def _remind(self, state: State) -> None:
        line = "  ".join(filter(None, (f"{next(self._turns)} {state.title}", _bar(state), _percent(state), state.time, state.detail)))
        width = shutil.get_terminal_size().columns - 1
        self._write("\r\x1b[2K" + (line if len(line) <= width else f"{line[: width - 1]}…"))

    def _end(self, state: State, *, done: bool) -> None:
        mark = "\x1b[32m✓\x1b[0m" if done else "\x1b[31m✗\x1b[0m"
        self._write(f"\r\x1b[2K{mark} {state.title}  \x1b[2m{duration(state.elapsed)}\x1b[0m\n")


def progress_for(stream: TextIO | None = None) -> StepProgress:
    """Return `Live` for a terminal, else `Lines`. The default stream is standard error."""
    stream = stream or sys.stderr
    return Live(stream) if stream.isatty() and os.environ.get("TERM") != "dumb" else Lines(stream)


def duration(seconds: float) -> str:
    """Return a readable time: ``3.2 s``, ``45 s``, ``2 min 05 s``."""
    if seconds < 10:
        return f"{seconds:.1f} s".replace(".0", "")
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02} s"


def about(seconds: float) -> str:
    """Return a rounded estimate: ``about 15 s``, ``about 4 min``."""
    return f"about {round(seconds / 60)} min" if seconds >= 90 else f"about {max(5, 5 * round(seconds / 5))} s"


def _percent(state: State) -> str:
    return "" if state.fraction is None else f"{int(100 * state.fraction)}%"


def _bar(state: State) -> str:
    if state.fraction is None:
        return ""
    full = int(_BAR * state.fraction)
    return "━" * full + "─" * (_BAR - full)
