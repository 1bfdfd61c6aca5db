"""Beside OpenBao's PostgreSQL secrets engine, on one server in one run: `python -m bench.openbao [--quick]`.

The compared paths differ, and lie on both sides of our HTTP API, which `bench.api` measures. The driver is called in this
process, through the operator's queues: no HTTP, no decision, no record outside of PostgreSQL. The operator is asked through Kubernetes:
it decides, and its record is in etcd. OpenBao answers over HTTP without TLS and writes its lease to its disk; it decides nothing, filters
no rows, and ends no sessions. The driver's server waits for its disk, the operator's does not (fsync is off there, for both).
"""

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import psycopg

from bench.cluster import Fleet, fresh_site
from bench.driver import FEW
from bench.lines import Line, ms, p50, percentile, quick, reported, table
from bench.peers import READER, Driver, OpenBao, Operator, Peer
from rolevend.platforms.postgres import PostgresLimits
from rolevend.policytools.embedded.connection import Connection
from rolevend.policytools.embedded.database import PostgresServer
from tests.conformance.bench import installed

T = TypeVar("T")

CLIENTS = 16
ROUNDS = 2
AGAINST = "  against OpenBao"
STORM_SECONDS = 30.0
"""How long is waited for all to be gone."""


@dataclass(frozen=True)
class Size:
    alone: int
    together: int
    storm: int


FULL = Size(alone=30, together=64, storm=200), Size(alone=20, together=32, storm=100)
QUICK = Size(alone=15, together=32, storm=60), Size(alone=10, together=16, storm=40)
"""Beside the driver, and beside the operator."""


@dataclass(frozen=True)
class Budget:
    """A budget, and a test of the ratios of rate, p50 and p99 to those of OpenBao."""

    text: str
    holds: Callable[[float, float, float], bool]


HASHING = {
    1: Budget("p50 <= 1.5x", lambda _rate, middle, _worst: middle <= 1.5),
    CLIENTS: Budget("rate >= 0.9x", lambda rate, _middle, _worst: rate >= 0.9),
}
"""By clients, with 4,096 rounds of hashing in each vend: the server does them, for OpenBao's roles too, and does little else."""
ISSUING = Budget("rate >= 1.5x, p99 <= 0.5x", lambda rate, _middle, worst: rate >= 1.5 and worst <= 0.5)
"""Without them: what our own work costs. The HTTP API is held to this as well."""
STORM = 0.5
"""Of OpenBao's p99 of issuing while a crowd is revoked."""


@dataclass
class Measured:
    """Calls from so many clients at once."""

    seconds: list[float] = field(default_factory=list)
    lasted: float = 0.0

    @property
    def rate(self) -> float:
        return len(self.seconds) / self.lasted

    def __str__(self) -> str:
        return f"{self.rate:.0f}/s, {ms(p50(self.seconds))}, {ms(percentile(self.seconds, 99))}"


def beside_driver(size: Size) -> Iterator[Line]:
    with PostgresServer(18) as server:
        superuser = server.superuser
        where = superuser.host, superuser.port, superuser.user, superuser.password
        with installed(*where, "bench", 18, tls=superuser.tls) as bench:
            bench.run(f"CREATE ROLE {READER}")
            connection = superuser.to_database("bench")
            with Driver(bench, PostgresLimits().scram_iterations) as ours, OpenBao(connection) as theirs:
                yield from lines(ours, theirs, connection, size, HASHING)
            bench.run(f"ALTER ROLE {superuser.user} SET scram_iterations = {FEW}")  # OpenBao leaves the hashing to the server
            with Driver(bench, FEW) as ours, OpenBao(connection) as theirs:
                yield reported(f"with {FEW} SCRAM iteration, for both", "")
                yield from calls((ours, theirs), CLIENTS, size.together, ISSUING)


def beside_operator(size: Size) -> Iterator[Line]:
    with fresh_site() as site:
        fleet = Fleet(site)
        fleet.begin()
        site.warehouse.ask(f"CREATE ROLE {READER}")
        with OpenBao(site.warehouse.superuser) as theirs:
            yield from lines(Operator(fleet), theirs, site.warehouse.superuser, size, {})
        fleet.end()


def lines(ours: Peer[Any], theirs: Peer[Any], superuser: Connection, size: Size, budgets: Mapping[int, Budget]) -> Iterator[Line]:
    """`budgets` of issuing, by clients; none: everything is reported only."""
    for clients, count in ((1, size.alone), (CLIENTS, size.together)):
        yield from calls((ours, theirs), clients, count, budgets.get(clients))
    yield from storms((ours, theirs), superuser, size, judged=bool(budgets))


def calls(peers: Sequence[Peer[Any]], clients: int, count: int, budget: Budget | None) -> Iterator[Line]:
    """Issues and revokes, in turns, so that whatever else the machine does meets both."""
    issued, revoked = [Measured(), Measured()], [Measured(), Measured()]
    for peer in peers:  # connects
        at_once(Measured(), clients, peer.revoke, at_once(Measured(), clients, peer.issue, ["one"] * clients))
    for _ in range(ROUNDS):
        for place, peer in enumerate(peers):
            leases = at_once(issued[place], clients, peer.issue, ["one"] * count)
            at_once(revoked[place], clients, peer.revoke, leases)
    for what, (ours, theirs), held_to in (("issue", issued, budget), ("revoke", revoked, None)):
        yield from compared(peers[0].name, f"{what}, c={clients}", (str(ours), str(theirs)), against(ours, theirs), held_to)


