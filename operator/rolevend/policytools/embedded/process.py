"""Child processes that are monitored, logged to a file, and never outlive the process that started them.

Independent of Kubernetes and PostgreSQL. A `Program` is a command; `Program.start` returns the running
`Process`. If this process ends in any way, SIGKILL included, the kernel sends each child its death signal.
"""

import contextlib
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from rolevend.policytools.embedded import launch
from rolevend.policytools.embedded.errors import PartFailed

_POLL = 0.02
_KILL_TIMEOUT = 10.0
_TAIL = 20


@dataclass(frozen=True, slots=True)
class SystemUser:
    """The system user that a program runs as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Program:
    """A command and its settings.

    `command` begins with an absolute path. `environment` is complete: the program inherits no variable, so that
    PGDATA, KUBECONFIG or a proxy of the user's shell has no effect. Output is appended to `log`.
    """

    name: str
    command: tuple[str, ...]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    account: SystemUser | None = None
    death_signal: signal.Signals = signal.SIGKILL

    def start(self) -> "Process":
        """Start it in its own session and process group; Ctrl-C in the terminal does not reach it."""
        account = self.account
        command = (
            *(sys.executable, "-I", "-S", launch.__file__),
            *(str(int(self.death_signal)), str(os.getpid()), f"{account.uid}:{account.gid}" if account else "-"),
            *self.command,
        )
        with open_log(self.log) as log:
            log_start = log.tell()
            child = _spawner().run(
                lambda: subprocess.Popen(  # noqa: S603 - a list, no shell
                    command,
                    cwd="/",  # ours may be unreadable for the account, and must not stay in use
                    env=dict(self.environment),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )
        return Process(self, _Spawned(child), log_start)

    def run(self, timeout: float) -> None:
        """Run it to its end. Raises PartFailed unless it exits with 0 in time."""
        process = self.start()
        try:
            if not process.wait(timeout):
                raise PartFailed(process.with_log(f"{self.name} took longer than {timeout:g} s"))
            if process.exit_code != 0:
                raise PartFailed(process.with_log(f"{self.name} failed with {process.describe_exit()}"))
        finally:
            process.kill()


class Child(Protocol):
    """The process that runs a program. Its process id is not used again before `release`."""

    @property
    def pid(self) -> int: ...

    def exit_code(self) -> int | None:
        """Return None while it runs, and -N if signal N ended it."""
        ...

    def release(self) -> int:
        """Wait until it has ended, release its process id, and return its exit code."""
        ...


class _Spawned:
    def __init__(self, child: "subprocess.Popen[bytes]") -> None:
        self._child = child
        self.pid: int = child.pid

    def exit_code(self) -> int | None:
        return exit_code_of(self.pid)

    def release(self) -> int:
        return self._child.wait()


class Process:
    """A started `Program`."""

    def __init__(self, program: Program, child: Child, log_start: int) -> None:
        """`log_start` is the length of the log before the start, in bytes."""
        self.program = program
        self._child = child
        self._log_start = log_start
        self._pidfd = os.pidfd_open(child.pid)
        self._last_exit_code: int | None = None
        """Known from the release on."""

    @property
    def pid(self) -> int:
        """The process id of the program, which is also its process group id."""
        return self._child.pid

    @property
    def _released(self) -> bool:
        return self._last_exit_code is not None

    @property
    def running(self) -> bool:
        return self.exit_code is None

    @property
    def exit_code(self) -> int | None:
        """None while it runs; -N if signal N ended it."""
        return self._last_exit_code if self._released else self._child.exit_code()

    def wait(self, timeout: float) -> bool:
        """True if the program ended within `timeout` seconds."""
        if self._released:
            return True
        return _await_end(self._pidfd, timeout)

    def wait_until(self, ready: Callable[[], bool], timeout: float) -> None:
        """Wait for `ready()`. Raises PartFailed, with the end of the log, if the program ends or time is over."""
        deadline = time.monotonic() + timeout
        while not ready():
            self.wait(_POLL)
            self.check()
            if time.monotonic() > deadline:
                raise PartFailed(self.with_log(f"{self.program.name} was not ready within {timeout:g} s"))

    def check(self) -> None:
        """Raise PartFailed, with the end of the log, if the program has ended."""
        if not self.running:
            raise PartFailed(self.with_log(f"{self.program.name} ended by itself with {self.describe_exit()}"))

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the program alone. No error if it has ended."""
        if not self._released:
            signal.pidfd_send_signal(self._pidfd, number)

    def stop(self, number: signal.Signals = signal.SIGTERM, *, grace: float = 10.0) -> bool:
        """Ask the program to end, then kill the rest of its group. True if it ended by itself within `grace` seconds."""
        if self.running:
            self.send(number)
        graceful = self.wait(grace)
        self.kill()
        return graceful

    def kill(self) -> None:
        """Kill the program, its children and its process group, and return when they are gone. Idempotent."""
        if self._released:
            return
        # The program is not released before the last lines, and its children are not while it is stopped: until then
        # the kernel cannot reuse their process ids.
        self.send(signal.SIGSTOP)
        children = [os.pidfd_open(child) for child in _children(self.pid)]  # PostgreSQL's leave the group
        os.killpg(self.pid, signal.SIGKILL)
        for child in children:
            signal.pidfd_send_signal(child, signal.SIGKILL)
            _await_end(child, _KILL_TIMEOUT)
            os.close(child)
        self._last_exit_code = self._child.release()
        os.close(self._pidfd)

    def log_tail(self, lines: int = _TAIL) -> str:
        """Return the last log lines of this run."""
        with self.program.log.open("rb") as log:
            log.seek(self._log_start)
            text = log.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def with_log(self, message: str) -> str:
        """Return `message`, followed by the end of the log and its path."""
        return f"{message}\n{self.log_tail()}\n(log: {self.program.log})"

    def describe_exit(self) -> str:
        code = self.exit_code
        if code is not None and code < 0:
            return signal.Signals(-code).name
        return f"exit code {code}"


