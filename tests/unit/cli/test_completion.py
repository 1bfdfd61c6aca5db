"""A shell completes the names of objects, and no name that the shell would run."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from rolevend.cli import cli
from tests.support.manifests import changed, valid

EXAMPLE = str(Path(__file__).parents[3] / "examples" / "02-policy-as-code")


def completed(shell: str, words: str) -> list[str]:
    """Return what a shell is offered for the last of these words."""
    begun = words.rpartition(" ")[2]
    number = str(words.count(" ")) if shell != "fish" else begun
    environment = {"_ROLEVEND_COMPLETE": f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": number, "KUBECONFIG": "/nowhere"}
    answer = CliRunner().invoke(cli, [], prog_name="rolevend", env=environment, complete_var="_ROLEVEND_COMPLETE")
    lines = answer.stdout.splitlines()
    return lines[1::3] if shell == "zsh" else [line.removeprefix("plain,") for line in lines if line]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (f"explain --files {EXAMPLE} -n agents --agent f", ["finbot"]),
        (f"explain --files {EXAMPLE} -n elsewhere --agent f", []),
        (f"explain --files {EXAMPLE} --user a", ["anna"]),
        (f"explain --files {EXAMPLE} --issuer h", ["https://idp.example.org"]),
        (f"access t --could --files {EXAMPLE} --agent a", ["agents/finbot"]),
        (f"access t --could --files {EXAMPLE} --platform w", ["warehouse"]),
        ("revoke --agent a", []),
        ("platform attest w", []),
        ("who I", []),
    ],
)
def test_names_are_those_of_the_files_and_without_a_cluster_there_are_none(shell: str, words: str, offered: list[str]):
    assert completed(shell, f"rolevend {words}") == offered


HOSTILE = [
    "ana$(id)",
    "ana`id`",
    "ana;id",
    "ana|id",
    "ana*",
    "ana b",
    "ana'",
    'ana"',
    "ana\\",
    "ana&",
    "ana>x",
    "ana,b",
    "ana~",
    "ana#",
    "ána",
    "ana{1,2}",
]


def test_a_name_that_a_shell_would_run_split_or_expand_is_not_offered(tmp_path: Path):
    people = [
        changed(changed(valid("UserAttributes"), "metadata.name", f"user-{number}"), "spec.user.subject", subject)
        for number, subject in enumerate([*HOSTILE, "-ana", "~ana", "anna", "ana@example.org"])
    ]
    (tmp_path / "people.yaml").write_text(yaml.safe_dump_all(people))

    assert completed("bash", f"rolevend explain --files {tmp_path} --user ") == ["ana@example.org", "anna"]


def test_a_line_that_bash_completes_runs_nothing(tmp_path: Path):
    made = tmp_path / "made"
    people = [
        changed(changed(valid("UserAttributes"), "metadata.name", f"user-{number}"), "spec.user.subject", subject)
        for number, subject in enumerate([f"a$(touch${{IFS}}{made})", "anna"])
    ]
    (tmp_path / "people.yaml").write_text(yaml.safe_dump_all(people))
    shim = tmp_path / "bin" / "rolevend"
    shim.parent.mkdir()
    shim.write_text(
        f"""#!{sys.executable}
import sys
sys.argv[0] = "rolevend"
from rolevend.cli import main
main()
"""
    )
    shim.chmod(0o755)
    script = f"""
PATH={shim.parent}:$PATH
eval "$(_ROLEVEND_COMPLETE=bash_source rolevend)"
COMP_WORDS=(rolevend explain --files {tmp_path} --user a) COMP_CWORD=5
_rolevend_completion rolevend
eval "echo chosen ${{COMPREPLY[*]}}"
"""
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)

    assert done.stdout == "chosen anna\n", done.stderr
    assert not made.exists()
