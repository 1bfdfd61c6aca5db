"""An audit event is on the disk when it is said to be, or nothing may be done; whatever happened to the file, the next one goes on."""

import asyncio
import itertools
import json
import os
import resource
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rolevend.audit.chain import Key
from rolevend.audit.event_files import read_key, verify
from rolevend.audit.events import RefusedEvent
from rolevend.audit.journal import Journal
from rolevend.errors import AuditUnavailable, InvalidInput
from rolevend.telemetry.metrics import Metrics

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def event(number: int) -> RefusedEvent:
    return RefusedEvent(id=f"e{number}", subject="role", time=NOW, bearer="User", reason="LeftOut", message="x" * 500)


class Journals:
    """Journals on one file, as processes would have them one after another; what a test leaves open is closed."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.key: Key | None = None
        self.metrics = Metrics()
        self._names = map("chain-{}".format, itertools.count(1))

    def open(self) -> Journal:
        return Journal(self.file, "/rolevend/clusters/c", lambda: NOW, lambda: next(self._names), self.metrics, self.key)

    async def write(self, *numbers: int) -> None:
        """By a process that is told to stop afterwards."""
        journal = self.open()
        for number in numbers:
            await journal.record(event(number))
        await journal.close()

    def ids(self, *files: Path) -> list[str]:
        """After a look whether the files are whole."""
        chosen = files or (self.file,)
        assert verify([str(each) for each in chosen if each]).problems == []
        return [json.loads(line)["id"] for each in chosen if each for line in each.read_text().splitlines() if line.endswith("}")]


@pytest.fixture
def journals(tmp_path: Path) -> Journals:
    return Journals(tmp_path / "audit.ndjson")


async def test_an_event_is_in_the_file_when_it_was_recorded(journals: Journals):
    journal = journals.open()
    await journal.record(event(1))

    assert journals.ids() == ["chain-1/started", "e1"]
    assert journals.file.stat().st_mode & 0o007 == 0, "it names people"
    await journal.close()
    assert journals.ids() == ["chain-1/started", "e1", "chain-1/stopped"]


async def test_many_at_once_are_all_there_and_share_what_an_fsync_costs(journals: Journals, monkeypatch: pytest.MonkeyPatch):
    synced: list[int] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.append(descriptor), real(descriptor)))
    journal = journals.open()

    await asyncio.gather(*(journal.record(event(number)) for number in range(200)))
    await journal.close()

    assert sorted(journals.ids()[1:-1]) == sorted(f"e{number}" for number in range(200))
    assert len(synced) < 20


async def test_who_vends_nothing_writes_nothing(journals: Journals):
    await journals.open().close()

    assert not journals.file.exists()


async def test_a_process_goes_on_where_the_one_before_ended(journals: Journals):
    await journals.write(1)
    await journals.write(2)

    assert journals.ids() == ["chain-1/started", "e1", "chain-1/stopped", "chain-2/started", "e2", "chain-2/stopped"]


@pytest.mark.parametrize("left", [1, 40, 300, -2, -1])
async def test_what_a_killed_process_left_of_a_line_spoils_no_other(journals: Journals, left: int):
    await journals.write(1, 2)
    *whole, last = journals.file.read_bytes().splitlines(keepends=True)
    journals.file.write_bytes(b"".join(whole) + last[:left])

    await journals.write(3)

    assert journals.ids()[-3:] == ["chain-2/started", "e3", "chain-2/stopped"]


async def test_a_file_that_was_rotated_is_gone_on_with_in_a_new_one(journals: Journals):
    journal = journals.open()
    await journal.record(event(1))
    rotated = journals.file.rename(journals.file.with_suffix(".1"))
    await journal.record(event(2))
    await journal.close()

    assert journals.ids(rotated, journals.file) == ["chain-1/started", "e1", "chain-2/started", "e2", "chain-2/stopped"]
    journals.ids(journals.file)


async def test_two_processes_never_write_to_one_file(journals: Journals):
    first, second = journals.open(), journals.open()
    await first.record(event(1))

    with pytest.raises(AuditUnavailable, match="another process writes to it; nothing is vended until that works"):
        await second.record(event(2))

    await first.close()
    await second.record(event(2))
    await second.close()
    journals.ids()


async def test_a_file_that_cannot_be_written_is_told_with_the_reason_and_tried_again(journals: Journals):
    journals.file.mkdir()
    journal = journals.open()

    with pytest.raises(AuditUnavailable, match="Is a directory"):
        await journal.record(event(1))

    journals.file.rmdir()
    await journal.record(event(1))
    await journal.close()
    assert journals.ids()[1] == "e1"
    assert journals.metrics.registry.get_sample_value("rolevend_audit_failures_total") == 1
    assert journals.metrics.registry.get_sample_value("rolevend_audit_events_total", {"type": "refused"}) == 1


async def test_half_a_line_that_a_full_disk_left_spoils_no_other(journals: Journals):
    journal = journals.open()
    await journal.record(event(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (journals.file.stat().st_size + 100, hard))  # part of a line has room
    try:
        for _ in range(2):
            with pytest.raises(AuditUnavailable, match="File too large"):
                await journal.record(event(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    await journal.record(event(2))
    await journal.close()
    assert journals.ids()[-2:] == ["e2", "chain-2/stopped"]


async def test_without_a_file_events_go_to_standard_output_and_logs_do_not(capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path):
    await Journals(None).write(1, 2)

    output = tmp_path / "output"
    output.write_bytes(capfdbinary.readouterr().out)
    assert Journals(output).ids() == ["chain-1/started", "e1", "e2", "chain-1/stopped"]


async def test_a_process_with_another_key_goes_on_in_the_same_file(tmp_path: Path):
    journals, files = Journals(tmp_path / "audit"), []
    for number, secret in enumerate([b"a" * 32, b"b" * 64 + b"\n"]):
        files.append(tmp_path / f"key-{number}")
        files[-1].write_bytes(secret)
        journals.key = read_key(files[-1])
        await journals.write(number)

    assert verify([str(journals.file)], keys=[str(each) for each in files]).problems == []
    assert len(verify([str(journals.file)]).problems) == 2, "one for each key"


@pytest.mark.parametrize("secret", [None, b"", b"short", b" " * 40])
def test_a_key_that_is_none_is_refused(tmp_path: Path, secret: bytes | None):
    file = tmp_path / "key"
    if secret is not None:
        file.write_bytes(secret)

    with pytest.raises(InvalidInput, match="key of audit events"):
        read_key(file)
