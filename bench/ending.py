"""How roles end while others are vended: `python -m bench.ending [--quick]`, from the repository's root.

What is compared was measured in the same run: vends during a storm of expiries against vends before it.
"""

import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench.cluster import VENDED_ROLES, Caller, Fleet, Watch
from bench.lines import Line, ms, p50, percentile, reported, settled, table
from rolevend.demo.parts.connection import logged_in
from rolevend.demo.parts.controlplane import ControlPlane
from tests.support.obstacles import OBSTACLES, Obstacle
from tests.support.site import AGENTS, Site
from tests.support.waiting import eventually


@dataclass(frozen=True)
class Size:
    sessions: int
    storm: int
    idle: int
    stuck: int


FULL = Size(sessions=100, storm=2000, idle=300, stuck=200)
QUICK = Size(sessions=20, storm=200, idle=60, stuck=200)
TWO = 2.0
SOON, STUCK_FOR = 5.0, 15.0
"""Seconds: after which the objects must be gone, and in which pauses between tries have grown as long as they get."""


def lines(site: Site, size: Size) -> Iterator[Line]:
    fleet = Fleet(site)
    fleet.begin()
    rounds = (f"round-{number}" for number in range(10))
    yield settled(lambda: revocation(fleet, size.sessions, next(rounds)))
    yield from storm(fleet, size)
    for number, (what, obstacle) in enumerate(OBSTACLES.items()):
        yield undroppable(fleet, [f"stuck-{number}-{each}" for each in range(size.stuck)], what, obstacle)
    fleet.end()


def revocation(fleet: Fleet, count: int, label: str) -> Line:
    """So many sessions work, each under a role of its own; one object after the other is deleted."""
    names = [f"{label}-{number}" for number in range(count)]
    fleet.create_all(names)
    fleet.watch.ready(names)
    working = [Working(fleet.site, name) for name in names]
    active = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE %s AND state = 'active'"
    eventually(lambda: fleet.site.warehouse.ask(active, "SELECT pg_sleep(600)%") == [(count,)], within=60)
    seconds = []
    for name, session in zip(names, working, strict=True):
        started = time.perf_counter()
        fleet.caller.call("DELETE", f"{VENDED_ROLES}/{name}")
        seconds.append(session.ended() - started)
    fleet.watch.gone(names)
    worst = percentile(seconds, 99)
    measured = f"p50 {ms(p50(seconds))}, p99 {ms(worst)}"
    return Line(f"from a DELETE to the end of a running query, {count} at work", measured, "p99 <= 100 ms", worst <= 0.1)


class Working:
    """A query that would not end by itself, under the role of this VendedRole."""

    def __init__(self, site: Site, name: str) -> None:
        login = site.text_of(site.secret(AGENTS, name))
        self._connection = logged_in(login)
        self._ended_at = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def ended(self) -> float:
        self._thread.join(60)
        assert self._ended_at, "the query goes on"
        return self._ended_at

    def _run(self) -> None:
        try:
            self._connection.execute("SELECT pg_sleep(600), count(*) FROM people")
        except psycopg.Error:
            self._ended_at = time.perf_counter()


def storm(fleet: Fleet, size: Size) -> Iterator[Line]:
    """All expire in one second; somebody goes on asking for roles, one after the other."""
    crowd = [f"crowd-{number}" for number in range(size.storm)]
    watch = Watch(fleet.site.control_plane, kind="probe")
    idle = asking(fleet, watch, "idle", lambda asked: asked < size.idle)
    lasts = 20 + size.storm // 25
    over_at = time.time() + lasts
    fleet.create_all(crowd, lambda: max(5, round(over_at - time.time())), kind="crowd")
    fleet.watch.ready(crowd)
    if over_at < time.time():
        yield Line("all vended before the first one expires", "too slow", f"in {lasts} s", within=False)
        return
    time.sleep(over_at - time.time())
    started = time.perf_counter()
    going = Going(fleet.watch, crowd)
    during = asking(fleet, watch, "during", lambda _: going.on)
    seconds = going.ended_at - started
    left = [role for role in fleet.site.warehouse.roles() if role]
    ratio = percentile(during, 99) / percentile(idle, 99)
    yield Line(
        f"vends while {size.storm} roles expire at once, p99, against vends before",
        f"{ms(percentile(during, 99))} against {ms(percentile(idle, 99))}: {ratio:.2f}x of {len(during)}",
        "<= 2x",
        ratio <= TWO,
    )
    yield reported("the same, p50", f"{ms(p50(during))} against {ms(p50(idle))}: {p50(during) / p50(idle):.2f}x")
    yield Line(f"{size.storm} expired: all gone", f"in {seconds:.1f} s, {size.storm / seconds:.0f}/s", "all, no orphan", len(left) == 0)
    watch.close()


def undroppable(fleet: Fleet, names: Sequence[str], what: str, obstacle: Obstacle) -> Line:
    """From the moment in which nothing is in the way any more to the last object's going."""
    database = fleet.site.warehouse
    fleet.create_all(names)
    fleet.watch.ready(names)
    with obstacle(database, sorted(database.roles())):
        fleet.at_once(lambda caller, name: caller.call("DELETE", f"{VENDED_ROLES}/{name}"), names)
        time.sleep(STUCK_FOR)
    started = time.perf_counter()
    fleet.watch.gone(names)
    seconds = time.perf_counter() - started
    left = len(database.roles())
    measured = f"{seconds:.1f} s, {left} roles left"
    return Line(f"{len(names)} roles that could not be dropped ({what}) gone after it", measured, "<= 5 s", seconds <= SOON and not left)


def asking(fleet: Fleet, watch: Watch, label: str, more: Callable[[int], bool]) -> list[float]:
    """Seconds from creation to Ready, one vend after the other; each is released at once."""
    seconds: list[float] = []
    caller = Caller(fleet.site.control_plane)
    names: list[str] = []
    while more(len(seconds)):
        names.append(f"{label}-{len(seconds)}")
        started = time.perf_counter()
        fleet.create(names[-1], kind="probe", caller=caller)
        seconds.append(watch.ready(names[-1:])[0] - started)
        caller.call("DELETE", f"{VENDED_ROLES}/{names[-1]}")
    watch.gone(names)
    return seconds


class Going:
    """Whether some of these are still there, and when the last one went."""

    def __init__(self, watch: Watch, names: Sequence[str]) -> None:
        self.on = True
        self.ended_at = 0.0
        self._thread = threading.Thread(target=self._wait, args=(watch, names), daemon=True)
        self._thread.start()

    def _wait(self, watch: Watch, names: Sequence[str]) -> None:
        watch.gone(names)
        self.ended_at = time.perf_counter()
        self.on = False


def main() -> None:
    size = QUICK if "--quick" in sys.argv[1:] else FULL
    with tempfile.TemporaryDirectory() as scratch, ControlPlane() as control_plane, Site(control_plane, Path(scratch)) as site:
        table("The end of roles, with a Kubernetes API server and PostgreSQL 17", lines(site, size))


if __name__ == "__main__":
    main()
