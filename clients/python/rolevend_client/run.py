"""State of the tools of one run: its role or denial, and a database session for each platform. Does not depend on a tool framework."""

import threading
from collections.abc import Callable
from datetime import datetime

from rolevend_client import access_messages, messages
from rolevend_client.errors import Denied
from rolevend_client.open_role import OpenRole
from rolevend_client.sessions import Bounds, EndedForTheModel, ForTheModel, Session, session_of
from rolevend_client.values import Offer, Table

__all__ = ["Bounds", "ForTheModel", "Run"]


class Run:
    """Thread-safe. Runs one statement at a time."""

    def __init__(self, given: OpenRole | Denied, *, is_approved: bool = False) -> None:
        """`is_approved`: the role uses the approval of a request, and another role is used after it."""
        self._given = given
        self._is_approved = is_approved
        self.is_lost = False
        """True if the database says that the role has ended."""
        self.note = ""
        """A sentence for the model, before its next answer."""
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._ended = False

    @property
    def role(self) -> OpenRole:
        """The role. Raises `ForTheModel` if nothing was granted."""
        if isinstance(self._given, Denied):
            raise ForTheModel(messages.denied(self._given))
        return self._given

    @property
    def denial(self) -> Denied | None:
        return self._given if isinstance(self._given, Denied) else None

    @property
    def offers(self) -> tuple[Offer, ...]:
        """The offers that the model may request."""
        return self._given.missing.offers if isinstance(self._given, Denied) else self._given.explanation.offers

    def has_ended(self, now: datetime) -> bool:
        """True if the role is known to have ended."""
        until = self.role.expires_at
        return self.is_lost or (until is not None and until <= now)

    def told(self, tell: Callable[["Run"], str]) -> str:
        """Return the text of `tell`, after the note. Raises `ForTheModel`, also after the note."""
        note, self.note = f"{self.note}\n" if self.note else "", ""
        try:
            return f"{note}{tell(self)}"
        except EndedForTheModel as answer:
            self.is_lost = True
            raise ForTheModel(access_messages.ENDED if self._is_approved else f"{note}{answer}") from None
        except ForTheModel as answer:
            raise ForTheModel(f"{note}{answer}") from None

    def table(self, name: str, platform: str | None = None) -> tuple[str, str]:
        """Return the platform of a table, and its name there. `name` may have the schema. Raises `ForTheModel` if the role reads no such
        table, or several."""
        place = None if platform is None else self._place(platform)
        found = [(each, known) for each, known, _ in self.tables_named(name) if place in (None, each)]
        if len(found) != 1:
            raise ForTheModel(messages.no_such_table(name, [place for place, _ in found]))
        return found[0]

    def tables_named(self, name: str) -> list[tuple[str, str, Table]]:
        """Return the tables that the role reads of this name, each after its platform and its name there. Empty if nothing is granted. A
        name with the schema goes first: an owner may put a dot into the name of a table."""
        role = None if isinstance(self._given, Denied) else self._given
        tables = [
            (place.name, known, each)
            for place in (role.platforms if role else ())
            for known, each in (role.explanation.named(place.name).items() if role else ())
        ]
        return [found for found in tables if name == f"{found[2].schema}.{found[2].table}"] or [
            found for found in tables if name == found[1]
        ]

    def query(self, statement: str, bounds: Bounds, platform: str | None = None) -> str:
        """Return the answer as a text for the model. `platform` is optional if there is one. Raises `ForTheModel` if it is refused."""
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
        """End the run. If a statement still runs in another thread, its session is closed when the statement ends."""
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
