"""A real OpenID Connect provider on 127.0.0.1, for demo, tests and benchmarks: TLS, generated keys, and real grants.

Not for real people: it believes a caller's `login_hint`. So it is reachable only from this machine, unless `listen` is another address, for
pods; then every client needs a secret.
"""

import datetime
import http.client
import ipaddress
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rolevend.policytools.embedded.certificates import CertificateAuthority
from rolevend.policytools.embedded.errors import PartFailed, Unusable
from rolevend.policytools.embedded.ports import HOST, free_ports
from rolevend.policytools.embedded.process import Process, Program
from rolevend.policytools.embedded.progress import Silence, StepProgress
from testbed.kubeconfig import write_private
from testbed.oidc.names import CERTIFICATE_FILE, DISCOVERY_PATH, KEY_FILE, REGISTRY_FILE, ROTATION_PATH
from testbed.oidc.registry import Client, Person, Registry, written
from testbed.token_client import TokenClient

_SERVER = "testbed.oidc.server"
AUDIENCE = "https://rolevend.example.org"
ANNA = Person("anna", {"department": "claims", "employee_number": "E10442", "groups": ["country-DE", "everybody"]})
BEN = Person("ben", {"department": "claims", "employee_number": "E10517", "groups": ["country-FR", "everybody"]})
_LIFETIME = datetime.timedelta(days=7)
"""The lifetime of the certificate."""
_READY_TIMEOUT = 180.0
_STOP_GRACE = 5.0


class IdentityProvider:
    """Start with ``with IdentityProvider() as provider:``, or `start` and `stop`. Only signed tokens remain.

    Tokens are for rolevend with the first of `audiences`, and live for `token_seconds`.
    """

    def __init__(
        self,
        *,
        people: Iterable[Person] = (ANNA, BEN),
        clients: Iterable[Client] | None = None,
        audiences: Sequence[str] = (AUDIENCE,),
        token_seconds: int = 300,
        host: str = HOST,
        listen: str = HOST,
        port: int | None = None,
        progress: StepProgress | None = None,
    ) -> None:
        """Without `clients` there is one, `finbot`. `host` is this machine's name for callers, in the issuer; `listen` is the address to
        listen on, 0.0.0.0 for all. Raises `Unusable` if another machine could act as a client without a secret.
        """
        clients = (Client("finbot"),) if clients is None else tuple(clients)
        address = ipaddress.ip_address(listen)
        public = [client.name for client in clients if client.secret is None]
        if public and not address.is_loopback:
            raise Unusable(
                f"an identity provider on {listen} gives tokens to anyone who reaches it as {', '.join(public)}: give it a secret"
            )
        self.issuer = f"https://{host}:{port or free_ports(1)[0]}"
        self._listen = listen
        self._here = HOST if address.is_unspecified else listen
        self._names = tuple(dict.fromkeys((self._here, host)))
        self._progress = progress or Silence()
        self._authority = CertificateAuthority("rolevend-identity-provider", datetime.datetime.now(datetime.UTC), _LIFETIME)
        self._registry = Registry(
            issuer=self.issuer,
            audiences=tuple(audiences),
            clients={client.name: client for client in clients},
            people={person.subject: person for person in people},
            token_seconds=token_seconds,
            control_secret=secrets.token_urlsafe(32),
        )
        self._directory: Path | None = None
        self._process: Process | None = None
        self.tokens = TokenClient(self.issuer, self.authorities, self._registry.clients.values(), address=self._here)
        """Requests tokens from it as each of its clients."""

    @property
    def authorities(self) -> str:
        """PEM of the authority of its certificate."""
        return self._authority.certificate.decode()

    @property
    def directory(self) -> Path:
        """The folder with its certificate, log and clients' secrets, while it runs."""
        if self._directory is None:
            raise Unusable("this identity provider has no folder: it was not started yet, or was stopped")
        return self._directory

    def client(self, name: str) -> Client:
        """Return the client, with its secret."""
        return self._registry.clients[name]

    def start(self) -> Self:
        """Return when it answers. Raises `PartFailed` after a timeout. Idempotent."""
        if self._process is not None and self._process.running:
            return self
        self.stop()
        with self._progress.step("starting the identity provider"):
            self._directory = Path(tempfile.mkdtemp(prefix="rolevend-identity-provider-"))
            try:
                self._process = self._program(self._directory).start()
                self._process.wait_until(self._answers, _READY_TIMEOUT)
            except BaseException:
                self.stop()
                raise
        return self

    def stop(self) -> None:
        """Stop it; the next start generates other keys. Idempotent."""
        if self._process is not None:
            self._process.stop(grace=_STOP_GRACE)
            self._process = None
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def check(self) -> None:
        """Raise `PartFailed`, with the end of its log, if it has ended by itself."""
        if self._process is not None:
            self._process.check()

    def rotate(self, *, keep_old: bool = True) -> None:
        """Sign with a new key from now on, while serving.

        With ``keep_old=False`` the former keys are not published any more, as after a theft.
        """
        url = f"{self.issuer}{ROTATION_PATH}?keep_old={str(keep_old).lower()}"
        answer = self.tokens.call("POST", url, headers={"Authorization": f"Bearer {self._registry.control_secret}"})
        if answer.status != http.HTTPStatus.NO_CONTENT:
            raise PartFailed(f"the identity provider did not rotate its keys: it answered with status {answer.status}")

    def _program(self, directory: Path) -> Program:
        pair = self._authority.issue("identity-provider", hosts=self._names)
        for name, content in (
            (CERTIFICATE_FILE, pair.certificate),
            (KEY_FILE, pair.key),
            (REGISTRY_FILE, written(self._registry)),
        ):
            write_private(directory / name, content)
        command = (sys.executable, "-m", _SERVER, str(directory), self._listen)
        return Program("the identity provider", command, directory / "server.log", {"PATH": os.defpath})

    def _answers(self) -> bool:
        try:
            return self.tokens.call("GET", self.issuer + DISCOVERY_PATH).status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
