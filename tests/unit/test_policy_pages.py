"""The guide to policy as code, run as it is written: each command in the example's folder, and each answer as the page has it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "how-to" / "judge-policies.md"
NEEDS_MORE = ("rolevend platform catalog", "rolevend policy test", "rolevend policy backtest", "rolevend explain ask-for-anna")
"""Commands that ask a database, a cluster or the past: they are tried where there is one."""


def test_every_command_of_the_guide_answers_as_the_guide_says(tmp_path: Path):
    there = tmp_path / "repository"
    shutil.copytree(ROOT / "examples" / "02-policy-as-code", there)
    path = with_rolevend(tmp_path / "bin")
    run("git init -q && git add -A && git -c user.name=x -c user.email=x commit -qm x", there, path)
    blocks = re.findall(r"^```console\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    asked = [asked for block in blocks for asked in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)]
    assert len(asked) > 3
    for command, answer in asked:
        if not command.startswith(NEEDS_MORE):
            assert run(command, there, path) == answer, command


def with_rolevend(folder: Path) -> str:
    """A search path on which `rolevend` is this one."""
    folder.mkdir()
    program = folder / "rolevend"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT / "operator"} exec {sys.executable} -m rolevend "$@"\n')
    program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def run(command: str, folder: Path, path: str) -> str:
    done = subprocess.run(command, shell=True, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def test_the_workflow_of_the_example_passes_on_the_example_and_says_what_a_pull_request_changes(tmp_path: Path):
    example = ROOT / "examples" / "02-policy-as-code"
    there, path, summary = tmp_path / "repository", with_rolevend(tmp_path / "bin"), tmp_path / "summary.md"
    shutil.copytree(example, there)
    shutil.copytree(example, there / ".base")
    managers = there / "domains" / "hr" / "managers.yaml"
    managers.write_text(managers.read_text().replace(", country]", ", country, salary]"))
    steps = yaml.safe_load((example / ".github" / "workflows" / "policy.yaml").read_text())["jobs"]["policy"]["steps"]

    for command in [step["run"] for step in steps if step.get("run", "").startswith("rolevend ")]:
        run(f"set -e; GITHUB_STEP_SUMMARY={summary}; {command}", there, path)

    assert "| mia | agents/finbot | warehouse | gains | hr.staff.salary | - | Clear |" in summary.read_text()