def at_once(measured: Measured, clients: int, work: Callable[[Any], T], on: Sequence[Any]) -> list[T]:
    """The answers; how long each call took is added to `measured`."""

    def one(each: Any) -> T:
        started = time.perf_counter()
        answer = work(each)
        measured.seconds.append(time.perf_counter() - started)
        return answer

    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as threads:
        answers = list(threads.map(one, on))
    measured.lasted += time.perf_counter() - started
    return answers


def compared(
    name: str,
    what: str,
    shown: tuple[str, str],
    ratios: tuple[float, float, float],
    budget: Budget | None = None,
    *,
    reachable: bool = True,
) -> Iterator[Line]:
    """`shown` is ours and OpenBao's. A budget that is not `reachable` without a ledger is judged with one."""
    ours, theirs = shown
    yield reported(f"{name}, {what}: rate, p50, p99", ours)
    yield reported(f"  OpenBao, {what}", theirs)
    measured = "rate {:.2f}x, p50 {:.2f}x, p99 {:.2f}x".format(*ratios)
    if budget is None:
        yield reported(AGAINST, measured)
        return
    line = Line(AGAINST, measured, budget.text, budget.holds(*ratios)).judged_if(not quick())
    if line.within is False and not reachable:
        line = replace(line, budget=f"reported; judged with a ledger: {budget.text}", within=None)
    yield line


def against(ours: Measured, theirs: Measured) -> tuple[float, float, float]:
    """Ratios of the rate, the p50 and the p99."""
    middle, worst = p50(ours.seconds) / p50(theirs.seconds), percentile(ours.seconds, 99) / percentile(theirs.seconds, 99)
    return ours.rate / theirs.rate, middle, worst


def storms(peers: Sequence[Peer[Any]], superuser: Connection, size: Size, *, judged: bool) -> Iterator[Line]:
    """One goes on issuing while the roles of a crowd are revoked at once."""
    worst = []
    for peer in peers:
        before = one_after_the_other(peer, lambda done: done < size.alone)
        crowd = at_once(Measured(), CLIENTS, peer.issue, ["crowd"] * size.storm)
        with psycopg.connect(superuser.dsn, autocommit=True) as connection:
            going = Going(connection)
            peer.revoke_all(crowd)
            during = one_after_the_other(peer, lambda _, going=going: going.on)
            going.end()
        worst.append(percentile(during, 99))
        ratio = f"{worst[-1] / percentile(before, 99):.1f}x"
        what = f"{peer.name}, {size.storm} revoked at once"
        yield reported(f"{what}: issue meanwhile, p99, against before", f"{ms(worst[-1])} of {len(during)}: {ratio}")
        measured = f"{going.left} after {going.lasted:.1f} s, {(size.storm - going.left) / going.lasted:.0f}/s"
        left = f"{what}: roles left"
        yield Line(left, measured, "none", not going.left) if peer is peers[0] else reported(left, measured)
    against = worst[0] / worst[1]
    measured = f"issue meanwhile, p99 {against:.3f}x"
    yield Line(AGAINST, measured, f"<= {STORM:g}x", against <= STORM).judged_if(not quick()) if judged else reported(AGAINST, measured)


def one_after_the_other(peer: Peer[Any], more: Callable[[int], bool]) -> list[float]:
    """Seconds of each issue, at least one; what was issued is revoked in the end."""
    measured, leases = Measured(), list[Any]()
    while not leases or more(len(leases)):
        leases += at_once(measured, 1, peer.issue, ["one"])
    at_once(Measured(), CLIENTS, peer.revoke, leases)
    return measured.seconds


class Going:
    """Whether roles that are there in the beginning are still there, for as long as anybody waits for that."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection
        self._crowd = self._roles()
        self.on, self.left, self.lasted = True, len(self._crowd), 0.0
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._thread.join()

    def _wait(self) -> None:
        started = time.perf_counter()
        try:
            while self.left and self.lasted < STORM_SECONDS:
                time.sleep(0.02)
                self.left = len(self._crowd & self._roles())
                self.lasted = time.perf_counter() - started
        finally:
            self.on = False

    def _roles(self) -> set[Any]:
        named = "rolname ~ '^(IMMUTA_VENDED_|v-)' AND rolname !~ '^IMMUTA_VENDED_CANARY_'"
        return {name for (name,) in self._connection.execute(f"SELECT rolname::text FROM pg_roles WHERE {named}")}


def main() -> None:
    driver, operator = QUICK if quick() else FULL
    parts = itertools.chain(beside_driver(driver), beside_operator(operator))
    table("Beside OpenBao: the driver, on PostgreSQL 18; the operator, on 17", parts)


if __name__ == "__main__":
    main()
