"""Write kubeconfig files, and call the API server as far as its start needs.

Without the Kubernetes client, which tests and benchmarks measure.
"""

import base64
import http.client
import json
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rolevend.policytools.embedded.certificates import KeyPair
from rolevend.policytools.embedded.errors import PartFailed

Json = dict[str, Any]
_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """Authenticates a client by a certificate."""

    pair: KeyPair = field(repr=False)

    def user(self) -> Json:
        return {"client-certificate-data": _encode(self.pair.certificate), "client-key-data": _encode(self.pair.key)}


@dataclass(frozen=True, slots=True)
class Token:
    """Authenticates a client by a bearer token."""

    value: str = field(repr=False)

    def user(self) -> Json:
        return {"token": self.value}


@dataclass(frozen=True, slots=True)
class Server:
    """An API server, and the authority (PEM) of its certificate."""

    host: str
    port: int
    authority: bytes

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.port}"


def write_kubeconfig(path: Path, server: Server, name: str, proof: ClientCertificate | Token, *, namespace: str = "default") -> Path:
    """Write a kubeconfig with one context, `name`, readable by its owner only. Atomic."""
    cluster = {"server": server.url, "certificate-authority-data": _encode(server.authority)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "rolevend", "cluster": cluster}],
        "users": [{"name": name, "user": proof.user()}],
        "contexts": [{"name": name, "context": {"cluster": "rolevend", "user": name, "namespace": namespace}}],
        "current-context": name,
    }
    write_private(path, json.dumps(content, indent=2).encode())  # JSON is YAML
    return path


def write_private(path: Path, content: bytes) -> Path:
    """Replace the file `path` atomically by one that only its owner can read."""
    handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp: mode 0600 from the first byte
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    os.replace(scratch, path)
    return path


class ApiClient:
    """Calls one API server with a client certificate in two files."""

    def __init__(self, server: Server, certificate: Path, key: Path) -> None:
        self._server = server
        self._tls = ssl.create_default_context(cadata=server.authority.decode())
        self._tls.load_cert_chain(certificate, key)

    def answers(self, path: str) -> bool:
        """True if GET `path` succeeds; False without a listener."""
        try:
            status, _ = self._call("GET", path, None)
        except (OSError, http.client.HTTPException):
            return False
        return status == http.HTTPStatus.OK

    def create(self, path: str, body: Json) -> Json:
        """POST `body` and return the created object."""
        status, answer = self._call("POST", path, body)
        if status != http.HTTPStatus.CREATED:
            raise PartFailed(f"the API server did not accept a POST to {path}: {status} {_message(answer)}")
        created: Json = json.loads(answer)
        return created

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None) -> tuple[int, bytes]:
        connection = http.client.HTTPSConnection(self._server.host, self._server.port, timeout=_TIMEOUT, context=self._tls)
        try:
            connection.request(
                method, path, None if body is None else json.dumps(body), {"Accept": "application/json", "Content-Type": "application/json"}
            )
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


def _message(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["message"])
    except (ValueError, KeyError, TypeError):
        return answer[:200].decode(errors="replace")


def _encode(content: bytes) -> str:
    return base64.b64encode(content).decode()
