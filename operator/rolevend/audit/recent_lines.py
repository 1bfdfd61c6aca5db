"""Read files of events from their ends: the newest lines of all files first, within a number of bytes. For a process that has other work.

The files may be of many gigabytes, are appended to meanwhile, and may be renamed. In a folder, a link or anything else that is no file is
left out: those who may write there name no file of another place, and no pipe that blocks the reader.
"""

import errno
import logging
import math
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from rolevend.audit.event_files import audit_paths

BLOCK: Final = 1 << 20
"""Bytes of one read."""
LONGEST_LINE: Final = 1 << 18
"""Of events. The entries of the ledger have statements of at most 32,768 characters."""
_MOST_FILES: Final = 512
_TIME: Final = re.compile(rb'"(?:original_)?time": ?"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z)"')
_ROTATED: Final = re.compile(r"(\.ndjson)([.-]\d+)+")

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class OpenFile:
    """A file with the part of it that is not read yet: up to `unread`, which is the beginning of a line, or the end."""

    name: str
    """Without its folder."""
    folder: str
    number: int
    size: int
    changed: float
    unread: int
    oldest: str
    """The time of the oldest line that was read; before, of the last change."""

    @property
    def series(self) -> tuple[str, str]:
        """The same for a file and those that it was renamed to."""
        return self.folder, _ROTATED.sub(r"\1", self.name)

    def before(self) -> tuple[int, bytes]:
        """Read the last lines of the unread part, and return their place. They are unread no more."""
        start = max(0, self.unread - BLOCK)
        block = os.pread(self.number, self.unread - start, start)
        cut = block.find(b"\n") + 1 if start > 0 else 0
        if start > 0 and cut in (0, len(block)):
            self.unread = start  # in the middle of a line that is too long for an event
            return start, b""
        self.unread, block = start + cut, block[cut:]
        if (found := _TIME.search(block)) is not None:
            self.oldest = min(self.oldest, found[1].decode())
        return self.unread, block

    def lines(self, start: int, end: int) -> Iterator["PlacedLine"]:
        """Yield the lines between two beginnings of lines, or of the file and its end."""
        left = b""
        place = start
        while place < end:
            block = os.pread(self.number, min(BLOCK, end - place), place)
            if not block:
                break
            place += len(block)
            *whole, left = (left + block).split(b"\n")
            at = place - len(left) - sum(len(each) + 1 for each in whole)
            for each in whole:
                yield PlacedLine(self, at, each)
                at += len(each) + 1
        if left:
            yield PlacedLine(self, place - len(left), left)

    def line_start(self, place: int) -> int:
        """Return the beginning of the first line that begins there or later."""
        if place <= 0:
            return 0
        found = os.pread(self.number, LONGEST_LINE, place - 1).find(b"\n")
        return self.size if found < 0 else min(self.size, place + found)


@dataclass(frozen=True, slots=True)
class PlacedLine:
    file: OpenFile
    start: int
    text: bytes

    @property
    def end(self) -> int:
        return min(self.file.size, self.start + len(self.text) + 1)


@dataclass(slots=True)
class RecentLines:
    """Use as ``with RecentLines.of(paths) as recent:``."""

    files: list[OpenFile]
    unreadable: int
    """How many of the paths cannot be read now."""
    since: str | None = None
    """Lines before this time were perhaps not read. None: every line was."""
    _ends: ExitStack = field(default_factory=ExitStack)

    @classmethod
    def of(cls, paths: Iterable[str]) -> Self:
        """Open files, and those in folders."""
        named, recent = list(paths), cls([], 0)
        try:
            found = list(audit_paths(named))
        except OSError as error:
            _log.warning("cannot read the folder %s: %s", error.filename, error.strerror)
            found, recent.unreadable = [], 1
        for each in recent._newest(found):
            try:
                file = _opened(each, follows=each in named)
            except OSError as error:
                _log.warning("cannot read %s: %s", each, error.strerror or error)
                recent.unreadable += 1
                continue
            recent._ends.callback(os.close, file.number)
            recent.files.append(file)
        recent.files.sort(key=lambda each: (each.changed, each.name))
        return recent

    def _newest(self, paths: Iterable[str]) -> list[str]:
        """Return those that changed last, so that no more are open at once, and note in `since` what is left out."""
        changed: list[tuple[float, str]] = []
        for each in paths:
            try:
                changed.append((Path(each).stat().st_mtime, each))
            except OSError:
                changed.append((math.inf, each))  # opening it gives the reason
        changed.sort()
        if left_out := changed[:-_MOST_FILES]:
            self.since = _time_text(left_out[-1][0])
        return [each for _, each in changed[-_MOST_FILES:]]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def lines(self, most_bytes: int, *texts: bytes, most_found: int | None = None, not_before: str = "") -> Iterator[PlacedLine]:
        """Yield the lines that contain each of the texts; the lines of the newest block come first. Sets `since`.

        The first text should be the rarest one. `most_found` is the size of the lines after which no other block is read.
        """
        for each in self.files:
            each.unread, each.oldest = each.size, _time_text(each.changed)
        rarest = texts[0] if texts else b""
        left, found = most_bytes, 0
        while (
            left > 0
            and (most_found is None or found < most_found)
            and (file := max(self._unread(not_before), key=lambda each: each.oldest, default=None)) is not None
        ):
            end = file.unread
            start, block = file.before()
            left -= end - file.unread
            for place, line in _containing(block, rarest):
                if all(each in line for each in texts):
                    found += len(line)
                    yield PlacedLine(file, start + place, line)
        unread = [each.oldest for each in self._unread(not_before)]
        self.since = max([*unread, *([self.since] if self.since else [])], default=None)

    def _unread(self, not_before: str) -> list[OpenFile]:
        return [each for each in self.files if each.unread > 0 and each.oldest >= not_before]


def _opened(path: str, *, follows: bool) -> OpenFile:
    """Raises OSError."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follows else os.O_NOFOLLOW)
    number = os.open(path, flags)
    found = os.fstat(number)
    if not stat.S_ISREG(found.st_mode):
        os.close(number)
        raise OSError(errno.EINVAL, "it is no file", path)
    place = Path(path)
    return OpenFile(place.name, str(place.parent), number, found.st_size, found.st_mtime, found.st_size, _time_text(found.st_mtime))


def _time_text(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _containing(block: bytes, text: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the lines with the text, and their places in the block."""
    place = 0
    while place < len(block):
        found = block.find(text, place)
        if found < 0:
            return
        start = block.rfind(b"\n", place, found) + 1 or place
        end = block.find(b"\n", found)
        end = len(block) if end < 0 else end
        yield start, block[start:end]
        place = end + 1
