"""What an administrator of a Snowflake account gets from `rolevend platform plan` and `install`."""

import base64
import stat
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization

from rolevend.cli import cli
from rolevend.errors import InvalidInput
from rolevend.platforms.protocol import Secret
from rolevend.platforms.snowflake.vend.keys import SpareKeys, new_key, public_key
from tests.support.manifests import on_snowflake, valid


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    spelled = {"account": "myorg-account1", "database": "CLAIMS", "warehouse": "AGENTS_WH"}
    written = on_snowflake(spelled)
    path = tmp_path / "platform.yaml"
    path.write_text(yaml.safe_dump(written))
    return path


def run(*arguments: str, status: int = 0) -> tuple[str, str]:
    answer = CliRunner().invoke(cli, arguments)
    assert answer.exit_code == status, answer.output
    return answer.stdout, answer.stderr


def digest_of(plan: str) -> str:
    return next(line.removeprefix("-- digest: ") for line in plan.splitlines() if line.startswith("-- digest: "))


def test_a_plan_asks_nobody_holds_no_key_and_says_how_to_go_on(manifest: Path):
    plan, told = run("platform", "plan", "-f", str(manifest))

    assert "<public key of the vendor>" in plan
    assert f"rolevend platform install -f {manifest} --accept {digest_of(plan)}" in told
    assert run("platform", "plan", "-f", str(manifest))[0] == plan


def test_the_script_has_the_public_keys_of_the_logins_in_the_secrets(manifest: Path, tmp_path: Path):
    plan, _ = run("platform", "plan", "-f", str(manifest))
    secrets = tmp_path / "secrets.yaml"

    script, told = run("platform", "install", "-f", str(manifest), "--accept", digest_of(plan), "--secrets", str(secrets))

    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    logins = [each["stringData"] for each in yaml.safe_load_all(secrets.read_text())]
    assert [each["username"] for each in logins] == ["ROLEVEND_PROGRAMMER", "ROLEVEND_VENDOR"]
    for login in logins:
        assert f"ALTER USER \"{login['username']}\" SET RSA_PUBLIC_KEY = '{public_key(Secret(login['private_key']))}'" in script
        assert login["private_key"] not in script
        assert "password" not in login
    assert f"kubectl apply -f {secrets}" in told


def test_a_script_that_nobody_accepted_is_not_written(manifest: Path, tmp_path: Path):
    answer = CliRunner().invoke(
        cli, ["platform", "install", "-f", str(manifest), "--accept", "0" * 64, "--secrets", str(tmp_path / "s.yaml")]
    )

    assert "read the new plan and accept its digest" in str(answer.exception)
    assert (tmp_path / "s.yaml").read_text() == ""


def test_the_secrets_need_a_file_and_postgresql_needs_a_connection(manifest: Path, tmp_path: Path):
    _, told = run("platform", "install", "-f", str(manifest), "--accept", "0" * 64, status=2)
    assert "name a file for the two Secrets with --secrets" in told

    postgres = tmp_path / "postgres.yaml"
    postgres.write_text(yaml.safe_dump(valid("DataPlatform")))
    _, told = run("platform", "plan", "-f", str(postgres), status=2)
    assert "Missing option '--dsn'" in told


def test_a_public_key_is_that_of_the_private_one_in_one_line():
    private = new_key()
    parsed = serialization.load_pem_private_key(private.reveal().encode(), None).public_key()
    der = parsed.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert base64.b64decode(public_key(private)) == der


def test_keys_that_are_made_beforehand_are_each_given_once():
    spare = SpareKeys(4)
    try:
        taken = [spare.take().reveal() for _ in range(12)]
    finally:
        spare.close()
    assert len(set(taken)) == 12


@pytest.mark.parametrize("text", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_what_is_no_key_is_said_to_be_none_without_being_shown(text: str):
    with pytest.raises(InvalidInput, match="is no RSA key in PEM without a passphrase"):
        public_key(Secret(text))
