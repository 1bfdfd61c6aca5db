"""On a real account, and with credentials in the environment alone: `rolevend platform attest`, as docs/how-to/set-up-snowflake.md says."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def attestation() -> dict[str, object]:
    place = {option: os.environ[f"ROLEVEND_LIVE_SNOWFLAKE_{option.upper()}"] for option in ("manifest", "secrets")}
    command = [sys.executable, "-m", "rolevend", "platform", "attest", "--output", "json"]
    command += ["--filename", place["manifest"], "--secrets", place["secrets"]]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    assert ran.returncode in (0, 1), ran.stderr
    return json.loads(ran.stdout)


def test_every_promise_holds_every_attack_fails_and_every_assumption_is_as_it_is_assumed(attestation: dict[str, object]):
    assert attestation.get("failed", []) == []
    assert attestation["passed"], "nothing was tried"


def test_everything_that_can_be_tried_was_tried(attestation: dict[str, object]):
    from rolevend.platforms.snowflake.attest import UNTRIED

    untried = attestation["notTried"]
    assert isinstance(untried, list)
    assert {each["name"] for each in untried} == {each.result.check for each in UNTRIED}
