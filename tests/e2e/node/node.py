"""A real node without Docker: kubelet, containerd, kube-proxy and CoreDNS beside the control plane, in namespaces of their own.

As root, on Debian. It needs a few Debian packages, which it installs. Of the machine nothing else is changed but a cgroup and empty
folders, which go when it ends. Whatever ends this process ends the node: the kernel sees to it. Then only files and the cgroup are
left, and `Node.clean` (which every start begins with) takes them away.
"""

import contextlib
import datetime
import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Self

from rolevend.policytools.embedded.certificates import CertificateAuthority, signing_key
from rolevend.policytools.embedded.errors import PartFailed, Unusable
from rolevend.policytools.embedded.ports import free_ports
from rolevend.policytools.embedded.process import Process, Program
from rolevend.policytools.embedded.progress import StepProgress
from testbed.binaries import PROGRAMS, Binaries, cache_folder, obtain
from testbed.gobuild import Module
from testbed.kubeconfig import ClientCertificate, Server, write_kubeconfig, write_private
from tests.e2e.node.configuration import GATEWAY, HOST_NAME, NAME, PODS, SERVICES, service_address, write_configuration
from tests.e2e.node.packages import install_packages

_HERE = Path(__file__).parent
_PROGRAMS = (*PROGRAMS, "kubelet", "kube-proxy", "kube-scheduler")
_OWN_PROGRAMS = ("coredns", "pause")
_LIFETIME = datetime.timedelta(days=30)
_READY_SECONDS = 180.0
_IMAGE_SECONDS = 900.0
_END_SECONDS = 20.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CGROUPS = Path("/sys/fs/cgroup")
_MOUNT_POINTS = (Path("/var/lib/kubelet"), Path("/var/lib/cni"))
"""Where kubelet and the network plugins keep what they know, whatever they are told."""


