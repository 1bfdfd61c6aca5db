"""Files are read from their ends: the newest lines first, within a number of bytes, and nothing that is no file."""

import os
from pathlib import Path

import pytest

from rolevend.audit.recent_lines import BLOCK, RecentLines


def line(minute: int, text: str = "x", size: int = 0) -> bytes:
    return b'{"time":"2026-11-24T%02d:%02d:00.000Z","data":"%s"}\n' % (minute // 60, minute % 60, text.encode() + b"." * size)


def texts(paths: list[Path], most_bytes: int = 1 << 40, *wanted: bytes, not_before: str = "") -> tuple[list[bytes], str | None]:
    with RecentLines.of(map(str, paths)) as recent:
        found = [(each.start, each.text) for each in recent.lines(most_bytes, *wanted, not_before=not_before)]
        contents = [file.read_bytes() for path in paths for file in (path.iterdir() if path.is_dir() else [path]) if file.is_file()]
        assert all(any(each[start : start + len(text)] == text for each in contents) for start, text in found), "each is at its place"
        return [text for _, text in found], recent.since


def test_every_line_is_read_once_also_of_files_of_many_blocks(tmp_path: Path):
    lines = [line(number % 1440, str(number), 5000) for number in range(1200)]
    file = tmp_path / "audit.ndjson"
    file.write_bytes(b"".join(lines))
    assert file.stat().st_size > 4 * BLOCK

    found, since = texts([file])

    assert sorted(found) == sorted(each.rstrip() for each in lines)
    assert since is None


def test_the_newest_lines_of_all_files_come_first_and_the_rest_is_told(tmp_path: Path):
    sized = BLOCK // 8
    old, new = tmp_path / "old.ndjson", tmp_path / "new.ndjson"
    old.write_bytes(b"".join(line(each, f"old{each}", sized) for each in range(24)))
    new.write_bytes(b"".join(line(each, f"new{each}", sized) for each in range(100, 124)))
    os.utime(old, (0, 1_795_480_000))

    found, since = texts([old, new], 2 * BLOCK)

    assert found
    assert all(b'"new' in each for each in found)
    assert b"new123" in b"".join(found)
    assert since is not None
    assert since.startswith("2026-11-24T")
    assert not texts([old], not_before="2026-11-24T20:00:00.000Z")[0], "it was changed before that"


def test_only_lines_with_every_text_are_found(tmp_path: Path):
    file = tmp_path / "audit.ndjson"
    file.write_bytes(line(1, "anna claims") + line(2, "anna") + line(3, "bert claims") + line(4, "claims anna"))

    found, _ = texts([file], 1 << 30, b"anna", b"claims")

    assert found == [line(1, "anna claims").rstrip(), line(4, "claims anna").rstrip()]


def test_a_line_without_an_end_is_read_and_one_that_is_too_long_harms_no_other(tmp_path: Path):
    file = tmp_path / "audit.ndjson"
    file.write_bytes(line(1, "first") + line(2, "long", 3 * BLOCK) + line(3, "third") + line(4, "last").rstrip())

    found, _ = texts([file])

    whole = [each for each in found if len(each) < 200]
    assert all(line(number, text).rstrip() in whole for number, text in ((1, "first"), (3, "third"), (4, "last")))


def test_links_and_pipes_in_a_folder_are_left_out(tmp_path: Path):
    secret, folder = tmp_path / "secret", tmp_path / "audit"
    secret.write_bytes(line(1, "secret"))
    folder.mkdir()
    (folder / "link.ndjson").symlink_to(secret)
    os.mkfifo(folder / "pipe.ndjson")
    (folder / "audit.ndjson").write_bytes(line(1, "event"))

    found, _ = texts([folder])

    assert found == [line(1, "event").rstrip()]
    with RecentLines.of([str(folder)]) as recent:
        assert [each.name for each in recent.files] == ["audit.ndjson"]
    with RecentLines.of([str(tmp_path / "missing.ndjson"), str(folder / "pipe.ndjson")]) as recent:
        assert (recent.files, recent.unreadable) == ([], 2)


@pytest.mark.parametrize("place", [0, 1, 50, 150])
def test_a_range_of_lines_is_read_in_order(tmp_path: Path, place: int):
    lines = [line(each, str(each)) for each in range(5)]
    file = tmp_path / "audit.ndjson"
    file.write_bytes(b"".join(lines))
    with RecentLines.of([str(file)]) as recent:
        (opened,) = recent.files
        start = opened.line_start(place)
        found = list(opened.lines(start, opened.size))
    assert b"".join(each.text + b"\n" for each in found) == file.read_bytes()[start:]
    assert [each.start for each in found] == [start + sum(len(other.text) + 1 for other in found[:at]) for at in range(len(found))]
    assert start == 0 or file.read_bytes()[start - 1 : start] == b"\n"


def test_a_file_and_those_that_it_was_renamed_to_are_one_series(tmp_path: Path):
    for name in ("audit.ndjson", "audit.ndjson.1", "audit.ndjson-20261124", "api-0.ndjson"):
        (tmp_path / name).write_bytes(line(1))
    with RecentLines.of([str(tmp_path)]) as recent:
        assert len({each.series for each in recent.files}) == 2
        assert len(recent.files) == 4


def test_of_thousands_of_files_the_newest_are_open_at_once(tmp_path: Path):
    for number in range(600):
        (tmp_path / f"audit.ndjson.{number}").write_bytes(line(number))
        os.utime(tmp_path / f"audit.ndjson.{number}", (1_000_000 + number, 1_000_000 + number))
    before = len(os.listdir("/proc/self/fd"))
    with RecentLines.of([str(tmp_path)]) as recent:
        assert len(os.listdir("/proc/self/fd")) - before <= 513
        assert {each.name for each in recent.files} == {f"audit.ndjson.{number}" for number in range(600 - 512, 600)}
        assert recent.since == "1970-01-12T13:48:07.000Z"
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_of_ten_gigabytes_costs_no_more_than_the_bound(tmp_path: Path):
    file = tmp_path / "audit.ndjson"
    with file.open("wb") as large:
        large.truncate(10 << 30)  # zeros that take no place on the disk
        large.seek(0, os.SEEK_END)
        large.write(b"\n" + line(1, "last"))
    with RecentLines.of([str(file)]) as recent:
        found = [each.text for each in recent.lines(8 << 20, b"last")]
        assert found == [line(1, "last").rstrip()]
        (opened,) = recent.files
        assert opened.size - opened.unread <= (8 << 20) + BLOCK
        assert recent.since is not None


def test_a_file_that_is_cut_off_meanwhile_ends_the_reading(tmp_path: Path):
    """As logrotate does with `copytruncate`."""
    file = tmp_path / "audit.ndjson"
    file.write_bytes(b"".join(line(each, "x" * 1000) for each in range(5_000)))
    with RecentLines.of([str(file)]) as recent:
        lines = recent.lines(1 << 30, b"x")
        assert next(lines).text
        file.write_bytes(line(9, "new x"))
        found = [each.text for each in lines]
        (opened,) = recent.files
        assert list(opened.lines(0, opened.size)) != []
        assert opened.line_start(opened.size - 1) == opened.size
    assert len(found) < 5_000
