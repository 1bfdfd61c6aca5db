"""Answers of an identity provider that is broken or hostile, and where the client sends its secret."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from rolevend_client import Misconfigured, Refused, Rolevend, RolevendError, TokenExchange, Unavailable, UserToken
from rolevend_client.async_caller import async_answer
from tests.client.answers import Api
from tests.support.waiting import DEADLINE

SECRET = "the-clients-secret"


def token_of(subject: str, number: int = 0) -> str:
    claims = json.dumps({"iss": "https://idp.example.org", "sub": subject, "n": number})
    return f"e30.{base64.urlsafe_b64encode(claims.encode()).decode().rstrip('=')}.s"


ANNA, NEW = token_of("anna"), token_of("anna", 1)


@contextmanager
def provider(status: int, document: Any, headers: dict[str, str] | None = None) -> Iterator[tuple[str, list[str]]]:
    """Answer each exchange so. Yields the issuer, and the paths that are asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.say(200, {"issuer": issuer, "token_endpoint": f"{issuer}/token"})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.say(status, document)

        def say(self, status: int, document: Any) -> None:
            asked.append(self.path)
            content = json.dumps(document).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield issuer, asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def exchange_at(issuer: str) -> TokenExchange:
    return TokenExchange(issuer, client_id="finbot", client_secret=SECRET, audience="https://rolevend.example.org")


@pytest.mark.parametrize("lifetime", [None, "3600", 3600, 1e300, -1, "soon", {}], ids=str)
def test_the_stated_lifetime_is_no_reason_to_refuse_a_token(lifetime: object):
    """Some providers write it as a text. Nothing depends on it: a token is used at once."""
    with provider(200, {"access_token": NEW, "expires_in": lifetime}) as (issuer, _):
        assert exchange_at(issuer).exchanged(ANNA).reveal() == NEW


@pytest.mark.parametrize(
    ("status", "document", "kind", "said"),
    [
        (200, {"access_token": token_of("bob")}, Misconfigured, "another person"),
        (200, {"access_token": ANNA}, Misconfigured, "no token of its own"),
        (200, {"access_token": [NEW]}, Misconfigured, "no token of its own"),
        (200, {"access_token": "opaque"}, Refused, "cannot be read"),
        (200, [NEW], Unavailable, "no JSON object"),
        (200, {"access_token": f"e30.{base64.b64encode(b'[' * 100_002).decode()}.s"}, Refused, "cannot be read"),
        (400, {"error": "invalid_target"}, Refused, "invalid_target"),
        (400, {"error": f"<b>{ANNA}</b>"}, Refused, "no reason given"),
        (307, {"access_token": NEW}, Unavailable, "307"),
        (503, {}, Unavailable, "503"),
    ],
)
def test_what_is_no_token_of_the_same_person_is_refused(status: int, document: Any, kind: type[RolevendError], said: str):
    with provider(status, document, {"Location": "/elsewhere"}) as (issuer, asked), pytest.raises(kind, match=said) as raised:
        exchange_at(issuer).exchanged(UserToken(ANNA))
    assert asked == ["/.well-known/openid-configuration", "/token"]
    assert ANNA not in repr(raised.value)
    assert SECRET not in repr(raised.value)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1:8080@evil.example.org/token",
        "http://127.0.0.1:80801/token",
        "http://127.0.0.1:8080.evil.example.org/token",
        "http://evil.example.org/token",
        "https://",
        "https:///token",
        "https://[::1/token",
        "file:///etc/passwd",
        None,
        ["https://idp.example.org/token"],
    ],
)
def test_the_secret_goes_to_no_other_place_than_the_provider_or_one_with_tls(endpoint: object):
    exchange = exchange_at("http://127.0.0.1:8080")
    assert exchange.endpoint({"token_endpoint": "http://127.0.0.1:8080/token"}, "token_endpoint") == "http://127.0.0.1:8080/token"
    with pytest.raises(Misconfigured, match="names no endpoints that can be called"):
        exchange.endpoint({"token_endpoint": endpoint}, "token_endpoint")


@contextmanager
def without_an_end(part: bytes, pause: float) -> Iterator[str]:
    """Answer every call with `part`, again and again. Yields the url."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                while not ended.wait(pause):
                    self.wfile.write(part)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


def test_tokens_for_this_machine_go_to_no_proxy(monkeypatch: pytest.MonkeyPatch):
    """Without TLS the proxy, and everybody on the way to it, could read them."""
    with provider(200, {"access_token": NEW, "items": []}) as (issuer, _), provider(200, {}) as (proxy, seen):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
        assert exchange_at(issuer).exchanged(ANNA).reveal() == NEW
        with pytest.raises(RolevendError):  # it is no API
            Rolevend(issuer, token="agents-own", patience=0.01).vend(ANNA, platform="warehouse").__enter__()
        assert seen == []


def test_an_answer_that_comes_slowly_ends_with_the_patience():
    with without_an_end(b" ", 0.02) as url, pytest.raises(Unavailable, match="no whole answer within"):
        Rolevend(url, token="agents-own", patience=0.2).platforms()


async def test_an_answer_without_an_end_is_not_read_to_its_end():
    with without_an_end(b" " * 1_000_000, 0) as url:
        async with httpx.AsyncClient() as http:
            with pytest.raises(httpx.ReadError, match="larger than 64 MiB"):
                await async_answer(http, "GET", url, DEADLINE)
        with pytest.raises(Unavailable, match="larger than 64 MiB"):
            exchange_at(url).exchanged(ANNA)


@pytest.mark.parametrize(
    "document", ["[" * 100_000, '{"items": ' * 100_000, '{"code": ["x"], "detail": 7, "missing": [], "items": null, "items": 1}']
)
@pytest.mark.parametrize("status", [200, 403, 429, 500])
def test_a_document_that_makes_no_sense_is_an_error_of_the_client(document: str, status: int):
    api = Api(httpx.Response(status, content=document))
    with pytest.raises(RolevendError):
        api.client(patience=0.01).platforms()
