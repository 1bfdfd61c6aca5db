"""Child processes that are watched, logged to a file, and never outlive the process that started them.

Knows nothing about Kubernetes or PostgreSQL. A `Program` says what to run; `Program.start` gives the running
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
    """What to run, and how.

    `command` begins with an absolute path. `environment` is the whole of it: nothing of ours is passed on, so that a
    PGDATA, a KUBECONFIG or a proxy of the person's shell changes nothing. Output goes to the end of `log`.
    """

    name: str
    command: tuple[str, ...]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    account: SystemUser | None = None
    death_signal: signal.Signals = signal.SIGKILL

    def start(self) -> "Process":
        """Run it in a session and process group of its own; a Ctrl-C in the terminal reaches only us."""
        return Process(self)

    def run(self, timeout: float) -> None:
        """Run it to its end; `PartFailed` unless it ends with 0 in time."""
        process = self.start()
        try:
            if not process.wait(timeout):
                raise PartFailed(process.with_log(f"{self.name} took longer than {timeout:g} s"))
            if process.exit_code != 0:
                raise PartFailed(process.with_log(f"{self.name} failed with {process.describe_exit()}"))
        finally:
            process.kill()


class Process:
    """A started `Program`."""

    def __init__(self, program: Program) -> None:
        self.program = program
        account = program.account
        command = (
            *(sys.executable, "-I", "-S", launch.__file__),
            *(str(int(program.death_signal)), str(os.getpid()), f"{account.uid}:{account.gid}" if account else "-"),
            *program.command,
        )
        with open(program.log, "ab", opener=_private) as log:
            self._log_start = log.tell()
            self._child = _spawner().run(
                lambda: subprocess.Popen(  # noqa: S603 - a list, no shell
                    command,
                    cwd="/",  # ours may be unreadable for the account, and must not be kept busy
                    env=dict(program.environment),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )
        self._pidfd = os.pidfd_open(self._child.pid)
        self._reaped = False

    @property
    def pid(self) -> int:
        """The program's own process id, which is also that of its process group."""
        return self._child.pid

    @property
    def running(self) -> bool:
        return self.exit_code is None

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative is the signal that ended it."""
        if self._reaped:
            return self._child.returncode
        end = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if end is None:
            return None
        return end.si_status if end.si_code == os.CLD_EXITED else -end.si_status

    def wait(self, timeout: float) -> bool:
        """Whether the program ended within `timeout` seconds."""
        if self._reaped:
            return True
        return _await_end(self._pidfd, timeout)

    def wait_until(self, ready: Callable[[], bool], timeout: float) -> None:
        """Return as soon as `ready()`; `PartFailed`, with the end of the log, if the program ends or time is over."""
        deadline = time.monotonic() + timeout
        while not ready():
            self.wait(_POLL)
            self.check()
            if time.monotonic() > deadline:
                raise PartFailed(self.with_log(f"{self.program.name} was not ready within {timeout:g} s"))

    def check(self) -> None:
        """`PartFailed`, with the end of the log, if the program has ended."""
        if not self.running:
            raise PartFailed(self.with_log(f"{self.program.name} ended by itself with {self.describe_exit()}"))

    def send(self, number: signal.Signals) -> None:
        """Send it to the program alone; no error if that has ended."""
        if not self._reaped:
            signal.pidfd_send_signal(self._pidfd, number)

    def stop(self, number: signal.Signals = signal.SIGTERM, *, grace: float = 10.0) -> bool:
        """Ask the program to end, then end what is left of its group; whether it ended by itself within `grace` seconds."""
        if self.running:
            self.send(number)
        graceful = self.wait(grace)
        self.kill()
        return graceful

    def kill(self) -> None:
        """End the program, its children and its process group at once, and return when they are gone; again is no error."""
        if self._reaped:
            return
        # Nobody reaps the program before the last line, nor its children while it is stopped, so that until then
        # their numbers cannot come to name other processes.
        self.send(signal.SIGSTOP)
        children = [os.pidfd_open(child) for child in _children(self.pid)]  # PostgreSQL's leave the group
        os.killpg(self.pid, signal.SIGKILL)
        for child in children:
            signal.pidfd_send_signal(child, signal.SIGKILL)
            _await_end(child, _KILL_TIMEOUT)
            os.close(child)
        self._child.wait()
        self._reaped = True
        os.close(self._pidfd)

    def log_tail(self, lines: int = _TAIL) -> str:
        """The last lines that this run of the program wrote."""
        with self.program.log.open("rb") as log:
            log.seek(self._log_start)
            text = log.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def with_log(self, message: str) -> str:
        """`message`, followed by the end of the log and where the whole of it is."""
        return f"{message}\n{self.log_tail()}\n(log: {self.program.log})"

    def describe_exit(self) -> str:
        code = self.exit_code
        if code is not None and code < 0:
            return signal.Signals(-code).name
        return f"exit code {code}"


def _private(path: str, flags: int) -> int:
    """Opens a file that only we can read: servers log statements, and statements hold passwords."""
    return os.open(path, flags, 0o600)


def _await_end(pidfd: int, timeout: float) -> bool:
    """Whether the process ended within `timeout` seconds."""
    end = select.poll()
    end.register(pidfd, select.POLLIN)
    return bool(end.poll(timeout * 1000))


def _children(parent: int) -> list[int]:
    """The process ids of the direct children."""
    children: list[int] = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            # "pid (name) state parent …", where a name may hold anything
            _, _, rest = (process / "stat").read_text().rpartition(")")
            if int(rest.split()[1]) == parent:
                children.append(int(process.name))
    return children


class _Spawner:
    """Starts every child from one thread that lives as long as the process.

    The kernel's "parent", whose end sends the death signal, is the thread that forked. Started from a worker thread
    of a test or an executor, a child would die with that thread.
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
            except BaseException as error:  # the caller's, whatever it is
                outcome.set_exception(error)

        self._work.put(work)
        return outcome.result()

    def _loop(self) -> None:
        while True:
            self._work.get()()


_lock = threading.Lock()
_current: _Spawner | None = None


def _spawner() -> _Spawner:
    """The spawner of this process; a fork takes over the variable, but not the thread."""
    global _current
    with _lock:
        if _current is None or _current.owner != os.getpid():
            _current = _Spawner()
        return _current
