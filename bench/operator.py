"""What a vend through Kubernetes costs: `python -m bench.operator [--quick]`, from the repository's root.

A real API server, a real PostgreSQL, and the operator as a process with the chart's rights. The floor is measured in the same run:
a loop that does nothing but write a status when an object appears.
"""

import http.client
import json
import socket
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.driver import Line
from rolevend.demo.parts.controlplane import ControlPlane
from rolevend.resources import API_VERSION
from tests.support.governed import OWNER
from tests.support.site import AGENTS, WAREHOUSE, Site
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually

Body = dict[str, Any]

VENDED_ROLES = f"/apis/{API_VERSION}/namespaces/{AGENTS}/vendedroles"
PRODUCTION = {"PLATFORM_POLL_SECONDS": "15", "SWEEP_SECONDS": "60", "ORPHAN_GRACE_SECONDS": "60", "DEAF_AFTER_SECONDS": "60"}
PATIENCE = 120.0
IDLE = 20.0


@dataclass(frozen=True)
class Size:
    alone: int
    burst: int
    live: int
    cold: int
    expiring: int


FULL = Size(alone=300, burst=500, live=2000, cold=10, expiring=150)
QUICK = Size(alone=40, burst=100, live=200, cold=5, expiring=40)


class Caller:
    """Calls the API server as the administrator, over one connection that stays open while it is in use. For one thread."""

    def __init__(self, control_plane: ControlPlane) -> None:
        server = control_plane.server
        tls = ssl.create_default_context(cadata=server.authority.decode())
        tls.load_cert_chain(control_plane.directory / "pki" / "admin.crt", control_plane.directory / "pki" / "admin.key")
        self._connection = http.client.HTTPSConnection(server.host, server.port, timeout=PATIENCE, context=tls)
        self._used_at = time.monotonic()

    def call(self, method: str, path: str, body: Body | None = None, content_type: str = "application/json") -> Body:
        if time.monotonic() - self._used_at > IDLE:
            self._connection.close()  # the server may have done so already; the next request opens it again
        self._used_at = time.monotonic()
        self._connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": content_type})
        response = self._connection.getresponse()
        answer: Body = json.loads(response.read())
        assert response.status < 300, answer.get("message")
        return answer

    def changes(self, path: str, version: str) -> Iterator[tuple[str, Body]]:
        """Since this version, until the server or `hang_up` ends it."""
        self._connection.request("GET", f"{path}?watch=1&resourceVersion={version}")
        response = self._connection.getresponse()
        while line := response.readline():
            event = json.loads(line)
            yield event["type"], event["object"]

    def hang_up(self) -> None:
        """Ends `events`, from any thread."""
        if self._connection.sock is not None:
            self._connection.sock.shutdown(socket.SHUT_RDWR)


