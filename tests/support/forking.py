"""Processes of rolevend that are forks of one that imported everything and made the schemas: a start takes a tenth of the processor time.
A fork runs the same code with the arguments and the environment of its program, under the same kind of `Process`.

`python -m tests.support.forking` is the process that forks; it ends with its standard input, and the forks end with it.
"""

import atexit
import ctypes
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any, Final

from rolevend.cli import main
from rolevend.kinds import KINDS
from rolevend.kinds.parse import spec_schema
from rolevend.policytools.embedded.process import Process, Program, exit_code_of, open_log

_MODULES: Final = ("rolevend.app.api", "rolevend.app.console", "rolevend.app.operator")
_DIES_WITH_PARENT = 1
_ROOT = Path(__file__).parents[2]


@cache
def fork_server() -> "ForkServer":
    """The one of this process, which ends with it."""
    started = ForkServer()
    atexit.register(started.close)
    return started


class ForkServer:
    def __init__(self) -> None:
        environment = {"PATH": os.defpath, "PYTHONPATH": f"{_ROOT / 'operator'}:{_ROOT}"}
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        command = [sys.executable, "-m", __name__, os.environ.get("ROLEVEND_TEST_LAG", "0")]
        self._process = subprocess.Popen(command, cwd="/", env=environment, text=True, start_new_session=True, **pipes)
        self._lock = threading.Lock()

    def close(self) -> None:
        self._process.communicate()

    def start(self, program: Program) -> Process:
        """Like `Program.start`, for `python -m rolevend …` as this user."""
        executable, *arguments = program.command
        assert (executable, *arguments[:2], program.account) == (sys.executable, "-m", "rolevend", None)
        with open_log(program.log) as log:
            log_start = log.tell()
        asked = {"arguments": arguments[2:], "log": str(program.log), "environment": dict(program.environment)}
        return Process(program, _Fork(self, int(self.ask("start", asked))), log_start)

    def ask(self, verb: str, subject: Any) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        with self._lock:
            stdin.write(json.dumps([verb, subject]) + "\n")
            stdin.flush()
            return json.loads(stdout.readline())


class _Fork:
    """See `Child`. The fork server is its parent."""

    def __init__(self, server: ForkServer, pid: int) -> None:
        self._server = server
        self.pid = pid

    def exit_code(self) -> int | None:
        code = self._server.ask("exit code", self.pid)
        return None if code is None else int(code)

    def release(self) -> int:
        return int(self._server.ask("release", self.pid))


def _serve() -> None:
    """Answer each line of standard input by one of standard output."""
    for module in _MODULES:
        importlib.import_module(module)
    lag_seconds = float(sys.argv[1])
    if lag_seconds:
        importlib.import_module("tests.support.lag").delay_watches(lag_seconds)
    for kind in KINDS:
        spec_schema(kind.model)
    gc.freeze()  # the collector of a fork would copy what all share
    parent = os.getpid()
    for line in sys.stdin:
        verb, subject = json.loads(line)
        match verb:
            case "start":
                answer = os.fork()
                if answer == 0:
                    _become(subject["log"], subject["environment"], parent)
                    _run(subject["arguments"])
            case "exit code":
                answer = exit_code_of(subject)
            case "release":
                answer = os.waitstatus_to_exitcode(os.waitpid(subject, 0)[1])
        print(json.dumps(answer), flush=True)


def _become(log: str, environment: dict[str, str], parent: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_DIES_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    os.setsid()
    sink = os.open(log, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(sink, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(environment)


def _run(arguments: list[str]) -> None:
    """Run the command line, and end as the interpreter would after it."""
    sys.argv[1:] = arguments
    main()
    sys.exit()


if __name__ == "__main__":
    _serve()
