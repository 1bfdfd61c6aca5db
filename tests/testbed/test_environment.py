"""The environment of a checkout is set up by a Python that has nothing installed, and what fails is told in the words of what failed."""

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from testbed.environment import main

ROOT = Path(__file__).parents[2]


def pins(lock: str) -> dict[str, str]:
    """What a lock says of each package: its version and hashes, whatever the platforms that need it."""
    text = re.sub(r" ; .*(?= \\$)", "", (ROOT / "requirements" / lock).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {name.lower(): rest for name, rest in re.findall(r"^([\w.-]+)(==.*(?:\n .*)*)", text, re.MULTILINE)}


def imported(file: Path) -> set[str]:
    """The first part of each name that the module imports."""
    nodes = [*ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.partition(".")[0] for name in names}


def stand_in(folder: Path, script: str) -> Path:
    """An environment whose Python is a shell script."""
    python = folder / "environment" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    return python.parents[1]


def test_it_needs_nothing_but_python() -> None:
    code = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'operator')!r}]; import testbed.environment"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


def test_what_is_locked_is_installed_by_its_hash_and_then_the_checkout(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = stand_in(tmp_path, f'echo "$@" >> {tmp_path}/calls')
    lock = tmp_path / "some.lock"
    lock.write_text("one==1 \\\n    --hash=sha256:1\ntwo==2 \\\n    --hash=sha256:2\n")

    assert main([str(folder), str(lock)]) == 0

    first, second = (tmp_path / "calls").read_text().splitlines()
    assert first.endswith(f"--require-hashes --requirement {lock}")
    assert second.endswith("--no-deps --no-build-isolation --editable . --editable clients/python")
    assert "installing 2 Python packages …" in capfd.readouterr().err


def test_what_pip_says_is_told_if_it_fails(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = stand_in(tmp_path, "echo 'No matching distribution found for one==1' >&2; exit 1")
    lock = tmp_path / "some.lock"
    lock.write_text("one==1\n")

    assert main([str(folder), str(lock)]) == 1

    said = capfd.readouterr().err
    assert "installing 1 Python packages … failed" in said
    assert "No matching distribution found for one==1" in said


def test_what_the_demo_installs_is_a_part_of_what_the_tests_install() -> None:
    demo, everything = pins("demo.lock"), pins("dev.lock")

    assert demo.items() <= everything.items()
    assert not {"mypy", "mutmut", "pytest", "ruff"} & demo.keys()


def test_the_demo_installs_all_that_the_project_says_it_needs() -> None:
    about = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = about["project"]["optional-dependencies"]
    needed = [
        *extras["demo"],
        *extras["operator"],
        *extras["api"],
        *extras["postgres"],
        *extras["snowflake"],
        *about["project"]["dependencies"],
    ]
    names = {re.match(r"[\w.-]+", each)[0].lower() for each in needed} - {"rolevend"}

    assert names <= pins("demo.lock").keys()


@pytest.mark.long
def test_the_demo_installs_all_that_its_programs_import() -> None:
    folders = (
        "operator/rolevend",
        "clients/python/rolevend_client",
        "tests/support/snowflake",
        "examples/04-over-http",
        "examples/05-two-platforms",
    )
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py") if "rolevend_client/mcp" not in str(path)]
    carriers = importlib.metadata.packages_distributions()
    locked = pins("demo.lock").keys()
    ours = {"rolevend", "rolevend_client", "tests"}

    foreign = set().union(*map(imported, files)) - sys.stdlib_module_names - ours
    lacking = {name for name in foreign if not {each.lower().replace("_", "-") for each in carriers.get(name, ())} & locked}

    assert {"duckdb", "httpx", "jwt"} <= foreign
    assert lacking <= {"_typeshed", "pyarrow"}  # of mypy alone; of data frames, where it is installed