class Watch:
    """When each VendedRole was first seen to be Ready, and when it was last seen to be gone."""

    def __init__(self, control_plane: ControlPlane, seen: Callable[[str, Body], None] = lambda _type, _body: None) -> None:
        self._news = threading.Condition()
        self._ready: dict[str, float] = {}
        self._gone: set[str] = set()
        self._seen = seen
        self._caller = Caller(control_plane)
        self._closed = False
        self._thread = threading.Thread(target=self._run, args=(self._list(),), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed = True
        self._caller.hang_up()
        self._thread.join()

    def ready(self, names: Iterable[str]) -> list[float]:
        """Waits for all of them; the moments."""
        wanted = list(names)
        with self._news:
            done = self._news.wait_for(lambda: self._ready.keys() >= set(wanted), PATIENCE)
            assert done, f"{len(set(wanted) - self._ready.keys())} of {len(wanted)} VendedRoles did not become Ready"
            return [self._ready[name] for name in wanted]

    def gone(self, names: Sequence[str]) -> None:
        with self._news:
            assert self._news.wait_for(lambda: self._gone.issuperset(names), PATIENCE), "VendedRoles are still there"

    def _run(self, version: str) -> None:
        """The server ends a watch that cannot keep up with a burst; what came meanwhile is in the next listing."""
        while not self._closed:
            for type_, body in self._caller.changes(VENDED_ROLES, version):
                self._note(type_, body)
            if not self._closed:
                version = self._list()

    def _list(self) -> str:
        """The version to watch from."""
        listed = self._caller.call("GET", VENDED_ROLES)
        for body in listed["items"]:
            self._note("LISTED", body)
        with self._news:
            self._gone |= self._ready.keys() - {body["metadata"]["name"] for body in listed["items"]}
            self._news.notify_all()
        return str(listed["metadata"]["resourceVersion"])

    def _note(self, type_: str, body: Body) -> None:
        now = time.perf_counter()
        self._seen(type_, body)
        name = body["metadata"]["name"]
        conditions = body.get("status", {}).get("conditions", [])
        with self._news:
            if type_ == "DELETED":
                self._gone.add(name)
            elif name not in self._ready and any(each["type"] == "Ready" and each["status"] == "True" for each in conditions):
                self._ready[name] = now
            else:
                return
            self._news.notify_all()


class Run:
    def __init__(self, site: Site, size: Size) -> None:
        self.site = site
        self.size = size
        self.tenant = Tenant(site)
        self.caller = Caller(site.control_plane)

    def lines(self) -> Iterator[Line]:
        self.site.operator.stop()
        floor = self.floor()
        self.site.start_operator(PRODUCTION)
        self.site.wait_for_platform(WAREHOUSE)
        self.tenant.ready_to_ask()
        self.watch = Watch(self.site.control_plane)
        yield from self.alone(floor)
        yield from self.cold()
        yield from self.lateness()
        yield from self.burst()
        yield from self.many()
        self.watch.close()

    def floor(self) -> list[float]:
        """Create, and a loop that writes Ready into the status of whatever appears; the same watch tells when."""
        patcher = Caller(self.site.control_plane)
        condition = {"type": "Ready", "status": "True", "reason": "Floor", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}

        def write(type_: str, body: Body) -> None:
            if type_ == "ADDED":
                path = f"{VENDED_ROLES}/{body['metadata']['name']}/status"
                patcher.call("PATCH", path, {"status": {"conditions": [condition]}}, "application/merge-patch+json")

        names = [f"floor-{number}" for number in range(self.size.alone)]
        watch = Watch(self.site.control_plane, write)
        seconds = self.one_by_one(names, watch)
        watch.close()
        for name in names:
            self.caller.call("PATCH", f"{VENDED_ROLES}/{name}", {"metadata": {"finalizers": []}}, "application/merge-patch+json")
            self.caller.call("DELETE", f"{VENDED_ROLES}/{name}")
        return seconds

    def alone(self, floor: Sequence[float]) -> Iterator[Line]:
        names = [f"alone-{number}" for number in range(self.size.alone)]
        seconds = self.one_by_one(names, self.watch)
        self.release(names)
        for what, percent in (("p50", 50), ("p99", 99)):
            ours, theirs = percentile(seconds, percent), percentile(floor, percent)
            measured = f"{ms(ours)} against {ms(theirs)}: {ours / theirs:.2f}x"
            yield Line(f"create to Ready, one at a time, {what}, against a bare status loop", measured, "reported", within=True)

    def cold(self) -> Iterator[Line]:
        """Each time the same hundred tables under a filter that no profile has yet; row security is on after the first."""
        self.hundred_tables()
        seconds = []
        for number in range(self.size.cold + 1):
            each = Tenant(self.site)
            each.agent()
            each.person()
            policy = each.policy("", "wide_*", rowFilter=f"country IN (user_attr('countries')) AND amount > {number}", masks=[])
            self.site.told(policy, "Ready", "True")
            seconds += self.one_by_one([f"cold-{number}"], self.watch, each)
            self.release([f"cold-{number}"])
            self.site.remove(policy)
        first, *later = seconds
        measured = f"p50 {ms(percentile(later, 50))}, worst of {len(later)} {ms(max(later))}"
        yield Line("create to Ready, a new profile of 100 tables", measured, "p99 <= 250 ms", max(later) <= 0.25)
        yield Line("the first one, which switches row security on, too", ms(first), "reported", within=True)

    def lateness(self) -> Iterator[Line]:
        """Ten a second, made and ended: that is ten thousand live roles of a quarter of an hour each."""
        before = self.late()
        names = [f"late-{number}" for number in range(self.size.expiring)]
        for name in names:
            self.create(name, seconds=6)
            time.sleep(1 / 10)
        self.watch.gone(names)
        counted = {bound: count - before.get(bound, 0.0) for bound, count in self.late().items()}
        worst = min(bound for bound, count in counted.items() if count >= 0.99 * counted[float("inf")])
        measured = f"<= {worst * 1e3:.0f} ms of {counted[float('inf')]:.0f}"
        yield Line("from the time to live to the object's deletion, p99", measured, "<= 100 ms", worst <= 0.1)

    def burst(self) -> Iterator[Line]:
        names = [f"burst-{number}" for number in range(self.size.burst)]
        started = time.perf_counter()
        self.create_all(names)
        ended = max(self.watch.ready(names))
        roles = len(self.site.warehouse.roles())
        rate = len(names) / (ended - started)
        yield Line(f"{len(names)} at once: all Ready", f"in {ended - started:.1f} s, {rate:.0f}/s", "all, none lost", roles == len(names))
        started = time.perf_counter()
        self.release(names)
        rate = len(names) / (time.perf_counter() - started)
        left = len(self.site.warehouse.roles())
        yield Line(f"{len(names)} released at once: all gone", f"{rate:.0f}/s", "all, no orphan", left == 0)

    def many(self) -> Iterator[Line]:
        idle = self.resident()
        names = [f"many-{number}" for number in range(self.size.live)]
        self.create_all(names)
        self.watch.ready(names)
        after_vending = self.resident()
        self.site.operator.stop()
        started = time.perf_counter()
        self.site.start_operator(PRODUCTION)
        self.create("after-restart")
        (ready,) = self.watch.ready(["after-restart"])
        eventually(lambda: self.site.operator.probe("/healthz")[0] == 200)
        count = f"{len(names):,} live roles"
        yield Line(f"operator's memory with {count}", f"{after_vending:.0f} MB ({idle:.0f} before)", "<= 160 MB", after_vending <= 160)
        yield Line(f"the same after a restart with {count}", f"{self.resident():.0f} MB", "<= 160 MB", self.resident() <= 160)
        yield Line(f"process start to first vend with {count}", f"{ready - started:.1f} s", "<= 10 s", ready - started <= 10)
        self.release([*names, "after-restart"])

    def one_by_one(self, names: Sequence[str], watch: Watch, tenant: Tenant | None = None) -> list[float]:
        seconds = []
        for name in names:
            started = time.perf_counter()
            self.create(name, tenant=tenant)
            seconds.append(watch.ready([name])[0] - started)
        return seconds

    def create(self, name: str, *, seconds: int = 3600, tenant: Tenant | None = None, caller: Caller | None = None) -> None:
        of = tenant or self.tenant
        spec = {
            "agentRef": {"name": of.name},
            "user": of.user(),
            "platformRefs": [{"name": WAREHOUSE}],
            "expirationSeconds": seconds,
        }
        (caller or self.caller).call("POST", VENDED_ROLES, of.described("VendedRole", spec, name, AGENTS))

    def create_all(self, names: Sequence[str]) -> None:
        self.at_once(lambda caller, name: self.create(name, caller=caller), names)

    def release(self, names: Sequence[str]) -> None:
        self.at_once(lambda caller, name: caller.call("DELETE", f"{VENDED_ROLES}/{name}"), names)
        self.watch.gone(names)

    def at_once(self, work: Callable[[Caller, str], object], names: Sequence[str]) -> None:
        """From eight clients."""

        def some(share: Sequence[str]) -> None:
            caller = Caller(self.site.control_plane)
            for name in share:
                work(caller, name)

        with ThreadPoolExecutor(8) as clients:
            list(clients.map(some, [names[client::8] for client in range(8)]))

    def hundred_tables(self) -> None:
        for number in range(100):
            columns = "id bigint PRIMARY KEY, country text, amount numeric, note text"
            self.site.warehouse.ask(f"CREATE TABLE claims.wide_{number} ({columns})")
            self.site.warehouse.ask(f"ALTER TABLE claims.wide_{number} OWNER TO {OWNER}")
        everything = {"kind": "DataPlatform", "metadata": {"name": WAREHOUSE}}
        eventually(lambda: self.site.cluster.read(everything).body["status"]["tableCount"] >= 100, within=60)

    def late(self) -> dict[float, float]:
        """Upper bound in seconds -> how many deletions were no later."""
        prefix = 'rolevend_expiry_lateness_seconds_bucket{le="'
        lines = [line for line in self.site.operator.probe("/metrics")[1].splitlines() if line.startswith(prefix)]
        return {float(line.removeprefix(prefix).split('"')[0]): float(line.rpartition(" ")[2]) for line in lines}

    def resident(self) -> float:
        """Megabytes of memory that the operator has."""
        status = Path(f"/proc/{self.site.operator.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


def percentile(seconds: Sequence[float], percent: int) -> float:
    return sorted(seconds)[min(len(seconds) - 1, len(seconds) * percent // 100)]


def ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms"


def main() -> None:
    size = QUICK if "--quick" in sys.argv[1:] else FULL
    within = True
    with tempfile.TemporaryDirectory() as scratch, ControlPlane() as control_plane, Site(control_plane, Path(scratch)) as site:
        print("\nThe operator, with a Kubernetes API server and PostgreSQL 18")
        for line in Run(site, size).lines():
            within = within and line.within
            print(f"{'ok  ' if line.within else 'OVER'} {line.what:<62} {line.measured:<44} {line.budget}", flush=True)
    if not within:
        sys.exit(1)


if __name__ == "__main__":
    main()
