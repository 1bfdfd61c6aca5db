"""What a measurement says: one line beside its budget, and how it is told apart from the noise of the machine."""

import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    what: str
    measured: str
    budget: str
    within: bool


def reported(what: str, measured: str) -> Line:
    """Without a budget."""
    return Line(what, measured, "reported", within=True)


def settled(measure: Callable[[], Line], tries: int = 3) -> Line:
    """The first measurement within its budget, of so many: nothing else on the machine makes a program faster than it is."""
    for _ in range(tries - 1):
        if (line := measure()).within:
            return line
    return measure()


def table(title: str, lines: Iterable[Line]) -> None:
    """Prints each line as soon as it is measured; ends the process with 1 where one is over its budget."""
    print(f"\n{title}", flush=True)
    within = True
    for line in lines:
        within = within and line.within
        print(f"{'ok  ' if line.within else 'OVER'} {line.what:<66} {line.measured:<48} {line.budget}", flush=True)
    if not within:
        sys.exit(1)


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def percentile(seconds: Sequence[float], percent: int) -> float:
    return sorted(seconds)[min(len(seconds) - 1, len(seconds) * percent // 100)]


def p50(seconds: Sequence[float]) -> float:
    return statistics.median(seconds)


def ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms" if seconds >= 0.01 else f"{seconds * 1e3:.2f} ms"
