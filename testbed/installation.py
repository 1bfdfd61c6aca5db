"""Install rolevend as users do, on local servers: the chart by helm, the database by plan and consent, the operator as a process.

The local control plane runs no pods, so the operator is a child process with the token of the chart's ServiceAccount. It is never an
administrator.
"""

import http.client
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from rolevend.app.manifest import read_manifest
from rolevend.app.platform import install, plan
from rolevend.policytools.embedded.connection import Connection
from rolevend.policytools.embedded.errors import Unusable
from rolevend.policytools.embedded.ports import free_ports
from rolevend.policytools.embedded.process import Process, Program
from testbed.controlplane import ControlPlane

NAMESPACE = "rolevend-system"
SERVICE_ACCOUNT = "rolevend"
API_SERVICE_ACCOUNT = "rolevend-api"
CONSOLE_SERVICE_ACCOUNT = "rolevend-console"
_NOTHING: Mapping[str, str] = MappingProxyType({})
_STOP_SECONDS = 60.0

Start = Callable[[Program], Process]
"""Starts a program: `Program.start`, or a way of its own to the same."""


def checkout() -> Path:
    """Return the checkout of this package: the chart and the examples are not in the wheel."""
    root = Path(__file__).resolve().parents[1]
    if not (root / "charts" / "rolevend" / "Chart.yaml").is_file():
        raise Unusable("the demo needs a checkout of rolevend, with its chart and examples; clone the repository and run make demo there")
    return root


def with_address(manifest: Path, connection: Connection) -> str:
    """Return the manifest of a DataPlatform with the address and authority of a local server. Other platforms stay unchanged."""
    documents: list[dict[str, Any]] = list(yaml.safe_load_all(manifest.read_text()))
    for document in documents:
        if document.get("kind") == "DataPlatform" and "postgres" in document["spec"]:
            document["spec"]["postgres"] |= postgres_address(document["metadata"]["name"], connection)
    return yaml.safe_dump_all(documents, sort_keys=False)


def postgres_address(platform: str, connection: Connection) -> dict[str, Any]:
    """Return `spec.postgres`, also for a server without TLS."""
    tls = {"mode": "Disable"} if connection.authority is None else {"caSecretRef": {"name": authority_secret(platform)}}
    return {"host": connection.host, "port": connection.port, "tls": tls}


def authority_secret(platform: str) -> str:
    return f"{platform}-ca"


