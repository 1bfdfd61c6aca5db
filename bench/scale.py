"""What ten thousand live roles cost the operator: `python -m bench.scale [--quick]`, from the repository's root."""

import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.cluster import PRODUCTION, Fleet
from bench.lines import Line, reported, settled, table
from rolevend.demo.parts.controlplane import ControlPlane
from tests.support.site import Site
from tests.support.waiting import eventually


@dataclass(frozen=True)
class Size:
    live: int
    expiring: int
    idle_seconds: int
    memory: float


FULL = Size(live=10_000, expiring=300, idle_seconds=60, memory=250)
QUICK = Size(live=200, expiring=40, idle_seconds=5, memory=160)
AT_ONCE = 500
PER_SECOND = 10
"""Ten thousand live roles of a quarter of an hour each: so many are made and end in a second."""


def lines(site: Site, size: Size) -> Iterator[Line]:
    fleet = Fleet(site)
    fleet.begin()
    before = fleet.resident()
    names = [f"many-{number}" for number in range(size.live)]
    started = time.perf_counter()
    for first in range(0, size.live, AT_ONCE):  # a burst of ten thousand is more than this machine's API server takes
        fleet.create_all(names[first : first + AT_ONCE])
        fleet.watch.ready(names[first : first + AT_ONCE])
    rate = size.live / (time.perf_counter() - started)
    count = f"{size.live:,} live roles"
    yield reported(f"{count}, as fast as they can be had", f"{rate:.0f}/s")
    yield memory(f"operator's memory with {count}", fleet, size, f" ({before:.0f} before)")
    yield settled(lambda: idle(fleet, size, count))
    expiring = (f"expiring-{number}" for number in range(10 * size.expiring))
    yield settled(lambda: lateness(fleet, [next(expiring) for _ in range(size.expiring)], count))
    site.operator.stop()
    started = time.perf_counter()
    site.start_operator(PRODUCTION)
    fleet.create("after-restart")
    (ready,) = fleet.watch.ready(["after-restart"])
    eventually(lambda: site.operator.probe("/healthz")[0] == 200)
    yield Line(f"process start to first vend with {count}", f"{ready - started:.1f} s", "<= 10 s", ready - started <= 10)
    eventually(lambda: fleet.live() == size.live + 1, within=60)  # all are known again
    yield memory(f"operator's memory after a restart with {count}", fleet, size)
    fleet.end()


def memory(what: str, fleet: Fleet, size: Size, more: str = "") -> Line:
    megabytes = fleet.resident()
    return Line(what, f"{megabytes:.0f} MB{more}", f"<= {size.memory:.0f} MB", megabytes <= size.memory)


def idle(fleet: Fleet, size: Size, count: str) -> Line:
    """Nobody asks for anything; sweep and looks at the platforms go on."""
    used = fleet.cpu_seconds()
    time.sleep(size.idle_seconds)
    percent = (fleet.cpu_seconds() - used) / size.idle_seconds * 100
    budget = "< 1 %" if size is FULL else "< 1 % (of 60 s)"
    return Line(f"operator's idle use of a processor with {count}", f"{percent:.1f} %", budget, percent < 1 or size is QUICK)


def lateness(fleet: Fleet, names: list[str], count: str) -> Line:
    before = fleet.lateness()
    for name in names:
        fleet.create(name, seconds=6)
        time.sleep(1 / PER_SECOND)
    fleet.watch.gone(names)
    counted = {bound: number - before.get(bound, 0.0) for bound, number in fleet.lateness().items()}
    ended = counted[float("inf")]
    worst = min(bound for bound, number in counted.items() if number >= 0.99 * ended)
    assert ended == len(names), f"{len(names)} roles ended, and {ended:.0f} endings were counted"
    what = f"from the expiry to the object's deletion, p99, with {count}, {PER_SECOND}/s"
    return Line(what, f"<= {worst * 1e3:.0f} ms of {ended:.0f}", "<= 100 ms", worst <= 0.1)


def main() -> None:
    size = QUICK if "--quick" in sys.argv[1:] else FULL
    with tempfile.TemporaryDirectory() as scratch, ControlPlane() as control_plane, Site(control_plane, Path(scratch)) as site:
        table("Many live roles, with a Kubernetes API server and PostgreSQL 17", lines(site, size))


if __name__ == "__main__":
    main()