def open_log(path: Path) -> BinaryIO:
    """Open a file to append to, which only its owner can read: servers log statements, which hold passwords."""
    return open(path, "ab", opener=lambda name, flags: os.open(name, flags, 0o600))


def exit_code_of(pid: int) -> int | None:
    """Return the exit code of a child of this process, as `Child.exit_code`, and leave its process id in use."""
    end = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if end is None:
        return None
    return end.si_status if end.si_code == os.CLD_EXITED else -end.si_status


def _await_end(pidfd: int, timeout: float) -> bool:
    """True if the process ended within `timeout` seconds."""
    end = select.poll()
    end.register(pidfd, select.POLLIN)
    return bool(end.poll(timeout * 1000))


def _children(parent: int) -> list[int]:
    """Return the process ids of the direct children."""
    children: list[int] = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            # "pid (name) state parent …"; a name may contain any character
            _, _, rest = (process / "stat").read_text().rpartition(")")
            if int(rest.split()[1]) == parent:
                children.append(int(process.name))
    return children


class _Spawner:
    """A thread that starts every child, and lives as long as the process.

    The kernel's "parent", whose end sends the death signal, is the thread that forked. A child of a worker thread
    of a test or an executor would die with that thread.
    """

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        threading.Thread(target=self._loop, name="rolevend-spawner", daemon=True).start()

    def run(self, spawn: "Callable[[], subprocess.Popen[bytes]]") -> "subprocess.Popen[bytes]":
        outcome: Future[subprocess.Popen[bytes]] = Future()

        def work() -> None:
            try:
                outcome.set_result(spawn())
            except BaseException as error:  # raised in the caller
                outcome.set_exception(error)

        self._work.put(work)
        return outcome.result()

    def _loop(self) -> None:
        while True:
            self._work.get()()


_lock = threading.Lock()
_current: _Spawner | None = None


def _spawner() -> _Spawner:
    """Return the spawner of this process. A fork copies the variable, but not the thread."""
    global _current
    with _lock:
        if _current is None or _current.owner != os.getpid():
            _current = _Spawner()
        return _current
