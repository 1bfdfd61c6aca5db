"""Tells a waiting person what is going on: a live line on a terminal, a plain line now and then elsewhere.

The starters know only the `Progress` protocol, so that tests can be silent.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


class Step(Protocol):
    """Something that takes a while."""

    def update(self, detail: str, *, done: int | None = None, total: int | None = None) -> None:
        """Say what is happening right now; cheap, may be called thousands of times."""


class Progress(Protocol):
    """Where steps are told."""

    def step(self, title: str) -> AbstractContextManager[Step]:
        """Tell that `title` (lower case, "-ing") begins, and on leaving, that it is done or failed, and how long it took."""


class Silence:
    """Tells nothing."""

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:  # noqa: ARG002 - the protocol's
        yield _Mute()


class _Mute:
    def update(self, detail: str, *, done: int | None = None, total: int | None = None) -> None:
        pass


class Lines:
    """Plain lines for logs: one when a step begins, one every `every` seconds while it lasts, one when it ends.

    A step that ends before `quiet` seconds tells nothing but its first line.
    """

    def __init__(self, stream: TextIO, *, every: float = 15.0, quiet: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._every = every
        self._quiet = quiet
        self._clock = clock

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        start = self._clock()
        latest = _Latest()
        over = threading.Event()

        def remind() -> None:
            while not over.wait(self._every):
                self._tell(title, latest.text, _elapsed(self._clock() - start))

        self._tell(title)
        reminder = threading.Thread(target=remind, name="rolevend-progress", daemon=True)
        reminder.start()
        outcome = "failed"
        try:
            yield latest
            outcome = "done"
        finally:
            over.set()
            reminder.join()
            elapsed = self._clock() - start
            if outcome == "failed" or elapsed >= self._quiet:
                self._tell(title, outcome, _elapsed(elapsed))

    def _tell(self, title: str, *facts: str) -> None:
        print(f"{title} … {', '.join(fact for fact in facts if fact)}".rstrip(), file=self._stream, flush=True)


class _Latest:
    """The latest update as text, read by the thread that repeats it."""

    text = ""

    def update(self, detail: str, *, done: int | None = None, total: int | None = None) -> None:
        self.text = f"{_count(done, total)}{detail}"


class Live:
    """One line with a spinner and the time that redraws itself, on a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        # Only here: most users of the starters have no terminal, and importing rich takes longer than starting etcd.
        from rich.console import Console
        from rich.progress import Progress as Bars
        from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.table import Column

        console = Console(file=self._stream, highlight=False)
        detail = TextColumn(
            "{task.fields[detail]}", style="dim", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)
        )
        whole = Column(no_wrap=True)
        start = time.monotonic()
        outcome = "[red]✗[/red]"
        try:
            with Bars(
                *(SpinnerColumn(), TextColumn("{task.description}", table_column=whole), TimeElapsedColumn(table_column=whole), detail),
                console=console,
                transient=True,
                expand=True,
            ) as bars:
                yield _Bar(bars, bars.add_task(title, total=None, detail=""))
            outcome = "[green]✓[/green]"
        finally:
            console.print(f"{outcome} {title} [dim]{_elapsed(time.monotonic() - start)}[/dim]")


class _Bar:
    def __init__(self, bars: "Bars", task: "TaskID") -> None:
        self._bars = bars
        self._task = task

    def update(self, detail: str, *, done: int | None = None, total: int | None = None) -> None:
        self._bars.update(self._task, detail=f"{_count(done, total)}{detail}")


def progress_for(stream: TextIO | None = None) -> Progress:
    """`Live` on a terminal, else `Lines`; standard error unless another stream is named."""
    stream = stream or sys.stderr
    return Live(stream) if stream.isatty() else Lines(stream)


def _count(done: int | None, total: int | None) -> str:
    if done is None:
        return ""
    return f"{done} of {total}: " if total is not None else f"{done}: "


def _elapsed(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02} s"
