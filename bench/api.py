"""The HTTP API beside OpenBao's PostgreSQL secrets engine: `python -m bench.api [--quick] [--no-ledger]`.

Both answer over HTTP without TLS, on one server of PostgreSQL 17 in one run, in alternating rounds; PostgreSQL, etcd and OpenBao wait for
their disks. The API runs as two replicas, as the chart installs it, because a Python process uses one core. OpenBao is one server, which
uses all cores: of a cluster, only the active one issues. A connection stays with one replica, so a single client has one.

The API checks two tokens, decides, and writes audit events to a file with fsync; a release returns when the role was looked for and is
gone. The roles are of 200 users, and their profile is warm. OpenBao decides nothing, and writes its lease to its own disk; it revokes with
its default statements, which are slower than DROP ROLE alone.

The DataPlatform is the ledger (`spec.postgres.ledger: Enabled`): the record of a role is in its database. `--no-ledger` leaves the record
in etcd.
"""

import http.client
import itertools
import json
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import psycopg

from bench.cluster import PRODUCTION, VENDED_ROLES, Caller, fresh_site
from bench.driver import FEW
from bench.floors import bare_http, bare_sql
from bench.lines import Line, absolute, ms, p50, paced, percentile, plain, quick, reported, table
from bench.load import Load, Requests, request
from bench.meanwhile import PER_SECOND, PolicyChanges, Projections
from bench.openbao import AGAINST, ISSUING, Budget, Measured, at_once
from bench.peers import LEAST, READER, OpenBao
from bench.processes import Processes
from bench.rounds import DATABASE as SERVER
from bench.rounds import (
    PreparedPeer,
    Rounds,
    Turn,
    Turns,
    issued,
    merged,
    processor,
    processor_lines,
    revoked,
    rounds_compared,
    shown,
    together,
    used,
)
from rolevend.policytools.embedded.connection import logged_in
from rolevend.telemetry.timing import VendStep
from testbed.installation import ApiProcess
from tests.support.governed import DATABASE
from tests.support.installed import SYSTEM
from tests.support.proving import Proven
from tests.support.site import WAREHOUSE, Body, Site
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually

