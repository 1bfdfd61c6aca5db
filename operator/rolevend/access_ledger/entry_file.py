"""Append entries to a file or to standard output, one a line, so that the state never says more than was written."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

_BLOCK: Final = 1 << 20
"""Bytes that wait in memory."""


class EntryFile:
    """Appends to the file that has the name now: it may be renamed at any time, and a new one is created."""

    def __init__(self, path: Path | None) -> None:
        """None is standard output."""
        self._path = path
        self._waiting = bytearray()

    def write(self, line: str) -> None:
        """Take a line. Raises OSError if earlier ones cannot be written: then all that is not synchronized is dropped."""
        self._waiting += line.encode("ascii") + b"\n"
        if len(self._waiting) >= _BLOCK:
            self._append()

    def sync(self) -> None:
        """Write all lines durably. Raises OSError, as `write`."""
        if self._waiting:
            self._append()

    def drop(self) -> None:
        """Forget the lines that wait."""
        self._waiting.clear()

    def _append(self) -> None:
        try:
            if self._path is None:
                sys.stdout.buffer.write(self._waiting)
                sys.stdout.buffer.flush()
                with suppress(OSError, ValueError):  # a pipe or a terminal
                    os.fsync(sys.stdout.fileno())
                return
            file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if _is_cut_off(file):
                    self._waiting[:0] = b"\n"
                written = 0
                while written < len(self._waiting):
                    written += os.write(file, memoryview(self._waiting)[written:].tobytes())
                os.fsync(file)
            finally:
                os.close(file)
        finally:
            self._waiting.clear()


def _is_cut_off(file: int) -> bool:
    """True if the last line has no end: a crash or a full disk cut it off."""
    size = os.lseek(file, 0, os.SEEK_END)
    return size > 0 and os.pread(file, 1, size - 1) != b"\n"
