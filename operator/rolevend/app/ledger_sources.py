"""The sources of the ledger: PostgreSQL's logs, and Snowflake's query history."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Protocol

from rolevend.access_ledger.history_position import HistoryPosition, history_position_of
from rolevend.access_ledger.ledger_run import LedgerRun
from rolevend.access_ledger.log_files import ReadVersions
from rolevend.access_ledger.position_file import PositionFile, SavedState
from rolevend.access_ledger.positions import positions_of
from rolevend.access_ledger.selection import Selection
from rolevend.access_ledger.selector import KnownRoles
from rolevend.app.bootstrap import now
from rolevend.app.history_ledger import HistoryContinuation, HistoryLedger
from rolevend.app.ledger import AccessLedger, Continuation
from rolevend.platforms.postgres.log_time import LogClock
from rolevend.platforms.snowflake.connections import administrators_session

_BEGINS: Final = timedelta(days=7)
"""How far a query history is read without `--since`."""


@dataclass(frozen=True, slots=True)
class SavedRun:
    """The state of an earlier run, and how to save the next one."""

    file: PositionFile
    written: Callable[[], None]
    """Writes the entries so far durably."""
    now: datetime

    def save(self, state: SavedState) -> None:
        """Save the state, after the entries before it."""
        self.written()
        self.file.save(state)


class LedgerSource(Protocol):
    """The record of a platform, which holds the statements of roles."""

    def whole(self, roles: KnownRoles, selection: Selection) -> LedgerRun:
        """Return a run over all that the source has."""

    def continued(self, roles: KnownRoles, selection: Selection, saved: SavedRun) -> LedgerRun:
        """Return a run over what is new since the saved state. Raises InvalidInput if the state is not one of this source."""


class LogSource:
    """Files and folders with csvlogs and jsonlogs."""

    def __init__(self, paths: Sequence[str], clock: LogClock) -> None:
        self._paths = paths
        self._clock = clock
        self._read: ReadVersions = {}

    def whole(self, roles: KnownRoles, selection: Selection) -> AccessLedger:
        return AccessLedger(self._paths, roles, selection, self._clock)

    def continued(self, roles: KnownRoles, selection: Selection, saved: SavedRun) -> AccessLedger:
        positions = positions_of(saved.file.load(), saved.file.name)
        return AccessLedger(self._paths, roles, selection, self._clock, Continuation(positions, saved.save, saved.now, self._read))


class HistorySource:
    """The query history of an account, through a connection of `connections.toml`."""

    def __init__(self, connection: str) -> None:
        self._connect = partial(administrators_session, connection)

    def whole(self, roles: KnownRoles, selection: Selection) -> HistoryLedger:
        return HistoryLedger(self._connect, roles, selection, HistoryPosition(_beginning(selection, selection.until or now())))

    def continued(self, roles: KnownRoles, selection: Selection, saved: SavedRun) -> HistoryLedger:
        position = history_position_of(saved.file.load(), saved.file.name, _beginning(selection, saved.now))
        return HistoryLedger(self._connect, roles, selection, position, HistoryContinuation(saved.save, saved.now))


def _beginning(selection: Selection, end: datetime) -> datetime:
    return selection.since or end - _BEGINS
