"""Somebody who attacks the API, and what shows that nothing came of it: the answer, the record, the database's own log, and the cluster."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import httpx

from testbed.installation import ApiProcess
from tests.support import tokens
from tests.support.calling import Doors, send
from tests.support.proving import Proven
from tests.support.site import AGENTS, WAREHOUSE, Body, Site
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually

ROLES = "/v1/vended-roles"
_NOTHING: Mapping[str, str] = MappingProxyType({})
_TELLING = 16
"""Segments of a token that are shorter may stand in a text by chance."""


@dataclass(frozen=True)
class Tried:
    """A call of an attacker, and all that its answer must not tell."""

    answer: httpx.Response
    request_id: str
    secrets: tuple[str, ...]

    def problem(self, status: int, code: str) -> Body:
        """Asserts that it was refused so, by a problem document that tells nothing of what was sent."""
        assert self.answer.headers["content-type"] == "application/problem+json", (self.answer.status_code, self.answer.text)
        document = self.answer.json()
        assert (self.answer.status_code, document["code"]) == (status, code), document
        assert document["status"] == status
        assert document["type"] == f"urn:rolevend:problem:{code}"
        assert document["requestId"] == self.answer.headers["x-request-id"]
        assert ("www-authenticate" in self.answer.headers) == (status == 401)
        assert not [secret for secret in self.secrets if secret in self.answer.text]
        return dict(document)


class Tail:
    """A log that is written to, each part of it read once."""

    def __init__(self, path: Path, *, from_now: bool = False) -> None:
        """`from_now`: without what was written before."""
        self._path = path
        self._read = path.stat().st_size if from_now else 0
        self.text = ""

    def follow(self) -> str:
        """As of now."""
        with self._path.open("rb") as file:
            file.seek(self._read)
            raw = file.read()
        self._read += len(raw)
        self.text += raw.decode(errors="replace")
        return self.text


@contextmanager
def overhearing(site: Site) -> Iterator[None]:
    """With a warehouse that logs every statement and its values."""
    for text in ("ALTER SYSTEM SET log_statement = 'all'", "SELECT pg_reload_conf()"):
        site.warehouse.ask(text)
    yield
    for text in ("ALTER SYSTEM RESET log_statement", "SELECT pg_reload_conf()"):
        site.warehouse.ask(text)


class Arena:
    """An agent that acts for nobody without a token, and whose role nobody was ever vended; beside it another agent of the same issuer."""

    def __init__(self, tenant: Tenant, doors: Doors) -> None:
        self.proven = Proven(tenant).ready_to_ask()
        self.site = tenant.site
        self.doors = doors
        self.rival = f"rival-of-{tenant.name}"
        """The other agent's client."""
        identity = {"type": "OIDCClient", "oidcClient": {"issuer": self.proven.issuer, "clientIDs": [self.rival]}}
        other = self.proven.agent(f"{tenant.name}-rival", handle=f"{tenant.handle}R", identity=identity)
        self.site.told(other, "Ready", "True")
        self.partner = f"https://{tenant.name}.partner.example.org"
        """Another issuer that is believed, with keys of its own."""
        keys = {"inline": tokens.OTHER_KEYS.decode()}
        self.site.told(self.proven.provider(f"{tenant.name}-partner", issuer=self.partner, keys=keys), "Ready", "True")
        self._statements = Tail(self.site.warehouse.server.log)
        self._logs = [Tail(each.log, from_now=True) for each in (doors.first, doors.second)]
        self._before: set[str] = set()
        """Roles that were vended before the attack."""
        for each in (doors.first, doors.second):
            eventually(lambda api=each: self._knows(api))

    def _knows(self, api: ApiProcess) -> bool:
        """A decision is no statement on the platform, and takes no token."""
        for client in (self.proven.client, self.rival):
            said = self.decide(api, self.own(client), self.proven.token(client_id=client))
            assert said.get("granted"), said
        return True

    def own(self, client: str) -> str:
        """A token of the agent that is this client."""
        return self.proven.token(client, client_id=client)

    def decide(self, api: ApiProcess, agent: str, user: str) -> Body:
        return dict(self.send("POST", "/v1/decisions", self.body(user), bearer=agent, api=api).answer.json())

    @property
    def bearer(self) -> str:
        return self.own(self.proven.client)

    def body(self, user: str | None = None, **members: Any) -> Body:
        token = self.proven.token() if user is None else user
        return {"userToken": token, "platforms": [WAREHOUSE], **members}

    def send(
        self,
        method: str,
        path: str,
        body: Body | bytes | Iterable[bytes] | None = None,
        *,
        bearer: str | None = None,
        api: ApiProcess | None = None,
        headers: Mapping[str, str] = _NOTHING,
        repeated: Sequence[tuple[str, str]] = (),
    ) -> Tried:
        """`bearer` of the agent's own, unless another is given; an empty one is not sent."""
        request_id = f"attack-{uuid4().hex}"
        agent = self.bearer if bearer is None else bearer
        sent = {"Authorization": f"Bearer {agent}"} if agent else {}
        content = json.dumps(body).encode() if isinstance(body, dict) else body
        content_type = {"Content-Type": "application/json"} if content is not None else {}
        named = {**content_type, **sent, **headers, "X-Request-Id": request_id}
        raw = [(name, value.encode("utf-8", "replace")) for name, value in (*named.items(), *repeated)]
        url = (api or self.doors.first).url + path
        answer = send(method, url, content=content, headers=raw)
        user = str(body.get("userToken", "")) if isinstance(body, dict) else ""
        return Tried(answer, request_id, tuple(part for text in (agent, user) for part in _telling(text)))

    def vend(self, user: str | None = None, *, bearer: str | None = None, api: ApiProcess | None = None, **members: Any) -> Tried:
        return self.send("POST", ROLES, self.body(user, **members), bearer=bearer, api=api)

    def warm(self) -> "Arena":
        """With its profile built, as each replica knows that made a role of it, which is gone again."""
        for api in (self.doors.first, self.doors.second):
            role = self.vended(api=api)
            assert self.send("DELETE", role["links"]["self"]).answer.status_code in (202, 204)
        eventually(lambda: not self.objects())
        self._before = self.named()
        return self

    def vended(
        self, *, bearer: str | None = None, client: str = "", headers: Mapping[str, str] = _NOTHING, api: ApiProcess | None = None
    ) -> Body:
        """Asked, with a token of its own each time, until what takes time at first is there. `client` is whom the user's token names."""

        def made() -> Body:
            user = self.proven.token(client_id=client or self.proven.client)
            answer = self.send("POST", ROLES, self.body(user), bearer=bearer, headers=headers, api=api).answer
            assert answer.status_code == 201, answer.text
            return dict(answer.json())

        return dict(eventually(made))

    def events(self, tried: Tried) -> list[Body]:
        """The audit events of the call; without a file they are in the output of the replicas."""
        return [line for line in self._lines(tried) if line.get("type", "").startswith("dev.rolevend.")]

    def recorded(self, tried: Tried, bearer: str, code: str) -> Body:
        """The one audit event of the call: of a token that was refused. It is written before the answer."""
        (event,) = self.events(tried)
        assert event["type"] == "dev.rolevend.refused", event
        assert (event["data"]["bearer"], event["data"]["reason"]) == (bearer, code)
        return dict(event["data"])

    def recorded_among(self, tried: Tried, bearer: str, code: str) -> Body:
        """The same where the call was granted before its token was found to be taken."""
        (event,) = [each["data"] for each in self.events(tried) if each["type"] == "dev.rolevend.refused"]
        assert (event["bearer"], event["reason"]) == (bearer, code)
        return dict(event)

    def untold(self, tried: Tried) -> None:
        """Asserts that no log tells of what was sent, nor of a fault of ours."""
        texts = [each.follow() for each in self._logs]
        assert not [text for text in texts if "exc_info" in text]
        assert not [secret for secret in tried.secrets for text in texts if secret in text]

    def _lines(self, tried: Tried) -> list[Body]:
        lines = [json.loads(line) for each in self._logs for line in each.follow().splitlines() if tried.request_id in line]
        return [line for line in lines if line.get("data", line).get("requestId") == tried.request_id]

    def statements(self) -> str:
        """All that the platform was ever told, by its own log."""
        return self._statements.follow()

    def is_untouched(self) -> bool:
        """Whether no statement named a role of one of the two agents, and there is none, nor an object that would make one."""
        return not self.named() and not self.objects()

    def named(self) -> set[str]:
        """The roles of both agents that any statement ever named."""
        return set(re.findall(rf"IMMUTA_VENDED_{self.proven.tenant.handle}R?_[A-Z0-9]+_[A-Z0-9]+", self.statements())) - self._before

    def objects(self) -> list[str]:
        """Names of the VendedRoles of both agents."""
        listed = self.site.cluster.call("GET", f"/apis/rolevend.dev/v1alpha1/namespaces/{AGENTS}/vendedroles").body["items"]
        mine = (self.proven.tenant.name, f"{self.proven.tenant.name}-rival")
        return [each["metadata"]["name"] for each in listed if each["spec"]["agentRef"]["name"] in mine]


def _telling(text: str) -> list[str]:
    """The parts of a token that nobody but its bearer has: not its header."""
    return [segment for segment in text.split(".")[1:] if len(segment) > _TELLING]


Made = Callable[[Arena], str]
"""A token of the attacker's."""
