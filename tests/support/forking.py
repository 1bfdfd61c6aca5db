"""Processes of rolevend that are forks of one that imported everything: a start takes a fraction of the time, so that a test can kill
thousands. `python -m tests.support.forking` is the one; it ends with its standard input, and the forks end with it."""

import ctypes
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from rolevend.cli import cli
from rolevend.policytools.embedded.ports import free_ports
from testbed.installation import NAMESPACE
from tests.support.waiting import eventually

_DIES_WITH_PARENT = 1
_ROOT = Path(__file__).parents[2]


class Nursery:
    """Use as ``with Nursery() as nursery:``."""

    def __enter__(self) -> "Nursery":
        environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{_ROOT / 'operator'}:{_ROOT}"}
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = subprocess.Popen([sys.executable, "-m", __name__], env=environment, text=True, **pipes)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def start(self, subcommand: str, kubeconfig: Path, log: Path, settings: Mapping[str, str]) -> "Fork":
        """`operator` or `api`, which need not be ready yet."""
        probe, port = free_ports(2)
        environment = {
            "PATH": "/usr/bin:/bin",
            "ROLEVEND_PROBE_HOST": "127.0.0.1",
            "ROLEVEND_PROBE_PORT": str(probe),
            "ROLEVEND_POD_NAME": "rolevend-0",
            **({"ROLEVEND_API_HOST": "127.0.0.1", "ROLEVEND_API_PORT": str(port)} if subcommand == "api" else {}),
            **{f"ROLEVEND_{key}": value for key, value in settings.items()},
        }
        command = [subcommand, "--kubeconfig", str(kubeconfig), "--namespace", NAMESPACE]
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"command": command, "log": str(log), "environment": environment}) + "\n")
        self._process.stdin.flush()
        return Fork(int(self._process.stdout.readline()), probe, f"http://127.0.0.1:{port}")


class Fork:
    def __init__(self, pid: int, port: int, url: str) -> None:
        self.pid = pid
        self.port = port
        self.url = url

    def wait_until_ready(self) -> None:
        def ready() -> bool:
            try:
                return httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=5, trust_env=False).status_code == 200
            except httpx.TransportError:
                return False

        eventually(ready)

    def kill(self) -> None:
        """Send SIGKILL, and return when the process is gone."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        eventually(lambda: not Path(f"/proc/{self.pid}").exists())


def _serve() -> None:
    """Start a fork for each line of standard input, and print its pid."""
    for module in ("rolevend.app.api", "rolevend.app.operator"):
        importlib.import_module(module)

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel forgets those that end
    parent = os.getpid()
    for line in sys.stdin:
        wanted = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(wanted["log"], wanted["environment"], parent)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            cli(args=wanted["command"])
        print(child, flush=True)


def _become(log: str, environment: Mapping[str, str], parent: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_DIES_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    os.setsid()
    sink = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for stream in (1, 2):
        os.dup2(sink, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(environment)


if __name__ == "__main__":
    _serve()
