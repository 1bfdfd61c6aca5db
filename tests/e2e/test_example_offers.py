"""The offers of the examples show, with an approval and without, the rows that their cases say."""

import subprocess
import sys

import pytest

from tests.e2e.command import ROOT
from tests.support.waiting import PROGRAM

EXAMPLES = ROOT / "examples"
BASE = [f"01-first-role/manifests/{name}.yaml" for name in ("1-namespaces", "2-platform", "3-agent", "4-tags", "6-people")]
POLICIES = [f"01-first-role/manifests/{name}.yaml" for name in ("5-policies", "7-guardrail")]
FILES = {
    "00-minimal": ["00-minimal"],
    "01-first-role": ["01-first-role"],
    "04-over-http": [*BASE, *POLICIES, "04-over-http"],
    "05-two-platforms": [*BASE, "05-two-platforms/manifests", "05-two-platforms/offer"],
}


@pytest.mark.thinned(4, "long")
@pytest.mark.parametrize("example", FILES)
def test_the_cases_of_an_offer_pass(example: str):
    catalogs = [f"--catalog={EXAMPLES / '05-two-platforms' / 'catalog' / name}.yaml" for name in ("warehouse", "crm")]
    used = catalogs if example == "05-two-platforms" else catalogs[:1]
    files = [str(EXAMPLES / each) for each in FILES[example]]

    done = subprocess.run(
        [sys.executable, "-m", "rolevend", "policy", "test", *files, *used], capture_output=True, text=True, check=False, timeout=PROGRAM
    )

    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert "with one" in done.stdout
    assert done.stdout.endswith(" cases, 0 failed\n")
