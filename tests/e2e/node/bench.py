"""What the tests of a node do: commands as a person types them, the agent's requests, and looks into the database."""

import base64
import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import yaml

from demo.seed import Seed
from rolevend.policytools.embedded.connection import Connection, logged_in
from rolevend.policytools.embedded.database import PostgresServer
from rolevend.policytools.embedded.ports import HOST
from rolevend.policytools.embedded.progress import StepProgress
from testbed.installation import NAMESPACE, authority_secret, checkout, with_address
from tests.e2e.node.clusters import Cluster
from tests.support.waiting import eventually

IMAGE = "registry.example.org/rolevend"
MCP_IMAGE = f"{IMAGE}-mcp"
_MINUTES = 600.0
HELM = f"helm upgrade rolevend charts/rolevend --namespace {NAMESPACE} --reuse-values --wait --timeout 3m"
DEFINITIONS = "--selector=app.kubernetes.io/name=rolevend"
OPERATOR = "app.kubernetes.io/name=rolevend,app.kubernetes.io/component=operator"


class Bench:
    """`folder` becomes a checkout in which README's commands are typed. Pods reach `identity_port` of this machine, too."""

    def __init__(
        self,
        cluster: Cluster,
        database: PostgresServer,
        superuser: Connection,
        seed: Seed,
        identity_port: int,
        folder: Path,
        progress: StepProgress,
    ) -> None:
        self.cluster = cluster
        self.database = database
        self.superuser = superuser
        self.seed = seed
        self.identity_port = identity_port
        self._folder = folder
        self._progress = progress
        for name in ("charts", "examples"):
            shutil.copytree(checkout() / name, folder / name)
        # "Put your host there first", says the example.
        platform = folder / "examples" / "00-minimal" / "platform.yaml"
        platform.write_text(with_address(platform, replace(superuser, host=cluster.host)))

    def claim(self) -> None:
        """Has the cluster know the images, and makes rolevend's namespace: from then on the tests `leave`. An AssertionError, and nothing
        is made, where somebody has rolevend already."""
        version = yaml.safe_load((checkout() / "charts" / "rolevend" / "Chart.yaml").read_text())["appVersion"]
        self._image = self.cluster.provide(f"{IMAGE}:{version}", checkout())
        self._mcp_image = self.cluster.provide(f"{MCP_IMAGE}:{version}", checkout(), "clients/python/Dockerfile")
        job = self._folder / "examples" / "00-minimal" / "agent" / "job.yaml"
        job.write_text(job.read_text().replace(f"{IMAGE}:{version}", self._image))
        assert not self.get("crd", DEFINITIONS)["items"], "this cluster has definitions of rolevend, which these tests would delete"
        self.kubectl("create", "namespace", NAMESPACE)

    def install(self) -> None:
        """The five commands of README, in namespaces that take only restricted pods."""
        self.kubectl("label", "namespace", NAMESPACE, "default", "pod-security.kubernetes.io/enforce=restricted")
        assert self.superuser.authority is not None
        authority = f"--from-literal=ca.crt={self.superuser.authority}"
        self.kubectl("create", "secret", "generic", authority_secret("warehouse"), "--namespace", NAMESPACE, authority)
        commands = readme_commands()
        assert len(commands) == 5
        digest = "DIGEST"
        with self._progress.step("installing rolevend by the five commands of README"):
            for command in commands:
                said = self.type(command.replace("DIGEST", digest))
                if found := re.search(r"--accept (\S+)", said):
                    digest = found[1]

    def type(self, command: str) -> str:
        """What a command prints, typed into a shell in the checkout; an AssertionError if it fails."""
        answer = self.attempt(command)
        assert answer.returncode == 0, f"$ {command}\n{answer.stdout}"
        return answer.stdout

    def attempt(self, command: str) -> "subprocess.CompletedProcess[str]":
        command = command.replace(IMAGE, self._image.rpartition(":")[0])
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self._folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_MINUTES,
        )

    @property
    def image(self) -> str:
        """The image under test, by the name that the cluster has for it."""
        return self._image

    @property
    def mcp_image(self) -> str:
        """The same of the MCP server."""
        return self._mcp_image

    def write(self, file: str, text: str) -> None:
        """A file that commands are typed beside."""
        (self._folder / file).write_text(text)

    def kubectl(self, *arguments: str, standard_input: str | None = None) -> str:
        answer = subprocess.run(
            [self.cluster.binaries["kubectl"], *arguments],
            input=standard_input,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=_MINUTES,
        )
        assert answer.returncode == 0, f"kubectl {' '.join(arguments)}: {answer.stderr}"
        return answer.stdout

    def get(self, *arguments: str) -> Any:
        return yaml.safe_load(self.kubectl("get", *arguments, "--output=yaml"))

    def leave(self) -> None:
        """Takes away what the tests made beside rolevend, and what it leaves when it is uninstalled. No error if there is none. Where a
        test failed before rolevend was uninstalled, that, too, in whatever state it is."""
        release = f"rolevend --namespace {NAMESPACE}"
        if self.attempt(f"helm status {release}").returncode == 0:
            self.attempt(f"helm upgrade {release} charts/rolevend --reuse-values --set crds.keep=false")
            if self.attempt(f"helm uninstall {release} --timeout 3m").returncode != 0:
                self.attempt(f"helm uninstall {release} --no-hooks")
        self.kubectl("delete", "crd", DEFINITIONS, "--wait=false")
        eventually(self._has_no_definitions, within=180)
        self.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=180s")
        self.kubectl("label", "namespace", "default", "pod-security.kubernetes.io/enforce-")

    def _has_no_definitions(self) -> bool:
        """Helps those on that wait for objects whose finalizers nobody takes off any more."""
        definitions = self.get("crd", DEFINITIONS)["items"]
        for kind in (each["metadata"]["name"] for each in definitions):
            for body in self.get(kind, "--all-namespaces")["items"]:
                place = body["metadata"]
                namespace = [f"--namespace={place['namespace']}"] if "namespace" in place else []
                self.kubectl("patch", kind, place["name"], *namespace, "--type=merge", '--patch={"metadata": {"finalizers": null}}')
        return not definitions

    def pods(self) -> list[dict[str, Any]]:
        """The operator's, with those that are about to end left out."""
        found = self.get("pods", "--namespace", NAMESPACE, "--selector", OPERATOR)["items"]
        return [each for each in found if not each["metadata"].get("deletionTimestamp")]

    def peers(self, pod: str) -> set[tuple[str, int]]:
        """Of its connections, as its kernel has them: `in` and our port, or `out` and theirs."""
        lines = self.kubectl("exec", "--namespace", NAMESPACE, pod, "--", "sh", "-c", "tail -qn +2 /proc/net/tcp /proc/net/tcp6")
        ends = [[int(end.rpartition(":")[2], 16) for end in line.split()[1:3]] for line in lines.splitlines()]
        listening = {here for here, there in ends if there == 0}
        return {("in", here) if here in listening else ("out", there) for here, there in ends if there != 0}

    def wait_for_operator(self) -> None:
        self.kubectl("rollout", "status", "deployment/rolevend", "--namespace", NAMESPACE, "--timeout=180s")

    def leader(self) -> str:
        """The pod that holds the Lease."""
        lease = self.get("lease", "rolevend-operator", "--namespace", NAMESPACE)
        holder = lease["spec"].get("holderIdentity") or ""
        return next((each["metadata"]["name"] for each in self.pods() if holder.startswith(each["metadata"]["name"])), "")

    def ask(self, name: str, seconds: int = 900) -> str:
        """A VendedRole, once it is Ready; the name of its role."""
        body = yaml.safe_load((self._folder / "examples" / "00-minimal" / "vended-role.yaml").read_text())
        body["metadata"]["name"] = name
        body["spec"]["expirationSeconds"] = seconds
        # The API server may take a moment to take up admission policies.
        eventually(lambda: self.kubectl("apply", "--filename=-", standard_input=yaml.safe_dump(body)), within=60)
        self.kubectl("wait", "--for=condition=Ready", f"vendedrole/{name}", "--timeout=120s")
        return str(self.get("vendedrole", name)["status"]["roleName"])

    @contextlib.contextmanager
    def forwarded(self, target: str, port: int, of_target: int) -> Iterator[None]:
        """This port of this machine leads to a pod of rolevend's namespace meanwhile."""
        command = [self.cluster.binaries["kubectl"], "port-forward", "--namespace", NAMESPACE, target, f"{port}:{of_target}"]
        with subprocess.Popen(command, env=self._environment(), stdout=subprocess.DEVNULL) as process:
            try:
                eventually(lambda: _listens(port))
                yield
            finally:
                process.terminate()

    @contextlib.contextmanager
    def session(self, name: str) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
        """Of this machine, with the login in the Secret of that VendedRole."""
        secret = self.get("secret", name)["data"]
        login = {key: base64.b64decode(value).decode() for key, value in secret.items()}
        with logged_in(login, host=self.superuser.host, connect_timeout=10) as connection:
            yield connection

    def roles(self, names: str = r"IMMUTA\_VENDED\_%") -> set[str]:
        """Every vended role that there is, or others whose names match."""
        with psycopg.connect(self.superuser.dsn, autocommit=True) as connection:
            rows = connection.execute("SELECT rolname::text FROM pg_roles WHERE rolname LIKE %s", [names]).fetchall()
        return {name for (name,) in rows}

    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join((self.cluster.binaries.search_path, str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
        home = {"HOME": str(self._folder), "KUBECONFIG": str(self.cluster.kubeconfig)}
        return {**os.environ, **home, "PATH": path, "ROLEVEND_ADMIN_DSN": self.superuser.dsn}


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port)).close()
    except OSError:
        return False
    return True


def readme_commands() -> list[str]:
    """The block of README's section about clusters that begins with helm."""
    _, _, section = (checkout() / "README.md").read_text().partition("\n## Install it on a cluster\n")
    blocks = re.findall(r"^```console\n(\$ helm install.*?)^```$", section.partition("\n## ")[0], re.MULTILINE | re.DOTALL)
    assert blocks, "README has no block of commands that begins with helm install"
    return [command.strip() for command in re.split(r"^\$ ", blocks[0].replace("\\\n", " "), flags=re.MULTILINE) if command.strip()]
