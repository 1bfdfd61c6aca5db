"""A process of the API that is set up wrongly says so at once, by the name of the setting."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from rolevend.api.connections import ConnectionLimits
from rolevend.app.http_server import ServerAddress, Serving, listening
from rolevend.errors import InvalidInput
from rolevend.settings import ApiSettings
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
