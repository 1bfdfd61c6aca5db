"""When each granted table was read last: the memory behind the count of unused grants of a process that goes on. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from rolevend.access_ledger.entry import LedgerEntry
from rolevend.access_ledger.grants import AuditedRole
from rolevend.errors import InvalidInput

_VERSION: Final = 1
_FORGOTTEN: Final = timedelta(days=400)


@dataclass(slots=True)
class TableReads:
    """Keeps tables that a role was granted, and no other name: an agent could write any number of names into its statements."""

    since: datetime
    """The beginning of the observation."""
    last: dict[str, datetime] = field(default_factory=dict)

    def take(self, entry: LedgerEntry, role: AuditedRole | None) -> None:
        if entry.refused or role is None or role.tables is None:
            return
        for name in entry.tables:
            for table in (name, name.partition(".")[2]):  # also without its database
                if table in role.tables.names:
                    self.last[table] = max(entry.time, self.last.get(table, entry.time))

    def unread(self, granted: Iterable[str], before: datetime) -> list[str] | None:
        """Return the granted tables that nobody read since `before`; None if the observation began later."""
        if self.since > before:
            return None
        return sorted(table for table in granted if table not in self.last or self.last[table] < before)

    def as_json(self) -> dict[str, Any]:
        return {"version": _VERSION, "since": self.since.isoformat(), "lastRead": {name: at.isoformat() for name, at in self.last.items()}}


def table_reads_of(value: Any, name: str, now: datetime) -> TableReads:
    """Parse what `as_json` returned; None begins to observe. Forgets tables that nobody read for over a year. Raises InvalidInput."""
    if value is None:
        return TableReads(now)
    try:
        if value["version"] != _VERSION:
            raise ValueError(value["version"])
        last = {str(table): datetime.fromisoformat(at).astimezone(UTC) for table, at in value["lastRead"].items()}
        since = datetime.fromisoformat(value["since"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidInput(name, "is not a record of table reads, or of another version; move it away to begin to observe") from error
    return TableReads(since, {table: at for table, at in last.items() if at > now - _FORGOTTEN})
