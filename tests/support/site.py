"""rolevend installed on real parts and running, for tests of the operator: the chart, two databases, two DataPlatforms.

The operator is a process with the rights of the chart's ServiceAccount. `warehouse` is never stopped; `annex` is for faults, and its
administrator is no superuser.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import yaml

from rolevend.kinds import API_VERSION
from rolevend.platforms.protocol import InstallMode
from rolevend.policytools.embedded.process import Program
from testbed.controlplane import ControlPlane
from testbed.installation import (
    NAMESPACE,
    SERVICE_ACCOUNT,
    ApiProcess,
    ConsoleProcess,
    Installation,
    OperatorProcess,
    Start,
    postgres_address,
)
from tests.support.gateway import Gateway
from tests.support.governed import DATABASE, SCHEMA, Governed
from tests.support.installed import Answer, Cluster
from tests.support.waiting import DEADLINE, eventually

Body = dict[str, Any]
_NOTHING: Mapping[str, str] = MappingProxyType({})

AGENTS, UNADMITTED, DOOMED, BOUNDED = "claims-agents", "strangers", "doomed", "bounded"
"""Namespaces of agents: admitted by both platforms, by none, one that a test deletes, and one whose roles have tight limits."""
DOMAIN, NOBODY = "domain-claims", "domain-of-nothing"
"""Namespaces of policy: the one that owns the schema, and one that owns none."""
WAREHOUSE, ANNEX = "warehouse", "annex"

SETTINGS: Final = {
    "PLATFORM_POLL_SECONDS": "2",
    "PLATFORM_RETRY_SECONDS": "0.5",
    "SWEEP_SECONDS": "2",
    "ATTEST_RETRY_SECONDS": "0.5",
    "CURB_SECONDS": "1",
    "ORPHAN_GRACE_SECONDS": "1",
    "DEAF_AFTER_SECONDS": "3",
    "REQUEST_SECONDS": "3",
    "LEADERSHIP_SECONDS": "60",
}
"""A leader stays one through whatever a test does to the API server; started again, it is the same pod, and leads at once."""

_OF_PEOPLE: Final = ("people-ca", "people-login", "staff-ca")
"""Of identity providers at which people log in: their authorities, and the secret of our client."""
SCIM_SECRET: Final = "scim-of-people"
"""The Secret with the tokens of an identity provider that pushes users."""
_WITH_THE_API: Final = {
    "api.enabled": "true",
    "api.tls.mode": "Generated",
    "api.scim": "true",
    "api.signals": "true",
    "api.secretNames": "{"
    + ",".join(
        [SCIM_SECRET, *(f"{name}-{part}" for name in ("warehouse", "annex", "proxied", "lake") for part in ("vendor", "ca")), *_OF_PEOPLE]
    )
    + "}",
    "console.enabled": "true",
    "console.url": "https://console.example.org",
    "console.identityProvider": "staff",
    "console.clientID": "rolevend-console",
    "console.tlsSecretName": "console-tls",
    "console.impersonation": "Constrained",
    "console.groups": "{staff:auditors}",
    "console.secretNames": "{staff-ca,warehouse-observer,warehouse-ca}",
}
"""Their rights alone matter here, since no pod runs."""
API_SETTINGS: Final = {"PLATFORM_POLL_SECONDS": "2", "PLATFORM_RETRY_SECONDS": "0.5", "REQUEST_SECONDS": "3"}


def _logins(platform: str) -> tuple[str, ...]:
    return ("programmer", "vendor", *(["observer"] if platform == WAREHOUSE else []))


def data_platform(name: str, database: Governed, **spec: Any) -> Body:
    return {
        "apiVersion": API_VERSION,
        "kind": "DataPlatform",
        "metadata": {"name": name},
        "spec": {
            "postgres": {**postgres_address(name, database.superuser), "database": DATABASE},
            "credentials": {f"{each}SecretRef": {"name": f"{name}-{each}"} for each in _logins(name)},
            "domains": [{"namespace": DOMAIN, "schemas": [SCHEMA]}],
            "agents": [
                {
                    "namespaceSelector": {"matchLabels": {"team": "claims"}},
                    "assertions": ["Trusted", "TokenRequired"],
                    "maxExpirationSeconds": 3600,
                    "maxLiveRoles": 100_000,
                    "widestCombination": "Union",
                    "attributes": [{"key": "team", "values": ["claims"]}],
                    "purposes": ["fraud-review", "reporting"],
                },
                {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": BOUNDED}},
                    "assertions": ["Trusted"],
                    "roleLimits": {"maxConnections": 2, "maxTransactionSeconds": 5, "idleReleaseSeconds": 60},
                },
            ],
            **spec,
        },
    }


class Site:
    """Use as ``with Site(…) as site:``."""

    def __init__(self, control_plane: ControlPlane, directory: Path, start: Start = Program.start) -> None:
        self.control_plane = control_plane
        self.start = start
        """Starts the programs of rolevend."""
        self._ends = ExitStack()
        self.cluster = Cluster(control_plane)
        self.warehouse, self.annex = Governed(), Governed(InstallMode.MANAGED)
        self._databases = {WAREHOUSE: self.warehouse, ANNEX: self.annex}
        self.issued: set[str] = set()
        """Every password that a test has seen."""
        self._directory = directory
        self._installation = Installation(control_plane, directory, start)
        self._starts = 0
        self._ends.callback(self.cluster.close)

    operator: OperatorProcess

    def __enter__(self) -> "Site":
        try:
            with ThreadPoolExecutor(2) as threads:
                list(threads.map(lambda database: self._ends.enter_context(database), (self.warehouse, self.annex)))
            self._install()
        except BaseException:
            self._ends.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def manifest(self, platform: str) -> Path:
        """Of the DataPlatform, as it was installed."""
        return self._directory / f"{platform}.yaml"

    def database(self, platform: str) -> Governed:
        return self._databases[platform]

    def add_platform(self, name: str, database: Governed, port: int) -> None:
        """One more, which the operator reaches without TLS at this port of 127.0.0.1, by a proxy that reads along."""
        database.ask("COPY (SELECT 'hostnossl all all 127.0.0.1/32 scram-sha-256') TO PROGRAM 'cat >> pg_hba.conf'")
        database.ask("SELECT pg_reload_conf()")
        self._databases[name] = database
        self._prepare(name)
        body = data_platform(name, database)
        body["spec"]["postgres"] |= {"host": "127.0.0.1", "port": port, "tls": {"mode": "Disable"}}
        self.apply(body)

    def start_operator(self, settings: Mapping[str, str] = _NOTHING, *, wait: bool = True, url: str = "") -> None:
        """As the chart's ServiceAccount; the one before must have been ended. `url` is another way to the API server."""
        self.operator = self._start(url or self.control_plane.url, settings)
        if wait:
            self.operator.wait_until_ready()

    def start_operator_behind_gateway(self) -> Gateway:
        """Start it anew with a way to the API server that can be frozen, until the next start."""
        self.operator.stop()
        gateway = self._gateway()
        self.start_operator(url=gateway.url)
        return gateway

    def ensure_operator(self) -> None:
        """Start it if the test before left none running."""
        if not self.operator.process.running:
            self.start_operator()

    def start_replica(
        self, pod: str, settings: Mapping[str, str] = _NOTHING, preload: Mapping[str, str] = _NOTHING
    ) -> tuple[OperatorProcess, Gateway]:
        """Another one beside it, with a way to the API server of its own."""
        gateway = self._gateway()
        return self._start(gateway.url, {"POD_NAME": pod, **settings}, preload), gateway

    def _gateway(self) -> Gateway:
        gateway = Gateway(self.control_plane.server.host, self.control_plane.server.port)
        self._ends.callback(gateway.close)
        return gateway

    def _start(self, url: str, settings: Mapping[str, str], preload: Mapping[str, str] = _NOTHING) -> OperatorProcess:
        text = self.control_plane.service_account_kubeconfig(NAMESPACE, SERVICE_ACCOUNT, self._directory).read_text()
        self._starts += 1
        kubeconfig = self._directory / f"operator-{self._starts}.kubeconfig"
        kubeconfig.write_text(text.replace(self.control_plane.url, url))
        log = self._directory / f"operator-{self._starts}.log"
        start = Program.start if preload else self.start  # the dynamic loader reads its variables once
        operator = OperatorProcess(kubeconfig, log, {**SETTINGS, **settings}, start, preload)
        self._ends.callback(operator.kill)
        return operator

    def start_api(self, settings: Mapping[str, str] = _NOTHING, url: str = "") -> ApiProcess:
        """A replica of the API, which the caller ends. `url` is another way to the API server."""
        return self._installation.api({**API_SETTINGS, **settings}, url)

    def start_console(self, settings: Mapping[str, str]) -> ConsoleProcess:
        """A replica of the console, which the caller ends."""
        return self._installation.console(settings)

    @property
    def logs(self) -> list[Path]:
        """Of every operator that ran here."""
        return [self._directory / f"operator-{number}.log" for number in range(1, self._starts + 1)]

    def apply(self, body: Body) -> Body:
        """Makes the object as the administrator; an error if the API server refuses it."""
        answer = self.cluster.create(body)
        assert answer.ok, answer.message
        return answer.body

    def patch(self, body: Body, spec: Body) -> None:
        answer = self.cluster.patch(body, {"spec": spec})
        assert answer.ok, answer.message

    def remove(self, body: Body) -> None:
        answer = self.cluster.delete(body)
        assert answer.ok or answer.status == 404, answer.message

    def condition(self, body: Body, type_: str) -> Body:
        """The condition as the object has it now; without one, and for a stale one, an AssertionError."""
        now = self._now(body)
        found = [each for each in now.get("status", {}).get("conditions", []) if each["type"] == type_]
        assert found, f"{body['kind']} {body['metadata']['name']} has no condition {type_} yet"
        assert found[0]["observedGeneration"] == now["metadata"]["generation"], f"{type_} is about an older generation"
        return dict(found[0])

    def conditions(self, body: Body) -> dict[str, Body]:
        """By type, those about the object as it is now."""
        now = self._now(body)
        told = now.get("status", {}).get("conditions", [])
        return {each["type"]: each for each in told if each["observedGeneration"] == now["metadata"]["generation"]}

    def _now(self, body: Body) -> Body:
        answer = self.cluster.read(body)
        assert answer.ok, answer.message
        return answer.body

    def told(self, body: Body, type_: str, status: str, reason: str = "", within: float = DEADLINE) -> str:
        """Waits until the condition says so; its message."""

        def said() -> Body:
            condition = self.condition(body, type_)
            assert condition["status"] == status, condition
            assert not reason or condition["reason"] == reason, condition
            return condition

        return str(eventually(said, within=within)["message"])

    def wait_for_platform(self, name: str, status: str = "True", reason: str = "") -> str:
        """For long: an attestation comes before the first vend, and takes its time on a busy machine."""
        return self.told({"kind": "DataPlatform", "metadata": {"name": name}}, "Ready", status, reason, within=300)

    def annex_in_order(self) -> Iterator[Governed]:
        """For a fixture: the platform for faults, in order before the test, and in order again after it."""
        self.wait_for_platform(ANNEX)
        yield self.annex
        self.annex.server.start()
        self.wait_for_platform(ANNEX)

    def events(self, namespace: str, name: str) -> set[tuple[str, str]]:
        """(reason, message) of the Kubernetes Events about the object of this name."""
        listed = self.cluster.call("GET", f"/api/v1/namespaces/{namespace}/events?fieldSelector=involvedObject.name={name}")
        return {(each["reason"], each["message"]) for each in listed.body["items"]}

    def secret(self, namespace: str, name: str) -> Answer:
        return self.cluster.call("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}")

    def put_secret(self, namespace: str, name: str, **values: str) -> None:
        """Makes it, or replaces what it says."""
        metadata = {"name": name, "namespace": namespace}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values}
        self.cluster.call("DELETE", f"/api/v1/namespaces/{namespace}/secrets/{name}")
        answer = self.cluster.call("POST", f"/api/v1/namespaces/{namespace}/secrets", body)
        assert answer.ok, answer.message

    def text_of(self, secret: Answer) -> dict[str, str]:
        texts = {key: base64.b64decode(value).decode() for key, value in secret.body["data"].items()}
        self.issued |= {text for key, text in texts.items() if key == "password"}
        return texts

    def start_api_server(self) -> None:
        """After it was stopped; it answers before it knows all definitions and admission policies again."""
        self.cluster.close()
        self.control_plane.start_api_server()
        eventually(self._finalizers_are_stamped)

    def metric(self, name: str, **labels: str) -> float:
        """0 where it was not counted yet. Waits for an operator that does not answer: no answer would look like 0."""

        def answered() -> str:
            status, text = self.operator.probe("/metrics")
            assert status == 200, f"no metrics: {status} {text}"
            return text

        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        for line in eventually(answered).splitlines():
            sample, _, value = line.rpartition(" ")
            metric, _, text = sample.partition("{")
            if metric == name and wanted <= set(text.rstrip("}").split(",")):
                return float(value)
        return 0.0

    def is_healthy(self) -> bool:
        """What the kubelet would act on: a busy machine may make it False for a moment."""
        return self.operator.probe("/healthz") == (200, "ok")

    def log_lines(self) -> list[Body]:
        """Those that are whole: an operator may be writing one, or was killed while it did."""
        lines = (line for log in self.logs for line in log.read_text().splitlines(keepends=True))
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def _install(self) -> None:
        for name, labels in (
            (AGENTS, {"team": "claims"}),
            (DOOMED, {"team": "claims"}),
            (BOUNDED, {}),
            (UNADMITTED, {}),
            (DOMAIN, {}),
            (NOBODY, {}),
        ):
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
            assert self.cluster.call("POST", "/api/v1/namespaces", namespace).ok
        self._installation.chart([AGENTS, DOOMED, UNADMITTED, BOUNDED], _WITH_THE_API)
        self.cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=120s")
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(self._prepare, (WAREHOUSE, ANNEX)))
        for name in (WAREHOUSE, ANNEX):
            self.apply(data_platform(name, self.database(name)))
            for login in _logins(name):
                self.text_of(self.secret(NAMESPACE, f"{name}-{login}"))
        eventually(self._finalizers_are_stamped)
        self.start_operator()
        for name in (WAREHOUSE, ANNEX):
            self.wait_for_platform(name)

    def _prepare(self, name: str) -> None:
        database = self.database(name)
        manifest = self.manifest(name)
        manifest.write_text(yaml.safe_dump(data_platform(name, database)))
        self._installation.platform(manifest, database.administrator)

    def _finalizers_are_stamped(self) -> bool:
        """The API server takes up new admission policies a moment after they were made."""
        probe = {
            "apiVersion": API_VERSION,
            "kind": "VendedRole",
            "metadata": {"name": "probe", "namespace": AGENTS},
            "spec": {"agentRef": {"name": "probe"}, "user": {"issuer": "probe", "subject": "probe"}, "platformRefs": [{"name": "probe"}]},
        }
        return bool(self.cluster.create(probe, dry_run=True).body.get("metadata", {}).get("finalizers"))