MANY = 4096
"""Iterations of SCRAM: the default of a DataPlatform."""
ALONE = Budget("p50 <= 1.5x", lambda _rate, middle, _worst: middle <= 1.5)
WITHOUT_LEDGER = {MANY: {1: ALONE}, FEW: {1: ALONE, 16: ISSUING, 64: ISSUING}}
"""Iterations of SCRAM -> clients -> budget of issuing, against OpenBao."""
WITH_LEDGER = {
    MANY: {
        1: Budget("p50 <= 1.1x", lambda _rate, middle, _worst: middle <= 1.1),
        16: Budget("rate >= 1x", lambda rate, _middle, _worst: rate >= 1.0),
    },
    FEW: {
        1: Budget("p50 <= 0.8x", lambda _rate, middle, _worst: middle <= 0.8),
        16: Budget("rate >= 1.3x", lambda rate, _middle, _worst: rate >= 1.3),
        64: ISSUING,
    },
}
PROJECTING = Budget("rate >= 1.2x", lambda rate, _middle, _worst: rate >= 1.2)
"""While roles that live on are written to Kubernetes."""
JUDGED = 16
"""Clients of the budgets in absolute time."""
VEND_PROCESSOR, RELEASE_PROCESSOR, RELEASES = 0.0035, 0.003, 400.0
"""Seconds of processor time of all processes for one call, and releases a second."""
FLOOR = 0.8
"""Of the rate at which the same API server takes an object and one patch of its status."""
BARE, RECORD = "a bare create and status patch", "the record alone: object, token's Lease, status"
"""The record is what each vend for a proven user has in the cluster, one write after the other, and OpenBao's issuing has not."""
FIRST_ROW = 1.5
COUNTS = {1: 100, 16: 640, 64: 1280}
"""Calls of each round, by clients."""
ROUNDS = 5
CHANGING = 16
"""Clients, beside whom policies change."""
USERS = 200
REPLICAS = 2
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
    """A peer of `bench.peers` and one of `bench.rounds`: agents that call the replicas, each over one connection that stays open."""

    name = "API"

    def __init__(self, proven: Proven, replicas: Sequence[ApiProcess], lifetime: int | None = None) -> None:
        """`lifetime` of a role in seconds; None: the default."""
        self._proven = proven
        self._lifetime = {} if lifetime is None else {"expirationSeconds": lifetime}
        self.replicas = replicas
        self._addresses = [urlsplit(each.url).netloc for each in replicas]
        self._next_address = itertools.cycle(self._addresses)
        self._headers: dict[str, str] = {"Authorization": f"Bearer {proven.token(proven.client, seconds=7200)}"}
        self._tokens: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._users = itertools.cycle(range(USERS))
        self._local = threading.local()

    def issuing(self, count: int) -> Requests:
        """Return so many requests for a role each, in turns for all users: signing tokens is the identity provider's work."""
        texts = [request("POST", _ROLES, self._headers, self._wanted(self._token())) for _ in range(count)]
        return Requests(self._addresses, 201, texts, "id")

    def revoking(self, leases: Sequence[str]) -> Requests:
        return Requests(self._addresses, 204, [request("DELETE", f"{_ROLES}/{lease}", self._headers) for lease in leases])

    def prepare(self, count: int) -> None:
        """Sign the tokens of so many calls of `issue`."""
        for _ in range(count):
            self._tokens.put(self._token())

    def issue(self, label: str) -> Body:  # noqa: ARG002
        return self.call("POST", _ROLES, self._wanted(self._tokens.get_nowait()), 201)

    def revoke(self, lease: Body) -> None:
        self.call("DELETE", f"{_ROLES}/{lease['id']}", None, 204)

    def revoke_all(self, leases: list[Body]) -> None:
        at_once(Measured(), 8, self.revoke, leases)

    def warm(self) -> None:
        """Wait until a role is vended; the profile is warm from then on."""

        def is_vended() -> bool:
            self.prepare(1)  # a call that fails takes its token, too
            self.revoke(self.issue("one"))
            return True

        eventually(is_vended)

    def _token(self) -> str:
        """Each proves one role."""
        return self._proven.token(f"user-{next(self._users)}", seconds=7200)

    def _wanted(self, token: str) -> Body:
        return {"userToken": token, "platforms": [WAREHOUSE], **self._lifetime}

    def call(self, method: str, path: str, body: Body | None, wanted: int) -> Any:
        if not hasattr(self._local, "connection"):
            self._local.connection = http.client.HTTPConnection(next(self._next_address), timeout=_LONGEST)
        connection: http.client.HTTPConnection = self._local.connection
        if time.monotonic() - getattr(self._local, "used_at", 0.0) > _IDLE:
            connection.close()  # the server may have done so already; the next request opens it again
        self._local.used_at = time.monotonic()
        headers = {**self._headers, "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read()
        assert response.status == wanted, f"the API answered {method} with {response.status}: {text.decode()}"
        return json.loads(text) if text else None


def lines() -> Iterator[Line]:
    load = Load()
    with fresh_site(durable=True) as site:
        site.operator.stop()
        settings = {**PRODUCTION, "AUDIT_FILE": str(_audit_file(site, "operator"))}
        site.start_operator(settings)
        ledger = set_ledger(site)
        yield reported("the record of a role", "in its database" if ledger else "in etcd")
        site.warehouse.ask(f"CREATE ROLE {READER}")
        site.warehouse.ask(f"GRANT CONNECT ON DATABASE {DATABASE} TO {READER}")
        proven = Proven(Tenant(site)).ready_to_ask()
        replicas = [_started(site, number) for number in range(REPLICAS)]
        try:
            for each in replicas:
                each.wait_until_ready()
            ours = Api(proven, replicas)
            yield memory(ours)
            with OpenBao(site.warehouse.superuser) as theirs:
                yield from Beside(site, ours, theirs, load, MANY, ledger).lines()
                site.patch({"kind": "DataPlatform", "metadata": {"name": WAREHOUSE}}, {"postgres": {"scramIterations": FEW}})
                site.wait_for_platform(WAREHOUSE)
                site.warehouse.ask(f"ALTER ROLE {site.warehouse.superuser.user} SET scram_iterations = {FEW}")
            with OpenBao(site.warehouse.superuser) as theirs:
                yield from Beside(site, ours, theirs, load, FEW, ledger).lines()
            yield reported("memory of one replica of the API after all of this", f"{_resident(ours):.0f} MB")
        finally:
            for each in replicas:
                each.kill()


def set_ledger(site: Site) -> bool:
    """Keep the records of roles in the warehouse's database, if its DataPlatform has such a field. Return True if it does so."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/dataplatforms.rolevend.dev"
    (version,) = site.cluster.call("GET", path).body["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    if "ledger" in spec["postgres"]["properties"] and "--no-ledger" not in sys.argv[1:]:
        for mode in ("Joining", "Enabled"):  # no token was used yet, which is why nothing has to expire in between
            site.patch({"kind": "DataPlatform", "metadata": {"name": WAREHOUSE}}, {"postgres": {"ledger": mode}})
            site.wait_for_platform(WAREHOUSE)
        return True
    site.wait_for_platform(WAREHOUSE)
    return False


def memory(ours: Api) -> Line:
    """Issue and release a minute's worth of roles as fast as possible. Each client holds one role at a time."""
    count = 100 if quick() else VENDS
    ours.warm()
    before, measured = _resident(ours), Measured()
    ours.prepare(count)
    at_once(measured, 16, lambda _: ours.revoke(ours.issue("one")), [""] * count)
    text = f"{before:.0f} MB before, {_resident(ours):.0f} MB after, at {measured.rate * 60:,.0f} a minute"
    return reported(f"memory of one replica of the API: {count:,} vends and releases", text)


class Beside:
    """Alternating rounds of the API and OpenBao, with so many iterations of SCRAM for both."""

    def __init__(self, site: Site, ours: Api, theirs: OpenBao, load: Load, iterations: int, ledger: bool) -> None:
        self._site, self._ours, self._theirs, self._load = site, ours, theirs, load
        self._iterations, self._ledger = iterations, ledger
        self._bare = Bare(site)
        self._floors: dict[int, Measured] = {}
        self._calls: dict[int, list[Body]] = {clients: [] for clients in BROKEN_DOWN}
        """Lines of the API's log, by clients."""
        database = int(site.warehouse.ask("SELECT pg_read_file('postmaster.pid')")[0][0].split()[0])
        others = {"operator": site.operator.process.pid, **site.control_plane.process_ids, SERVER: database, theirs.name: theirs.process_id}
        processes = {"API": [each.process.pid for each in ours.replicas], **{name: [each] for name, each in others.items()}}
        self._rounds = Rounds(load, Processes(processes), (ours, theirs), 2 if quick() else ROUNDS)

    def lines(self) -> Iterator[Line]:
        yield reported(f"with {self._iterations:,} SCRAM iterations, for both", "")
        self._ours.warm()
        turns: dict[int, Turns] = {}
        for clients in COUNTS:
            pace = plain()
            turns[clients] = self._run(clients)
            yield from self._compared(clients, turns[clients])
            if clients == JUDGED:
                yield self._least_revocation(turns[clients][0])
                yield from processor_lines(self._ours.name, f"c={clients}", turns[clients])
                if self._ledger and self._iterations == FEW:
                    yield from (paced(line, pace) for line in absolutes(f"c={clients}", turns[clients][0]))
        yield from self._while_policies_change()
        if self._ledger and self._iterations == FEW:
            yield from self._while_projecting()
        yield from where_the_time_goes(
            {clients: (self._calls[clients], merged(issued(turns[clients][0])).seconds) for clients in BROKEN_DOWN}
        )
        yield from bare_sql(self._site, self._iterations)
        if self._iterations == FEW:
            yield from bare_http(self._load, self._ours, turns[1][0][0].issued.size)
            yield against_bare(self._ours, self._bare)
            longer = p50(self._floors[1].seconds) - p50(merged(issued(turns[1][1])).seconds)
            yield first_rows(self._site, self._ours, self._theirs, None if self._ledger else longer)

    def _run(self, clients: int, meanwhile: Callable[[], AbstractContextManager[object]] | None = None) -> Turns:
        since: dict[Path, int] = {}
        self._rounds.processes.settle()

        def before(_: PreparedPeer) -> None:
            since.update((each.log, each.log.stat().st_size) for each in self._ours.replicas)

        def after(peer: PreparedPeer, turn: Turn) -> None:
            if peer is self._ours and clients in BROKEN_DOWN and meanwhile is None:
                count = len(turn.issued.seconds)
                self._calls[clients] += eventually(lambda: vends_since(since, count))

        return self._rounds.run(clients, _count(clients), meanwhile, before, after)

    def _compared(self, clients: int, turns: Turns) -> Iterator[Line]:
        floor, what, (ours, theirs) = Measured(), f"c={clients}", turns
        at_once(floor, clients, self._bare.record, [""] * (_count(clients) // 2))
        self._floors[clients] = floor
        yield from rounds_compared(
            "API", f"issue, {what}", issued(ours), issued(theirs), self._budget(clients), None if self._ledger else floor
        )
        yield reported(f"  {RECORD}", str(floor))
        yield from rounds_compared("API", f"revoke, {what}", revoked(ours), revoked(theirs))
        yield together("API", what, turns)

    def _least_revocation(self, ours: Sequence[Turn]) -> Line:
        """OpenBao's roles that are revoked with DROP ROLE alone, in one round."""
        leases = self._load.send(self._theirs.issuing(_count(JUDGED), LEAST), JUDGED)
        sent = self._load.send(self._theirs.revoking(leases.fields), JUDGED)
        ratio = median(turn.revoked.rate for turn in ours) / sent.rate
        return reported(f"  OpenBao, revoke with DROP ROLE alone, c={JUDGED}", f"{shown([sent])}; API at {ratio:.2f}x the rate")

    def _while_policies_change(self) -> Iterator[Line]:
        changing, what = PolicyChanges(self._site), f"c={CHANGING}, a policy changes each second"
        ours, theirs = self._run(CHANGING, changing.running)
        changing.verify()
        floor = None if self._ledger else self._floors[CHANGING]
        yield from rounds_compared("API", f"issue, {what}", issued(ours), issued(theirs), self._budget(CHANGING), floor)
        yield from rounds_compared("API", f"revoke, {what}", revoked(ours), revoked(theirs))
        times = (f"{used(processor(ours, part)) * 1e3:.2f}" for part in ("issuing", "revoking"))
        yield reported(f"  processor time of issue and revoke, {changing.changes} changes", f"{', '.join(times)} ms")

    def _while_projecting(self) -> Iterator[Line]:
        projections, what = Projections(self._site, self._load, self._ours), f"c={CHANGING}, {PER_SECOND} projections a second"
        try:
            ours, theirs = self._run(CHANGING, projections.running)
        finally:
            projections.close()
        yield from rounds_compared("API", f"issue, {what}", issued(ours), issued(theirs), PROJECTING)
        late = projections.late
        yield reported("  from the answer to the projection: p50, p99", f"{ms(p50(late))}, {ms(percentile(late, 99))} of {len(late)}")

    def _budget(self, clients: int) -> Budget | None:
        return (WITH_LEDGER if self._ledger else WITHOUT_LEDGER)[self._iterations].get(clients)


def absolutes(what: str, ours: Sequence[Turn]) -> Iterator[Line]:
    """The budgets in absolute time, of a machine with two cores of 2.6 GHz."""
    vend, release = used(processor(ours, "issuing")), used(processor(ours, "revoking"))
    rate = median(turn.revoked.rate for turn in ours)
    each = (
        absolute(f"API, issue, {what}: processor time", ms(vend), f"<= {ms(VEND_PROCESSOR)}", vend / VEND_PROCESSOR),
        absolute(f"API, revoke, {what}: processor time", ms(release), f"<= {ms(RELEASE_PROCESSOR)}", release / RELEASE_PROCESSOR),
        absolute(f"API, revoke, {what}: rate", f"{rate:.0f}/s", f">= {RELEASES:.0f}/s", RELEASES / rate),
    )
    yield from (line.judged_if(not quick()) for line in each)


def _count(clients: int) -> int:
    return max(COUNTS[clients] // 8, clients) if quick() else COUNTS[clients]


def vends_since(places: Mapping[Path, int], count: int) -> list[Body]:
    """Return the lines of so many calls that gave a role, which are behind these places in the logs of the replicas."""
    vends = []
    for log, place in places.items():
        with log.open("rb") as file:
            file.seek(place)
            lines = [json.loads(line) for line in file.read().splitlines() if b'"steps"' in line]
        vends += [line for line in lines if (line["path"], line["status"]) == (_ROLES, 201)]
    assert len(vends) == count, f"the API's logs tell of {len(vends)} of {count} vends"
    return vends


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


def first_rows(site: Site, ours: Api, theirs: OpenBao, longer: float | None) -> Line:
    """From the call to the first row that the role reads; OpenBao's own role reads nothing, and so asks for a constant. `longer` is by how
    many seconds the record in Kubernetes alone is above OpenBao's issuing; None: the record is in the database."""
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
    if line.within is False and longer is not None and p50(other) + longer > FIRST_ROW * p50(other):
        return replace(line, budget=f"reported; judged with a ledger: {line.budget}", within=None)
    return line


def _audit_file(site: Site, process: str) -> Path:
    """Return the file of its audit events, which it writes with fsync: OpenBao's record of a lease is on the disk, too."""
    return site.control_plane.directory / f"audit-{process}.ndjson"


def _started(site: Site, number: int) -> ApiProcess:
    """Start a replica of the API."""
    settings = {"PLATFORM_POLL_SECONDS": "15", "REQUEST_SECONDS": "15", "AUDIT_FILE": str(_audit_file(site, f"api-{number}"))}
    return site.start_api(settings)


def _resident(ours: Api) -> float:
    """Return the megabytes of the replica that has most."""
    return max(map(_of_process, ours.replicas))


def _of_process(api: ApiProcess) -> float:
    with open(f"/proc/{api.process.pid}/status") as file:
        return int(file.read().split("VmRSS:")[1].split()[0]) / 1024


if __name__ == "__main__":
    table("The HTTP API, beside OpenBao, with a Kubernetes API server and PostgreSQL 17", lines())
