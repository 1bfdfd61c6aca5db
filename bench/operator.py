"""Cost of a vend through Kubernetes: `python -m bench.operator [--quick]`, from the repository's root.

A real API server, a real PostgreSQL, and the operator as a process with the chart's rights. The floor is measured in the same run:
a loop that does nothing but write a status when an object appears.
"""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass

from bench.cluster import VENDED_ROLES, Asker, Body, Caller, Fleet, Watch, fresh_site
from bench.lines import Line, absolute, ms, percentile, quick, reported, settled, table
from tests.support.governed import OWNER
from tests.support.site import WAREHOUSE, Site
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually


@dataclass(frozen=True)
class Size:
    alone: int
    burst: int
    cold: int


FULL = Size(alone=200, burst=500, cold=10)
QUICK = Size(alone=40, burst=100, cold=5)
MIDDLE = 0.05
"""Seconds, on a machine that does nothing else: the floor beside it says how idle it was."""


def lines(site: Site, size: Size) -> Iterator[Line]:
    fleet = Fleet(site)
    site.operator.stop()
    floor = floor_of(fleet, size.alone)
    fleet.begin()
    yield from alone(fleet, size.alone, floor)
    yield from cold(fleet, size.cold)
    yield from burst(fleet, size.burst)
    fleet.end()


def floor_of(fleet: Fleet, count: int) -> list[float]:
    """Create, and a loop that writes Ready into the status of whatever appears; the same watch tells when."""
    patcher = Caller(fleet.site.control_plane)
    condition = {"type": "Ready", "status": "True", "reason": "Floor", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}

    def write(type_: str, body: Body) -> None:
        if type_ == "ADDED":
            path = f"{VENDED_ROLES}/{body['metadata']['name']}/status"
            patcher.call("PATCH", path, {"status": {"conditions": [condition]}}, "application/merge-patch+json")

    names = [f"floor-{number}" for number in range(count)]
    watch = Watch(fleet.site.control_plane, write)
    seconds = fleet.one_by_one(names, watch)
    watch.close()
    for name in names:
        fleet.caller.call("PATCH", f"{VENDED_ROLES}/{name}", {"metadata": {"finalizers": []}}, "application/merge-patch+json")
        fleet.caller.call("DELETE", f"{VENDED_ROLES}/{name}")
    return seconds


def alone(fleet: Fleet, count: int, floor: list[float]) -> Iterator[Line]:
    numbers, what = itertools.count(), "create to Ready, one at a time, {}, against a bare status loop"
    seconds: list[float] = []

    def against(percent: int) -> str:
        ours, theirs = percentile(seconds, percent), percentile(floor, percent)
        return f"{ms(ours)} against {ms(theirs)}: {ours / theirs:.2f}x"

    def middle() -> Line:
        names = [f"alone-{next(numbers)}" for _ in range(count)]
        seconds[:] = fleet.one_by_one(names)
        fleet.release(names)
        return absolute(what.format("p50"), against(50), f"<= {ms(MIDDLE)}", percentile(seconds, 50) / MIDDLE)

    yield settled(middle)
    yield reported(what.format("p99"), against(99))


def cold(fleet: Fleet, count: int) -> Iterator[Line]:
    """Each time the same hundred tables under a filter that no profile has yet; row security is on after the first. Every try has tables of
    its own: what there is on a table makes the next profile of it slower."""
    numbers, tries = itertools.count(), itertools.count()
    firsts: list[float] = []

    def later() -> Line:
        wide = f"wide{next(tries)}"
        hundred_tables(fleet.site, wide)
        firsts.append(one_cold(fleet, wide, next(numbers)))
        seconds = [one_cold(fleet, wide, next(numbers)) for _ in range(count)]
        measured = f"p50 {ms(percentile(seconds, 50))}, worst of {count} {ms(max(seconds))}"
        line = absolute("create to Ready, a new profile of 100 tables", measured, "p99 <= 250 ms", max(seconds) / 0.25)
        return line.judged_if(count == FULL.cold)

    line = settled(later)
    yield reported("create to Ready, a profile of 100 tables, with row security to be switched on", ms(firsts[-1]))
    yield line


def one_cold(fleet: Fleet, wide: str, number: int) -> float:
    each = Tenant(fleet.site)
    each.agent()
    each.person()
    policy = each.policy("", f"{wide}_*", rowFilter=f"country IN (user_attr('countries')) AND amount > {number}", masks=[])
    fleet.site.told(policy, "Ready", "True")
    (seconds,) = fleet.one_by_one([f"cold-{number}"], asker=Asker(each))
    fleet.release([f"cold-{number}"])
    fleet.site.remove(policy)
    return seconds


def hundred_tables(site: Site, wide: str) -> None:
    for number in range(100):
        columns = "id bigint PRIMARY KEY, country text, amount numeric, note text"
        site.warehouse.ask(f"CREATE TABLE claims.{wide}_{number} ({columns})")
        site.warehouse.ask(f"ALTER TABLE claims.{wide}_{number} OWNER TO {OWNER}")
    tables = int(site.warehouse.ask("SELECT count(*) FROM pg_tables WHERE schemaname = 'claims'")[0][0])
    everything = {"kind": "DataPlatform", "metadata": {"name": WAREHOUSE}}
    eventually(lambda: site.cluster.read(everything).body["status"]["tableCount"] >= tables, within=60)


def burst(fleet: Fleet, count: int) -> Iterator[Line]:
    names = [f"burst-{number}" for number in range(count)]
    started = time.perf_counter()
    fleet.create_all(names)
    ended = max(fleet.watch.ready(names))
    roles = len(fleet.site.warehouse.roles())
    rate = len(names) / (ended - started)
    yield Line(f"{len(names)} at once: all Ready", f"in {ended - started:.1f} s, {rate:.0f}/s", "all, none lost", roles == len(names))
    started = time.perf_counter()
    fleet.release(names)
    rate = len(names) / (time.perf_counter() - started)
    left = len(fleet.site.warehouse.roles())
    yield Line(f"{len(names)} released at once: all gone", f"{rate:.0f}/s", "all, no orphan", left == 0)


def main() -> None:
    with fresh_site() as site:
        table("The operator, with a Kubernetes API server and PostgreSQL 17", lines(site, QUICK if quick() else FULL))


if __name__ == "__main__":
    main()
