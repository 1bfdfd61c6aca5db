"""Memory of the operator and the API with ten thousand recorded roles: `python -m bench.recorded [--quick]`, from the repository's root."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.api import Api, set_ledger
from bench.cluster import PRODUCTION, Fleet, fresh_site
from bench.driver import FEW
from bench.lines import Line, ms, percentile, quick, reported, table
from bench.load import Load
from bench.scale import MEMORY
from testbed.installation import ApiProcess
from tests.support.proving import Proven
from tests.support.site import WAREHOUSE, Site
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually


@dataclass(frozen=True)
class Size:
    live: int
    step: int


FULL = Size(live=10_000, step=1_000)
QUICK = Size(live=200, step=100)
CLIENTS = 8
SHOWN_PER_SECOND = 100
"""More than in production, so that all roles are shown while they live."""
PATIENCE = 900.0
LIFETIME = 3600
"""Seconds: longer than the measurement."""
API = {"PLATFORM_POLL_SECONDS": "15", "REQUEST_SECONDS": "15"}


class Recorded:
    """An operator that follows recorded roles, and a replica of the API that vends them."""

    def __init__(self, site: Site, size: Size) -> None:
        self._site, self._size = site, size
        self._fleet = Fleet(site)
        self._load = Load()
        self._settings = {**PRODUCTION, "PROJECTIONS_PER_SECOND": str(SHOWN_PER_SECOND)}
        self._api: ApiProcess

    def lines(self) -> Iterator[Line]:
        self._site.operator.stop()
        self._start_operator()
        assert set_ledger(self._site), "the DataPlatform has no ledger"
        self._site.patch({"kind": "DataPlatform", "metadata": {"name": WAREHOUSE}}, {"postgres": {"scramIterations": FEW}})
        self._site.wait_for_platform(WAREHOUSE)
        proven = Proven(Tenant(self._site)).ready_to_ask()
        self._start_api()
        try:
            ours = Api(proven, [self._api], LIFETIME)
            ours.warm()
            yield from self._memory(0, "")
            live = self._size.live
            yield self._vend(ours)
            eventually(lambda: self._fleet.live() == live, within=PATIENCE)
            yield from self._memory(live, "")
            eventually(lambda: self._site.metric("rolevend_projections_waiting") == 0, within=PATIENCE)
            yield from self._memory(live, ", all shown")
            self._list(ours)
            yield from self._memory(live, ", all listed by their agent")
            yield self._restart(live)
            self._api.kill()
            self._start_api()
            yield from self._memory(live, " after a restart")
        finally:
            self._api.kill()

    def _vend(self, ours: Api) -> Line:
        seconds, lasted = [], 0.0
        for _ in range(self._size.live // self._size.step):
            sent = self._load.send(ours.issuing(self._size.step), CLIENTS)
            seconds += sent.seconds
            lasted += sent.lasted
        text = f"{len(seconds) / lasted:.0f}/s, p99 {ms(percentile(seconds, 99))}"
        return reported(f"{self._size.live:,} recorded roles, as fast as {CLIENTS} clients get them", text)

    def _list(self, ours: Api) -> None:
        ours.call("GET", "/v1/vended-roles", None, 200)

    def _restart(self, live: int) -> Line:
        self._site.operator.stop()
        started = time.perf_counter()
        self._start_operator()
        eventually(lambda: self._fleet.live() == live, within=PATIENCE)
        return reported(f"operator's start until it follows {live:,} recorded roles", f"{time.perf_counter() - started:.1f} s")

    def _start_operator(self) -> None:
        self._site.start_operator(self._settings)

    def _start_api(self) -> None:
        self._api = self._site.start_api(API)
        self._api.wait_until_ready()

    def _memory(self, live: int, when: str) -> Iterator[Line]:
        for name, process in (("operator", self._site.operator.process.pid), ("API", self._api.process.pid)):
            resident, peak, most = *megabytes(process), MEMORY.get(live)
            what, measured = f"{name}'s memory with {live:,} recorded roles{when}", f"{resident:.0f} MB, peak {peak:.0f} MB"
            yield reported(what, measured) if most is None else Line(what, measured, f"<= {most} MB", resident <= most)


def megabytes(process: int) -> tuple[float, float]:
    """Return what the process has, and what it had at most."""
    status = Path(f"/proc/{process}/status").read_text()
    resident, peak = (int(status.split(f"{name}:")[1].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return resident, peak


def main() -> None:
    with fresh_site() as site:
        table("Many recorded roles, with a Kubernetes API server and PostgreSQL 17", Recorded(site, QUICK if quick() else FULL).lines())


if __name__ == "__main__":
    main()
