"""The certificate of the API is verified, whatever the environment says."""

import datetime
import ssl
from pathlib import Path

import pytest

from rolevend.policytools.embedded.certificates import CertificateAuthority
from tests.client.answers import role
from tests.client.speaking import SpeakingServer
from tests.client_typescript.test_kills import program
from tests.support.waiting import DEADLINE

pytestmark = pytest.mark.usefixtures("built")


def test_no_variable_of_the_environment_switches_the_verification_off(tmp_path: Path):
    """NODE_TLS_REJECT_UNAUTHORIZED=0 is set for other connections of a program, and an agent must not send its tokens to anybody."""
    pair = CertificateAuthority("nobody", datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)).issue("api", hosts=["127.0.0.1"])
    file = tmp_path / "pair.pem"
    file.write_bytes(pair.certificate + pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with SpeakingServer(lambda _: (201, role())) as api:
        api.wrap(context)
        with program("vending", url=api.url.replace("http:", "https:"), NODE_TLS_REJECT_UNAUTHORIZED="0") as process:
            _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 1
    assert "Unavailable" in errors
    assert "certificate" in errors
    assert api.asked == []
