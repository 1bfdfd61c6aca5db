"""The agent's actions: request a role from Kubernetes, read the Secret, log in. With its own ServiceAccount only."""

import base64
import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import yaml

from demo.checks import CheckFailed, Row
from demo.stage import AGENTS, EXAMPLE
from rolevend.policytools.embedded.connection import logged_in
from testbed.installation import checkout
from testbed.kubectl import Kubectl, Refusal

_READY_SECONDS = 30
_CONNECT_SECONDS = 10

REQUESTS = EXAMPLE / "vended-roles.yaml"


@dataclass(frozen=True, slots=True)
class Vended:
    """A requested role that is Ready."""

    name: str
    """The name of the VendedRole and of the Secret."""
    role: str
    uid: str
    expires_at: datetime
    login: Mapping[str, str] = field(repr=False)
    """The keys of the Secret, of the first platform if there are several."""

    def connect(self, database: str | None = None) -> psycopg.Connection:
        """Log in as the role. Raises `psycopg.OperationalError` if the server refuses."""
        return logged_in(self.login, connect_timeout=_CONNECT_SECONDS, **({} if database is None else {"dbname": database}))


def requests() -> list[dict[str, Any]]:
    """Return the VendedRoles of the example."""
    return list(yaml.safe_load_all((checkout() / REQUESTS).read_text()))


def ask(kubectl: Kubectl, names: Sequence[str], request: dict[str, Any] | Path = REQUESTS) -> tuple[list[Vended], float]:
    """Apply `request`, or the VendedRoles of a file in the checkout, and wait until all `names` are Ready. Returns the roles and the
    duration.
    """
    start = time.monotonic()
    if isinstance(request, Path):
        kubectl("apply", "--filename", str(checkout() / request))
    else:
        kubectl("apply", "--filename", "-", standard_input=json.dumps(request))
    objects = [f"vendedrole/{name}" for name in names]
    answer = kubectl.attempt("wait", "--for=condition=Ready", *objects, f"--timeout={_READY_SECONDS}s")
    took = time.monotonic() - start
    if isinstance(answer, Refusal):
        raise CheckFailed(f"{', '.join(names)} become Ready", f"within {_READY_SECONDS} s", _why(kubectl, names) or answer.message)
    return [_read(kubectl, name) for name in names], took


def rows(connection: psycopg.Connection, question: LiteralString) -> list[Row]:
    """Return the rows. Raises `CheckFailed` with the server's message if the query fails."""
    try:
        return connection.execute(question).fetchall()
    except psycopg.Error as error:
        raise CheckFailed("the agent's question is answered", "rows", said(error)) from error


def refused_login(vended: Vended, database: str | None = None) -> str:
    """Return the server's message when it refuses the login, to the role's database or another. Raises `CheckFailed` if it does not."""
    try:
        vended.connect(database).close()
    except psycopg.OperationalError as error:
        return said(error)
    raise CheckFailed(f"a login of {vended.role} that must not be", "a refusal", "it is let in")


def said(error: psycopg.Error) -> str:
    """Return the server's message in one line."""
    if error.diag.message_primary:
        return error.diag.message_primary
    *_, message = str(error).rpartition("FATAL:")
    return message.strip().splitlines()[0]


class LongQuery(threading.Thread):
    """A query that runs concurrently. `outcome` is the server's final message, and `ended_at` its time; None until then."""

    def __init__(self, connection: psycopg.Connection, query: LiteralString) -> None:
        super().__init__(name="rolevend-demo-long-query", daemon=True)
        self._connection = connection
        self._query = query
        self.outcome: str | None = None
        self.ended_at: datetime | None = None

    def run(self) -> None:
        try:
            answer = str(self._connection.execute(self._query).fetchall())
        except psycopg.Error as error:
            answer = said(error)
        self.ended_at = datetime.now(UTC)
        self.outcome = answer


def credential(kubectl: Kubectl, secret: str) -> dict[str, str]:
    """Return the keys of a Secret, as in a pod that mounts it."""
    held = kubectl.get("secret", secret, "--namespace", AGENTS)
    return {key: base64.b64decode(value).decode() for key, value in held["data"].items()}


def _read(kubectl: Kubectl, name: str) -> Vended:
    body = kubectl.get("vendedrole", name, "--namespace", AGENTS)
    login = credential(kubectl, name)
    return Vended(name, login["username"], body["metadata"]["uid"], datetime.fromisoformat(body["status"]["expirationTimestamp"]), login)


def _why(kubectl: Kubectl, names: Sequence[str]) -> str:
    """Return the status of the roles that are not Ready."""
    told = []
    for name in names:
        body = kubectl.get("vendedrole", name)
        ready = next((each for each in body.get("status", {}).get("conditions", []) if each["type"] == "Ready"), None)
        if ready is None:
            told.append(f"{name} has no condition yet: no operator has looked at it")
        elif ready["status"] != "True":
            told.append(f"{name} is {ready['reason']}: {ready['message']}")
    return "; ".join(told)
