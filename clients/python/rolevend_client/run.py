"""What the tools of one run share: its role, or the denial of one, and a session of each of its platforms. Knows no framework of tools."""

import threading

from rolevend_client import messages
from rolevend_client.errors import Denied
from rolevend_client.open_role import OpenRole
from rolevend_client.sessions import Bounds, ForTheModel, Session, session_of

__all__ = ["Bounds", "ForTheModel", "Run"]


class Run:
    """Tools may call it from several threads; it asks one thing at a time."""

    def __init__(self, given: OpenRole | Denied) -> None:
        self._given = given
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._ended = False

    @property
    def role(self) -> OpenRole:
        """`ForTheModel` where nothing was granted."""
        if isinstance(self._given, Denied):
            raise ForTheModel(messages.denied(self._given))
        return self._given

    @property
    def denial(self) -> Denied | None:
        return self._given if isinstance(self._given, Denied) else None

    def query(self, statement: str, bounds: Bounds, platform: str | None = None) -> str:
        """The answer as a text for the model; `ForTheModel` where the database refuses. `platform` may be left out where there is one."""
        place = self._place(platform)
        try:
            with self._lock:
                if self._ended:
                    raise ForTheModel(messages.OVER)
                if place not in self._sessions:
                    self._sessions[place] = session_of(self.role, place)
                return self._sessions[place].ask(statement, bounds)
        finally:
            self._close_if_ended()

    def end(self) -> None:
        """A statement that still runs, in a thread that nobody waits for, ends with the role, and its session after it."""
        self._ended = True
        self._close_if_ended()

    def _place(self, platform: str | None) -> str:
        names = [each.name for each in self.role.platforms]
        if platform in names:
            return str(platform)
        if platform is None and len(names) == 1:
            return names[0]
        raise ForTheModel(messages.no_such_platform(self.role, platform))

    def _close_if_ended(self) -> None:
        if self._ended and self._lock.acquire(blocking=False):
            try:
                while self._sessions:
                    self._sessions.popitem()[1].close()
            finally:
                self._lock.release()
