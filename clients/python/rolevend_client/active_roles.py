"""The roles that this process has and has not released yet, and what becomes of them where it ends otherwise than by a `with` block's end.

* SIGTERM and SIGHUP end a process without unwinding it. While a role is open, and where the program has no handler of its own, they raise
  SystemExit in the main thread instead, as SIGINT raises KeyboardInterrupt: `with` blocks end, and the exit status is the usual one.
* A handler of the program's own is not replaced: whether it unwinds or lets work finish, the blocks end, and the roles with them.
* What is still open when the interpreter exits is released then.
* A forked child has none of its parent's roles, and none of these handlers.
"""

import atexit
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGINT") if hasattr(signal, name)]
_log = logging.getLogger("rolevend_client")


class ActiveRoles:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self._releases: dict[str, Callable[[], object]] = {}

    def add(self, role_id: str, release: Callable[[], object]) -> None:
        """`release` is what is called at the interpreter's exit; it must need nothing that may be gone by then."""
        self._releases[role_id] = release

    def __contains__(self, role_id: object) -> bool:
        return role_id in self._releases

    def discard(self, role_id: str) -> None:
        self._releases.pop(role_id, None)

    def forget_all(self) -> None:
        self._releases.clear()

    def release_all(self) -> None:
        """Each once. Nothing is raised: there is nobody left to handle it, and every role has an end of its own."""
        for role_id, release in list(self._releases.items()):
            try:
                release()
            except Exception as error:
                _log.warning("the role %s is not known to be released, and ends by itself: %s", role_id, error)
            self.discard(role_id)


class Cleanup:
    """Who holds it wants deadly signals to unwind the main thread. Handlers are there while somebody does."""

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
        """In a forked child, which dies of signals as any other program does."""
        self._holders, self._lock = 0, threading.Lock()
        self._change(0)

    def _change(self, by: int) -> None:
        """Python lets only the main thread change handlers; in any other one they stay as they are."""
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
