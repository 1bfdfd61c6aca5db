"""Send prepared HTTP requests with the program in `go/load`, which needs little of the processor, and no time of this process."""

import json
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testbed.binaries import obtain
from testbed.gobuild import Module

MODULE = Path(__file__).parent / "go"
_PROGRAM = "load"
_TIMEOUT = 60.0
"""Seconds for one call."""


@dataclass(frozen=True)
class Requests:
    """Requests to one server, or to its replicas. Each must be answered with `status`."""

    addresses: Sequence[str]
    """`host:port` of each replica. The connections are shared out among them."""
    status: int
    texts: Sequence[str]
    field: str = ""
    """The field of the answers' JSON to report; empty: none."""
    patient: bool = False
    """True: a call that is answered 503 is sent again after the seconds of its `Retry-After`, as part of the same call."""


@dataclass
class Sent:
    """Calls that were answered, in the order of their requests."""

    seconds: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    """In seconds of Unix time."""
    fields: list[str] = field(default_factory=list)
    lasted: float = 0.0
    processor: float = 0.0
    """Processor time of the sending program."""
    size: int = 0
    """Bytes of the body of the first answer."""
    refused: int = 0
    """Answers 503 to a patient sender."""

    @property
    def rate(self) -> float:
        return len(self.seconds) / self.lasted


def request(method: str, path: str, headers: Mapping[str, str], body: Mapping[str, Any] | None = None) -> str:
    """Return the text of a request for a connection that stays open."""
    content = "" if body is None else json.dumps(body)
    described = {} if body is None else {"Content-Type": "application/json", "Content-Length": str(len(content.encode()))}
    lines = (f"{name}: {value}\r\n" for name, value in {"Host": "bench", **headers, **described}.items())
    return f"{method} {path} HTTP/1.1\r\n{''.join(lines)}\r\n{content}"


class Load:
    """Use one for the whole measurement: the first one builds the program."""

    def __init__(self) -> None:
        self._program = obtain((_PROGRAM,), module=Module(MODULE))[_PROGRAM]

    def send(self, requests: Requests, connections: int) -> Sent:
        """Send all, each connection one after the other. Raises AssertionError for the first call that fails."""
        with self._started(requests, connections, 0) as process:
            return _sent(process)

    @contextmanager
    def stream(self, requests: Requests, per_second: float, connections: int = 4) -> Iterator[list[Sent]]:
        """Send at a constant rate during the block; at its end the list holds what was sent. Raises AssertionError as `send` does."""
        done: list[Sent] = []
        with self._started(requests, connections, per_second) as process:
            yield done
            process.send_signal(signal.SIGTERM)
            done.append(_sent(process))

    @contextmanager
    def _started(self, requests: Requests, connections: int, per_second: float) -> Iterator[subprocess.Popen[str]]:
        order = {
            "addresses": requests.addresses,
            "connections": connections,
            "status": requests.status,
            "field": requests.field,
            "per_second": per_second,
            "timeout": _TIMEOUT,
            "patient": requests.patient,
            "requests": requests.texts,
        }
        with subprocess.Popen([self._program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            try:
                process.stdin.write(json.dumps(order))
                process.stdin.close()
                yield process
            finally:
                process.kill()


def _sent(process: subprocess.Popen[str]) -> Sent:
    """Wait until the program has sent its requests."""
    assert process.stdout is not None
    text = process.stdout.read()
    assert process.wait() == 0, "the program that sends requests failed"
    report = json.loads(text)
    assert not report["failure"], report["failure"]
    calls = report["calls"]
    return Sent(
        seconds=[call["seconds"] for call in calls],
        answered=[call["answered"] for call in calls],
        fields=[call["field"] for call in calls],
        lasted=report["lasted"],
        processor=report["processor"],
        size=report["bytes"],
        refused=report["refused"],
    )
