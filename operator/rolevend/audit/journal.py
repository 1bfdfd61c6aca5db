"""Writes audit events, to a file or to standard output, each for good before anybody is told that it is written.

One thread writes. Events that arrive while it writes go together, with one fsync for all of them.
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
from rolevend.audit.events import AuditEvent, Body, EventType
from rolevend.errors import AuditUnavailable
from rolevend.telemetry.metrics import Metrics

_TAIL_BYTES = 1 << 20
"""More than any event is long."""


class Sink(Protocol):
    before: str
    """The hash of the last event that was there when it was opened."""

    @property
    def current(self) -> bool:
        """Whether this is still where events go: a file may have been moved away."""
        ...

    def write(self, lines: bytes) -> None:
        """Returns when they are written for good. Raises OSError, and must then be opened anew."""
        ...

    def close(self) -> None: ...


class Journal:
    """See audit.events.AuditSink. Opened with the first event: a standby that never vends writes nothing."""

    def __init__(
        self,
        file: Path | None,
        source: str,
        now: Callable[[], datetime],
        name: Callable[[], str],
        metrics: Metrics,
        key: Key | None = None,
    ) -> None:
        """`file` None is standard output. `name` gives a chain its name, never the same twice."""
        self._file = file
        self._key = key
        self._source = source
        self._now = now
        self._name = name
        self._metrics = metrics
        self._sink: Sink | None = None
        self._chain = Chain(source, "")
        self._written = BEGINNING
        """The hash of the last event that was written for good."""
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
        """Ends the chain in order, where one was begun."""
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
                    continue  # who waited was cancelled
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
            self._let_go()
            return AuditUnavailable(
                f"writing an audit event to {self._where}: {error.strerror or error}; nothing is vended until that works"
            )
        return None

    def _open(self) -> None:
        self._let_go()
        sink = _Output() if self._file is None else _File(self._file)
        self._sink = sink
        self._chain = Chain(self._source, self._name(), sink.before if sink.before != BEGINNING else self._written, key=self._key)
        host = socket.gethostname()
        started = Body(version=__version__, host=host)
        sink.write(self._chain.append(AuditEvent(f"{self._chain.name}/started", EventType.STARTED, host, self._now(), started)))

    def _end(self) -> None:
        if self._sink is None:
            return
        host = socket.gethostname()
        stopped = AuditEvent(f"{self._chain.name}/stopped", EventType.STOPPED, host, self._now(), Body(version=__version__, host=host))
        self._write([stopped])
        self._let_go()

    def _let_go(self) -> None:
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
        """Not ours to close."""


class _File:
    """Appended to by one process at a time. Whoever rotates it moves it away: the next event goes to a new file."""

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
        """The hash of the last whole event. What a killed process left of another one is ended, so that it spoils no line but its own."""
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
