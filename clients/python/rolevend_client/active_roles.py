"""The open roles of this process, and their release when the process ends outside a `with` block.

* SIGTERM and SIGHUP end a process without unwinding it. While a role is open, and where the program has no handler of its own, they raise
  SystemExit in the main thread instead, as SIGINT raises KeyboardInterrupt: `with` blocks end, and the exit status is the usual one.
* A handler that the program installed is not replaced. The blocks end when it unwinds the stack or lets the work finish.
* Roles that are still open when the interpreter exits are released then.
* A forked child has neither its parent's roles nor these handlers.
"""

import atexit
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import NoReturn

from rolevend_client import protocol
from rolevend_client.caller import ApiCaller
from rolevend_client.errors import NotFound
from rolevend_client.settings import Settings

LAST_PATIENCE = 3.0
"""Seconds for the release of each role when the interpreter exits."""
LAST_SECONDS = 10.0
"""Seconds for the release of all of them: a process with many roles must not wait for each while the API is away."""

_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGINT") if hasattr(signal, name)]
_log = logging.getLogger("rolevend_client")


class ActiveRoles:
    """Thread-safe."""

    def __init__(self) -> None:
        self._settings: dict[str, Settings] = {}

    def add(self, role_id: str, settings: Settings) -> None:
        """`settings` name the API that releases the role."""
        self._settings[role_id] = settings

    def __contains__(self, role_id: object) -> bool:
        return role_id in self._settings

    def discard(self, role_id: str) -> None:
        self._settings.pop(role_id, None)

    def forget_all(self) -> None:
        self._settings.clear()

    def release_all(self, seconds: float = LAST_SECONDS) -> None:
        """Release each role once, with new connections: those of a client may belong to an event loop that is closed. After `seconds` the
        rest is left to its expiry.

        Raises nothing: at the interpreter's exit nobody can handle an error, and each role expires.
        """
        ends = time.monotonic() + seconds
        for role_id, settings in list(self._settings.items()):
            left = ends - time.monotonic()
            if left <= 0:
                _log.warning("%s roles are not released, and end by themselves", len(self._settings))
                self.forget_all()
                return
            try:
                ApiCaller(replace(settings, patience=min(left, LAST_PATIENCE))).call(protocol.release(role_id))
            except NotFound:
                pass
            except Exception as error:
                _log.warning("the role %s is not known to be released, and ends by itself: %s", role_id, error)
            self.discard(role_id)


class Cleanup:
    """Installs handlers that make fatal signals unwind the main thread, as long as at least one `held` block is open."""

    def __init__(self) -> None:
        self._holders = 0
        self._lock = threading.Lock()

    @contextmanager
    def held(self) -> Iterator[None]:
        self._change(+1)
        try:
            yield
        finally:
            self._change(-1)

    def forget_all(self) -> None:
        """Reset in a forked child, so that signals end it as they end any other program."""
        self._holders, self._lock = 0, threading.Lock()
        self._change(0)

    def _change(self, by: int) -> None:
        """Count a holder, and install or remove the handlers. Only the main thread can; in other threads they stay as they are."""
        with self._lock:
            self._holders += by
            if threading.current_thread() is not threading.main_thread():
                return
            for number in _SIGNALS:
                handler = signal.getsignal(number)
                if self._holders and handler is signal.SIG_DFL:
                    signal.signal(number, _unwind)
                elif not self._holders and handler is _unwind:
                    signal.signal(number, signal.SIG_DFL)


def _unwind(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    raise SystemExit(128 + number)


open_roles = ActiveRoles()
unwinding = Cleanup()
atexit.register(open_roles.release_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=open_roles.forget_all)
    os.register_at_fork(after_in_child=unwinding.forget_all)
