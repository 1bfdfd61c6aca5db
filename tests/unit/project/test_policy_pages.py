"""The guide to policy as code, run as it is written: each command in the example's folder, and each answer as the page has it."""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.support.pages import ROOT, Typed, run, steps, with_rolevend

GUIDE = ROOT / "docs" / "how-to" / "judge-policies.md"
NEEDS_MORE = ("rolevend platform catalog", "rolevend policy test", "rolevend policy backtest", "rolevend explain ask-for-anna")
"""Commands that ask a database, a cluster or the past: they are tried where there is one."""


@pytest.mark.long
def test_every_command_of_the_guide_answers_as_the_guide_says(tmp_path: Path):
    there = tmp_path / "repository"
    shutil.copytree(ROOT / "examples" / "02-policy-as-code", there)
    path = with_rolevend(tmp_path / "bin")
    run("git init -q && git add -A && git commit -qm x", there, path)
    asked = [step for step in steps(GUIDE) if isinstance(step, Typed)]
    assert len(asked) > 3
    for step in asked:
        if not step.command.startswith(NEEDS_MORE):
            assert run(step.command, there, path) == step.answer, step.command


def test_the_workflow_of_the_example_passes_on_the_example_and_says_what_a_pull_request_changes(tmp_path: Path):
    example = ROOT / "examples" / "02-policy-as-code"
    there, path, summary = tmp_path / "repository", with_rolevend(tmp_path / "bin"), tmp_path / "summary.md"
    shutil.copytree(example, there)
    shutil.copytree(example, there / ".base")
    managers = there / "domains" / "hr" / "managers.yaml"
    managers.write_text(managers.read_text().replace(", country]", ", country, salary]"))
    steps = yaml.safe_load((example / ".github" / "workflows" / "policy.yaml").read_text())["jobs"]["policy"]["steps"]

    for command in [step["run"] for step in steps if step.get("run", "").startswith("rolevend ")]:
        if not command.startswith(NEEDS_MORE):
            run(f"set -e; GITHUB_STEP_SUMMARY={summary}; {command}", there, path)

    assert "| mia | agents/finbot | warehouse | gains | hr.staff.salary | - | Clear |" in summary.read_text()