class Node:
    """Use as ``with Node(progress, exposed=[port]) as node:``. One at a time on a machine."""

    host = HOST_NAME
    """What pods call the machine. They reach its ports in `exposed`, and no other."""

    def __init__(self, progress: StepProgress, *, exposed: Sequence[int] = ()) -> None:
        self._progress = progress
        self._exposed = tuple(exposed)
        self._store = cache_folder() / "node"
        self._run = self._store / "run"
        self._processes: list[Process] = []
        self._lock: IO[str] | None = None

    binaries: Binaries

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self._run / "admin.kubeconfig"

    @property
    def logs(self) -> Path:
        return self._run / "log"

    def start(self) -> Self:
        """Returns when pods can run. `BenchError` says what is missing."""
        self._claim()
        try:
            install_packages(self._progress)
            self._obtain()
            self._pause_image()
            with self._progress.step("starting the node") as step:
                self._write()
                self._launch()
                self._wait(step.update)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Ends all of it and leaves no trace but what the next start is quicker by. No error if it never started."""
        while self._processes:
            self._processes.pop().kill()
        if self._lock is not None:
            self._remove()
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def provide(self, image: str, context: Path, dockerfile: str = "Dockerfile") -> None:
        """Builds `dockerfile`, a path in `context`, and has the node know it as `image`."""
        archive = self._store / "image.tar"
        with self._progress.step(f"building the image {image}"):
            try:
                self._images("build", image, str(context), str(archive), dockerfile)
                self.enter("ctr", "-n", "k8s.io", "images", "import", str(archive))
            finally:
                archive.unlink(missing_ok=True)

    def enter(self, *command: str) -> str:
        """What a command prints that is run on the node, as its root."""
        target = (self._run / "pid").read_text()
        answer = subprocess.run(
            ["nsenter", "--target", target, "--mount", "--net", "--pid", "--uts", "--ipc", "--", *command],
            env={"PATH": self._path},
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode != 0:
            raise PartFailed(f"{' '.join(command)} on the node: {answer.stderr.strip()}")
        return answer.stdout

    def clean(self) -> None:
        """Takes away what a node left whose process was killed; `Unusable` while one runs."""
        self._claim()
        self.stop()

    def _remove(self) -> None:
        for folder in _cgroups():
            _remove_cgroup(folder)
        for folder in _MOUNT_POINTS:
            with contextlib.suppress(OSError):  # it has something in it that is not ours
                folder.rmdir()
        shutil.rmtree(self._run, ignore_errors=True)

    def forget(self) -> None:
        """Removes the images, too."""
        self._images("forget")
        shutil.rmtree(self._store, ignore_errors=True)

    @property
    def _path(self) -> str:
        return os.pathsep.join((self.binaries.search_path, self._own.search_path, _PATH))

    def _claim(self) -> None:
        if os.geteuid() != 0:
            raise Unusable("a node needs root: it makes namespaces, mounts and network links")
        self._store.mkdir(parents=True, exist_ok=True)
        kind = subprocess.run(["stat", "--file-system", "--format=%T", self._store], capture_output=True, text=True, check=True).stdout
        if kind.strip() == "overlayfs":
            raise Unusable(f"{self._store} is on an overlayfs, on which container images cannot lie; set XDG_CACHE_HOME to another disk")
        lock = (self._store / "lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise Unusable(f"another node is running on this machine, and holds {self._store / 'lock'}") from None
        self._lock = lock
        self._remove()

    def _obtain(self) -> None:
        self.binaries = obtain(_PROGRAMS, progress=self._progress)
        self._own = obtain(_OWN_PROGRAMS, module=Module(_HERE / "go"), progress=self._progress)

    def _pause_image(self) -> None:
        self._pause = self._store / "pause.tar"
        if not self._pause.exists():
            with self._progress.step("making the image of a pod's namespaces"):
                self._images("pause", str(self._own["pause"]), str(self._pause))

    def _images(self, *arguments: str) -> None:
        log = self._store / "images.log"
        script = ("/usr/bin/unshare", "--mount", "bash", str(_HERE / "images.sh"), *arguments)
        # The person's own environment, with its proxies and its pyenv, since images are made from package registries.
        Program("images.sh", script, log, {**os.environ, "STORE": str(self._store)}).run(_IMAGE_SECONDS)

    def _write(self) -> None:
        """Keys, certificates, kubeconfigs and settings of all parts."""
        (port,) = free_ports(1)
        pki = self._run / "pki"
        for folder in (self._run, pki, self.logs):
            folder.mkdir(mode=0o700)
        authority = CertificateAuthority("rolevend-node", datetime.datetime.now(datetime.UTC), _LIFETIME)
        write_private(pki / "ca.crt", authority.certificate)
        write_private(pki / "service-accounts.key", signing_key())
        names = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
        for name, user, group, hosts in (
            ("kube-apiserver", "kube-apiserver", "system:masters", (*names, "127.0.0.1", GATEWAY, service_address(1))),
            ("kubelet", f"system:node:{NAME}", "system:nodes", (NAME, GATEWAY)),
            ("kube-controller-manager", "system:kube-controller-manager", None, ()),
            ("kube-scheduler", "system:kube-scheduler", None, ()),
            ("kube-proxy", "system:kube-proxy", None, ()),
            ("admin", "admin", "system:masters", ()),
        ):
            pair = authority.issue(user, organization=group, hosts=hosts)
            write_private(pki / f"{name}.crt", pair.certificate)
            write_private(pki / f"{name}.key", pair.key)
            folder = self._run if name == "admin" else pki
            write_kubeconfig(folder / f"{name}.kubeconfig", Server("127.0.0.1", port, authority.certificate), name, ClientCertificate(pair))
        self._port = port
        write_configuration(self._run)

    def _launch(self) -> None:
        for folder in (*_MOUNT_POINTS, *_cgroups()):
            folder.mkdir(parents=True, exist_ok=True)
        for name in ("cpus", "mems"):  # a new cpuset has none
            whole = _CGROUPS / "cpuset" / f"cpuset.{name}"
            if whole.exists():
                (_CGROUPS / "cpuset" / NAME / whole.name).write_text(whole.read_text())
        environment = {
            "PATH": self._path,
            "RUN": str(self._run),
            "NODE": NAME,
            "API_PORT": str(self._port),
            "EXPOSED": " ".join(map(str, self._exposed)),
            "GATEWAY": GATEWAY,
            "PODS": PODS,
            "SERVICES": SERVICES,
            "PAUSE": str(self._pause),
        }
        namespaces = ("--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc")
        init = ("/usr/bin/unshare", *namespaces, "/bin/bash", str(_HERE / "init.sh"))
        self._node = Program("the node", init, self.logs / "init.log", environment).start()
        self._processes.append(self._node)
        self._node.wait_until(self._has_begun, _END_SECONDS)
        self._forward(f"TCP-LISTEN:{self._port},bind=127.0.0.1,reuseaddr,fork", f"UNIX-CONNECT:{self._run / 'api.sock'}")
        for port in self._exposed:
            self._forward(f"UNIX-LISTEN:{self._run / f'exposed-{port}.sock'},fork", f"TCP:127.0.0.1:{port}")

    def _has_begun(self) -> bool:
        children = Path(f"/proc/{self._node.pid}/task/{self._node.pid}/children").read_text().split()
        if children:
            (self._run / "pid").write_text(children[0])
        return bool(children)

    def _forward(self, here: str, there: str) -> None:
        """The node's network is its own; sockets in the file system are what both sides see."""
        self._processes.append(Program("socat", ("/usr/bin/socat", here, there), self.logs / "forward.log", {"PATH": _PATH}).start())

    def _wait(self, tell: Callable[[str], None]) -> None:
        def ready() -> bool:
            for what, arguments in _NEEDED:
                if not self._kubectl(*arguments):
                    tell(f"waiting for {what}; logs are in {self.logs}")
                    return False
            return True

        self._node.wait_until(ready, _READY_SECONDS)

    def _kubectl(self, *arguments: str) -> bool:
        command = [self.binaries["kubectl"], "--kubeconfig", self.kubeconfig, *arguments]
        return subprocess.run(command, env={"PATH": _PATH, "HOME": str(self._run)}, capture_output=True, check=False).returncode == 0


_NEEDED = (
    ("the API server", ("get", "--raw", "/readyz")),
    ("kubelet", ("wait", f"node/{NAME}", "--for=condition=Ready", "--timeout=2s")),
    ("the ServiceAccount of namespace default", ("get", "serviceaccount", "default", "--namespace=default")),
)


def _cgroups() -> list[Path]:
    """One per controller, or the only one where the machine has version 2."""
    if (_CGROUPS / "cgroup.controllers").exists():
        return [_CGROUPS / NAME]
    return [each / NAME for each in _CGROUPS.iterdir() if (each / "cgroup.procs").exists()]


def _remove_cgroup(folder: Path) -> None:
    """The kernel may take a moment to see that nothing runs in it."""
    deadline = time.monotonic() + _END_SECONDS
    while folder.exists() and time.monotonic() < deadline:
        for each, _, _ in os.walk(folder, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(each)
        if folder.exists():
            time.sleep(0.1)
