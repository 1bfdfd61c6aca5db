"""What README.md shows is what happens: its transcript, its commands and its manifests are held to the real thing."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from testbed.binaries import Binaries
from tests.e2e.command import DEADLINE, README, ROOT, fences, rolevend, section, shows

EXAMPLE = ROOT / "examples" / "00-minimal"
TWO_PLATFORMS = ROOT / "examples" / "05-two-platforms" / "README.md"


@dataclass
class Typed:
    """A command, and what is shown below it."""

    command: str
    shown: list[str]


def typed(text: str) -> Iterator[Typed]:
    """Every command of the console blocks, with what is shown for it."""
    for block in fences(text, "console"):
        for entry in re.split(r"^\$ ", block.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
            command, *shown = entry.splitlines()
            yield Typed(command, [line for line in shown if line.strip()])


def prelude(output: str) -> list[str]:
    """The lines that a person pastes into a second terminal."""
    lines = [line.strip() for line in output.splitlines() if re.match(r" *(cd|\.) ", line)]
    return lines[:2]


def run(script: list[str]) -> "list[tuple[int, list[str]]]":
    """(exit status, output) of each command, typed one after the other into one shell."""
    mark = "@@@"
    text = "\n".join(f'{line}\necho "{mark}$?"' for line in script)
    answer = subprocess.run(["bash"], input=text, cwd="/", stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True, timeout=DEADLINE)
    ends = re.split(rf"^{mark}(\d+)\n", answer.stdout, flags=re.MULTILINE)
    return [(int(status), output.splitlines()) for output, status in zip(ends[::2], ends[1::2], strict=False)]


@pytest.fixture(scope="module")
def dev(binaries: Binaries) -> Iterator[str]:
    """What `make dev` printed, while all of it is up. In the end it is interrupted, and leaves nothing."""
    with rolevend("--dev", program="demo") as dev:
        yield dev.read_until("Ctrl-C here")
        assert dev.interrupt() == 0, dev.output
        assert dev.remains() == []


@pytest.mark.long
def test_the_commands_to_try_and_those_of_two_platforms_do_what_is_shown(dev: str) -> None:
    first, *commands = typed(section("Try it by hand"))
    assert first.command == "make dev"
    commands += typed(TWO_PLATFORMS.read_text(encoding="utf-8"))
    before = prelude(dev)
    answers = run([*before, *(each.command for each in commands)])[len(before) :]
    assert len(answers) == len(commands)
    for each, (status, output) in zip(commands, answers, strict=True):
        meant_to_fail = any("error:" in line.lower() for line in each.shown)
        assert (status != 0) == meant_to_fail, (each.command, output)
        for line in each.shown:
            assert shows(output, line), (each.command, line, output)


@pytest.mark.long
def test_what_make_dev_prints_works_as_it_is_printed(dev: str) -> None:
    printed = dev.partition("in a shell of your own:")[2].partition("# ")[0]
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    assert len(lines) > 4
    assert [(line, output) for line, (status, output) in zip(lines, run(lines), strict=True) if status != 0] == []
    *_, (_, rows), (_, asked), (_, both) = run(lines)
    assert shows(rows, "***… | … | …-01-01 | …")
    assert shows(asked, "IMMUTA_VENDED_CHATBOT_E10442_…")
    assert shows(both, "… open US None - (withheld)")
    before, superuser = prelude(dev), re.search(r"^ *(psql '?postgresql.*)$", dev, re.MULTILINE)
    assert superuser is not None
    assert run([*before, f"{superuser[1]} -Atc 'SELECT count(*) FROM claims.claims'"])[-1] == (0, ["100000"])
    become_agent = re.findall(r"^ *(export KUBECONFIG=\S+)$", dev, re.MULTILINE)[-1]
    assert run([*before, become_agent, "kubectl auth whoami -o jsonpath='{.status.userInfo.username}{\"\\n\"}'"])[-1] == (
        0,
        ["system:serviceaccount:agents:finbot"],
    )


@pytest.mark.long
def test_what_make_dev_prints_for_the_time_after_an_incident_answers_from_what_it_kept(dev: str) -> None:
    before = prelude(dev)
    asked = ["kubectl apply -f examples/01-first-role", "kubectl wait --for=condition=Ready -n agents vendedrole --all"]
    block = re.search(r"^ *# after an incident.*?(?=\n\n)", dev, re.MULTILINE | re.DOTALL)
    assert block is not None
    printed = [line.strip() for line in block[0].splitlines() if not line.lstrip().startswith("#")]
    assert len(printed) == 6
    psql = next(line.strip() for line in dev.splitlines() if line.lstrip().startswith('psql "$(kubectl'))
    reads = re.sub(r"'SELECT .*'", "'SELECT count(*) FROM policies'", psql)

    answers = run([*before, *asked, reads, *printed])[len(before) + len(asked) :]

    assert [output for status, output in answers if status != 0] == []
    _, now, could, ledger, receipts, dry_run, scim = (output for _, output in answers)
    assert shows(now, "agents/ask-for-anna … Hash …")
    assert shows(could, "anna … at once Hash …")
    assert shows(ledger, "… agents/finbot anna claims.policies* … SELECT count(*) FROM policies")
    assert shows(receipts, "… receipts, all of them as they were signed")
    assert shows(dry_run, "… roles of 1 agent and 2 users")
    assert json.loads("".join(scim))["totalResults"] == 0


def test_its_manifests_are_those_of_the_example() -> None:
    shown = [each for block in fences(section("Install it on a cluster"), "yaml") for each in yaml.safe_load_all(block)]
    files = ("platform.yaml", "access.yaml")
    there = [each for name in files for each in yaml.safe_load_all((EXAMPLE / name).read_text(encoding="utf-8"))]
    assert shown
    for each in shown:
        assert each in there


def test_the_files_that_its_commands_name_are_there() -> None:
    named = {word for each in typed(README) for word in each.command.split() if re.match(r"(examples|charts)/", word)}
    assert named
    assert [name for name in named if not Path(ROOT / name).exists()] == []
