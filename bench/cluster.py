"""The base of measurements through Kubernetes: calls without a client's cost, a watch with times, and many VendedRoles."""

import http.client
import json
import os
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rolevend.kinds import API_VERSION
from rolevend.settings import Settings
from testbed.controlplane import ControlPlane
from tests.support.site import AGENTS, SETTINGS, WAREHOUSE, Site
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually

Body = dict[str, Any]

VENDED_ROLES = f"/apis/{API_VERSION}/namespaces/{AGENTS}/vendedroles"
PRODUCTION = {name: str(getattr(Settings.model_validate({}), name.lower())) for name in SETTINGS}
"""As the chart sets it, whatever tests are in a hurry with."""
PATIENCE = 300.0
IDLE = 20.0
AT_ONCE = 500


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
        """Since this version, until the server or `hang_up` ends it; what is too old ends at once."""
        self._connection.request("GET", f"{path}&watch=1&resourceVersion={version}")
        response = self._connection.getresponse()
        while line := response.readline():
            event = json.loads(line)
            if event["type"] == "ERROR":
                break
            yield event["type"], event["object"]

    def begin_anew(self) -> None:
        self._connection.close()

    def hang_up(self) -> None:
        """Ends `events`, from any thread."""
        if self._connection.sock is not None:
            self._connection.sock.shutdown(socket.SHUT_RDWR)


class Watch:
    """When each VendedRole was first seen to be Ready, and when it was last seen to be gone."""

    def __init__(
        self,
        control_plane: ControlPlane,
        seen: Callable[[str, Body], None] = lambda _type, _body: None,
        kind: str = "",
        label: str = "",
    ) -> None:
        """`kind` limits it to VendedRoles that were created as such, `label` to those that have it: other objects cost this process
        nothing."""
        selected = f"bench={kind}" if kind else label
        self._selector = f"labelSelector={quote(selected, safe='')}" if selected else ""
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
            try:
                for type_, body in self._caller.changes(f"{VENDED_ROLES}?{self._selector}", version):
                    self._note(type_, body)
                if not self._closed:
                    version = self._list()
            except (OSError, http.client.HTTPException):  # the server is busy; what is missed comes with the next listing
                self._caller.begin_anew()

    def _list(self) -> str:
        """The version to watch from."""
        listed = self._caller.call("GET", f"{VENDED_ROLES}?{self._selector}")
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


@dataclass(frozen=True)
class Asker:
    """On whose behalf a role is asked for, and where."""

    tenant: Tenant
    subject: str = "anna"
    platform: str = WAREHOUSE
    user: Body | None = None
    """Instead of the tenant's user `subject`."""
    agent: Body | None = None
    """Instead of the tenant's agent."""

    @property
    def handle(self) -> str:
        """Of the agent."""
        return str(self.agent["spec"]["handle"]) if self.agent else self.tenant.handle


class Fleet:
    """VendedRoles of one tenant, made and released by name, and the watch that tells when."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.tenant = Tenant(site)
        self.caller = Caller(site.control_plane)

    def begin(self) -> None:
        """The operator runs as in production, and what is created now is vended."""
        self.site.operator.stop()
        self.site.start_operator(PRODUCTION)
        self.site.wait_for_platform(WAREHOUSE)
        self.tenant.ready_to_ask()
        self.watch = Watch(self.site.control_plane)

    def end(self) -> None:
        self.watch.close()

    def create(
        self,
        name: str,
        *,
        seconds: int = 3600,
        asker: Asker | None = None,
        caller: Caller | None = None,
        kind: str = "one",
    ) -> None:
        by = asker or Asker(self.tenant)
        spec = {
            "agentRef": {"name": by.agent["metadata"]["name"] if by.agent else by.tenant.name},
            "user": by.user or by.tenant.user(by.subject),
            "platformRefs": [{"name": by.platform}],
            "expirationSeconds": seconds,
        }
        body = by.tenant.described("VendedRole", spec, name, AGENTS)
        body["metadata"]["labels"] = {"bench": kind}
        (caller or self.caller).call("POST", VENDED_ROLES, body)

    def create_all(self, names: Sequence[str], *, asker: Asker | None = None, kind: str = "one") -> None:
        self.at_once(lambda caller, name: self.create(name, asker=asker, caller=caller, kind=kind), names)

    def create_expiring(self, names: Sequence[str], per_second: int, first_at: int, kind: str = "one") -> None:
        """Create roles that expire at a rate of `per_second`, from `first_at` (Unix time) on: ages are whole seconds.

        A role that is created too late gets the minimum lifetime of five seconds."""
        ends_at = {name: first_at + place // per_second for place, name in enumerate(names)}

        def create(caller: Caller, name: str) -> None:
            self.create(name, seconds=max(5, ends_at[name] - int(time.time())), caller=caller, kind=kind)

        self.at_once(create, names)

    def live_on(self, names: Sequence[str]) -> None:
        """Makes them, and waits until all are Ready: not in one burst, which is more than this machine's API server takes."""
        for first in range(0, len(names), AT_ONCE):
            self.create_all(names[first : first + AT_ONCE])
            self.watch.ready(names[first : first + AT_ONCE])

    def one_by_one(self, names: Iterable[str], watch: Watch | None = None, asker: Asker | None = None) -> list[float]:
        """Seconds from the creation of each to its being Ready."""
        seconds = []
        for name in names:
            started = time.perf_counter()
            self.create(name, asker=asker)
            seconds.append((watch or self.watch).ready([name])[0] - started)
        return seconds

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

    def lateness(self) -> dict[float, float]:
        """Upper bound in seconds -> how many expired roles were ended no later, since the operator's start."""
        prefix = 'rolevend_expiry_lateness_seconds_bucket{le="'
        lines = [line for line in self.site.operator.probe("/metrics")[1].splitlines() if line.startswith(prefix)]
        return {float(line.removeprefix(prefix).split('"')[0]): float(line.rpartition(" ")[2]) for line in lines}

    def live(self) -> int:
        """How many roles the operator knows to be Ready."""
        lines = self.site.operator.probe("/metrics")[1].splitlines()
        return sum(int(float(line.rpartition(" ")[2])) for line in lines if line.startswith("rolevend_live_roles{"))

    def resident(self) -> float:
        """Megabytes of memory that the operator has."""
        status = Path(f"/proc/{self.site.operator.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def cpu_seconds(self) -> float:
        """Return the operator's CPU seconds since its start."""
        fields = Path(f"/proc/{self.site.operator.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def fresh_site(*, durable: bool = False) -> Iterator[Site]:
    """`durable`: etcd and the warehouse's database wait for the disk, as in production."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        ControlPlane(fsync=durable) as control_plane,
        Site(control_plane, Path(scratch)) as site,
    ):
        if durable:
            for name in ("fsync", "full_page_writes"):
                site.warehouse.ask(f"ALTER SYSTEM SET {name} = on")
            site.warehouse.ask("SELECT pg_reload_conf()")
            eventually(lambda: site.warehouse.ask("SHOW fsync") == [("on",)])
            site.warehouse.ask("CHECKPOINT")
        yield site
