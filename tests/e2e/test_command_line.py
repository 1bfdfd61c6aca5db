"""The command line answers at once, and completes what a person begins to type."""

import os
import subprocess
import sys

import pytest

from tests.support.waiting import PROGRAM

HEAVY = ("aiohttp", "cryptography", "kopf", "kubernetes", "prometheus_client", "psycopg", "pydantic", "rich", "sqlglot", "yaml")


def run(code: str, *arguments: str, **environment: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=True, timeout=PROGRAM).stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["platform", "plan", "--help"],
        ["policy", "check", "--help"],
        ["approve", "--help"],
        ["requests", "--help"],
    ],
    ids=" ".join,
)
def test_help_loads_nothing_that_it_does_not_need(arguments: list[str]) -> None:
    code = f"""
import sys
sys.argv = ["rolevend", *sys.argv[1:]]
from rolevend.cli import main
try:
    main()
except SystemExit:
    pass
print("loaded:", *sorted(set(sys.modules) & set({HEAVY!r})))
"""
    assert run(code, *arguments).splitlines()[-1] == "loaded:"


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("rolevend ", {"audit", "crds", "operator", "platform", "policy", "receipt", "trace", "who"}),
        ("rolevend requests --state P", {"pending"}),
        ("rolevend platform ", {"attest", "catalog", "install", "plan", "uninstall"}),
    ],
)
def test_a_shell_completes(words: str, offered: set[str]) -> None:
    code = "from rolevend.cli import main; main()"
    said = run(
        f"import sys; sys.argv = ['rolevend']; {code}",
        _ROLEVEND_COMPLETE="bash_complete",
        COMP_WORDS=words,
        COMP_CWORD=str(len(words.split(" ")) - 1),
    )
    assert {line.partition(",")[2] for line in said.splitlines()} >= offered


def test_what_help_says_of_completion_is_a_script_for_the_shell() -> None:
    script = run("import sys; sys.argv = ['rolevend']; from rolevend.cli import main; main()", _ROLEVEND_COMPLETE="zsh_source")
    assert "_ROLEVEND_COMPLETE=zsh_complete" in script
