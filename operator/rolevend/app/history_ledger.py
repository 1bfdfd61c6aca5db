"""The statements of every vended role in Snowflake's query history, joined to the audit events of the roles."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from rolevend.access_ledger.entry import LedgerEntry
from rolevend.access_ledger.history_entry import joined_history
from rolevend.access_ledger.history_position import HistoryPosition
from rolevend.access_ledger.ledger_run import LedgerCounts
from rolevend.access_ledger.relations import SNOWFLAKE, TableFinder
from rolevend.access_ledger.selection import Selection
from rolevend.access_ledger.selector import EntrySelector, KnownRoles
from rolevend.platforms.snowflake.account_history import OBJECTS_DELAY, HistoryPlace, HistoryStatement, statements_since
from rolevend.platforms.snowflake.connections import SnowflakeSession

OVERLAP: Final = OBJECTS_DELAY + timedelta(hours=1)
"""How long a statement may appear after its end. Snowflake names 45 minutes, and three hours for its objects."""

Connect = Callable[[], AbstractContextManager[SnowflakeSession]]


@dataclass(frozen=True, slots=True)
class HistoryContinuation:
    """The state of an earlier run, and how to save the next one. `save` is called after the entries before it were taken."""

    save: Callable[[HistoryPosition], None]
    now: datetime


class HistoryLedger:
    """Yields the selected entries, by the end of their statements. Iterate once; then `notes` says what is not known."""

    def __init__(
        self,
        connect: Connect,
        roles: KnownRoles,
        selection: Selection,
        position: HistoryPosition,
        continuation: HistoryContinuation | None = None,
    ) -> None:
        """Without `continuation` the run yields all statements from the floor of `position` on."""
        self.counts = LedgerCounts()
        self._connect = connect
        self._selector = EntrySelector(roles, selection, self.counts)
        self._position = position
        self._continuation = continuation
        self._finder = TableFinder(SNOWFLAKE)
        self._waiting = 0
        self._is_full = False

    def __iter__(self) -> Iterator[LedgerEntry]:
        with self._connect() as session:
            for page in statements_since(session, HistoryPlace(self._position.floor)):
                self.counts.lines += len(page)
                for statement in page:
                    yield from self._new(statement)
                self._save(page[-1].ended)
                if self._is_full:
                    return
        if self._continuation is not None:
            self._save(self._continuation.now)

    @property
    def is_complete(self) -> bool:
        return not self._is_full

    @property
    def problems(self) -> list[str]:
        full = ["too many statements of the last hours: a later run continues"] if self._is_full else []
        return [*self._selector.notes, *full]

    @property
    def notes(self) -> list[str]:
        waiting = [f"{self._waiting} statements wait for the objects that they read: a later run has them"] if self._waiting else []
        return [*self.problems, *waiting]

    def _new(self, statement: HistoryStatement) -> Iterator[LedgerEntry]:
        if self._continuation is None:
            yield from self._selected(statement)
            return
        if self._position.has(statement.ended, statement.id):
            return
        now = self._continuation.now
        remembered = statement.ended >= now - OVERLAP
        if remembered and self._position.is_full:
            self._is_full = True
            return
        if statement.named is None and statement.error is None and statement.ended > now - OBJECTS_DELAY:
            self._waiting += 1
            return
        yield from self._selected(statement)
        if remembered:
            self._position.add(statement.ended, statement.id)

    def _selected(self, statement: HistoryStatement) -> Iterator[LedgerEntry]:
        yield from self._selector.selected(statement.role, statement.began, lambda role: joined_history(statement, role, self._finder))

    def _save(self, read_until: datetime) -> None:
        """Save the position: all statements until this end were read."""
        if self._continuation is not None:
            self._position.settle(min(read_until, self._continuation.now - OVERLAP))
            self._continuation.save(self._position)
