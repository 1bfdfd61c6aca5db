"""Lower bounds of a vend over HTTP: the same SQL without the API, and the same HTTP server without a vend."""

import queue
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg

from bench.driver import Pair, arguments
from bench.lines import Line, ms, quick, reported
from bench.load import Load, Requests
from bench.openbao import Measured, at_once
from bench.processes import Processes, spent
from bench.rounds import PreparedPeer, shown
from rolevend.model import ClusterId, ProfileName
from rolevend.plan import Profile
from rolevend.platforms.postgres.drop.drops import drop_all
from rolevend.platforms.postgres.vend.vends import _ONE
from rolevend.platforms.protocol import Address, DropRequest, EndReason, PasswordCredential, Secret
from rolevend.policytools.embedded.ports import HOST, free_ports
from testbed.installation import NAMESPACE
from tests.conformance.bench import lease
from tests.support.site import WAREHOUSE, Site
from tests.support.waiting import eventually

SQL = {1: 200, 16: 640}
HTTP = {1: 1_000, 16: 4_000, 64: 4_000}
"""Calls, by clients."""


def bare_sql(site: Site, iterations: int) -> Iterator[Line]:
    """Vend and drop with the driver's SQL, one role in a call. A profile must be warm."""
    for clients, count in SQL.items():
        vends, drops = VendorConnections(site, iterations).measure(clients, count // 4 if quick() else count)
        yield reported(f"bare SQL, vend, c={clients}: rate, p50, p99", str(vends))
        yield reported(f"bare SQL, drop, c={clients}", str(drops))


class VendorConnections:
    """The vendor's login at the warehouse."""

    def __init__(self, site: Site, iterations: int) -> None:
        ((profile, cluster),) = site.warehouse.ask("SELECT profile, cluster_id FROM rolevend.profile ORDER BY profile LIMIT 1")
        login = site.text_of(site.secret(NAMESPACE, f"{WAREHOUSE}-vendor"))
        self._where = site.warehouse.superuser.as_user(login["username"], login["password"])
        self._profile, self._cluster = Profile(ProfileName(profile), ()), ClusterId(cluster)
        self._iterations = iterations
        self._connections: queue.SimpleQueue[psycopg.Connection[Any]] = queue.SimpleQueue()

    def measure(self, clients: int, count: int) -> tuple[Measured, Measured]:
        """Return the vends and the drops of so many roles, each client over a connection of its own."""
        vends, drops = Measured(), Measured()
        with ExitStack() as ends:
            for _ in range(clients):
                connection = psycopg.connect(self._where.dsn, autocommit=True)
                self._connections.put(ends.enter_context(connection))
            for warm in (True, False):  # the first calls prepare the statements
                pairs = [self._new() for _ in range(3 * clients if warm else count)]
                ready = [arguments(pair, self._iterations) for pair in pairs]
                at_once(Measured() if warm else vends, clients, self._vend, ready)
                at_once(Measured() if warm else drops, clients, self._drop, pairs)
        return vends, drops

    def _new(self) -> Pair:
        made = lease(self._profile, cluster=self._cluster, countries=["DE", "AT"])
        address = Address(self._where.host, self._where.port, self._where.database)
        return made, PasswordCredential(made.role, Secret(secrets.token_urlsafe(32)), address, made.profile)

    def _vend(self, values: dict[str, object]) -> None:
        with self._connected() as connection:
            connection.execute(_ONE, values, prepare=True).fetchone()

    def _drop(self, pair: Pair) -> None:
        made, _ = pair
        with self._connected() as connection:
            run = lambda work: work(connection)  # noqa: E731
            (answer,) = drop_all(run, "drop", self._cluster, [DropRequest(made.role, made.uid, EndReason.RELEASED)], 1.0)
        assert answer.error is None, answer.error

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[Any]]:
        connection = self._connections.get_nowait()
        try:
            yield connection
        finally:
            self._connections.put(connection)


def bare_http(load: Load, peer: PreparedPeer, size: int) -> Iterator[Line]:
    """Send the same requests to a server with the settings of the API, which answers each at once with a body of `size` bytes."""
    (port,) = free_ports(1)
    with subprocess.Popen([sys.executable, "-m", "bench.echo", str(port), str(size)]) as process:
        try:
            eventually(lambda: _listens(port))
            processes = Processes({"echo": [process.pid]})
            for clients, count in HTTP.items():
                texts = peer.issuing(clients).texts
                requests = Requests(
                    [f"{HOST}:{port}"], 201, [texts[number % clients] for number in range(count // 4 if quick() else count)]
                )
                before = processes.seconds()
                sent = load.send(requests, clients)
                (taken,) = spent(before, processes.seconds()).values()
                each = f"{ms(taken / len(sent.seconds))} and {ms(sent.processor / len(sent.seconds))} of processor time"
                yield reported(f"bare HTTP, {size:,} bytes, c={clients}: rate, p50, p99", shown([sent]))
                yield reported("  server and client", each)
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False
