"""How roles end while others are vended: `python -m bench.ending [--quick]`, from the repository's root.

It compares values of the same run: vends during a storm of expiries against vends before it.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import psycopg

from bench.cluster import VENDED_ROLES, Asker, Caller, Fleet, Watch, fresh_site
from bench.lines import Line, absolute, ms, p50, paced, percentile, plain, quick, reported, table
from rolevend.policytools.embedded.connection import logged_in
from tests.support.obstacles import OBSTACLES, Obstacle
from tests.support.site import AGENTS, ANNEX, Site
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually


@dataclass(frozen=True)
class Size:
    sessions: int
    rounds: int
    """Of so many sessions."""
    storm: int
    idle: int
    stuck: int


FULL = Size(sessions=100, rounds=3, storm=2000, idle=300, stuck=200)
QUICK = Size(sessions=20, rounds=1, storm=200, idle=60, stuck=40)
TWO = 2.0
SOON, STUCK_FOR = 5.0, 15.0
"""Seconds: after which the objects must be gone, and in which pauses between tries have grown as long as they get."""


def lines(site: Site, size: Size) -> Iterator[Line]:
    fleet = Fleet(site)
    fleet.begin()
    pace = plain()
    yield paced(revocation(fleet, size).judged_if(size is FULL), pace)
    yield from storm(fleet, size)
    yield from stuck(fleet, size)
    fleet.end()


def revocation(fleet: Fleet, size: Size) -> Line:
    """So many sessions work, each under a role of its own; one object after the other is deleted. Of all rounds together: the worst of
    a hundred is one chance event, and the best of several such rounds would not be what people meet."""
    seconds = [each for number in range(size.rounds) for each in revoked(fleet, size.sessions, f"round-{number}")]
    worst = percentile(seconds, 99)
    measured = f"p50 {ms(p50(seconds))}, p99 {ms(worst)} of {len(seconds)}"
    return absolute(f"from a DELETE to the end of a running query, {size.sessions} at work", measured, "p99 <= 100 ms", worst / 0.1)


def revoked(fleet: Fleet, count: int, label: str) -> list[float]:
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
    return seconds


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
    before = asking(fleet, watch, "before", lambda asked: asked < size.idle)
    lasts = 20 + size.storm // 25
    over_at = int(time.time()) + lasts
    fleet.create_expiring(crowd, size.storm, over_at, kind="crowd")
    fleet.watch.ready(crowd)
    if over_at < time.time():
        yield Line("all vended before the first one expires", "too slow", f"in {lasts} s", within=False)
        watch.close()
        return
    time.sleep(over_at - time.time())
    started = time.perf_counter()
    going = Going(fleet.watch, crowd)
    during = asking(fleet, watch, "during", lambda _: going.on)
    seconds = going.ended_at - started
    left = [role for role in fleet.site.warehouse.roles() if role]
    yield from meanwhile(f"vends while {size.storm} roles expire at once", during, before, size is FULL)
    yield Line(f"{size.storm} expired: all gone", f"in {seconds:.1f} s, {size.storm / seconds:.0f}/s", "all, no orphan", len(left) == 0)
    watch.close()


def meanwhile(what: str, during: Sequence[float], before: Sequence[float], full: bool) -> Iterator[Line]:
    ours, idle = percentile(during, 99), percentile(before, 99)
    measured = f"{ms(ours)} against {ms(idle)}: {ours / idle:.2f}x of {len(during)}"
    yield Line(f"{what}, p99, against vends before", measured, "<= 2x", ours <= TWO * idle).judged_if(full)
    yield reported("  the same, p50", f"{ms(p50(during))} against {ms(p50(before))}: {p50(during) / p50(before):.2f}x")


def stuck(fleet: Fleet, size: Size) -> Iterator[Line]:
    """Somebody asks for roles on the other platform, one after the other, while those of this one cannot be dropped."""
    elsewhere = Asker(Tenant(fleet.site).ready_to_ask(ANNEX), platform=ANNEX)
    watch = Watch(fleet.site.control_plane, kind="probe")
    before = asking(fleet, watch, "elsewhere", lambda asked: asked < size.idle, elsewhere)
    for number, (what, obstacle) in enumerate(OBSTACLES.items()):
        names = [f"stuck-{number}-{each}" for each in range(size.stuck)]
        pace = plain()
        gone, during = undroppable(fleet, watch, names, obstacle, elsewhere)
        left = len(fleet.site.warehouse.roles())
        after = absolute(
            f"{size.stuck} undroppable roles ({what}), gone after it",
            f"{gone:.1f} s, {left} roles left",
            f"<= {SOON:g} s, none left",
            math.inf if left else gone / SOON,
        )
        yield paced(after.judged_if(size is FULL or left > 0), pace)
        yield from meanwhile("  vends on another platform meanwhile", during, before, size is FULL)
    watch.close()


def undroppable(fleet: Fleet, watch: Watch, names: Sequence[str], obstacle: Obstacle, elsewhere: Asker) -> tuple[float, list[float]]:
    """Return the seconds from the removal of the obstacle until the last object is gone, and those of each vend until then."""
    database = fleet.site.warehouse
    fleet.create_all(names)
    fleet.watch.ready(names)
    with obstacle(database, sorted(database.roles())):
        fleet.at_once(lambda caller, name: caller.call("DELETE", f"{VENDED_ROLES}/{name}"), names)
        eventually(lambda: dropping(fleet) == len(names), within=60)  # so many deletions at once are the storm, and not this
        until = time.monotonic() + STUCK_FOR
        during = asking(fleet, watch, f"beside-{names[0]}", lambda _: time.monotonic() < until, elsewhere)
    started = time.perf_counter()
    fleet.watch.gone(names)
    return time.perf_counter() - started, during


def dropping(fleet: Fleet) -> int:
    """How many objects say that their role could not be dropped yet."""
    roles = fleet.caller.call("GET", VENDED_ROLES)["items"]
    return sum(each["status"]["platforms"][0]["state"] == "Dropping" for each in roles if each["status"].get("platforms"))


def asking(fleet: Fleet, watch: Watch, label: str, more: Callable[[int], bool], asker: Asker | None = None) -> list[float]:
    """Seconds from creation to Ready, one vend after the other; each is released at once."""
    seconds: list[float] = []
    caller = Caller(fleet.site.control_plane)
    names: list[str] = []
    while more(len(seconds)):
        names.append(f"{label}-{len(seconds)}")
        started = time.perf_counter()
        fleet.create(names[-1], kind="probe", caller=caller, asker=asker)
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
    with fresh_site() as site:
        table("The end of roles, with a Kubernetes API server and PostgreSQL 17", lines(site, QUICK if quick() else FULL))


if __name__ == "__main__":
    main()
