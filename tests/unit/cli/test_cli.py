"""The command line: what a person can type without a cluster, and errors that are one line."""

import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from rolevend.audit.chain import Chain
from rolevend.audit.events import StartedEvent
from rolevend.cli import cli
from rolevend.errors import InvalidInput, PlatformUnavailable
from rolevend.kinds import kind_named

EXAMPLES = Path(__file__).parents[3] / "examples"
CATALOG = str(EXAMPLES / "02-policy-as-code" / "catalog" / "warehouse.yaml")
INSTALL = ("platform", "install", "-f", str(EXAMPLES / "00-minimal" / "platform.yaml"), "--dsn", "host=127.0.0.1 port=1", "--accept", "x")
ROLE = "IMMUTA_VENDED_FINBOT_E10442_3FXWQ4H5S8CK9RN2V6Y0ZTBDGM"


def run(*arguments: str) -> str:
    answer = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def commands(command: click.Command = cli, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command and every group, by the words that are typed."""
    yield words, command
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from commands(below, (*words, name))


def test_every_command_and_every_option_explains_itself():
    there = dict(commands())
    assert {("operator",), ("drain",), ("policy", "backtest"), ("platform", "attest"), ("platform", "hash-key")} <= there.keys()
    for words, command in there.items():
        assert "Usage:" in run(*words, "--help")
        assert command.help, words
        options = [each for each in command.params if isinstance(each, click.Option)]
        assert [(*words, *each.opts) for each in options if not each.help] == []


def test_who_takes_a_role_name_apart_without_a_cluster():
    facts = json.loads(run("who", ROLE, "--offline", "--output", "json"))

    assert facts["agent"] == "handle FINBOT"
    assert facts["user"] == "handle E10442"
    assert facts["sources"]["user"] == "its name"
    assert len(facts["request"]) == 36


def test_who_refuses_what_is_no_role_name():
    with pytest.raises(InvalidInput, match="is not the name of a vended role"):
        run("who", "postgres", "--offline")


def test_crds_are_printed_as_one_stream_or_written_as_files(tmp_path: Path):
    printed = list(yaml.safe_load_all(run("crds")))
    run("crds", "--write", str(tmp_path / "crds"))

    written = [yaml.safe_load(path.read_text()) for path in sorted((tmp_path / "crds").iterdir())]
    assert [each["metadata"]["name"] for each in printed] == [each["metadata"]["name"] for each in written]
    assert {kind_named("VendedRole").plural, kind_named("Agent").plural} <= {each["spec"]["names"]["plural"] for each in printed}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("who", "postgres", "--offline"), "rolevend: roleName: 'postgres' is not the name of a vended role"),
        (("unknown",), "Error: No such command 'unknown'"),
        (("platform", "plan", "-f", "no-such-file.yaml", "--dsn", "x"), "Error: Invalid value for '-f' / '--filename'"),
        (("crds", "--write", "/proc/nowhere"), "rolevend: /proc/nowhere: "),
        (
            ("explain", "a-role", "--catalog", CATALOG, "--kubeconfig", "/nowhere:/nor-here"),
            "there is no file /nowhere:/nor-here; name one",
        ),
        (("drain", "--kubeconfig", "/dev/null/x"), "there is no file /dev/null/x; name one with --kubeconfig"),
    ],
)
def test_a_mistake_is_told_without_a_traceback(arguments: tuple[str, ...], said: str):
    answer = subprocess.run([sys.executable, "-m", "rolevend", *arguments], capture_output=True, text=True, check=False)

    assert answer.returncode != 0
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_kubeconfig_is_looked_at_where_the_cluster_is_asked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KUBECONFIG", "/nowhere/config")

    assert "handle FINBOT" in run("who", ROLE, "--offline")


@pytest.mark.parametrize(("file", "said"), [("none/secrets.yaml", "No such file or directory"), ("file/secrets.yaml", "Not a directory")])
def test_nothing_is_installed_where_its_logins_could_not_be_kept(file: str, said: str, tmp_path: Path):
    (tmp_path / "file").touch()
    failed = CliRunner().invoke(cli, [*INSTALL, "--secrets", str(tmp_path / file)])

    assert failed.exit_code == 2
    assert "Invalid value for --secrets" in failed.stderr
    assert f"{tmp_path / file} cannot be written: {said}" in " ".join(failed.stderr.split())


def test_what_was_kept_before_stays_until_there_is_something_new_and_is_nobody_elses_to_read(tmp_path: Path):
    kept = tmp_path / "secrets.yaml"
    kept.write_text("of before")
    kept.chmod(0o644)

    with pytest.raises(PlatformUnavailable):
        run(*INSTALL, "--secrets", str(kept))

    assert kept.read_text() == "of before"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_audit_verify_names_what_is_wrong_and_fails(tmp_path: Path):
    made = Chain("/rolevend/clusters/c", "c1")
    moment = datetime(2026, 11, 24, tzinfo=UTC)
    started = [StartedEvent(id=f"e{number}", subject="pod", time=moment, version="1", host="pod") for number in range(3)]
    lines = [made.append(event) for event in started]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.write_bytes(b"".join(lines))
    cut.write_bytes(lines[0] + lines[2])

    assert f"3 events, all of them as they were written; the last one has the hash {made.head}" in run("audit", "verify", str(whole))
    failed = CliRunner().invoke(cli, ["audit", "verify", str(cut)])
    assert failed.exit_code == 1
    assert f"PROBLEM {cut}:2: 1 event is missing between {cut}:1 and here" in failed.stdout
    assert json.loads(run("audit", "verify", str(whole), "-o", "json"))["problems"] == []
    assert CliRunner().invoke(cli, ["audit", "verify", str(whole), "--expect", "0" * 64]).exit_code == 1
