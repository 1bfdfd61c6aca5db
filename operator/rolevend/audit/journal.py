"""Write audit events durably, to a file or to standard output.

One thread writes. Events that arrive while it writes are written together, with one fsync.
"""

import asyncio
import fcntl
import os
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Protocol

from rolevend import __version__
from rolevend.audit.chain import BEGINNING, Chain, Key, hash_at_end
from rolevend.audit.events import AuditEvent, StartedEvent, StoppedEvent
from rolevend.errors import AuditUnavailable
from rolevend.telemetry.metrics import Metrics

_TAIL_BYTES = 1 << 20
"""Longer than any event."""


class Sink(Protocol):
    before: str
    """The hash of the last event that it contained when it was opened."""

    @property
    def current(self) -> bool:
        """False if the file was moved: then the next event needs a new sink."""
        ...

    def write(self, lines: bytes) -> None:
        """Write lines durably. Raises OSError; then the sink must be opened again."""
        ...

    def close(self) -> None: ...


class Journal:
    """Implements `AuditSink`. Opens its sink with the first event: a standby that never vends writes nothing."""

    def __init__(
        self,
        file: Path | None,
        source: str,
        now: Callable[[], datetime],
        name: Callable[[], str],
        metrics: Metrics,
        key: Key | None = None,
    ) -> None:
        """`file` None is standard output. `name` returns a unique name for each chain."""
        self._file = file
        self._key = key
        self._source = source
        self._now = now
        self._name = name
        self._metrics = metrics
        self._sink: Sink | None = None
        self._chain = Chain(source, "")
        self._written = BEGINNING
        """The hash of the last event that was written durably."""
        self._waiting: list[tuple[AuditEvent, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="audit")

    async def record(self, event: AuditEvent) -> None:
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((event, written))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._drain())
        await written

    async def close(self) -> None:
        """Write `stopped`, if a chain was started."""
        if self._writing is not None:
            await self._writing
        await asyncio.get_running_loop().run_in_executor(self._thread, self._end)
        self._thread.shutdown()

    async def _drain(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            error = await asyncio.get_running_loop().run_in_executor(self._thread, self._write, [event for event, _ in batch])
            for event, written in batch:
                if error is None:
                    self._metrics.audit_events.labels(event.type.rpartition(".")[2]).inc()
                else:
                    self._metrics.audit_failures.inc()
                if written.done():
                    continue  # the caller was cancelled
                if error is None:
                    written.set_result(None)
                else:
                    written.set_exception(error)

    def _write(self, events: list[AuditEvent]) -> AuditUnavailable | None:
        try:
            if self._sink is None or not self._sink.current:
                self._open()
            assert self._sink is not None  # noqa: S101 - just opened
            self._sink.write(b"".join(self._chain.append(event) for event in events))
            self._written = self._chain.head
        except OSError as error:
            self._close_sink()
            return AuditUnavailable(
                f"writing an audit event to {self._where}: {error.strerror or error}; nothing is vended until that works"
            )
        return None

    def _open(self) -> None:
        self._close_sink()
        sink = _Output() if self._file is None else _File(self._file)
        self._sink = sink
        self._chain = Chain(self._source, self._name(), sink.before if sink.before != BEGINNING else self._written, key=self._key)
        sink.write(self._chain.append(self._own(StartedEvent, "started")))

    def _end(self) -> None:
        if self._sink is not None:
            self._write([self._own(StoppedEvent, "stopped")])
            self._close_sink()

    def _own(self, kind: type[StartedEvent], name: str) -> StartedEvent:
        """An event about the chain itself."""
        host = socket.gethostname()
        return kind(id=f"{self._chain.name}/{name}", subject=host, time=self._now(), version=__version__, host=host)

    def _close_sink(self) -> None:
        old, self._sink = self._sink, None
        if old is not None:
            old.close()

    @property
    def _where(self) -> str:
        return "standard output" if self._file is None else str(self._file)


class _Output:
    before = BEGINNING
    current = True

    def write(self, lines: bytes) -> None:
        sys.stdout.buffer.write(lines)
        sys.stdout.buffer.flush()

    def close(self) -> None:
        """Leave standard output open."""


class _File:
    """A file that one process at a time appends to. To rotate it, move it: the next event goes to a new file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        new = not path.exists()
        self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise OSError(error.errno, "another process writes to it") from error
            if new:
                self._sync_folder()
            self.before = self._continue()
        except BaseException:
            self.close()
            raise

    @property
    def current(self) -> bool:
        try:
            there, ours = self._path.stat(), os.fstat(self._descriptor)
        except FileNotFoundError:
            return False
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def write(self, lines: bytes) -> None:
        rest = memoryview(lines)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        os.fsync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)

    def _continue(self) -> str:
        """Return the hash of the last complete event. End a line that a killed process left incomplete."""
        size = os.fstat(self._descriptor).st_size
        start = max(0, size - _TAIL_BYTES)
        *lines, torn = os.pread(self._descriptor, size - start, start).split(b"\n")
        if torn:
            self.write(b"\n")
        return next((found for line in reversed([*lines, torn]) if (found := hash_at_end(line)) is not None), BEGINNING)

    def _sync_folder(self) -> None:
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
