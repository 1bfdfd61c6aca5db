"""Cost of ten thousand live roles in the operator: `python -m bench.scale [--quick]`, from the repository's root."""

import itertools
import json
import math
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

from bench.cluster import PRODUCTION, Fleet, fresh_site
from bench.lines import Line, absolute, paced, plain, quick, reported, settled, table
from tests.support.site import Site
from tests.support.waiting import eventually


@dataclass(frozen=True)
class Size:
    live: int
    expiring: int
    idle_seconds: int


FULL = Size(live=10_000, expiring=300, idle_seconds=60)
QUICK = Size(live=200, expiring=40, idle_seconds=5)
MEMORY = {2_000: None, 10_000: 250}
"""Live roles -> megabytes that the operator may have with them; None: they are reported."""
MOST_IDLE = 1
"""Percent of a processor."""
REST_SECONDS = 2
PER_SECOND = 10
"""Ten thousand live roles of a quarter of an hour each: so many are made and end in a second."""
CROWDS = 30, 300
"""More a second than end together: the rest waits for its turn, so that vends do not wait. PostgreSQL refuses them from their expiry on."""


def lines(site: Site, size: Size) -> Iterator[Line]:
    fleet = Fleet(site)
    fleet.begin()
    bare = idle(fleet, size)
    yield reported("operator's idle use of a processor with no live role", str(bare))
    yield from growing(fleet, size)
    count = f"{size.live:,} live roles"
    used = settled(lambda: idle(fleet, size).line(count).judged_if(size is FULL))
    yield used.out_of_reach("what it uses with none") if bare.percent >= MOST_IDLE and used.within is False else used
    expiring = (f"expiring-{number}" for number in itertools.count())
    yield settled(lambda: late(fleet, [next(expiring) for _ in range(size.expiring)], PER_SECOND, count).judged_if(size is FULL))
    for crowd in CROWDS:
        line = late(fleet, [next(expiring) for _ in range(size.expiring)], crowd, count)
        yield reported(line.what, line.measured)
    started = time.perf_counter()
    site.operator.stop()
    yield reported(f"SIGTERM to the process's end with {count}", f"{time.perf_counter() - started:.1f} s")
    pace, started = plain(), time.perf_counter()
    site.start_operator(PRODUCTION)
    fleet.create("after-restart")
    (ready,) = fleet.watch.ready(["after-restart"])
    eventually(lambda: site.operator.probe("/healthz")[0] == 200)
    restart = absolute(f"process start to first vend with {count}", f"{ready - started:.1f} s", "<= 10 s", (ready - started) / 10)
    yield paced(restart.judged_if(size is FULL), pace)
    eventually(lambda: fleet.live() == size.live + 1, within=60)  # all are known again
    yield memory(fleet, size.live, " after a restart")
    fleet.end()


def growing(fleet: Fleet, size: Size) -> Iterator[Line]:
    """From no live role to as many as there shall be."""
    names = [f"many-{number}" for number in range(size.live)]
    yield reported("operator's memory with no live role", f"{fleet.resident():.0f} MB")
    started, seconds, done = time.perf_counter(), 0.0, 0
    for live in sorted({*(each for each in MEMORY if each < size.live), size.live}):
        fleet.live_on(names[done:live])
        seconds, done = time.perf_counter() - started, live
        yield memory(fleet, live)
    yield reported(f"{size.live:,} live roles, as fast as they can be had", f"{size.live / seconds:.0f}/s")


def memory(fleet: Fleet, live: int, when: str = "") -> Line:
    megabytes, most = fleet.resident(), MEMORY.get(live)
    what, measured = f"operator's memory with {live:,} live roles{when}", f"{megabytes:.0f} MB"
    return reported(what, measured) if most is None else Line(what, measured, f"<= {most} MB", megabytes <= most)


@dataclass(frozen=True)
class Idle:
    percent: float
    """Of a processor."""
    dearer: float
    """How much longer work takes that is done once in seconds, as all of an idle operator's is, than in a row: its memory is cold then,
    and how cold is up to the machine and its neighbours."""

    def __str__(self) -> str:
        return f"{self.percent:.2f} %, where idling makes work {self.dearer:.1f}x as dear"

    def line(self, count: str) -> Line:
        what = f"operator's idle use of a processor with {count}"
        return Line(what, str(self), f"< {MOST_IDLE} %", self.percent < MOST_IDLE)


def idle(fleet: Fleet, size: Size) -> Idle:
    """Nobody asks for anything; sweep and looks at the platforms go on."""
    in_a_row = statistics.median(piece_of_work() for _ in range(50))
    used, begun, rested = fleet.cpu_seconds(), time.monotonic(), []
    while (since := time.monotonic() - begun) < size.idle_seconds:
        time.sleep(min(REST_SECONDS, size.idle_seconds - since))
        rested.append(piece_of_work())
    percent = (fleet.cpu_seconds() - used) / (time.monotonic() - begun) * 100
    return Idle(percent, statistics.median(rested) / in_a_row)


def piece_of_work() -> float:
    """Its seconds of a processor."""
    started = time.thread_time()
    for _ in range(3):
        sorted(json.loads(json.dumps(list(range(1000)))), reverse=True)
    return time.thread_time() - started


def late(fleet: Fleet, names: list[str], per_second: int, count: str) -> Line:
    """So many expire in each second, all in its first moment, long after they were made."""
    before = fleet.lateness()
    fleet.create_expiring(names, per_second, int(time.time()) + 6 + len(names) // 20)
    fleet.watch.gone(names)
    counted = {bound: number - before.get(bound, 0.0) for bound, number in fleet.lateness().items()}
    ended = counted[math.inf]
    assert ended == len(names), f"{len(names)} roles ended, and {ended:.0f} endings were counted"
    worst = min(bound for bound, number in counted.items() if number >= 0.99 * ended)
    what = f"from expiry to the object's deletion, p99, {count}, {per_second}/s"
    measured = f"<= {worst:g} s" if worst < math.inf else f"> {max(each for each in counted if each < math.inf):g} s"
    return Line(what, f"{measured} of {ended:.0f}", "<= 0.1 s", worst <= 0.1)


def main() -> None:
    with fresh_site() as site:
        table("Many live roles, with a Kubernetes API server and PostgreSQL 17", lines(site, QUICK if quick() else FULL))


if __name__ == "__main__":
    main()
