"""Observe for a process that follows a source which granted tables nobody reads."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from rolevend.access_ledger.audit_tail import FollowedRoles
from rolevend.access_ledger.entry import LedgerEntry
from rolevend.access_ledger.position_file import PositionFile
from rolevend.access_ledger.table_reads import table_reads_of
from rolevend.telemetry.ledger_metrics import LedgerMetrics

_SAVED_EVERY: Final = timedelta(hours=1)
_TOLD_EVERY: Final = timedelta(days=1)
_MAX_TOLD: Final = 100

_log = logging.getLogger(__name__)


class UnreadTables:
    """Sets a metric, and logs the tables once a day. A kill loses the reads of an hour at most, which the next read of a table replaces."""

    def __init__(self, file: PositionFile, days: int, roles: FollowedRoles, metrics: LedgerMetrics, now: Callable[[], datetime]) -> None:
        """Raises InvalidInput if the file is not a record of table reads."""
        self._file = file
        self._period = timedelta(days=days)
        self._roles = roles
        self._metrics = metrics
        self._now = now
        self._reads = table_reads_of(file.load(), file.name, now())
        self._saved_at = self._told_at = datetime.min.replace(tzinfo=now().tzinfo)

    def take(self, entry: LedgerEntry) -> None:
        self._reads.take(entry, self._roles.get(entry.role))

    def report(self) -> None:
        """Set the metric, and save and log where it is due."""
        now = self._now()
        unread = self._reads.unread(self._roles.tables(), now - self._period)
        if unread is not None:
            self._metrics.unread(len(unread))
            if now - self._told_at > _TOLD_EVERY:
                self._told_at = now
                _log.info("tables not read", extra={"days": self._period.days, "count": len(unread), "tables": unread[:_MAX_TOLD]})
        if now - self._saved_at > _SAVED_EVERY:
            self._saved_at = now
            self._file.save(self._reads)
