"""The command line: what a person can type without a cluster, and errors that are one line."""

import json
import os
import pty
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from rolevend.audit.chain import Chain
from rolevend.audit.events import StartedEvent
from rolevend.cli import cli, colour
from rolevend.errors import InvalidInput, PlatformUnavailable
from rolevend.kinds import kind_named

EXAMPLES = Path(__file__).parents[3] / "examples"
POLICIES = str(EXAMPLES / "02-policy-as-code")
CATALOG = str(EXAMPLES / "02-policy-as-code" / "catalog" / "warehouse.yaml")
INSTALL = (
    "platform",
    "install",
    "-f",
    str(EXAMPLES / "00-minimal" / "platform.yaml"),
    "--dsn",
    "host=127.0.0.1 port=1",
    "--accept",
    "0" * 64,
)
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


def test_every_command_that_writes_json_writes_the_same_as_yaml():
    with_json = {
        words: each.type.choices
        for words, command in commands()
        for each in command.params
        if each.name == "output" and isinstance(each.type, click.Choice) and "json" in each.type.choices
    }
    assert {("policy", "check"), ("policy", "diff"), ("explain",), ("ledger",), ("trace",), ("platform", "plan")} <= with_json.keys()
    assert [words for words, formats in with_json.items() if "yaml" not in formats] == []
    for asked in (
        ("policy", "check", CATALOG),
        ("policy", "diff", POLICIES, POLICIES, "--catalog", CATALOG),
        ("explain", "--files", POLICIES, "--catalog", CATALOG, "--user", "anna"),
        ("who", ROLE, "--offline"),
    ):
        assert yaml.safe_load(run(*asked, "-o", "yaml")) == json.loads(run(*asked, "-o", "json"))


def in_a_terminal(*arguments: str, **environment: str) -> str:
    """Return what a command writes to a terminal."""
    reads, writes = pty.openpty()
    with os.fdopen(reads, "rb", buffering=0) as terminal:
        command = [sys.executable, "-m", "rolevend", *arguments]
        with subprocess.Popen(command, stdout=writes, stderr=subprocess.DEVNULL, env=os.environ | {"TERM": "xterm"} | environment) as run:
            os.close(writes)
            said = b""
            with suppress(OSError):  # the end of a terminal
                while some := terminal.read(4096):
                    said += some
        assert run.returncode in (0, 1)
    return said.decode().replace("\r\n", "\n")


def test_a_terminal_gets_colours_unless_it_refuses_them_and_a_pipe_gets_the_plain_text(tmp_path: Path):
    spoiled = tmp_path / "spoiled.yaml"
    spoiled.write_text((Path(POLICIES) / "domains" / "claims" / "analysts.yaml").read_text().replace("rowFilter", "rowFliter"))
    asked = ("policy", "check", str(spoiled))
    plain = CliRunner().invoke(cli, asked).stdout

    coloured = in_a_terminal(*asked)

    assert "\x1b" not in plain
    assert ": \x1b[31m\x1b[1merror\x1b[0m: " in coloured
    assert click.unstyle(coloured) == plain
    assert in_a_terminal(*asked, NO_COLOR="1") == in_a_terminal(*asked, TERM="dumb") == plain


@pytest.mark.parametrize(
    ("palette", "text", "coloured"),
    [
        (colour.DIFF, "USER  CHANGE  WHAT\nanna  gains   a.b\nbob   loses   a.b", ["USER  CHANGE  WHAT", "gains", "loses"]),
        (colour.EXPLANATION, "  job In (a): met\n  job In (b): not met\n  grants a.b where c", ["met", "not met", "  grants"]),
        (colour.CHECK, "a.yaml:1:2: warning: who: error: x\n1 file, 1 object: 0 errors, 1 warning", ["warning"]),
        (colour.CASES, "passed  one\nFAILED  two\n2 cases, 1 failed", ["passed", "FAILED", "1 failed"]),
    ],
)
def test_colours_are_of_the_words_that_say_how_it_is_and_of_nothing_else(palette: colour.Palette, text: str, coloured: list[str]):
    painted = colour.painted(text, palette)

    assert sorted(re.findall("(?:\x1b\\[[0-9]+m)+([^\x1b]+)\x1b\\[0m", painted)) == sorted(coloured)
    assert click.unstyle(painted) == text


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
    printed = list(yaml.load_all(run("crds"), Loader=yaml.CSafeLoader))
    run("crds", "--write", str(tmp_path / "crds"))

    written = [yaml.load(path.read_text(), Loader=yaml.CSafeLoader) for path in sorted((tmp_path / "crds").iterdir())]
    assert [each["metadata"]["name"] for each in printed] == [each["metadata"]["name"] for each in written]
    assert {kind_named("VendedRole").plural, kind_named("Agent").plural} <= {each["spec"]["names"]["plural"] for each in printed}


@pytest.mark.thinned(3, "long")
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


@pytest.mark.parametrize("command", ["install", "uninstall"])
@pytest.mark.parametrize(
    ("accepted", "said"),
    [
        ("5a1f00c2b9", "5a1f00c2b9 is shortened: a digest has 64 characters"),
        ("5A1F00C2B9…", "5A1F00C2B9… is shortened"),
        ("0" * 65, "is too long: a digest has 64 characters"),
        ("sha256:00", "'sha256:00' is no digest"),
        ("", "'' is no digest"),
    ],
)
def test_a_digest_that_is_not_whole_is_told_apart_from_a_plan_that_changed(command: str, accepted: str, said: str):
    failed = CliRunner().invoke(cli, [each.replace("install", command) for each in INSTALL[:-1]] + [accepted])

    assert failed.exit_code == 2
    assert said in " ".join(failed.stderr.split())
    assert "changed" not in failed.stderr


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
