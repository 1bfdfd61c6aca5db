"""The file with the environment of `make dev`, and the one demo that has it."""

import os
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest

from demo import tryout
from demo.stage import Stage
from rolevend.policytools.embedded.errors import Unusable

STAGE = cast(Stage, None)


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    def environment(_: Any) -> dict[str, str]:
        return {"KUBECONFIG": "'/a b'"}

    monkeypatch.setattr(tryout, "checkout", lambda: tmp_path)
    monkeypatch.setattr(tryout, "_environment_of", environment)
    return tmp_path / tryout.ENVIRONMENT_FILE


def sourced(file: Path) -> tuple[int, str, str]:
    """Exit code, KUBECONFIG and errors of a shell that reads the file."""
    script = f'. {file} && printf %s "$KUBECONFIG"'
    done = subprocess.run(["sh", "-c", script], env={"PATH": os.defpath}, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_it_is_there_as_long_as_the_demo_and_for_its_user_alone(file: Path):
    with tryout._environment_file(STAGE):
        assert sourced(file) == (0, "/a b", "")
        assert file.stat().st_mode & 0o077 == 0
    assert not file.exists()


def test_the_file_of_one_that_was_killed_sets_nothing_and_says_why(file: Path):
    with tryout._environment_file(STAGE):
        left = file.read_text()
    ended = subprocess.Popen(["true"])
    ended.wait()
    file.write_text(left.replace(f" {os.getpid()} ", f" {ended.pid} "))

    assert sourced(file) == (1, "", "the demo that wrote this file is no longer up: run make dev again\n")


def test_a_second_one_in_the_checkout_is_refused_until_the_first_ends(file: Path):
    refused = pytest.raises(Unusable, match=r"make dev runs in this checkout already: use it with make shell, or end it with Ctrl-C")
    with tryout.only_one(), refused:
        tryout.only_one().__enter__()
    with tryout.only_one():
        assert not file.exists()


def test_the_file_of_one_that_was_killed_is_replaced(file: Path):
    file.write_text("export KUBECONFIG=gone\n")

    with tryout._environment_file(STAGE):
        assert "gone" not in file.read_text()
