"""`rolevend ledger`, as a person types it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rolevend.cli import cli
from rolevend.errors import InvalidInput
from tests.support.pglogs import OTHER_ROLE, as_json, granted, record


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["ledger", *arguments], catch_exceptions=False)


@pytest.fixture
def audit(tmp_path: Path) -> str:
    file = tmp_path / "audit.ndjson"
    file.write_text(json.dumps(granted()) + "\nno event\n")
    return str(file)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    folder = tmp_path / "log"
    folder.mkdir()
    (folder / "a.json").write_bytes(as_json(record("duration: 1.0 ms  statement: SELECT 1\nFROM people")))
    return folder


def test_it_prints_a_table(audit: str, log: Path):
    answer = run(str(log), "--audit", audit)

    header, line = answer.stdout.splitlines()
    assert header.split()[:3] == ["TIME", "AGENT", "USER"]
    assert line.startswith("2026-11-24T12:00:00.000Z  agents/finbot")
    assert line.endswith("SELECT 1 FROM people")
    assert "note: *: the text names these tables" in answer.stderr


def test_a_folder_of_audit_events_stands_for_its_files_rotated_ones_too(log: Path, tmp_path: Path):
    folder = tmp_path / "audit"
    folder.mkdir()
    (folder / "operator.ndjson.1").write_text(json.dumps(granted()) + "\n")
    (folder / "operator.ndjson").write_text("")
    (folder / "notes.txt").write_text(json.dumps(granted(agent="agents/nobody")) + "\n")

    _, line = run(str(log), "--audit", str(folder)).stdout.splitlines()

    assert "agents/finbot" in line


def test_a_folder_without_audit_events_is_refused(log: Path):
    answer = run(str(log), "--audit", str(log))

    assert answer.exit_code == 2
    assert "log holds no file whose name ends with .ndjson, such as audit.ndjson" in " ".join(answer.stderr.split())


@pytest.mark.parametrize("output", ["json", "ocsf"])
def test_it_prints_one_object_per_line_and_only_new_ones_with_a_state(audit: str, log: Path, tmp_path: Path, output: str):
    state = str(tmp_path / "state")
    arguments = (str(log), "--audit", audit, "--state", state, "-o", output)

    (line,) = run(*arguments).stdout.splitlines()
    with (log / "a.json").open("ab") as file:
        file.write(as_json(record("duration: 1.0 ms  statement: SELECT 2", line_num="2")))
    (new,) = run(*arguments).stdout.splitlines()

    assert run(*arguments).stdout == ""
    first, second = json.loads(line), json.loads(new)
    if output == "json":
        assert (first["userSubject"], first["tables"], second["statement"]) == ("anna", ["claims.people"], "SELECT 2")
    else:
        assert (first["class_uid"], first["table"], second["query_info"]["query_string"]) == (6005, {"name": "claims.people"}, "SELECT 2")


def test_it_filters(audit: str, log: Path):
    def lines(*arguments: str) -> int:
        return len(run(str(log), "--audit", audit, "-o", "json", *arguments).stdout.splitlines())

    assert (
        lines("--user", "anna", "--agent", "finbot", "--table", "people", "--since", "2026-11-24", "--until", "2026-11-24T13:00+00:59") == 1
    )
    assert lines("--until", "2026-11-24T12:00") == lines("--since", "2026-11-25") == lines("--user", "bert") == lines("--table", "x") == 0


def test_it_lists_unused_grants(audit: str, log: Path):
    arguments = (str(log), "--audit", audit, "--unused", "1", "--until", "2026-11-25")

    text = run(*arguments)
    objects = [json.loads(line) for line in run(*arguments, "-o", "json").stdout.splitlines()]

    assert [line.split()[:2] for line in text.stdout.splitlines()] == [["policy", "claims.claims"], ["grant", "claims.claims"]]
    assert [(each["unused"], each["table"]) for each in objects] == [("policy", "claims.claims"), ("grant", "claims.claims")]
    assert objects[1]["grantedAt"] == "2026-11-24T11:55:00.000Z"
    assert "the logs begin at 2026-11-24 12:00 UTC" in text.stderr
    assert run(*arguments, "--user", "bert").stdout == ""


def test_a_role_without_an_event_is_told(log: Path):
    (log / "a.json").write_bytes(as_json(record("statement: SELECT 1", user=OTHER_ROLE)))

    answer = run(str(log))

    assert "unknown (RISKBOT)" in answer.stdout
    assert "1 roles in the logs are unknown to the audit events" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--since", "yesterday"), "Invalid value for '--since': 'yesterday' is no time: write 2026-11-24"),
        (("--log-timezone", "Nowhere/City"), "'Nowhere/City' is no time zone; one is Europe/Berlin"),
        (("--log-timezone", "/etc/passwd"), "is no time zone"),
        (("--unused", "0"), "0 is not in the range"),
        (("--unused", "3", "--state", "x"), "--unused reads whole logs: leave out --state"),
    ],
)
def test_a_mistake_is_named(log: Path, arguments: tuple[str, ...], said: str):
    answer = CliRunner().invoke(cli, ["ledger", str(log), *arguments])

    assert answer.exit_code == 2
    assert said in answer.stderr


def test_a_state_of_something_else_is_refused(log: Path, audit: str):
    with pytest.raises(InvalidInput, match="is not JSON; name another file"):
        run(str(log), "--state", audit)
