"""Find log files, and open them: plain or compressed with gzip."""

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from rolevend.access_ledger.positions import FIRST_LINE_BYTES, identity_of
from rolevend.errors import InvalidInput
from rolevend.platforms.postgres.log_records import LogFormat, format_of

UNREADABLE: Final = (OSError, EOFError, zlib.error)
"""Errors while a file is read. A gzip file that was cut off raises EOFError."""
Version = tuple[int, int, int]
"""Inode, size and time of the last change of a file."""
ReadVersions = dict[str, Version]
"""The version of each file that was read to its end, by path."""
_GZIP = b"\x1f\x8b"
_BUFFER_BYTES = 1 << 18
_HEAD_BYTES = 1 << 16
_NAME = re.compile(r"(?P<stem>.*)\.(?P<format>csv|json)(?P<rotated>([.-]\d+)*)(\.gz)?")
_LIKE_A_LOG = re.compile(r".*\.(csv|json)\b.*")
_TIME = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}")


@dataclass(frozen=True, slots=True)
class LogFile:
    path: Path
    format: LogFormat
    identity: str
    begins: bytes
    """The time of the first record."""
    version: Version
    """Before it was opened."""

    def open(self, position: int) -> BinaryIO:
        """Open the file at this position of its content. Raises one of `UNREADABLE`."""
        stream = _open(self.path)
        stream.seek(position)
        return stream


class LogFiles:
    """The logs among files and folders, oldest first. Iterate once; then `notes` names files that were skipped."""

    def __init__(self, paths: Iterable[str], read: ReadVersions | None = None) -> None:
        """A file in a folder is a log if its name ends as in `postgresql.csv`, `.json`, `.json.1`, `.json-20261124` or `.json.gz`. Files
        in `read` are left out until they change; `finished` adds to it."""
        self._paths = list(map(Path, paths))
        self._read = read
        self.notes: list[str] = []
        self.incomplete: list[str] = []
        """Notes on files that a later run reads."""
        self.unreadable = 0
        """Files that could not be opened as a log."""

    def __iter__(self) -> Iterator[LogFile]:
        files = [(each, each == path) for path in self._paths for each in self._in(path)]
        if self._read is not None:
            for gone in self._read.keys() - {str(each) for each, _ in files}:
                del self._read[gone]
        found = [log for each, named in files if (log := self._log(each, named=named)) is not None]
        yield from sorted(found, key=lambda log: (log.begins, str(log.path)))

    def finished(self, log: LogFile) -> None:
        """The log was read to its end, or to a damaged place."""
        self._skip(log.path, log.version)

    def _skip(self, path: Path, version: Version) -> None:
        if self._read is not None:
            self._read[str(path)] = version

    def _in(self, path: Path) -> Iterator[Path]:
        if not path.is_dir():
            yield path
            return
        names = {each.name: each for each in path.iterdir() if each.is_file()}
        matches = [match for name in sorted(names) if (match := _NAME.fullmatch(name))]
        in_json = {(match["stem"], match["rotated"]) for match in matches if match["format"] == "json"}
        twice = 0
        for match in matches:
            if match["format"] == "csv" and (match["stem"], match["rotated"]) in in_json:
                twice += 1
            else:
                yield names[match[0]]
        if twice:
            self.notes.append(f"{path}: {twice} csvlog files were skipped, because jsonlog files of the same name have the same records")
        if not matches:
            self.notes.append(f"{path}: holds no csvlog and no jsonlog; a log's name ends with .csv or .json, or these with .1 or .gz")
        others = [name for name in sorted(names) if _LIKE_A_LOG.fullmatch(name) and not _NAME.fullmatch(name)]
        if others:
            self.notes.append(
                f"{path}: {len(others)} files such as {others[0]!r} were skipped: name each of them, plain or compressed with gzip"
            )

    def _log(self, path: Path, *, named: bool) -> LogFile | None:
        """Return the log. Raises InvalidInput if a person named the file and it is no log; one in a folder is skipped with a note."""
        try:
            version = _version(path)
            if self._read is not None and self._read.get(str(path)) == version:
                return None
            with _open(path) as stream:
                head = _head(stream)
        except UNREADABLE as error:
            if not named and isinstance(error, FileNotFoundError):
                return None  # renamed since the folder was listed
            self.unreadable += 1
            if is_damage(error):
                self._skip(path, version)
            if named and isinstance(error, OSError) and error.filename is not None:
                raise InvalidInput(str(path), f"cannot be read: {error.strerror or error}") from error
            self.notes.append(f"{path}: cannot be read: {error}")
            return None
        if not head:
            return None
        lines = [line + b"\n" for line in head.split(b"\n")]
        first = next(filter(format_of, lines), b"")  # a log that lost its beginning begins within a record
        log_format = format_of(first)
        if log_format is None:
            problem = "is neither csvlog nor jsonlog: set log_destination to one of them, and give its file"
            if named:
                raise InvalidInput(str(path), problem)
            self.notes.append(f"{path}: {problem}")
            self.unreadable += 1
            self._skip(path, version)
            return None
        if first is lines[-1] and len(first) < FIRST_LINE_BYTES and len(head) < _HEAD_BYTES:
            self.incomplete.append(f"{path}: its first record is incomplete; a later run reads it")
            return None
        time = _TIME.search(first)
        return LogFile(path, log_format, identity_of(first), time[0] if time else b"", version)


def is_damage(error: Exception) -> bool:
    """True if the content of the file is damaged: another attempt fails at the same place."""
    return isinstance(error, EOFError | zlib.error | gzip.BadGzipFile)


def _version(path: Path) -> Version:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _head(stream: Any) -> bytes:
    """Return the beginning; of a gzip file that was cut off as much as there is."""
    head = b""
    try:
        while len(head) < _HEAD_BYTES and (chunk := stream.read1(_HEAD_BYTES - len(head))):
            head += chunk
    except (EOFError, zlib.error):
        if not head:
            raise
    return head


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        compressed = file.read(len(_GZIP)) == _GZIP
    return cast(BinaryIO, gzip.open(path, "rb")) if compressed else path.open("rb", buffering=_BUFFER_BYTES)
