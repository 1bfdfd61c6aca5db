"""The long-running ledger: cycles over logs and audit files that grow, are rotated, damaged, or cannot be read for a while."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rolevend.access_ledger.audit_tail import KEPT, FollowedRoles
from rolevend.access_ledger.entry_file import EntryFile
from rolevend.access_ledger.position_file import PositionFile
from rolevend.access_ledger.selection import Selection
from rolevend.app.ledger_follower import LedgerFollower
from rolevend.app.ledger_sources import LogSource, SavedRun
from rolevend.platforms.postgres.log_time import LogClock
from rolevend.telemetry.ledger_metrics import LedgerMetrics
from tests.support.pglogs import OTHER_ROLE, ROLE, as_json, dropped, granted, record

LATER = datetime(2026, 11, 24, 13, tzinfo=UTC)
CANARY = "IMMUTA_VENDED_CANARY_B_3FXWQ4H5S8CK9RN2V6Y0ZTBDGM"


def statement(text: str, **values: str) -> bytes:
    return as_json(record(f"duration: 1.0 ms  statement: {text}", **values))


class Process:
    """A process that follows a folder, and can be started again."""

    def __init__(self, folder: Path) -> None:
        self.logs, self.audit, self.out, self.state = (folder / name for name in ("log", "audit", "out.ndjson", "state"))
        for each in (self.logs, self.audit):
            each.mkdir()
        (self.audit / "audit.ndjson").write_text(json.dumps(granted()) + "\n")
        self.now = LATER
        self.source = LogSource([str(self.logs)], LogClock())
        self.start()

    def start(self) -> None:
        self.metrics = LedgerMetrics("warehouse")
        self.roles = FollowedRoles([str(self.audit)], "warehouse", lambda: self.now)
        self.file = PositionFile(self.state)
        self.entries = EntryFile(self.out)
        self.source = LogSource([str(self.logs)], LogClock())
        self.follower = LedgerFollower(self._run, self._write, self.roles, self.metrics, lambda: self.now)

    def _run(self) -> Any:
        self.entries.drop()
        return self.source.continued(self.roles, Selection(), SavedRun(self.file, self.entries.sync, self.now))

    def _write(self, entry: Any) -> None:
        self.entries.write(json.dumps(entry.as_json()))

    def log(self, name: str, *parts: bytes) -> Path:
        path = self.logs / name
        with path.open("ab") as file:
            file.write(b"".join(parts))
        return path

    def written(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.read_bytes().splitlines()] if self.out.exists() else []

    def texts(self) -> list[str]:
        return [each["statement"] for each in self.written()]

    def value(self, name: str, **labels: str) -> float | None:
        self.follower.measure()
        return self.metrics.registry.get_sample_value(f"rolevend_access_ledger_{name}", {"platform": "warehouse", **labels})


@pytest.fixture
def process(tmp_path: Path) -> Process:
    return Process(tmp_path)


def test_each_cycle_writes_what_is_new_over_rotations(process: Process):
    log = process.log("a.json", statement("SELECT 1"))
    assert process.follower.cycle()
    assert process.follower.ready() is None
    process.log("a.json", statement("SELECT 2", line_num="2"))
    log.rename(process.logs / "a.json.1")
    process.log("a.json", statement("SELECT 3", session_id="2", timestamp="2026-11-24 12:01:00.000 UTC"))
    assert process.follower.cycle()
    older = process.logs / "a.json.1"
    (process.logs / "a.json.1.gz").write_bytes(gzip.compress(older.read_bytes()))
    older.unlink()
    assert process.follower.cycle()

    assert process.texts() == ["SELECT 1", "SELECT 2", "SELECT 3"]
    assert {each["userSubject"] for each in process.written()} == {"anna"}
    assert process.value("statements_total", role="known") == 3


def test_files_that_did_not_change_are_not_opened(process: Process, monkeypatch: pytest.MonkeyPatch):
    process.log("a.json", statement("SELECT 1"))
    (process.logs / "b.json.gz").write_bytes(gzip.compress(statement("SELECT 2", session_id="2"))[:-9])
    process.follower.cycle()
    read = process.value("lines_total")

    def refuse(*_: object) -> None:
        raise AssertionError("a log was opened")

    monkeypatch.setattr("rolevend.access_ledger.log_files._open", refuse)
    assert process.follower.cycle()
    assert process.value("lines_total") == read
    assert process.value("unreadable_total", what="file") == 1


def test_a_restart_repeats_what_was_not_saved_and_loses_nothing(process: Process):
    process.log("a.json", statement("SELECT 1"))
    process.follower.cycle()
    process.log("a.json", statement("SELECT 2", line_num="2"))
    run = iter(process._run())
    process._write(next(run))
    process.entries.sync()
    with process.out.open("ab") as file:
        file.write(b'{"cut": ')
    run.close()  # type: ignore[attr-defined]

    process.start()
    process.follower.cycle()

    *whole, cut, repeated = process.out.read_bytes().splitlines()
    ids = [json.loads(line)["id"] for line in [*whole, repeated]]
    assert cut == b'{"cut": '
    assert ids == ["1/1", "1/2", "1/2"]


class Scraped(Process):
    """Before each entry is written, Prometheus reads the metrics."""

    def __init__(self, folder: Path) -> None:
        self.seen: list[float | None] = []
        super().__init__(folder)

    def _write(self, entry: Any) -> None:
        self.seen.append(self.value("lines_total"))
        super()._write(entry)


def test_metrics_show_a_cycle_that_runs_and_count_nothing_twice(tmp_path: Path):
    process = Scraped(tmp_path)
    process.log("a.json", *(statement(f"SELECT {number}", line_num=str(number)) for number in range(3)))
    process.follower.cycle()

    assert process.seen == [1, 2, 3]
    assert process.value("lines_total") == process.value("statements_total", role="known") == 3


def test_the_output_can_be_renamed_at_any_time(process: Process):
    process.log("a.json", statement("SELECT 1"))
    process.follower.cycle()
    process.out.rename(process.out.with_suffix(".1"))
    process.log("a.json", statement("SELECT 2", line_num="2"))
    process.follower.cycle()

    assert process.texts() == ["SELECT 2"]
    assert process.out.stat().st_mode & 0o777 == 0o600


def test_a_role_that_is_vended_while_a_log_is_read_is_known(process: Process):
    process.log("a.json", statement("SELECT 1"), statement("SELECT 2", user=OTHER_ROLE, session_id="2"))
    run = iter(process._run())
    process.roles.refresh()
    next(run)
    (process.audit / "api-0.ndjson").write_text(json.dumps(granted(OTHER_ROLE, userSubject="bert")) + "\n")

    assert next(run).user_subject == "bert"


def test_only_whole_new_lines_of_audit_files_are_read_also_after_they_are_renamed(process: Process):
    file = process.audit / "audit.ndjson"
    line = json.dumps(granted(OTHER_ROLE, userSubject="bert")) + "\n"
    process.roles.refresh()
    with file.open("a") as out:
        out.write(line[:-20])
    assert process.roles.get(OTHER_ROLE) is None
    with file.open("a") as out:
        out.write(line[-20:])
    file.rename(process.audit / "audit.ndjson.1")
    file.write_text(json.dumps(dropped()) + "\n")
    process.roles.refresh()

    found = process.roles.get(OTHER_ROLE)
    ended = process.roles.get(ROLE)
    assert found is not None
    assert found.user_subject == "bert"
    assert ended is not None
    assert ended.ended_at is not None


def test_roles_that_ended_long_ago_are_forgotten(process: Process):
    process.roles.refresh()
    assert len(process.roles) == 1
    process.now += KEPT + timedelta(hours=2)
    process.roles.refresh()

    assert len(process.roles) == 0
    assert process.value("roles") == 0


def test_unknown_roles_in_turn_do_not_read_the_audit_files_for_each_statement(process: Process, monkeypatch: pytest.MonkeyPatch):
    users = [OTHER_ROLE, CANARY] * 20
    process.log("a.json", *(statement(f"SELECT {n}", user=user, session_id=str(n)) for n, user in enumerate(users)))
    reads = []
    read = FollowedRoles._read_new
    monkeypatch.setattr(FollowedRoles, "_read_new", lambda self: reads.append(read(self)))
    process.follower.cycle()

    assert len(process.texts()) == 40
    assert len(reads) == 3


def test_an_unknown_role_is_counted_and_a_canary_is_not_mistaken_for_one(process: Process):
    process.log("a.json", statement("SELECT 1", user=OTHER_ROLE), statement("SELECT 2", user=CANARY, session_id="2"))
    process.follower.cycle()

    assert [each["known"] for each in process.written()] == [False, False]
    assert process.value("statements_total", role="unknown") == process.value("statements_total", role="canary") == 1


def test_damage_is_counted_once(process: Process):
    long = statement("SELECT '" + "x" * 10_000_000 + "'", line_num="2")
    odd = statement("SELECT '@'", line_num="3").replace(b"@", b"\xff")
    process.log("a.json", statement("SELECT 1"), b'{"timestamp" IMMUTA_VENDED_\n', long, odd, statement("SELECT 4", line_num="4")[:-9])
    for _ in range(3):
        assert process.follower.cycle()

    assert [text[:9] for text in process.texts()] == ["SELECT 1", "SELECT 'x", "SELECT '\\"]
    assert process.value("unreadable_total", what="damaged") == 1
    assert process.value("unreadable_total", what="truncated") == 1
    assert process.value("unreadable_total", what="file") == 0


def test_a_failure_is_told_counted_and_repeated(process: Process, monkeypatch: pytest.MonkeyPatch):
    process.log("a.json", statement("SELECT 1"))
    process.follower.cycle()
    process.log("a.json", statement("SELECT 2", line_num="2"))
    aside = process.audit.rename(process.audit.with_name("aside"))
    process.now += timedelta(seconds=90)
    assert not process.follower.cycle()

    assert "No such file" in str(process.follower.ready())
    assert process.value("failures_total") == 1
    assert process.value("lag_seconds") == 90
    aside.rename(process.audit)
    assert process.follower.cycle()
    assert process.follower.ready() is None
    assert process.value("lag_seconds") == 0
    assert process.texts() == ["SELECT 1", "SELECT 2"]


def test_a_full_disk_loses_nothing(process: Process):
    process.log("a.json", statement("SELECT 1"))
    process.entries = EntryFile(Path("/dev/full"))
    assert not process.follower.cycle()
    assert "No space left" in str(process.follower.ready())

    process.start()
    process.follower.cycle()
    assert process.texts() == ["SELECT 1"]


def test_a_process_that_shall_end_stops_at_the_next_entry(process: Process):
    process.log("a.json", statement("SELECT 1"), statement("SELECT 2", line_num="2"))
    process.follower.stop()
    process.follower.cycle()
    assert process.texts() == []

    process.start()
    process.follower.cycle()
    assert process.texts() == ["SELECT 1", "SELECT 2"]
