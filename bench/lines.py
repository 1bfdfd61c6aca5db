"""The result of a measurement: one line beside its budget, separated from the noise of the machine."""

import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

OVER = "OVER"


@dataclass(frozen=True)
class Line:
    what: str
    measured: str
    budget: str
    within: bool | None
    """None: nobody judges it."""
    taken: float | None = None
    """Of a budget in absolute time as much as this was taken; within is less than 1."""

    def judged_if(self, meaningful: bool) -> "Line":
        """Return the line, not judged if the measurement is too small."""
        return self if meaningful else replace(self, budget=f"reported; in full {self.budget}", within=None)

    def out_of_reach(self, by: str) -> "Line":
        """Return the line, not judged because `by`, which is unavoidable, exceeds the budget alone."""
        return replace(self, budget=f"reported; {by} alone is beyond {self.budget}", within=None)

    def __str__(self) -> str:
        mark = {True: "ok", False: OVER, None: "-"}[self.within]
        return f"{mark:<4} {self.what:<66} {self.measured:<48} {self.budget}"


def absolute(what: str, measured: str, budget: str, taken: float) -> Line:
    """With a budget in absolute time, on a machine as fast as that of the budgets: see `paced`."""
    return Line(what, measured, budget, taken < 1, taken)


def reported(what: str, measured: str) -> Line:
    """Without a budget."""
    return Line(what, measured, "reported", within=None)


def settled(measure: Callable[[], Line], tries: int = 3) -> Line:
    """The first measurement within its budget, of so many: nothing else on the machine makes a program faster than it is.

    The line has the number of tries, if not one. A line that is not judged is measured once. Each is `paced`."""
    for number in range(1, tries + 1):
        pace = plain()
        line = paced(measure(), pace)
        if line.within is not False:
            return line if number == 1 else replace(line, measured=f"{line.measured}, try {number} of {tries}")
    return replace(line, measured=f"{line.measured}, the last of {tries} tries")


USUAL = 0.016
"""Seconds that `plain` takes where the budgets in absolute time hold as they are: on two idle cores of 2.6 GHz."""


def plain() -> float:
    """Seconds that a fixed amount of plain Python takes, now: twice as many where the neighbours of a virtual machine are busy."""

    def work() -> None:
        held = {}
        for number in range(300_000):
            held[number % 1000] = number

    return statistics.median(timed(work) for _ in range(3))


def paced(line: Line, pace: float) -> Line:
    """A budget in absolute time grows with what `plain` takes right before, which is `pace`, and after: where that is slow, so is all else.
    Others stay as they are."""
    if line.taken is None or line.within is not False:
        return line
    slower = (pace + plain()) / 2 / USUAL
    return replace(line, budget=f"{line.budget}, {slower:.2f}x here", within=line.taken < slower)


def quick() -> bool:
    """True if the command line asks for smaller numbers."""
    return "--quick" in sys.argv[1:]


def table(title: str, lines: Iterable[Line]) -> None:
    """Prints each line as soon as it is measured; ends the process with 1 where one is over its budget."""
    print(f"\n{title}", flush=True)
    within = True
    for line in lines:
        within = within and line.within is not False
        print(line, flush=True)
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
