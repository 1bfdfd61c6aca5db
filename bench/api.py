"""The HTTP API beside OpenBao's PostgreSQL secrets engine and the floor of the Kubernetes API: `python -m bench.api [--quick]`.

Both answer over HTTP without TLS, on one server of PostgreSQL 17 in one run (fsync is off there, for both). The API checks two tokens,
decides, writes audit events to a file with fsync, and has its record in etcd; a release returns when the role was looked for and is gone.
OpenBao decides nothing, and writes its lease to its own disk. Profiles are warm.
"""

import http.client
import itertools
import json
import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import psycopg

from bench.cluster import PRODUCTION, VENDED_ROLES, Caller, fresh_site
from bench.driver import FEW
from bench.lines import Line, ms, p50, percentile, quick, reported, table
from bench.openbao import AGAINST, ISSUING, Budget, Measured, at_once, compared
from bench.peers import READER, OpenBao
from rolevend.policytools.embedded.connection import logged_in
from rolevend.telemetry.timing import VendStep
from testbed.installation import ApiProcess
from tests.support.governed import DATABASE
from tests.support.installed import SYSTEM
from tests.support.proving import Proven
from tests.support.site import WAREHOUSE, Body, Site
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually

ALONE = Budget("p50 <= 1.5x", lambda _rate, middle, _worst: middle <= 1.5)
FLOOR = 0.8
"""Of the rate at which the same API server takes an object and one patch of its status."""
BARE, RECORD = "a bare create and status patch", "the record alone: object, token's Lease, status"
"""The record is what each vend for a proven user has in the cluster, one write after the other, and OpenBao's issuing has not."""
FIRST_ROW = 1.5
COUNTS = {1: 60, 16: 320, 64: 640}
PAIRS, PAIRED = 7, 160
"""Times that so many are issued, and so many written bare."""
BROKEN_DOWN = (1, 16)
"""Of so many clients at once it is said where their time goes."""
VENDS = 1_000
_ROLES = "/v1/vended-roles"
_numbers = itertools.count()
_LONGEST = 60.0
_IDLE = 3.0


