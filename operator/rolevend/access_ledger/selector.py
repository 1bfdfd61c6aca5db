"""Join statements to their roles, and keep the entries that a person asks for. Pure."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final, Protocol

from rolevend.access_ledger.entry import LedgerEntry
from rolevend.access_ledger.grants import AuditedRole
from rolevend.access_ledger.ledger_run import LedgerCounts
from rolevend.access_ledger.selection import Selection

_MAX_UNKNOWN: Final = 10_000

Join = Callable[[AuditedRole | None], LedgerEntry]


class KnownRoles(Protocol):
    """The roles of audit events."""

    @property
    def malformed(self) -> int:
        """The number of events that are not as rolevend writes them."""

    def get(self, role: str, /) -> AuditedRole | None: ...


class EntrySelector:
    """Yields the selected entries. `notes` says which roles are unknown, and which entries may be missing."""

    def __init__(self, roles: KnownRoles, selection: Selection, counts: LedgerCounts) -> None:
        self._roles = roles
        self._selection = selection
        self._counts = counts
        self._unknown: set[str] = set()
        self._left_out = 0

    @property
    def notes(self) -> list[str]:
        notes = []
        if self._roles.malformed:
            notes.append(f"{self._roles.malformed} audit events are not as rolevend writes them, and were skipped")
        if self._unknown:
            count = f"{len(self._unknown)} roles" if len(self._unknown) < _MAX_UNKNOWN else f"{_MAX_UNKNOWN} roles or more"
            notes.append(f"{count} in the logs are unknown to the audit events, such as {min(self._unknown)!r}: see --audit")
        if self._left_out:
            notes.append(f"{self._left_out} statements without --table may have read it: their text could not be parsed")
        return notes

    def selected(self, name: str, time: datetime, join: Join) -> Iterator[LedgerEntry]:
        """Yield the entry of a statement that the role `name` ran, if it is selected. `join` makes the entry."""
        if not self._selection.in_time(time):
            return
        role = self._roles.get(name)
        self._counts.took(name, time, known=role is not None)
        if role is None and len(self._unknown) < _MAX_UNKNOWN:
            self._unknown.add(name)
        entry = join(role)
        if not self._selection.of_people(entry):
            return
        if self._selection.of_table(entry):
            yield entry
        elif entry.tables_from == "unknown" and not entry.refused:
            self._left_out += 1
