"""Keep the state of a source in a file: one run at a time, each state whole."""

import fcntl
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from rolevend.errors import Conflict, InvalidInput


class SavedState(Protocol):
    def as_json(self) -> dict[str, Any]: ...


class PositionFile:
    """Use as ``with PositionFile(path) as file:``. A second run with the same file gets Conflict."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._new = path.with_name(f"{path.name}.new")
        self._lock: int | None = None
        self._saved: str | None = None

    def __enter__(self) -> Self:
        self._lock = os.open(self._path.with_name(f"{self._path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.__exit__(None, None, None)
            raise Conflict(f"another run of rolevend ledger uses {self._path}: wait for its end, or name another file") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def name(self) -> str:
        return str(self._path)

    def load(self) -> Any:
        """Return the saved state as JSON, or None if there is no file. Raises InvalidInput."""
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InvalidInput(str(self._path), f"cannot be read: {error.strerror or error}") from error
        try:
            return json.loads(text)
        except ValueError as error:
            raise InvalidInput(str(self._path), "is not JSON; name another file to read the logs from their start") from error

    def save(self, state: SavedState) -> None:
        """Replace the file, unless this object wrote the same state before. Atomic and durable: after a crash it holds the old state or
        the new one."""
        text = json.dumps(state.as_json())
        if text == self._saved:
            return
        descriptor = os.open(self._new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        self._new.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._saved = text
