"""The enterprise-managed authorization of the MCP server: an ID-JAG of the provider for an access token, and what is none."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import httpx2
import jwt
import pytest
from joserfc.jwk import RSAKey
from mcp import Client
from mcp.client.auth.extensions.identity_assertion import IdentityAssertionOAuthProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import JWT_BEARER_GRANT_TYPE, OAuthClientInformationFull, OAuthToken
from starlette.applications import Starlette

from rolevend_client import Misconfigured
from rolevend_client.mcp.assertions import AssertionGrants, clients_in
from rolevend_client.mcp.issuer import Issuer
from rolevend_client.mcp.serving import _Verifier
from testbed.oidc.refusal import GrantRefused
from tests.client.identity import EDITOR, OTHER, Believing
from tests.client.serving_mcp import METADATA, Served, ask, served
from tests.client.test_mcp_issuer import AUDIENCE, KEY, Provider, provider
from tests.client.test_mcp_over_http import CALL, WHO
from tests.client.warehouse import Warehouse
from tests.support.waiting import DEADLINE

__all__ = ["provider"]

SECRET = "editors-secret-of-32-characters-!"
CLIENTS = {EDITOR: SECRET, OTHER: SECRET[::-1]}
HERE = "https://mcp.example.org"
FOREIGN = RSAKey.generate_key(2048, {"kid": "first"})


class Kept:
    """The storage of one client."""

    def __init__(self) -> None:
        self.token: OAuthToken | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.token

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.token = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return None

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        raise AssertionError("nothing is registered")


class Enterprise:
    """A server that takes assertions, its provider, and people who are logged in at a client of the official SDK."""

    def __init__(self, server: Served) -> None:
        self.server = server
        self.here = server.url.removesuffix("/mcp")
        self.issued: list[str] = []

    def assertion(self, person: str, client: str = EDITOR) -> str:
        login = self.server.issuer.tokens.tokens_of(person, client=client)
        self.issued.append(self.server.issuer.tokens.assertion(login.id_token, client=client, audience=self.here, resource=self.server.url))
        return self.issued[-1]

    @asynccontextmanager
    async def client(self, person: str, kept: Kept, mode: str = "auto") -> AsyncIterator[Client]:
        async def provide(audience: str, resource: str) -> str:
            assert (audience, resource) == (self.here, self.server.url)
            return self.assertion(person)

        auth = IdentityAssertionOAuthProvider(self.server.url, kept, EDITOR, SECRET, self.here, provide)
        async with (
            httpx2.AsyncClient(auth=auth, timeout=DEADLINE) as http,
            Client(streamable_http_client(self.server.url, http_client=http), mode=mode) as client,
        ):
            yield client

    def token(self, assertion: str, client: str = EDITOR, **changed: str) -> httpx.Response:
        form = {"grant_type": JWT_BEARER_GRANT_TYPE, "assertion": assertion, "client_id": client, "client_secret": CLIENTS[client]}
        return httpx.post(f"{self.here}/token", data={**form, **changed}, timeout=DEADLINE)


@pytest.fixture(scope="module")
def running(whole_warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("mcp")
    (folder / "clients.json").write_text(json.dumps(CLIENTS))
    with served(folder) as made:
        made.start(whole_warehouse.api.url, ASSERTION_CLIENTS_FILE=str(folder / "clients.json"))
        yield made


@pytest.fixture
def enterprise(running: Served, warehouse: Warehouse) -> Iterator[Enterprise]:
    warehouse.believes = Believing(running.issuer)
    yield Enterprise(running)
    warehouse.believes = str


async def test_people_query_without_a_consent_and_each_role_is_proven_by_an_exchange(enterprise: Enterprise, warehouse: Warehouse):
    annas = Kept()
    async with enterprise.client("anna", annas) as anna, enterprise.client("bob", Kept()) as bob:
        assert ",EU," in (await ask(anna, "query", statement=WHO)).text
        assert ",US," in (await ask(bob, "query", statement=WHO)).text
        await ask(anna, "release")
        assert ",EU," in (await ask(anna, "query", statement=WHO)).text  # one assertion, and another proof
        for client in (anna, bob):
            await ask(client, "release")
    assert len(enterprise.issued) == 2
    assert annas.token is not None
    assert 0 < int(annas.token.expires_in or 0) <= 300
    assert isinstance(warehouse.believes, Believing)
    assert [each["sub"] for each in warehouse.believes.seen] == ["anna", "bob", "anna"]
    sent = json.dumps(warehouse.api.bodies)
    assert not [each for each in (*enterprise.issued, annas.token.access_token) if each in sent]


async def test_the_token_of_an_assertion_and_that_of_a_login_have_no_session_in_common(enterprise: Enterprise):
    given = enterprise.token(enterprise.assertion("anna")).json()["access_token"]
    session = enterprise.server.session(given)
    assert ",EU," in enterprise.server.post(given, session, **CALL).text
    assert enterprise.server.post(enterprise.server.token("anna"), session, **CALL).status_code == 404
    assert enterprise.server.delete(given, session).status_code == 200


def test_the_metadata_say_where_an_assertion_goes(enterprise: Enterprise):
    resource = httpx.get(enterprise.here + METADATA + "/mcp").json()
    assert resource["authorization_servers"] == [enterprise.server.issuer.issuer, enterprise.here]
    found = httpx.get(f"{enterprise.here}/.well-known/oauth-authorization-server").json()
    assert (found["issuer"], found["token_endpoint"]) == (enterprise.here, f"{enterprise.here}/token")
    assert found["authorization_grant_profiles_supported"] == ["urn:ietf:params:oauth:grant-profile:id-jag"]


def test_what_is_no_assertion_for_this_client_gets_no_token(enterprise: Enterprise):
    login = enterprise.server.issuer.tokens.tokens_of("anna", client=EDITOR, audience=enterprise.server.url)
    assertion = enterprise.assertion("anna")
    for token, changed in (
        (login.id_token, {}),
        (login.access_token, {}),
        (assertion, {"client_id": OTHER, "client_secret": CLIENTS[OTHER]}),
        (assertion, {"client_secret": "wrong"}),
        (assertion, {"client_secret": ""}),
        (assertion, {"client_id": "unknown"}),
        (assertion, {"resource": "https://elsewhere.example.org/mcp"}),
        (assertion, {"grant_type": "client_credentials"}),
    ):
        answer = enterprise.token(token, **changed)
        assert answer.status_code in (400, 401), changed
        assert "access_token" not in answer.json()
    assert enterprise.server.post(assertion, method="initialize", params={}).status_code == 401
    with pytest.raises(GrantRefused):  # its client cannot make a token for rolevend of it
        enterprise.server.issuer.tokens.token(
            {
                "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
                "subject_token": assertion,
                "subject_token_type": "urn:ietf:params:oauth:token-type:id-jag",
            },
            enterprise.server.issuer.client(EDITOR),
        )

    first = enterprise.token(assertion)
    again = enterprise.token(assertion)
    assert (first.status_code, again.status_code, again.json()["error"]) == (200, 400, "invalid_grant")
    assert first.headers["cache-control"] == "no-store"
    assert "was used before" in again.json()["error_description"]


class Forge:
    """Makes assertions with the provider's key, and brings them to grants at a time of the test's own."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.now = 0.0
        self.grants = AssertionGrants(Issuer(provider.settings), AUDIENCE, lambda: CLIENTS, now=lambda: self.now)

    def made(self, kind: str | None = "oauth-id-jag+jwt", algorithm: str = "RS256", key: Any = KEY, **changed: Any) -> str:
        now = int(self.now)
        claims = {"iss": self.provider.url, "sub": "anna", "aud": HERE, "resource": AUDIENCE, "client_id": EDITOR, "jti": "1"}
        whole = {**claims, "iat": now, "exp": now + 300, **changed}
        secret = "" if algorithm == "none" else key if isinstance(key, str | bytes) else key.as_pem(private=True)
        kept = {name: value for name, value in whole.items() if value is not None}
        return jwt.encode(kept, secret, algorithm=algorithm, headers={"kid": "first", "typ": kind})

    async def brought(self, assertion: str, client: str = EDITOR) -> httpx.Response:
        form = {"grant_type": JWT_BEARER_GRANT_TYPE, "assertion": assertion, "client_id": client, "client_secret": CLIENTS[client]}
        return await self.posted(urlencode(form).encode(), {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"})

    async def posted(self, content: bytes, headers: dict[str, str]) -> httpx.Response:
        transport = httpx.ASGITransport(Starlette(routes=self.grants.routes()))
        async with httpx.AsyncClient(transport=transport, base_url=HERE) as http:
            return await http.post("/token", content=content, headers=headers)


@pytest.fixture
def forge(provider: Provider) -> Forge:
    made = Forge(provider)
    made.now = float(int(time.time()))  # the library that reads tokens has no other clock
    return made


ATTACKS: dict[str, dict[str, Any]] = {
    "an access token's type": {"kind": "at+jwt"},
    "an ID token's type": {"kind": "JWT"},
    "no type": {"kind": None},
    "another server": {"aud": "https://other.example.org"},
    "the resource as audience": {"aud": AUDIENCE},
    "several audiences": {"aud": [HERE, "https://other.example.org"]},
    "no audience": {"aud": None},
    "another client": {"client_id": OTHER},
    "no client": {"client_id": None},
    "another resource": {"resource": "https://other.example.org/mcp"},
    "several resources": {"resource": [AUDIENCE, "https://other.example.org/mcp"]},
    "no resource": {"resource": None},
    "a foreign issuer": {"iss": "https://idp.example.net"},
    "a foreign key": {"key": FOREIGN},
    "no signature": {"algorithm": "none"},
    "a public key as a secret": {"algorithm": "HS256", "key": "first-" * 10},
    "no jti": {"jti": None},
    "an empty jti": {"jti": ""},
    "a jti without an end": {"jti": "x" * 300},
    "a jti that is no text": {"jti": ["1"]},
    "no person": {"sub": None},
    "the client itself": {"sub": EDITOR},
    "a key that is not checked": {"cnf": {"jkt": "x"}},
    "no expiry": {"exp": None},
    "no beginning": {"iat": None},
    "times that are texts": {"iat": str(int(time.time())), "exp": str(int(time.time()) + 60)},
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_a_forged_assertion_gets_no_token(forge: Forge, attack: str):
    answer = await forge.brought(forge.made(**ATTACKS[attack]))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert (await forge.brought(forge.made())).status_code == 200  # and the same one without the attack does, so nothing else is wrong


@pytest.mark.parametrize("times", [(0, 301), (-600, -300), (-301, 0), (-300, 0), (600, 900), (0, 10**12), (0, 1e400)])
async def test_an_assertion_lives_for_300_seconds_at_most(forge: Forge, times: tuple[int, float]):
    issued, until = (int(forge.now) + each for each in times)
    answer = await forge.brought(forge.made(iat=issued, exp=until))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x; charset=utf-7", "multipart/form-data; boundary=x", "text/plain", None])
async def test_a_form_of_another_kind_is_refused_before_it_is_read(forge: Forge, kind: str | None):
    """A multipart form names its character set: its caller, who has shown nothing yet, would choose among all decoders of Python."""
    form = {"grant_type": JWT_BEARER_GRANT_TYPE, "assertion": forge.made(), "client_id": EDITOR, "client_secret": "+2AA-"}
    parts = "".join(f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in form.items())
    answer = await forge.posted(f"{parts}--x--\r\n".encode(), {} if kind is None else {"Content-Type": kind})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_token_lives_for_300_seconds_although_the_clock_of_the_provider_is_ahead(forge: Forge):
    given = await forge.brought(forge.made(iat=int(forge.now) + 20, exp=int(forge.now) + 320))
    assert (given.status_code, given.json()["expires_in"]) == (200, 300)
    forge.now += 300
    assert forge.grants.holder(given.json()["access_token"]) is None
    assert (await forge.brought(forge.made(iat=int(forge.now) - 280, exp=int(forge.now) + 20))).status_code == 400  # its jti is still known


async def test_an_assertion_is_used_once_and_its_token_ends_with_it(forge: Forge):
    assertion = forge.made()
    given = await forge.brought(assertion)
    token = given.json()["access_token"]
    assert (await forge.brought(assertion)).status_code == 400
    assert (await forge.brought(forge.made(sub="bob"))).status_code == 400  # the same jti
    held = forge.grants.holder(token)
    assert held is not None
    assert (held.person.subject, held.client, held.token.reveal()) == ("anna", EDITOR, assertion)
    assert forge.grants.holder(token + "x") is forge.grants.holder(assertion) is forge.grants.holder("") is None
    forge.now += 299
    assert forge.grants.holder(token) is not None
    forge.now += 1
    assert forge.grants.holder(token) is None
    assert (await forge.brought(assertion)).status_code == 400  # forgotten, and expired


async def test_a_client_that_is_named_like_one_with_an_assertion_shares_no_session_with_it(forge: Forge):
    """The library finds the session, and the server the role, by the person and this name."""
    verifier = _Verifier(forge.grants._issuer, AUDIENCE, forge.grants)
    given = (await forge.brought(forge.made())).json()["access_token"]
    by_assertion = await verifier.verify_token(given)
    assert by_assertion is not None
    for client in (EDITOR, f"assertion:{EDITOR}"):
        by_login = await verifier.verify_token(forge.provider.token(client_id=client))
        assert by_login is not None
        assert (by_assertion.subject, by_login.subject) == ("anna", "anna")
        assert by_assertion.client_id != by_login.client_id


async def test_another_process_knows_nothing_of_a_used_assertion_until_it_expires(forge: Forge, provider: Provider):
    """The documented limit: two processes take an assertion once each, for its client alone, and for 300 seconds at most."""
    assertion, other = forge.made(), Forge(provider)
    other.now = forge.now
    assert [(await each.brought(assertion)).status_code for each in (forge, other, forge, other)] == [200, 200, 400, 400]
    assert (await other.brought(assertion, OTHER)).status_code == 400


async def test_used_assertions_are_forgotten_when_they_expire(forge: Forge):
    for number in range(20):
        assert (await forge.brought(forge.made(jti=str(number), exp=int(forge.now) + 10))).status_code == 200
    forge.now += 10
    assert (await forge.brought(forge.made(jti="last", iat=int(forge.now) - 1, exp=int(forge.now) + 10))).status_code == 200
    assert (len(forge.grants._used), len(forge.grants._given)) == (1, 1)


@pytest.mark.parametrize("content", ["", "[]", '{"editor": "short"}', '{"editor": 7}', '{"editor": null}'])
def test_a_file_of_clients_without_long_secrets_is_refused(tmp_path: Path, content: str):
    file = tmp_path / "clients.json"
    file.write_text(content)
    with pytest.raises(Misconfigured, match="ROLEVEND_MCP_ASSERTION_CLIENTS_FILE"):
        clients_in(file)
    with pytest.raises(Misconfigured, match="cannot be read"):
        clients_in(tmp_path / "absent")