class Installation:
    """Installs rolevend on a control plane and a database. Each step is idempotent."""

    def __init__(self, control_plane: ControlPlane, directory: Path, start: Start = Program.start) -> None:
        """Files (kubeconfigs, manifests, the operator's log) are written to `directory`. `start` starts the programs of rolevend."""
        self._control_plane = control_plane
        self._directory = directory
        self._start = start
        directory.mkdir(parents=True, exist_ok=True)
        self._starts = 0

    def chart(self, agent_namespaces: Sequence[str], values: Mapping[str, str] | None = None) -> None:
        """Run `helm upgrade --install`. The namespaces must exist."""
        helm = self._control_plane.binaries["helm"]
        chosen = {"agentNamespaces": "{" + ",".join(agent_namespaces) + "}", **(values or {})}
        settings = [part for key, value in chosen.items() for part in ("--set", f"{key}={value}")]
        chart = checkout() / "charts" / "rolevend"
        command = (str(helm), "upgrade", "--install", "rolevend", str(chart), "--namespace", NAMESPACE, "--create-namespace", *settings)
        log = self._directory / "helm.log"
        Program("helm", command, log, environment={**self._control_plane.environment(), "HOME": str(self._directory)}).run(300)

    def platform(self, manifest: Path, administrator: Connection) -> None:
        """Plan, accept and install, and give the two logins and the server's authority to the operator. `manifest` has the right address
        already.
        """
        accepted = plan(manifest, administrator.dsn)
        secrets = install(manifest, administrator.dsn, accepted.digest, NAMESPACE)
        self._control_plane.kubectl("apply", "-f", "-", standard_input=secrets)
        if administrator.authority is not None:
            name = authority_secret(read_manifest(manifest).name)
            secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE}}
            body = yaml.safe_dump({**secret, "stringData": {"ca.crt": administrator.authority}})
            self._control_plane.kubectl("apply", "-f", "-", standard_input=body)

    def operator(self, settings: Mapping[str, str] | None = None) -> "OperatorProcess":
        """Start the operator as the chart's ServiceAccount. `settings` are names of `rolevend.settings` in upper case."""
        kubeconfig = self._control_plane.service_account_kubeconfig(NAMESPACE, SERVICE_ACCOUNT, self._directory)
        self._starts += 1
        return OperatorProcess(kubeconfig, self._directory / f"operator-{self._starts}.log", settings or {}, self._start)

    def api(self, settings: Mapping[str, str] | None = None, url: str = "") -> "ApiProcess":
        """Start an API replica as the chart's ServiceAccount for it. `url` overrides the API server's."""
        kubeconfig = self._control_plane.service_account_kubeconfig(NAMESPACE, API_SERVICE_ACCOUNT, self._directory)
        self._starts += 1
        if url:
            text = kubeconfig.read_text().replace(self._control_plane.url, url)
            kubeconfig = self._directory / f"api-{self._starts}.kubeconfig"
            kubeconfig.write_text(text)
        return ApiProcess(kubeconfig, self._directory / f"api-{self._starts}.log", settings or {}, self._start)

    def console(self, settings: Mapping[str, str]) -> "ConsoleProcess":
        """Start a replica of the console as the chart's ServiceAccount for it."""
        kubeconfig = self._control_plane.service_account_kubeconfig(NAMESPACE, CONSOLE_SERVICE_ACCOUNT, self._directory)
        self._starts += 1
        return ConsoleProcess(kubeconfig, self._directory / f"console-{self._starts}.log", settings, self._start)


class OperatorProcess:
    """`rolevend operator` as a child process."""

    subcommand = "operator"

    def __init__(
        self,
        kubeconfig: Path,
        log: Path,
        settings: Mapping[str, str],
        start: Start = Program.start,
        preload: Mapping[str, str] = _NOTHING,
    ) -> None:
        """`preload` has additional environment variables for the dynamic loader."""
        (self.port,) = free_ports(1)
        environment = {
            "PATH": "/usr/bin:/bin",
            "ROLEVEND_PROBE_HOST": "127.0.0.1",
            "ROLEVEND_PROBE_PORT": str(self.port),
            "ROLEVEND_POD_NAME": "rolevend-0",
            **{f"ROLEVEND_{key}": value for key, value in settings.items()},
            **preload,
        }
        command = (sys.executable, "-m", "rolevend", self.subcommand, "--kubeconfig", str(kubeconfig), "--namespace", NAMESPACE)
        self.log = log
        self.process: Process = start(Program(f"rolevend {self.subcommand}", command, log, environment=environment))

    def wait_until_ready(self, timeout: float = 180.0) -> None:
        self.process.wait_until(lambda: self.probe("/readyz")[0] == 200, timeout)

    def probe(self, path: str) -> tuple[int, str]:
        """Return status and text of `/healthz`, `/readyz` or `/metrics`; status 0 without a listener."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()

    def stop(self) -> None:
        """Stop it like a pod: SIGTERM, and time to finish."""
        self.process.stop(grace=_STOP_SECONDS)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.process.kill()


class ApiProcess(OperatorProcess):
    """`rolevend api` over plain HTTP on this machine."""

    subcommand = "api"

    def __init__(self, kubeconfig: Path, log: Path, settings: Mapping[str, str], start: Start = Program.start) -> None:
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        super().__init__(kubeconfig, log, {"API_HOST": "127.0.0.1", "API_PORT": str(port), **settings}, start)


class ConsoleProcess(OperatorProcess):
    """`rolevend console` on this machine."""

    subcommand = "console"

    def __init__(self, kubeconfig: Path, log: Path, settings: Mapping[str, str], start: Start = Program.start) -> None:
        super().__init__(kubeconfig, log, {"CONSOLE_HOST": "127.0.0.1", **settings}, start)
