"""Keys and logins through a proxy of the environment: one that really passes TLS through, and reaches names that nobody else knows."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rolevend.errors import IdentityProviderUnavailable
from rolevend.identity.egress_proxy import through_proxy
from rolevend.identity.key_fetching import KeyFetcher
from rolevend.identity.provider import KeysUrl
from rolevend.policytools.embedded.certificates import CertificateAuthority
from tests.support.tokens import PROVIDER

KEYS = b'{"keys": []}'
HOST = "idp.nobody-knows.example"
VARIABLES = ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "HTTP_PROXY", "http_proxy", "REQUEST_METHOD")


class Proxy:
    """Passes every CONNECT on to one server, whatever the name; or refuses all."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.asked: list[str] = []
        self.credentials: list[str] = []
        self.refuses = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        self.asked.append(head[0])
        self.credentials += [line.partition(": ")[2] for line in head if line.lower().startswith("proxy-authorization:")]
        if self.refuses:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(self._pass(reader, back), self._pass(there, writer))

    @staticmethod
    async def _pass(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        try:
            while part := await source.read(65536):
                to.write(part)
                await to.drain()
        finally:
            to.close()


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def authority() -> CertificateAuthority:
    return CertificateAuthority("issuer", datetime.now(UTC), timedelta(days=1))


@pytest.fixture
async def proxy(authority: CertificateAuthority, tmp_path: Path) -> AsyncIterator[tuple[Proxy, int]]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(KEYS), KEYS))
        writer.close()

    pair = authority.issue("issuer", hosts=(HOST,))
    (tmp_path / "server.pem").write_bytes(pair.certificate + pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as provider:
        made = Proxy(provider.sockets[0].getsockname()[1])
        async with await asyncio.start_server(made.serve, "127.0.0.1", 0) as server:
            yield made, server.sockets[0].getsockname()[1]


async def read(authority: CertificateAuthority) -> bytes:
    keys = KeysUrl(f"https://{HOST}/keys", authority.certificate.decode())
    return await KeyFetcher(seconds=5).read(replace(PROVIDER, keys=keys))


async def test_keys_come_through_the_proxy_and_from_the_right_server(
    proxy: tuple[Proxy, int], authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
):
    made, port = proxy
    monkeypatch.setenv("HTTPS_PROXY", f"http://anna:p%40ss@127.0.0.1:{port}")

    assert await read(authority) == KEYS
    assert made.asked == [f"CONNECT {HOST}:443 HTTP/1.1"]
    assert [base64.b64decode(each.removeprefix("Basic ")) for each in made.credentials] == [b"anna:p@ss"]
    with pytest.raises(IdentityProviderUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
        await read(CertificateAuthority("stranger", datetime.now(UTC), timedelta(days=1)))


async def test_a_proxy_that_refuses_or_is_away_is_told_without_its_password(
    proxy: tuple[Proxy, int], authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
):
    made, port = proxy
    made.refuses = True
    for there, said in ((port, "407"), (unused_tcp_port, "Cannot connect")):
        monkeypatch.setenv("HTTPS_PROXY", f"http://anna:opensesame@127.0.0.1:{there}")

        with pytest.raises(IdentityProviderUnavailable, match=said) as refused:
            await read(authority)

        chain = [str(refused.value), repr(refused.value.__cause__)]
        assert not any("opensesame" in each for each in chain)


@pytest.mark.parametrize(
    ("environment", "url", "expected"),
    [
        ({}, f"https://{HOST}/keys", None),
        ({"HTTP_PROXY": "http://proxy:3128"}, f"https://{HOST}/keys", None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, f"https://{HOST}/keys", "http://proxy:3128"),
        ({"https_proxy": "proxy:3128"}, f"https://{HOST}/keys", "http://proxy:3128"),
        ({"HTTPS_PROXY": "https://proxy.example.org"}, f"https://{HOST}:8443/keys", "https://proxy.example.org"),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": ".nobody-knows.example,other"}, f"https://{HOST}/keys", None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": f"{HOST}:8443"}, f"https://{HOST}/keys", "http://proxy:3128"),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "*"}, f"https://{HOST}/keys", None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "https://127.0.0.1:8443/keys", None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "http://localhost:8080/keys", None),
    ],
)
def test_the_environment_names_it_as_for_other_programs(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], url: str, expected: str | None
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert through_proxy(url).get("proxy") == expected


@pytest.mark.parametrize("named", ["socks5://proxy:1080", "ftp://proxy", "http://"])
def test_another_kind_of_proxy_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch, named: str):
    monkeypatch.setenv("HTTPS_PROXY", named)

    with pytest.raises(IdentityProviderUnavailable, match="HTTPS_PROXY names no"):
        through_proxy(f"https://{HOST}/keys")
