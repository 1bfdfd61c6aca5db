"""A real Kubernetes control plane on 127.0.0.1: etcd, kube-apiserver and kube-controller-manager, without containers.

There is no node: pods stay Pending, and a workload runs as a local process with the kubeconfig of its ServiceAccount. RBAC, admission
policies, CRD validation, TokenRequest, TokenReview and watches are real.
"""

import datetime
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from rolevend.policytools.embedded.certificates import CertificateAuthority, KeyPair, signing_key
from rolevend.policytools.embedded.errors import Unusable
from rolevend.policytools.embedded.ports import HOST, free_ports
from rolevend.policytools.embedded.process import Process, Program
from rolevend.policytools.embedded.progress import Silence, StepProgress
from testbed.binaries import Binaries, obtain
from testbed.kubeconfig import ApiClient, ClientCertificate, Server, Token, write_kubeconfig, write_private

ISSUER = "https://kubernetes.default.svc.cluster.local"

# Namespace deletion, garbage collection and workload controllers; the others have no work here.
_CONTROLLERS = (
    "namespace-controller",
    "garbage-collector-controller",
    "serviceaccount-controller",
    "deployment-controller",
    "replicaset-controller",
    "job-controller",
)
_API_SERVER_HOSTS = (HOST, "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
_LIFETIME = datetime.timedelta(days=30)
_TOKEN_SECONDS = 24 * 3600
"""No kubelet renews tokens: an interactive session should last for a day, and a run of all tests for its duration."""
_READY_TIMEOUT = 180.0
_STOP_GRACE = 10.0


class ControlPlane:
    """Start with ``with ControlPlane() as cluster:``, or `start` and `stop`.

    State is in `directory` (new or empty, and kept), or in a temporary folder that `stop` removes. `stop` is final; for faults there are
    `stop_api_server` and `start_api_server`. `api_server_arguments` override the defaults. With ``fsync=True`` its data survives a crash of
    the machine. Objects of a new CRD get garbage collection within half a minute, the controller's interval.
    """

    def __init__(
        self,
        *,
        directory: Path | None = None,
        binaries: Binaries | None = None,
        api_server_arguments: Sequence[str] = (),
        fsync: bool = False,
        progress: StepProgress | None = None,
    ) -> None:
        self._progress = progress or Silence()
        self._fsync = fsync
        self._binaries = binaries
        self._extra = tuple(api_server_arguments)
        self._given = directory
        self._directory: Path | None = None
        self._etcd: Process | None = None
        self._api_server: Process | None = None
        self._controllers: Process | None = None
        self._etcd_port, self._peer_port, port = free_ports(3)
        self._authority = CertificateAuthority("rolevend-bench", datetime.datetime.now(datetime.UTC), _LIFETIME)
        self.server = Server(HOST, port, self._authority.certificate)

    def start(self) -> Self:
        """Return when `/readyz` succeeds and the controllers work. Raises `PartFailed` after three minutes each."""
        if self._binaries is None:
            self._binaries = obtain(progress=self._progress)
        # Known before it is there, so that an interrupt in between leaves nothing.
        self._directory = self._given or Path(tempfile.gettempdir(), f"rolevend-control-plane-{secrets.token_hex(8)}")
        try:
            self._directory = _empty_folder(self._directory)
            with self._progress.step("starting the control plane"):
                self._write_credentials()
                self._etcd = self._etcd_program().start()
                self.start_api_server()
                self._controllers = self._controllers_program().start()
                # The controllers begin with the ServiceAccount of every namespace.
                self._wait_for(self._controllers, "/api/v1/namespaces/default/serviceaccounts/default")
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop all parts and remove a temporary folder. Idempotent."""
        for process in (self._controllers, self._api_server, self._etcd):
            if process is not None and self._given is None:
                process.kill()
            elif process is not None:
                process.stop(grace=_STOP_GRACE)
        self._controllers = self._api_server = self._etcd = None
        if self._directory is not None and self._given is None:
            shutil.rmtree(self._directory, ignore_errors=True)
        self._directory = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def binaries(self) -> Binaries:
        """The programs that it runs, kubectl and helm."""
        if self._binaries is None:
            raise Unusable("this control plane has no programs: it was not started yet")
        return self._binaries

    @property
    def directory(self) -> Path:
        """The folder with its state."""
        if self._directory is None:
            raise Unusable("this control plane has no folder: it was not started yet, or was stopped")
        return self._directory

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig (system:masters)."""
        return self.directory / "admin.kubeconfig"

    @property
    def logs(self) -> Path:
        """The folder with one log per part."""
        return self.directory / "logs"

    @property
    def process_ids(self) -> dict[str, int]:
        """The process id of each running part, by the name of its program."""
        parts = {"etcd": self._etcd, "kube-apiserver": self._api_server, "kube-controller-manager": self._controllers}
        return {name: process.pid for name, process in parts.items() if process is not None}

    def check(self) -> None:
        """Raise `PartFailed`, with the end of its log, if a part has ended by itself."""
        for process in filter(None, (self._etcd, self._api_server, self._controllers)):
            process.check()

    def stop_api_server(self, *, graceful: bool = True) -> None:
        """Stop only the API server, or kill it like a crash. Its clients get connection refused."""
        if self._api_server is None:
            return
        if graceful:
            self._api_server.stop(grace=_STOP_GRACE)
        else:
            self._api_server.kill()
        self._api_server = None

    def start_api_server(self) -> None:
        """Start it on its former port and data, and return when `/readyz` succeeds. Idempotent."""
        if self._api_server is not None and self._api_server.running:
            return
        self._api_server = self._api_server_program().start()
        self._wait_for(self._api_server, "/readyz")

    def kubectl(self, *arguments: str, standard_input: str | None = None, kubeconfig: Path | None = None) -> str:
        """Return the output of ``kubectl arguments``, as the administrator or the user of `kubeconfig`.

        Raises `subprocess.CalledProcessError`, with `stderr`, if it fails.
        """
        return subprocess.run(  # noqa: S603 - a list, no shell
            [self.binaries["kubectl"], *arguments],
            input=standard_input,
            env=self.environment(kubeconfig),
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def environment(self, kubeconfig: Path | None = None) -> dict[str, str]:
        """Return environment variables for a child that uses this cluster: the current ones, KUBECONFIG, and PATH.

        kubectl neither reads the person's preferences nor writes a cache to their home.
        """
        path = os.pathsep.join((self.binaries.search_path, os.environ.get("PATH", os.defpath)))
        kubectl = {"KUBECONFIG": str(kubeconfig or self.kubeconfig), "KUBECACHEDIR": str(self.directory / "kubectl"), "KUBERC": "off"}
        return {**os.environ, **kubectl, "PATH": path}

    def service_account_kubeconfig(self, namespace: str, name: str, directory: Path | None = None) -> Path:
        """Write a kubeconfig for exactly this ServiceAccount, with a new token.

        The ServiceAccount must exist. The file is `<namespace>.<name>.kubeconfig`, in `directory` or the cluster's folder.
        """
        token = self.service_account_token(namespace, name)
        path = (directory or self.directory) / f"{namespace}.{name}.kubeconfig"
        return write_kubeconfig(path, self.server, f"{namespace}.{name}", Token(token), namespace=namespace)

    def person_kubeconfig(self, name: str, directory: Path, *, namespace: str = "default") -> Path:
        """Write a kubeconfig for a person of this user name, with a new client certificate. RBAC gives the person rights."""
        proof = ClientCertificate(self._authority.issue(name))
        return write_kubeconfig(directory / f"{name}.kubeconfig", self.server, name, proof, namespace=namespace)

    def service_account_token(
        self, namespace: str, name: str, *, audiences: Sequence[str] = (), expiration_seconds: int = _TOKEN_SECONDS
    ) -> str:
        """Return a token from TokenRequest, for the API server or for `audiences`."""
        spec = {"expirationSeconds": expiration_seconds, **({"audiences": list(audiences)} if audiences else {})}
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        answer = self._api.create(f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", request)
        return str(answer["status"]["token"])

    @property
    def _pki(self) -> Path:
        return self.directory / "pki"

    @cached_property
    def _api(self) -> ApiClient:
        return ApiClient(self.server, self._pki / "admin.crt", self._pki / "admin.key")

    def _wait_for(self, process: Process, path: str) -> None:
        """Wait until the API server answers `path`, which `process` provides. Raises if etcd ends meanwhile."""

        def ready() -> bool:
            if self._etcd is not None:
                self._etcd.check()
            return self._api.answers(path)

        process.wait_until(ready, _READY_TIMEOUT)

    def _write_credentials(self) -> None:
        """Write the keys, certificates and kubeconfigs of the parts."""
        for folder in (self._pki, self.logs, self.directory / "etcd"):
            folder.mkdir(mode=0o700)
        issue = self._authority.issue
        write_private(self._pki / "ca.crt", self._authority.certificate)
        write_private(self._pki / "service-accounts.key", signing_key())
        self._write_pair("etcd", issue("etcd", hosts=(HOST,)))
        self._write_pair("kube-apiserver", issue("kube-apiserver", hosts=_API_SERVER_HOSTS))
        admin = issue("admin", organization="system:masters")
        self._write_pair("admin", admin)
        write_kubeconfig(self.kubeconfig, self.server, "admin", ClientCertificate(admin))
        controllers = ClientCertificate(issue("system:kube-controller-manager"))
        write_kubeconfig(self._pki / "controllers.kubeconfig", self.server, "controllers", controllers)

    def _write_pair(self, name: str, pair: KeyPair) -> None:
        write_private(self._pki / f"{name}.crt", pair.certificate)
        write_private(self._pki / f"{name}.key", pair.key)

    def _etcd_program(self) -> Program:
        """Return etcd's program, which requires client certificates: the machine may have other users, and etcd ignores RBAC."""
        client, peer = f"https://{HOST}:{self._etcd_port}", f"https://{HOST}:{self._peer_port}"
        tls = {"cert-file": "etcd.crt", "key-file": "etcd.key", "trusted-ca-file": "ca.crt"}
        return self._program(
            "etcd",
            f"--data-dir={self.directory / 'etcd'}",
            *(f"--{prefix}{flag}={self._pki / file}" for prefix in ("", "peer-") for flag, file in tls.items()),
            *("--client-cert-auth", "--peer-client-cert-auth"),
            *(f"--listen-client-urls={client}", f"--advertise-client-urls={client}"),
            *(f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}"),
            *(() if self._fsync else ("--unsafe-no-fsync",)),
            "--log-level=warn",
        )

    def _api_server_program(self) -> Program:
        files = {
            "etcd-cafile": "ca.crt",
            "etcd-certfile": "etcd.crt",
            "etcd-keyfile": "etcd.key",
            "tls-cert-file": "kube-apiserver.crt",
            "tls-private-key-file": "kube-apiserver.key",
            "client-ca-file": "ca.crt",
            "service-account-key-file": "service-accounts.key",
            "service-account-signing-key-file": "service-accounts.key",
        }
        return self._program(
            "kube-apiserver",
            *(f"--{flag}={self._pki / file}" for flag, file in files.items()),
            f"--etcd-servers=https://{HOST}:{self._etcd_port}",
            *(f"--bind-address={HOST}", f"--advertise-address={HOST}", f"--secure-port={self.server.port}"),
            "--endpoint-reconciler-type=none",  # it would refuse to publish a loopback address
            "--service-cluster-ip-range=10.0.0.0/24",
            "--shutdown-watch-termination-grace-period=1s",  # without it a stop waits a minute for open watches
            "--authorization-mode=RBAC",
            f"--service-account-issuer={ISSUER}",
            "--disable-admission-plugins=ServiceAccount",  # it delays pods for a node's needs
            *self._extra,
        )

    def _controllers_program(self) -> Program:
        return self._program(
            "kube-controller-manager",
            f"--kubeconfig={self._pki / 'controllers.kubeconfig'}",
            f"--controllers={','.join(_CONTROLLERS)}",
            "--use-service-account-credentials",  # each with its privileges in a real cluster
            "--leader-elect=false",
            "--secure-port=0",
        )

    def _program(self, name: str, *arguments: str) -> Program:
        return Program(name, (str(self.binaries[name]), *arguments), self.logs / f"{name}.log")


def _empty_folder(given: Path) -> Path:
    given.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(given.iterdir()):
        raise Unusable(f"cannot keep a control plane in {given}: the folder is not empty")
    return given.resolve()
