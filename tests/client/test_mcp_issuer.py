"""What the MCP server makes of identity providers that answer wrongly, slowly or not at all, and of tokens that make it ask them."""

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from joserfc.jwk import RSAKey

from rolevend_client import Misconfigured, Refused, Unavailable, UserToken
from rolevend_client.mcp.issuer import Issuer
from rolevend_client.mcp.settings import IssuerSettings

KEY = RSAKey.generate_key(2048, {"kid": "first"})
AUDIENCE = "https://mcp.example.org/mcp"


class Provider:
    """Answers what the test says, and counts what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.given: tuple[int, dict[str, Any]] = (200, {})
        self.keys: list[dict[str, Any]] = [KEY.as_dict(private=False, use="sig", alg="RS256")]
        self.said: dict[str, Any] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked.append(self.path)
                self.say(200, {"keys": provider.keys} if self.path == "/keys" else provider.document)

            def do_POST(self) -> None:
                provider.asked.append(self.path)
                self.rfile.read(int(self.headers["Content-Length"]))
                self.say(*provider.given)

            def say(self, status: int, document: Any) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(document).encode())

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    @property
    def document(self) -> dict[str, Any]:
        return {"issuer": self.url, "jwks_uri": f"{self.url}/keys", "token_endpoint": f"{self.url}/token", **self.said}

    @property
    def settings(self) -> IssuerSettings:
        return IssuerSettings(self.url, "mcp-server", lambda: "secret\n", "https://rolevend.example.org", None, gives_own_token=False)

    def token(self, subject: str = "anna", kid: str = "first", **changed: Any) -> str:
        claims = {"iss": self.url, "sub": subject, "aud": AUDIENCE, "client_id": "editor", "iat": 1, "exp": 2**33, **changed}
        header = {"kid": kid, "typ": "at+jwt"}
        return jwt.encode(claims, KEY.as_pem(private=True), algorithm="RS256", headers=header)


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


async def test_a_token_for_somebody_else_is_no_answer_to_an_exchange(provider: Provider):
    token, issuer = UserToken(provider.token()), Issuer(provider.settings)
    for answer, problem in (
        ({"access_token": provider.token("bob")}, "another person"),
        ({"access_token": token.reveal()}, "no token of its own"),
        ({}, "no token of its own"),
    ):
        provider.given = 200, answer
        with pytest.raises(Misconfigured, match=problem):
            await issuer.exchange.exchanged(token)


async def test_what_a_provider_refuses_is_told_without_its_prose(provider: Provider):
    issuer = Issuer(provider.settings)
    for said, told in (
        ({"error": "invalid_target", "error_description": "of anna"}, "invalid_target"),
        ({"error": "<b>" * 99}, "no reason"),
    ):
        provider.given = 400, said
        with pytest.raises(Refused, match=told) as refused:
            await issuer.exchange.exchanged(UserToken(provider.token()))
        assert "anna" not in str(refused.value)
    provider.given = 500, {}
    with pytest.raises(Unavailable):
        await issuer.exchange.exchanged(UserToken(provider.token()))


async def test_keys_that_nobody_knows_make_it_ask_rarely_and_a_new_key_is_found(provider: Provider):
    now = [0.0]
    issuer = Issuer(provider.settings, clock=lambda: now[0])
    assert (await issuer.holder(provider.token(), AUDIENCE)).person.subject == "anna"
    for number in range(20):
        with pytest.raises(Refused):
            await issuer.holder(provider.token(kid=f"made-up-{number}"), AUDIENCE)
    assert provider.asked.count("/keys") == 1

    provider.keys = [KEY.as_dict(private=False, use="sig", alg="RS256") | {"kid": "second"}]
    now[0] = 11.0
    assert (await issuer.holder(provider.token(kid="second"), AUDIENCE)).client == "editor"
    with pytest.raises(Refused):
        await issuer.holder(provider.token(), AUDIENCE)


async def test_known_keys_hold_while_a_provider_does_not_answer(provider: Provider):
    now = [0.0]
    issuer = Issuer(provider.settings, clock=lambda: now[0])
    await issuer.ask()
    provider.said = {"issuer": "https://another.example.org"}
    now[0] = 1000.0
    assert (await issuer.holder(provider.token(), AUDIENCE)).person.subject == "anna"


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "https://rolevend.example.org"},
        {"iss": "https://another.example.org"},
        {"exp": 2},
        {"iat": 2**32},
        {"nbf": 2**32},
        {"sub": 7},
        {"client_id": None},
        {"client_id": "anna"},
        {"kid": "another"},
    ],
    ids=str,
)
async def test_a_token_that_is_not_the_servers_to_take_is_refused(provider: Provider, changed: dict[str, Any]):
    with pytest.raises(Refused):
        await Issuer(provider.settings).holder(provider.token(**changed), AUDIENCE)


@pytest.mark.parametrize("header", ["[" * 5000, '{"kid":' * 1500, '{"alg": "RS256", "kid": "first", "n": ' + "1" * 5000 + "}"])
async def test_a_header_that_exhausts_its_reader_is_refused(provider: Provider, header: str):
    """Anybody can send one. Before 2.14, PyJWT raised a RecursionError."""
    forged = base64.urlsafe_b64encode(header.encode()).decode().rstrip("=") + ".e30.AAAA"
    with pytest.raises(Refused):
        await Issuer(provider.settings).holder(forged, AUDIENCE)


async def test_a_provider_that_is_another_one_or_sends_secrets_elsewhere_is_not_used(provider: Provider):
    for said in ({"issuer": "https://another.example.org"}, {"token_endpoint": "http://another.example.org/token"}, {"jwks_uri": None}):
        provider.said = said
        with pytest.raises(Misconfigured):
            await Issuer(provider.settings).ask()
    provider.said, provider.keys = {}, []
    with pytest.raises(Misconfigured, match="no keys"):
        await Issuer(provider.settings).ask()


async def test_one_that_nobody_reaches_is_not_there_now(provider: Provider):
    with pytest.raises(Unavailable):
        await Issuer(replace(provider.settings, url="http://127.0.0.1:1")).ask()
