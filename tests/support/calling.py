"""Agents that call the API: two replicas, over real HTTP, as the chart's ServiceAccount, beside the operator of a site."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import MappingProxyType
from typing import Any, Final

import httpx
import psycopg

from testbed.installation import ApiProcess
from tests.support import tokens
from tests.support.proving import Proven
from tests.support.site import AGENTS, WAREHOUSE, Body, Site
from tests.support.waiting import DEADLINE, eventually

_NO_CERTIFICATES: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""As httpx's `verify`: without it, each call loads the public certificates, in 20 ms. The API of the tests has no TLS."""
_NOTHING: Mapping[str, str] = MappingProxyType({})


def send(method: str, url: str, **content: Any) -> httpx.Response:
    """One call over plain HTTP, on a connection of its own."""
    return httpx.request(method, url, timeout=DEADLINE, trust_env=False, verify=_NO_CERTIFICATES, **content)


class Doors:
    """Use as ``with Doors(site) as doors:``."""

    def __init__(self, site: Site, settings: Mapping[str, str] = _NOTHING) -> None:
        self.site = site
        self._settings = settings
        self._ends = ExitStack()
        self.first: ApiProcess
        self.second: ApiProcess

    def __enter__(self) -> "Doors":
        self.first, self.second = self.open(), self.open()
        for each in (self.first, self.second):
            each.wait_until_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def open(self, settings: Mapping[str, str] = _NOTHING, url: str = "") -> ApiProcess:
        """Another replica, which need not be ready yet. `url` is another way to the API server."""
        api = self.site.start_api({**self._settings, **settings}, url)
        self._ends.callback(api.kill)
        return api


class Caller:
    """An agent, by its client's own token, at one replica."""

    def __init__(self, proven: Proven, api: ApiProcess) -> None:
        self.proven = proven
        self.api = api

    def known(self, subject: str = "anna", **wanted: Any) -> "Caller":
        """Return when the replica would vend the role: each process watches the policies for itself. A decision takes no token, and uses
        no approval."""
        eventually(lambda: self.call("POST", "/v1/decisions", self.question(subject, **wanted)).json().get("granted"))
        return self

    @property
    def token(self) -> str:
        return self.proven.token(self.proven.client)

    def call(self, method: str, path: str, body: Any = None, *, token: str | None = None, **headers: str) -> httpx.Response:
        """`token` of the agent: its own unless another is given; an empty one is not sent."""
        bearer = self.token if token is None else token
        authorization = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        return send(method, self.api.url + path, json=body, headers={**authorization, **headers})

    def question(self, subject: str = "anna", **wanted: Any) -> Body:
        body = {"userToken": self.proven.token(subject), "platforms": [WAREHOUSE], **wanted}
        return {member: value for member, value in body.items() if value is not None}

    def vend(self, subject: str = "anna", *, key: str = "", token: str | None = None, **wanted: Any) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return self.call("POST", "/v1/vended-roles", self.question(subject, **wanted), token=token, **headers)

    def vended(self, subject: str = "anna", **wanted: Any) -> Body:
        """Asked until what is new to both processes is known to them."""

        def made() -> Body:
            answer = self.vend(subject, **wanted)
            assert answer.status_code == 201, answer.text
            return dict(answer.json())

        return dict(eventually(made))

    def release(self, role: Body) -> httpx.Response:
        return self.call("DELETE", f"/v1/vended-roles/{role['id']}")

    def stored(self, role: Body) -> Body | None:
        """The VendedRole, or None when it is gone."""
        answer = self.proven.site.cluster.call("GET", f"/apis/rolevend.dev/v1alpha1/namespaces/{AGENTS}/vendedroles/{role['id']}")
        return None if answer.status == 404 else answer.body

    def is_told(self, role: Body, reads: str) -> bool:
        """True if an Event of the role's object says that it `reads` so much, until its end."""
        until = role["expirationTimestamp"].partition("T")[2].removesuffix("Z")
        events = self.proven.site.events(AGENTS, role["id"])
        return ("Vended", f"{role['roleName']} on {WAREHOUSE} reads {reads} until {until} UTC") in events

    @contextmanager
    def session(self, role: Body) -> Iterator[psycopg.Connection[Any]]:
        """As the role, with the credential of the answer and nothing else."""
        given = role["platforms"][0]["credential"]
        login = {key: str(given[key]) for key in ("uri", "sslmode")}
        if "caCertificates" in given:
            login["ca.crt"] = given["caCertificates"]
        with self.proven.site.warehouse.session(login) as session:
            yield session

    def rows(self, role: Body, query: str) -> list[tuple[Any, ...]]:
        with self.session(role) as session:
            return session.execute(query).fetchall()


def signed(claims: Body, **changed: Any) -> str:
    return tokens.token(claims, **changed)
