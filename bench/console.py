"""The console with ten thousand live roles: `python -m bench.console [--quick]`, from the repository's root.

The roles are objects in Kubernetes alone, copies of one that was vended: to the console they are the same.
"""

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.cluster import VENDED_ROLES, Body, Caller, Fleet, fresh_site
from bench.lines import Line, ms, p50, quick, reported, table, timed
from bench.recorded import megabytes
from tests.support.browsing import Window, Windows, started_browser
from tests.support.console import SVEN, ConsoleSite, Visitor
from tests.support.site import AGENTS, WAREHOUSE, Site
from tests.support.tenancy import ISSUER
from tests.support.waiting import eventually


@dataclass(frozen=True)
class Size:
    live: int
    rounds: int
    paints: int


FULL = Size(live=10_000, rounds=30, paints=9)
QUICK = Size(live=500, rounds=5, paints=3)
USERS, BOTS = 2_000, 50
BARE = f"/roles/{AGENTS}/nothing"
"""A page that says one sentence, for the same session and with the same question about rights."""
PAGES = {
    "list": "/roles",
    "last page": "/roles?page=1000",
    "search, many match": "/roles?q=person-1+bot",
    "search, few match": "/roles?q=person-0421",
    "filter by agent": f"/roles?agent={AGENTS}/bot-7",
    "filter by platform": f"/roles?platform={WAREHOUSE}",
}
MOST_TIMES, MOST_TIMES_PAINTED = 10.0, 2.5
"""As long as the bare page."""


class Pages:
    """A console, and a person who may see all roles."""

    def __init__(self, site: Site, size: Size, console: ConsoleSite) -> None:
        self._site, self._size, self._console = site, size, console
        self._fleet = Fleet(site)
        self._judged = size == FULL

    def lines(self) -> Iterator[Line]:
        model = self._model()
        visitor = self._console.browser(SVEN)
        visitor.get("/roles")
        yield self._memory("no live role")
        lasted = timed(lambda: self._copy(model))
        eventually(lambda: f"{self._size.live:,} of {self._size.live:,} live roles" in visitor.get("/roles").text)
        yield reported(f"{self._size.live:,} live roles, created and followed", f"{self._size.live / lasted:.0f}/s")
        yield from self._served(visitor)
        yield from self._painted()
        yield self._memory(f"{self._size.live:,} live roles")
        yield self._restart(visitor)

    def _model(self) -> Body:
        """A live role. The operator does not see the copies of it."""
        self._fleet.tenant.ready_to_ask()
        role = self._fleet.tenant.ask().ready()
        found = role.now()
        assert found is not None
        role.delete()
        role.gone()
        self._site.operator.stop()
        return found

    def _copy(self, model: Body) -> None:
        def create(caller: Caller, number: str) -> None:
            place = int(number)
            spec = {
                **model["spec"],
                "agentRef": {"name": f"bot-{place % BOTS}"},
                "user": {"issuer": ISSUER, "subject": f"person-{place % USERS:04}"},
            }
            body = {"apiVersion": model["apiVersion"], "kind": model["kind"], "metadata": {"name": f"copy-{number}"}, "spec": spec}
            caller.call("POST", VENDED_ROLES, body)
            status = {**model["status"], "roleName": f"IMMUTA_VENDED_BOT_{number}"}
            caller.call("PATCH", f"{VENDED_ROLES}/copy-{number}/status", {"status": status}, "application/merge-patch+json")

        self._fleet.at_once(create, [str(number) for number in range(self._size.live)])

    def _served(self, visitor: Visitor) -> Iterator[Line]:
        """Each page beside the bare one, in turns."""

        def seconds(path: str) -> float:
            return timed(lambda: visitor.http.get(f"{self._console.urls[0]}{path}"))

        changes = itertools.count()
        caller = Caller(self._site.control_plane)

        def after_a_change(path: str) -> float:
            """As in use: some roles changed since the last page."""
            for _ in range(10):
                label = {"metadata": {"labels": {"bench": str(next(changes))}}}
                caller.call("PATCH", f"{VENDED_ROLES}/copy-{next(changes) % self._size.live}", label, "application/merge-patch+json")
            return seconds(path)

        for name, path in PAGES.items():
            yield self._compared(f"{name}: served", path, seconds, self._size.rounds, MOST_TIMES)
        yield self._compared("list after ten roles changed: served", PAGES["list"], after_a_change, self._size.rounds, MOST_TIMES)

    def _painted(self) -> Iterator[Line]:
        with started_browser() as browser:
            windows = Windows(self._console, browser)
            window = windows.open(SVEN, "/roles")
            for name, path in PAGES.items():
                yield self._compared(
                    f"{name}: first paint", path, lambda path: painted(window, path), self._size.paints, MOST_TIMES_PAINTED
                )
            windows.close()
            assert windows.wrongs == []

    def _compared(self, what: str, path: str, seconds: Callable[[str], float], rounds: int, most: float) -> Line:
        pairs = [(seconds(path), seconds(BARE)) for _ in range(rounds)]
        ours, bare = ([pair[place] for pair in pairs] for place in (0, 1))
        times = statistics.median(our / its for our, its in pairs)
        text = f"{times:.1f}x a bare page ({ms(p50(ours))}, {ms(p50(bare))})"
        return Line(what, text, f"<= {most:g}x", times <= most).judged_if(self._judged)

    def _memory(self, when: str) -> Line:
        resident, peak = megabytes(self._console.replicas[0].process.pid)
        return reported(f"memory of the console, {when}", f"{resident:.0f} MB, peak {peak:.0f} MB")

    def _restart(self, visitor: Visitor) -> Line:
        self._console.replicas[0].kill()
        started = time.perf_counter()
        self._console.restart(0)
        visitor.get("/roles")
        return reported("a replica's start until its first list", f"{time.perf_counter() - started:.1f} s")


def painted(window: Window, path: str) -> float:
    """Return the seconds until the browser showed something of the page."""
    window.page.goto(path)
    entry = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
    return float(eventually(lambda: window.page.evaluate(entry))) / 1e3


def main() -> None:
    with fresh_site() as site, tempfile.TemporaryDirectory() as scratch, ConsoleSite(site, Path(scratch)).running() as console:
        table("The console with many live roles, beside its shortest page", Pages(site, QUICK if quick() else FULL, console).lines())


if __name__ == "__main__":
    main()
