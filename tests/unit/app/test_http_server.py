"""A process of the API that is set up wrongly says so at once, by the name of the setting."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from rolevend.api.connections import ConnectionLimits
from rolevend.app.http_server import ServerAddress, Serving, listening, trusted_proxies
from rolevend.errors import InvalidInput
from rolevend.settings import ApiSettings, ConsoleSettings
from rolevend.telemetry.probes import ProbeServer


def address(**changed: object) -> ServerAddress:
    return ServerAddress.of_api(ApiSettings.model_validate({"api_host": "127.0.0.1", "api_port": 0, **changed}))


def serving(**changed: object) -> Serving:
    return Serving(address(**changed), ConnectionLimits(8192, 1, 8))


def test_a_port_that_is_taken(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidInput, match=f"ROLEVEND_API_PORT: calls cannot be taken on 127.0.0.1:{port}"):
            serving(api_port=port)


def test_no_part_of_an_answer_waits_for_the_acknowledgement_of_another():
    with listening(address()) as server, socket.create_connection(server.getsockname()), server.accept()[0] as accepted:
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), "or an answer takes 40 ms longer"


def test_an_address_that_is_not_ours():
    with pytest.raises(InvalidInput, match=r"ROLEVEND_API_PORT: calls cannot be taken on 192\.0\.2\.1:0"):
        serving(api_host="192.0.2.1")


@pytest.mark.parametrize(("there", "missing"), [("api_tls_cert_file", "API_TLS_KEY_FILE"), ("api_tls_key_file", "API_TLS_CERT_FILE")])
def test_half_a_certificate(there: str, missing: str, tmp_path: Path):
    with pytest.raises(InvalidInput, match=f"ROLEVEND_{missing}: a .* is named, and no"):
        serving(**{there: tmp_path / "there"})


def test_a_certificate_that_is_not_there(tmp_path: Path):
    with pytest.raises(InvalidInput, match=r"ROLEVEND_API_TLS_CERT_FILE: .*tls\.crt cannot be read: No such file"):
        serving(api_tls_cert_file=tmp_path / "tls.crt", api_tls_key_file=tmp_path / "tls.key")


def test_a_certificate_that_is_none(tmp_path: Path):
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).write_text("no PEM\n")

    with pytest.raises(InvalidInput, match=r"ROLEVEND_API_TLS_CERT_FILE: .* are no certificate and its key"):
        serving(api_tls_cert_file=tmp_path / "tls.crt", api_tls_key_file=tmp_path / "tls.key")


def test_a_port_of_probes_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        probes = ProbeServer("127.0.0.1", port, CollectorRegistry(), lambda: "", lambda: "", lambda: "", lambda: None)
        with pytest.raises(
            InvalidInput, match=f"ROLEVEND_PROBE_PORT: probes cannot be answered on 127.0.0.1:{port}: Address already in use"
        ):
            asyncio.run(probes.start())


def test_the_command_says_it_in_one_line(tmp_path: Path):
    environment = {"PATH": os.environ["PATH"], "ROLEVEND_API_PORT": "0", "ROLEVEND_API_TLS_CERT_FILE": str(tmp_path / "tls.crt")}
    command = (sys.executable, "-m", "rolevend", "api", "--kubeconfig", str(tmp_path / "none"))

    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode != 0
    assert done.stderr.strip().splitlines() == ["rolevend: ROLEVEND_API_TLS_KEY_FILE: a certificate is named, and no key of it"]


PROXIES = "10.0.0.0/8, 127.0.0.1, 2001:db8::/32"


async def client_of(proxies: str, *forwarded: str) -> str:
    """Return who calls, as the application is told, of a call from 127.0.0.1 with these values of the header."""
    settings = ConsoleSettings(console_host="127.0.0.1", console_port=0, console_trusted_proxies=proxies)
    server = Serving(ServerAddress.of_console(settings), ConnectionLimits(8192, 1, 8))

    async def application(scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": f"{scope['client'][0]} {scope['scheme']}".encode()})

    running = asyncio.create_task(server.run(application))
    try:
        headers = [("X-Forwarded-For", each) for each in forwarded]
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.get(f"http://127.0.0.1:{server._socket.getsockname()[1]}/", headers=headers)
    finally:
        assert server._server is not None
        server._server.should_exit = True
        await running
    address, scheme = answer.text.split()
    assert scheme == "http"
    return address


@pytest.mark.parametrize(
    ("proxies", "forwarded", "client"),
    [
        ("", ["198.51.100.7"], "127.0.0.1"),
        ("10.0.0.0/8", ["198.51.100.7"], "127.0.0.1"),
        (PROXIES, [], "127.0.0.1"),
        (PROXIES, ["198.51.100.7"], "198.51.100.7"),
        (PROXIES, ["192.0.2.66, 198.51.100.7"], "198.51.100.7"),
        (PROXIES, ["10.1.1.1, 198.51.100.7, 10.2.2.2"], "198.51.100.7"),
        (PROXIES, ["192.0.2.66", "198.51.100.7, 10.2.2.2"], "198.51.100.7"),
        (PROXIES, ["198.51.100.7", "10.2.2.2"], "198.51.100.7"),
        (PROXIES, ["198.51.100.7:443"], "198.51.100.7"),
        (PROXIES, ["[2001:db8:1::2]:443, 2001:db7::1"], "2001:db7::1"),
        (PROXIES, ["192.0.2.66, ::ffff:10.2.2.2"], "192.0.2.66"),
    ],
)
async def test_the_client_is_the_last_address_that_no_trusted_proxy_has(proxies: str, forwarded: list[str], client: str):
    """A client writes what it likes on the left; the proxy that it reaches appends its address."""
    assert await client_of(proxies, *forwarded) == client


@pytest.mark.parametrize("text", ["0.0.0.0/0", "10.0.0.0/8,::/0", "proxy.example.org", "*", "10.0.0.1/8"])
def test_not_every_client_is_a_proxy(text: str):
    with pytest.raises(InvalidInput, match="ROLEVEND_CONSOLE_TRUSTED_PROXIES: "):
        trusted_proxies("ROLEVEND_CONSOLE_TRUSTED_PROXIES", text)