class Api:
    """A peer of `bench.peers`: agents that call one replica, each over a connection that stays open."""

    name = "API"

    def __init__(self, proven: Proven, api: ApiProcess) -> None:
        self._proven = proven
        self.log = api.log
        address = urlsplit(api.url)
        self._where = str(address.hostname), int(address.port or 0)
        self._bearer = proven.token(proven.client, seconds=7200)
        self._tokens: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._local = threading.local()

    def prepare(self, count: int) -> None:
        """Tokens of the user, which proves one role each: signing them is the identity provider's work."""
        for _ in range(count):
            self._tokens.put(self._proven.token(seconds=7200))

    def issue(self, label: str) -> Body:  # noqa: ARG002
        return self._call("POST", _ROLES, {"userToken": self._tokens.get_nowait(), "platforms": [WAREHOUSE]}, 201)

    def revoke(self, lease: Body) -> None:
        self._call("DELETE", f"{_ROLES}/{lease['id']}", None, 204)

    def revoke_all(self, leases: list[Body]) -> None:
        at_once(Measured(), 8, self.revoke, leases)

    def _call(self, method: str, path: str, body: Body | None, wanted: int) -> Any:
        if not hasattr(self._local, "connection"):
            self._local.connection = http.client.HTTPConnection(*self._where, timeout=_LONGEST)
        connection: http.client.HTTPConnection = self._local.connection
        if time.monotonic() - getattr(self._local, "used_at", 0.0) > _IDLE:
            connection.close()  # the server may have done so already; the next request opens it again
        self._local.used_at = time.monotonic()
        headers = {"Authorization": f"Bearer {self._bearer}", "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read()
        assert response.status == wanted, f"the API answered {method} with {response.status}: {text.decode()}"
        return json.loads(text) if text else None


def lines() -> Iterator[Line]:
    with fresh_site() as site:
        site.operator.stop()
        site.start_operator({**PRODUCTION, "AUDIT_FILE": str(_audit_file(site, "operator"))})
        site.wait_for_platform(WAREHOUSE)
        site.warehouse.ask(f"CREATE ROLE {READER}")
        site.warehouse.ask(f"GRANT CONNECT ON DATABASE {DATABASE} TO {READER}")
        proven = Proven(Tenant(site)).ready_to_ask()
        settings = {"PLATFORM_POLL_SECONDS": "15", "REQUEST_SECONDS": "15", "AUDIT_FILE": str(_audit_file(site, "api"))}
        api = site.start_api(settings)
        try:
            api.wait_until_ready()
            yield memory(Api(proven, api), api)
            with OpenBao(site.warehouse.superuser) as theirs:
                yield from beside(site, Api(proven, api), theirs, 4096, {1: ALONE})
                site.patch({"kind": "DataPlatform", "metadata": {"name": WAREHOUSE}}, {"postgres": {"scramIterations": FEW}})
                site.wait_for_platform(WAREHOUSE)
                site.warehouse.ask(f"ALTER ROLE {site.warehouse.superuser.user} SET scram_iterations = {FEW}")
            with OpenBao(site.warehouse.superuser) as theirs:
                yield from beside(site, Api(proven, api), theirs, FEW, {1: ALONE, 16: ISSUING, 64: ISSUING})
            yield reported("memory of the API after all of this", f"{_resident(api):.0f} MB")
        finally:
            api.kill()


def memory(ours: Api, api: ApiProcess) -> Line:
    """Issue and release a minute's worth of roles as fast as possible. Each client holds one role at a time."""
    count = 100 if quick() else VENDS
    ours.prepare(4)
    eventually(lambda: ours.revoke(ours.issue("one")) is None)
    before, measured = _resident(api), Measured()
    ours.prepare(count)
    at_once(measured, 16, lambda _: ours.revoke(ours.issue("one")), [""] * count)
    text = f"{before:.0f} MB before, {_resident(api):.0f} MB after, at {measured.rate * 60:,.0f} a minute"
    return reported(f"memory of the API: {count:,} vends and releases", text)


def beside(site: Site, ours: Api, theirs: OpenBao, iterations: int, budgets: dict[int, Budget]) -> Iterator[Line]:
    yield reported(f"with {iterations:,} SCRAM iterations, for both", "")
    ours.prepare(4)
    eventually(lambda: ours.revoke(ours.issue("one")) is None)  # the profile is warm from then on
    bare, asked, calls = Bare(site), {}, {}
    floors = {}
    for clients, count in COUNTS.items():
        count = count // 4 if quick() else count
        issued, revoked = [Measured(), Measured()], [Measured(), Measured()]
        for place, peer in enumerate((ours, theirs)):
            ours.prepare(clients + count)
            warm = at_once(Measured(), clients, peer.issue, ["one"] * clients)
            at_once(Measured(), clients, peer.revoke, warm)
            since = ours.log.stat().st_size
            leases = at_once(issued[place], clients, peer.issue, ["one"] * count)
            if peer is ours:
                calls[clients] = eventually(lambda since=since, count=count: vends_since(ours.log, since, count))
            at_once(revoked[place], clients, peer.revoke, leases)
        asked[clients], floors[clients] = issued, Measured()
        at_once(floors[clients], clients, bare.record, [""] * count)
        yield from compared(ours.name, f"issue, c={clients}", issued, budgets.get(clients), (RECORD, floors[clients]))
        yield reported(f"  {RECORD}", str(floors[clients]))
        yield from compared(ours.name, f"revoke, c={clients}", revoked)
    yield from where_the_time_goes({clients: (calls[clients], asked[clients][0].seconds) for clients in BROKEN_DOWN})
    if iterations == FEW:
        yield against_bare(ours, bare)
        yield first_rows(site, ours, theirs, p50(floors[1].seconds) - p50(asked[1][1].seconds))


def vends_since(log: Path, offset: int, count: int) -> list[Body]:
    """The lines of the last so many calls that gave a role, which must have begun behind this place in the API's log."""
    with log.open("rb") as file:
        file.seek(offset)
        lines = [json.loads(line) for line in file.read().splitlines() if b'"steps"' in line]
    vends = [line for line in lines if (line["path"], line["status"]) == (_ROLES, 201)]
    assert len(vends) >= count, f"the API's log tells of {len(vends)} of {count} vends"
    return vends[-count:]


def where_the_time_goes(clients: dict[int, tuple[list[Body], list[float]]]) -> Iterator[Line]:
    """The lines of the API's log, and the seconds that the same calls took their callers. p50 of each step, and its part of the p50s of
    all: by the API's own clock, but for the way."""
    parts = {number: _parts(*each) for number, each in clients.items()}
    yield reported("where the time of issuing goes: p50, and part of all", ", ".join(f"c={number}" for number in parts))
    for name in dict.fromkeys(name for each in parts.values() for name in each):
        texts = [f"{ms(each.get(name, 0.0)):>8} {each.get(name, 0.0) / sum(each.values()):4.0%}" for each in parts.values()]
        yield reported(f"  {name}", ", ".join(texts))


def _parts(calls: list[Body], asked: list[float]) -> dict[str, float]:
    steps = [step for step in VendStep if any(step in call["steps"] for call in calls)]
    taken = {step.value: p50([call["steps"].get(step, 0.0) for call in calls]) for step in steps}
    rest = p50([call["seconds"] - sum(call["steps"].values()) for call in calls])
    way = p50(asked) - p50([call["seconds"] for call in calls])
    return {**taken, "the rest of the call: HTTP, JSON": rest, "the way there and back, and waiting to be read": way}


def against_bare(ours: Api, bare: "Bare") -> Line:
    """One right after the other, again and again: the API server is a tenth faster or slower from one minute to the next."""
    pairs: list[tuple[float, float]] = []
    for _ in range(1 if quick() else PAIRS):
        issued, floor = Measured(), Measured()
        ours.prepare(PAIRED)
        leases = at_once(issued, 16, ours.issue, ["one"] * PAIRED)
        at_once(floor, 16, bare.issue, [""] * PAIRED)
        ours.revoke_all(leases)
        pairs.append((issued.rate, floor.rate))
    ratio = median(mine / alone for mine, alone in pairs)
    mine, alone = (f"{median(rates):.0f}/s" for rates in zip(*pairs, strict=True))
    text = f"{mine} against {alone}: {ratio:.2f}x, median of {len(pairs)} pairs"
    return Line(f"issue, c=16, against {BARE}", text, f">= {FLOOR:g}x", ratio >= FLOOR).judged_if(not quick())


class Bare:
    """Objects that nobody vends, since no agent is named so, each with one patch of its status."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._local = threading.local()

    def issue(self, label: str) -> None:
        """As the administrator, over one connection for each thread."""
        self._write(label, token=False)

    def record(self, label: str) -> None:
        """The same with a Lease in between."""
        self._write(label, token=True)

    def _write(self, _: str, *, token: bool) -> None:
        if not hasattr(self._local, "caller"):
            self._local.caller = Caller(self._site.control_plane)
        caller: Caller = self._local.caller
        name = f"bare-{next(_numbers)}"
        spec = {
            "agentRef": {"name": "nobody"},
            "user": {"issuer": "bare", "subject": "bare"},
            "platformRefs": [{"name": "nowhere"}],
            "expirationSeconds": 3600,
        }
        body = {"apiVersion": "rolevend.dev/v1alpha1", "kind": "VendedRole", "metadata": {"name": name}, "spec": spec}
        caller.call("POST", VENDED_ROLES, body)
        if token:
            lease = {"metadata": {"name": name}, "spec": {"holderIdentity": name, "leaseDurationSeconds": 3600}}
            caller.call("POST", f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases", lease)
        status = {"status": {"roleName": "IMMUTA_VENDED_BARE"}}
        caller.call("PATCH", f"{VENDED_ROLES}/{name}/status", status, "application/merge-patch+json")


def first_rows(site: Site, ours: Api, theirs: OpenBao, longer: float) -> Line:
    """From the call to the first row that the role reads; OpenBao's own role reads nothing, and so asks for a constant. `longer` is by how
    many seconds the floor is above OpenBao's issuing."""
    ours.prepare(40)
    mine, other = [], []
    for _ in range(30):
        started = time.perf_counter()
        role = ours.issue("one")
        given = role["platforms"][0]["credential"]
        login = {"uri": given["uri"], "sslmode": given["sslmode"], **({"ca.crt": pem} if (pem := given.get("caCertificates")) else {})}
        with logged_in(login) as session:
            session.execute("SELECT person_id FROM people LIMIT 1").fetchall()
        mine.append(time.perf_counter() - started)
        ours.revoke(role)
        started = time.perf_counter()
        lease = theirs.credentials("one")
        where = site.warehouse.superuser
        with psycopg.connect(f"{where.to_database(where.database).dsn}", user=lease["username"], password=lease["password"]) as session:
            session.execute("SELECT 1").fetchall()
        other.append(time.perf_counter() - started)
    ratio = p50(mine) / p50(other)
    text = f"p50 {ms(p50(mine))} against {ms(p50(other))}, p99 {ms(percentile(mine, 99))}: {ratio:.2f}x"
    line = Line(f"from the call to the first row{AGAINST}", text, f"<= {FIRST_ROW:g}x", ratio <= FIRST_ROW).judged_if(not quick())
    beyond = not line.within and p50(other) + longer > FIRST_ROW * p50(other)
    return line.out_of_reach(RECORD) if beyond else line


def _audit_file(site: Site, process: str) -> Path:
    """Return the file of its audit events, which it writes with fsync: OpenBao's record of a lease is on the disk, too."""
    return site.control_plane.directory / f"audit-{process}.ndjson"


def _resident(api: ApiProcess) -> float:
    with open(f"/proc/{api.process.pid}/status") as file:
        return int(file.read().split("VmRSS:")[1].split()[0]) / 1024


if __name__ == "__main__":
    table("The HTTP API, beside OpenBao, with a Kubernetes API server and PostgreSQL 17", lines())
