"""A real Ory Hydra on 127.0.0.1, in a database of a real PostgreSQL, and people who log in there."""

import datetime
import http.client
import http.cookiejar
import json
import os
import secrets
import shutil
import ssl
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from joserfc.jwk import RSAKey

from rolevend.policytools.embedded.certificates import CertificateAuthority
from rolevend.policytools.embedded.connection import Connection
from rolevend.policytools.embedded.errors import PartFailed
from rolevend.policytools.embedded.ports import HOST, free_ports
from rolevend.policytools.embedded.process import Process, Program
from rolevend.policytools.embedded.progress import StepProgress
from testbed.binaries import obtain
from testbed.gobuild import Module
from testbed.kubeconfig import write_private
from testbed.oidc.registry import Client, Person
from testbed.token_client import TokenClient

ACCESS_TOKENS = "hydra.jwt.access-token"
ID_TOKENS = "hydra.openid.id-token"
"""Hydra's names of the keys that it signs them with."""

_MODULE = Path(__file__).parent / "go"
_LIFETIME = datetime.timedelta(days=7)
_MIGRATION_TIMEOUT = 120.0
_READY_TIMEOUT = 60.0
_FLOW = "/admin/oauth2/auth/requests"
_NOWHERE = f"http://{HOST}/nobody-listens-here"

Json = dict[str, Any]


