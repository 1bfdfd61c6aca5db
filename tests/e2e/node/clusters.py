"""Which cluster the tests install rolevend on: one that is named, else one of kind, else a node of our own; else they fail.

Never the person's current context: these tests install, drain and uninstall.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, Self

from rolevend.policytools.embedded.errors import PartFailed, Unusable
from rolevend.policytools.embedded.ports import free_ports
from rolevend.policytools.embedded.progress import StepProgress
from testbed.binaries import Binaries, obtain
from tests.e2e.node.node import Node

KUBECONFIG, HOST = "ROLEVEND_E2E_KUBECONFIG", "ROLEVEND_E2E_HOST"
"""A cluster that is named, and the name or address by which its pods reach this machine."""
IMAGE, MCP_IMAGE = "ROLEVEND_E2E_IMAGE", "ROLEVEND_E2E_MCP_IMAGE"
"""The images that it can pull."""
PORTS = "ROLEVEND_E2E_PORTS"
"""Those of this machine that they reach, with a comma between; free ones if it is not set."""

_VARIABLES = {"rolevend": IMAGE, "rolevend-mcp": MCP_IMAGE}
"""By the last part of an image's name, as the documentation has it."""

_KIND = "rolevend-e2e"
_MINUTES = 600.0


class Cluster(Protocol):
    """A cluster that runs pods."""

    host: str
    """What its pods call this machine."""
    listen: str
    """The address of this machine that a server must listen on for them."""
    binaries: Binaries
    """With kubectl and helm."""

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""

    def provide(self, image: str, context: Path, dockerfile: str = "Dockerfile") -> str:
        """Has the cluster know `dockerfile`, a path in `context`, as `image`; the name that it really has there."""


def ports_for(count: int, environ: Mapping[str, str] = os.environ) -> tuple[int, ...]:
    """So many ports of this machine that pods reach; `Unusable` where others are named than that."""
    named = environ.get(PORTS)
    if not named:
        return free_ports(count)
    ports = [part.strip() for part in named.split(",")]
    if not len(ports) == len(set(ports)) == count or not all(part.isdecimal() and 0 < int(part) < 65_536 for part in ports):
        raise Unusable(f"{PORTS} is {named}: name {count} different ports of this machine that pods reach, with a comma between")
    return tuple(map(int, ports))


def choose(progress: StepProgress, ports: Sequence[int], environ: Mapping[str, str] = os.environ) -> AbstractContextManager[Cluster]:
    """Enter it to start it. `ports` are those of this machine that its pods need. `Unusable` says what is missing."""
    if environ.get(KUBECONFIG):
        return Named(progress, environ)
    lacking = []
    if not _answers("docker", "info"):
        lacking.append("a Docker that answers, with kind")
    elif shutil.which("kind") is None:
        lacking.append("kind (https://kind.sigs.k8s.io), beside the Docker that answers")
    else:
        return Kind(progress)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        lacking.append("root on Debian, where a node needs nothing else")
    if len(lacking) < 2:
        return Own(progress, exposed=ports)
    raise Unusable(f"there is no cluster to run pods on: name one in {KUBECONFIG}, or have {', or '.join(lacking)}")


class Own(Node):
    """A node of our own."""

    listen = "127.0.0.1"

    def provide(self, image: str, context: Path, dockerfile: str = "Dockerfile") -> str:
        super().provide(image, context, dockerfile)
        return image


class Named:
    """A cluster that somebody else looks after. The tests stop before they change anything where rolevend is installed already."""

    def __init__(self, progress: StepProgress, environ: Mapping[str, str]) -> None:
        missing = [name for name in (IMAGE, MCP_IMAGE, HOST) if not environ.get(name)]
        if missing:
            raise Unusable(
                f"{KUBECONFIG} names a cluster; {' and '.join(missing)} must say which images it can pull, and how pods reach us"
            )
        self.kubeconfig = Path(environ[KUBECONFIG]).resolve()
        if not self.kubeconfig.is_file():
            raise Unusable(f"{KUBECONFIG}: there is no file {self.kubeconfig}")
        self.host = environ[HOST]
        self.listen = "0.0.0.0"
        self._pushed = {variable: environ[variable] for variable in _VARIABLES.values()}
        self._progress = progress

    binaries: Binaries

    def __enter__(self) -> Self:
        self.binaries = obtain(("kubectl", "helm"), progress=self._progress)
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def provide(self, image: str, context: Path, dockerfile: str = "Dockerfile") -> str:
        """It was built and pushed before; the documentation's commands name its repository, and leave the tag to the chart."""
        repository, _, tag = image.rpartition(":")
        variable = _VARIABLES[repository.rpartition("/")[2]]
        pushed = self._pushed[variable]
        if not pushed.endswith(f":{tag}"):
            raise Unusable(f"{variable} is {pushed}: push it with the tag {tag}, which the chart asks for")
        return pushed


class Kind:
    """A cluster of kind, made for these tests and deleted afterwards."""

    def __init__(self, progress: StepProgress) -> None:
        self._progress = progress

    host: str
    listen: str
    kubeconfig: Path
    binaries: Binaries

    def __enter__(self) -> Self:
        self.binaries = obtain(("kubectl", "helm"), progress=self._progress)
        self._folder = TemporaryDirectory(prefix="rolevend-kind-")
        self.kubeconfig = Path(self._folder.name) / "kubeconfig"
        try:
            with self._progress.step("starting a cluster of kind"):
                self._delete()  # of a run that was killed
                _run("kind", "create", "cluster", "--name", _KIND, "--kubeconfig", str(self.kubeconfig), "--wait", "180s")
            networks = _run("docker", "network", "inspect", "kind", "--format", "{{range .IPAM.Config}}{{.Gateway}} {{end}}").split()
            # The machine, as the nodes' network knows it.
            self.host = self.listen = next(address for address in networks if "." in address)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._delete()
        self._folder.cleanup()

    def provide(self, image: str, context: Path, dockerfile: str = "Dockerfile") -> str:
        with self._progress.step(f"building the image {image}"):
            _run("docker", "build", "--tag", image, "--file", str(context / dockerfile), str(context))
            _run("kind", "load", "docker-image", image, "--name", _KIND)
        return image

    def _delete(self) -> None:
        _run("kind", "delete", "cluster", "--name", _KIND)


def _answers(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _run(*command: str) -> str:
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_MINUTES)
    if answer.returncode != 0:
        raise PartFailed(f"{' '.join(command)}: {answer.stderr.strip()}")
    return answer.stdout
