"""One run over a source of statements, and what it read. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from rolevend.access_ledger.entry import LedgerEntry
from rolevend.access_ledger.grants import handles_of
from rolevend.naming import CANARY_HANDLE


@dataclass(slots=True)
class LedgerCounts:
    """`unreadable_files` are files that could not be read, or not to their end."""

    lines: int = 0
    """Complete lines of logs, or rows of a query history."""
    known: int = 0
    """Statements of roles that an audit event names."""
    canary: int = 0
    """Statements of attestations, whose roles have no audit event."""
    unknown: int = 0
    """Statements of other roles with the name of a vended one."""
    damaged_records: int = 0
    """Records that were cut off, damaged, or without a time."""
    truncated_records: int = 0
    unreadable_files: int = 0
    newest: datetime | None = None
    """The time of the newest statement."""

    def took(self, role: str, time: datetime, *, known: bool) -> None:
        if known:
            self.known += 1
        elif handles_of(role)[0] == CANARY_HANDLE:
            self.canary += 1
        else:
            self.unknown += 1
        self.newest = time if self.newest is None else max(self.newest, time)


class LedgerRun(Protocol):
    """Yields entries. Iterate once; then the counts, problems and notes are complete."""

    counts: LedgerCounts

    @property
    def is_complete(self) -> bool:
        """True if everything that the source had was yielded."""

    @property
    def problems(self) -> list[str]:
        """Damage that was skipped, and roles that are unknown."""

    @property
    def notes(self) -> list[str]:
        """The problems, and what a later run reads."""

    def __iter__(self) -> Iterator[LedgerEntry]: ...