class Hydra:
    """Use as ``with Hydra(…) as hydra:``. Its public side has TLS; the other one, by which it is ruled, is for this machine alone."""

    def __init__(
        self,
        database: Connection,
        settings: Json,
        people: Iterable[Person],
        clients: Iterable[Client],
        audience: str,
        progress: StepProgress,
    ) -> None:
        """`database` is empty, and its user owns it. `settings` are Hydra's own, beside where it is. It is built here, which takes minutes
        the first time."""
        self._settings = settings
        self._program = obtain(("hydra",), module=Module(_MODULE), progress=progress)["hydra"]
        self._database = database
        self._clients = tuple(clients)
        self._audience = audience
        self._public, self._admin = free_ports(2)
        self._authority = CertificateAuthority("rolevend-hydra", datetime.datetime.now(datetime.UTC), _LIFETIME)
        self._process: Process | None = None
        self.issuer = f"https://{HOST}:{self._public}"
        self.tokens = HydraTokens(self, {person.subject: person for person in people}, self._clients)

    @property
    def authorities(self) -> str:
        """PEM of who vouches for its certificate."""
        return self._authority.certificate.decode()

    def start(self) -> Self:
        """Return when it answers and knows the clients."""
        self._directory = Path(tempfile.mkdtemp(prefix="rolevend-hydra-"))
        try:
            self._write()
            self._run("migrate", "sql", "up", "--read-from-env", "--yes").run(_MIGRATION_TIMEOUT)
            self._process = self._run("serve", "all").start()
            self._process.wait_until(self._answers, _READY_TIMEOUT)
            for keys in (ACCESS_TOKENS, ID_TOKENS):
                self.add_key(keys)
            for client in self._clients:
                self.rule("POST", "/admin/clients", self._registration(client))
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None
        shutil.rmtree(self._directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def rule(self, method: str, path: str, body: Json | None = None) -> Json:
        """By its administrative side. `PartFailed` where it refuses."""
        text = None if body is None else json.dumps(body)
        answer = self.tokens.call(method, f"http://{HOST}:{self._admin}{path}", text, {"Content-Type": "application/json"})
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise PartFailed(f"Hydra refuses {method} {path.partition('?')[0]} with status {answer.status}: {answer.body.decode()[:500]}")
        return answer.json if answer.body else {}

    def add_key(self, keys: str = ACCESS_TOKENS) -> str:
        """Sign with a new key from now on, whose name is returned; the others stay published."""
        # Hydra makes them of 4096 bits, for which a busy machine takes longer than its server lets an answer take.
        key = RSAKey.generate_key(2048, auto_kid=True)
        self.rule("PUT", f"/admin/keys/{keys}/{key.kid}", dict(key.as_dict(private=True, alg="RS256", use="sig")))
        return str(key.kid)

    def withdraw_key(self, name: str) -> None:
        self.rule("DELETE", f"/admin/keys/{ACCESS_TOKENS}/{name}")

    def _write(self) -> None:
        pair = self._authority.issue("hydra", hosts=(HOST,))
        write_private(self._directory / "tls.crt", pair.certificate)
        write_private(self._directory / "tls.key", pair.key)
        files = {name: {"path": str(self._directory / f"tls.{end}")} for name, end in (("cert", "crt"), ("key", "key"))}
        configuration = {
            "serve": {
                "public": {"host": HOST, "port": self._public, "tls": {"enabled": True, **files}},
                "admin": {"host": HOST, "port": self._admin, "tls": {"enabled": False}},
            },
            "urls": {"self": {"issuer": self.issuer}, "login": f"{_NOWHERE}/login", "consent": f"{_NOWHERE}/consent"},
            "secrets": {"system": [secrets.token_urlsafe(32)]},
            "sqa": {"opt_out": True},
            "log": {"level": "warn"},
            **self._settings,
        }
        write_private(self._directory / "hydra.json", json.dumps(configuration).encode())

    def _run(self, *arguments: str) -> Program:
        command = (str(self._program), *arguments, "--config", str(self._directory / "hydra.json"))
        environment = {"PATH": os.defpath, "HOME": str(self._directory), "DSN": self._dsn}
        return Program("hydra", command, self._directory / "hydra.log", environment)

    @property
    def _dsn(self) -> str:
        it = self._database
        return f"postgres://{it.user}:{quote(it.password, safe='')}@{it.host}:{it.port}/{it.database}?sslmode=disable"

    def _answers(self) -> bool:
        try:
            return self.tokens.call("GET", f"http://{HOST}:{self._admin}/health/ready").status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False

    def _registration(self, client: Client) -> Json:
        return {
            "client_id": client.name,
            "client_secret": client.secret,
            "grant_types": ["authorization_code", "client_credentials"],
            "response_types": ["code"],
            "redirect_uris": list(client.redirect_uris),
            "audience": [self._audience],
            "scope": "openid",
            "token_endpoint_auth_method": "client_secret_basic",
        }


class HydraTokens(TokenClient):
    """Asks Hydra for tokens, and says to it what a person does at its pages for login and consent."""

    def __init__(self, hydra: Hydra, people: Mapping[str, Person], clients: Iterable[Client]) -> None:
        super().__init__(hydra.issuer, hydra.authorities, clients, audience_parameter="audience")
        self._hydra = hydra
        self._people = people
        self._trust = ssl.create_default_context(cadata=hydra.authorities)

    def code(self, query: Mapping[str, str]) -> str:
        browser = _Browser(self._trust)
        person = self._people[query["login_hint"]]
        whole = {"response_type": "code", "code_challenge_method": "S256", "state": secrets.token_urlsafe(16), **query}
        login = browser.follow(f"{self.configuration['authorization_endpoint']}?{urlencode(whole)}")
        consent = browser.follow(self._accept("login", login, {"subject": person.subject}))
        claims = dict(person.claims)
        leave = {
            "grant_scope": ["openid"],
            "grant_access_token_audience": [query["audience"]],
            "session": {"access_token": claims, "id_token": claims},
        }
        (code,) = parse_qs(urlsplit(browser.follow(self._accept("consent", consent, leave))).query)["code"]
        return code

    def _accept(self, step: str, page: str, body: Json) -> str:
        """Where the browser goes after the page."""
        (challenge,) = parse_qs(urlsplit(page).query)[f"{step}_challenge"]
        answer = self._hydra.rule("PUT", f"{_FLOW}/{step}/accept?{urlencode({f'{step}_challenge': challenge})}", body)
        return str(answer["redirect_to"])


class _Browser:
    """Keeps cookies, and says where it is sent."""

    def __init__(self, trust: ssl.SSLContext) -> None:
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(cookies, urllib.request.HTTPSHandler(context=trust), _Staying)

    def follow(self, url: str) -> str:
        try:
            with self._opener.open(url, timeout=30) as page:
                raise PartFailed(f"Hydra does not send the browser on: {page.read(500).decode()}")
        except urllib.error.HTTPError as answer:
            with answer:
                if "location" not in answer.headers:
                    raise PartFailed(f"Hydra does not send the browser on: {answer.read(500).decode()}") from None
                return str(answer.headers["location"])


class _Staying(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None
