"""The Secrets with a platform's logins: the file that `platform install` writes is the file that `platform attest --secrets` reads."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from rolevend.app.attest import attest_directly
from rolevend.app.manifest import api_commands, login_secrets, read_manifest
from rolevend.errors import PlatformUnavailable

EXAMPLE = Path(__file__).parents[3] / "examples" / "00-minimal" / "platform.yaml"


def test_attest_logs_in_with_the_secrets_that_install_writes(tmp_path: Path):
    body = yaml.safe_load(EXAMPLE.read_text())
    body["spec"]["postgres"] |= {"host": "127.0.0.1", "port": 1, "tls": {"mode": "VerifyFull"}}
    manifest, secrets = tmp_path / "platform.yaml", tmp_path / "secrets.yaml"
    manifest.write_text(yaml.safe_dump(body))
    logins = {name: {"username": name, "password": "x"} for name in ("programmer", "vendor")}
    secrets.write_text(login_secrets(read_manifest(manifest), "rolevend-system", programmer=logins["programmer"], vendor=logins["vendor"]))

    with pytest.raises(PlatformUnavailable, match=r"127\.0\.0\.1"):  # both logins were read: the next step is the connection
        attest_directly(manifest, secrets, lambda: datetime.now(UTC))


def test_the_commands_for_the_api_run_nothing_that_the_author_of_the_manifest_wrote(tmp_path: Path):
    manifest, made = tmp_path / "platform.yaml", tmp_path / "made"
    manifest.write_text(yaml.safe_dump(yaml.safe_load(EXAMPLE.read_text()) | {"metadata": {"name": f"$(touch {made}) `id`; id"}}))

    script = "kubectl() { printf '%s\\n' \"$3\"; }\n" + "\n".join(api_commands(read_manifest(manifest), "rolevend-system"))
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines() == [f"rolevend-api-$(touch {made}) `id`; id"] * 2
    assert not made.exists()
