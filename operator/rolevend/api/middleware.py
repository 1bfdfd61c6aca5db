"""Give each call a request id and a W3C trace context, limit its body, and write one log line with its duration and steps.

Plain ASGI, and the outermost layer: the answer to an unexpected error also has the request id.
"""

import re
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from logging import getLogger
from types import MappingProxyType
from typing import Any, Final

from starlette.exceptions import HTTPException

from rolevend.platforms.protocol import Randomness
from rolevend.telemetry.timing import Taken, of_a_call

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LONGEST_BODY: Final = 65_536
_REQUEST_ID: Final = re.compile(rb"[!-~]{1,128}")
_TRACEPARENT: Final = re.compile(rb"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
_PATH: Final = re.compile(r"/[-a-z0-9./]{0,300}")
ANOTHER: Final = "another"
"""The name in metrics of an unknown call."""
_QUIET: Final = ("/healthz", "/readyz", "/metrics")

_log = getLogger(__name__)


def noop(_call: str, _status: int, _seconds: float) -> None:
    """Report nothing."""


class Tracing:
    def __init__(
        self,
        application: Application,
        randomness: Randomness,
        on_answer: Callable[[str, int, float], None] = noop,
        longer_bodies: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """`on_answer` receives each answered call: its name, status and seconds. `longer_bodies` are other limits of bodies, by the prefix
        of the path: such a call authenticates before it reads the body."""
        self._application = application
        self._randomness = randomness
        self._on_answer = on_answer
        self._longer_bodies = longer_bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id = self._request_id(headers.get(b"x-request-id"))
        traceparent = self._traceparent(headers.get(b"traceparent"))
        scope.setdefault("state", {}).update(request_id=request_id, traceparent=traceparent)
        own_headers = [(b"x-request-id", request_id.encode()), (b"traceparent", traceparent.encode()), (b"cache-control", b"no-store")]
        started, status = time.perf_counter(), 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *own_headers]
            await send(message)

        with of_a_call() as taken:
            try:
                await self._application(scope, _bounded(receive, self._longest(scope["path"])), answer)
            finally:
                if scope["path"] not in _QUIET:
                    self._log_call(scope, status, time.perf_counter() - started, taken)

    def _longest(self, path: str) -> int:
        return next((most for prefix, most in self._longer_bodies.items() if path.startswith(prefix)), LONGEST_BODY)

    def _log_call(self, scope: Scope, status: int, seconds: float, taken: Taken) -> None:
        call = _call(scope)
        if status:  # no status: the client is gone
            self._on_answer(call, status, seconds)
        path = scope["path"] if _PATH.fullmatch(scope["path"]) else ANOTHER  # an unknown path may contain a token
        extra = {"call": call, "method": scope["method"], "path": path, "status": status, "seconds": round(seconds, 6)}
        steps = {"steps": {step: round(each, 6) for step, each in taken.items()}} if taken else {}
        request_id, traceparent = scope["state"]["request_id"], scope["state"]["traceparent"]
        _log.info("call", extra={**extra, **steps, "request_id": request_id, "trace_id": traceparent.split("-")[1]})

    def _request_id(self, given: bytes | None) -> str:
        return given.decode() if given is not None and _REQUEST_ID.fullmatch(given) else self._randomness(16).hex()

    def _traceparent(self, given: bytes | None) -> str:
        """Return a new span in the caller's trace, or in a new trace."""
        step = self._randomness(8).hex()
        known = _TRACEPARENT.fullmatch(given) if given is not None else None
        return f"00-{known[1].decode()}-{step}-{known[3].decode()}" if known else f"00-{self._randomness(16).hex()}-{step}-00"


def _call(scope: Scope) -> str:
    """Return the operation id of the route."""
    return getattr(scope.get("route"), "operation_id", None) or ANOTHER


class TooLong(HTTPException):
    """The body of a call exceeds the limit."""

    def __init__(self) -> None:
        super().__init__(413)  # FastAPI turns any other error into an unreadable body


def _bounded(receive: Receive, longest: int) -> Receive:
    taken = 0

    async def bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > longest:
            raise TooLong()
        return message

    return bounded
