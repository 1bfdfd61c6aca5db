"""`rolevend ledger`: the statements of every vended role in PostgreSQL's logs, joined to the audit events of the roles."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from rolevend.access_ledger.entry import LedgerEntry, joined
from rolevend.access_ledger.grants import AuditedRole, AuditedRoles
from rolevend.access_ledger.ledger_run import LedgerCounts, LedgerRun
from rolevend.access_ledger.log_files import UNREADABLE, LogFile, LogFiles, ReadVersions, is_damage
from rolevend.access_ledger.positions import Positions
from rolevend.access_ledger.relations import TableFinder
from rolevend.access_ledger.selection import Selection
from rolevend.access_ledger.selector import EntrySelector, KnownRoles
from rolevend.access_ledger.unused import TableUse, UnusedGrant, UnusedPolicyTable
from rolevend.audit.event_files import events
from rolevend.errors import InvalidInput
from rolevend.naming import PREFIX
from rolevend.platforms.postgres.log_records import MAX_RECORD_BYTES, LogRecords
from rolevend.platforms.postgres.log_time import LogClock
from rolevend.platforms.postgres.session_statements import LoggedStatement, SessionStatements

MAX_TEXT: Final = 32 * 1024
"""Characters of a statement."""
_MAX_SESSIONS: Final = 1000
"""Sessions with an unfinished statement."""
_WAITS: Final = timedelta(seconds=60)
"""How long a statement waits for its outcome, from one run to a later one."""
_SAVED_AFTER: Final = 100_000
"""Records."""

Save = Callable[[Positions], None]


def audited_roles(files: Sequence[str], platform: str | None = None) -> AuditedRoles:
    """Read the events of roles in these files. `platform` is that of the logs. Raises InvalidInput."""
    roles = AuditedRoles(platform)
    for event in events(files, PREFIX):
        roles.learn(event)
    return roles


@dataclass(frozen=True, slots=True)
class Continuation:
    """The state of an earlier run, and how to save the next one. `save` is called after the entries before it were taken."""

    positions: Positions
    save: Save
    now: datetime
    read: ReadVersions | None = None
    """The files that earlier runs of this process read to their end."""


class AccessLedger:
    """Yields the selected entries. Iterate once; afterwards `notes` says what was skipped or damaged."""

    def __init__(
        self, paths: Sequence[str], roles: KnownRoles, selection: Selection, clock: LogClock, continuation: Continuation | None = None
    ) -> None:
        self.counts = LedgerCounts()
        self._logs = LogFiles(paths, continuation.read if continuation else None)
        self._selector = EntrySelector(roles, selection, self.counts)
        self._clock = clock
        self._continuation = continuation
        self._positions = continuation.positions if continuation else Positions()
        self._statements = SessionStatements(max_sessions=_MAX_SESSIONS, max_text=MAX_TEXT)
        self._finder = TableFinder()
        self._timeless = 0
        self._notes: list[str] = []
        self._incomplete: list[str] = []
        if self._positions.pending is not None:
            self._restore(self._positions.pending)

    def __iter__(self) -> Iterator[LedgerEntry]:
        for log in self._logs:
            yield from self._read(log)
            self._save()
        self.counts.unreadable_files += self._logs.unreadable
        for statement in self._at_the_end():
            yield from self._selected(statement)
        self._save()

    @property
    def is_complete(self) -> bool:
        return True

    @property
    def problems(self) -> list[str]:
        """Damage that was skipped, and roles that are unknown; without records that a later run reads."""
        timeless = [f"{self._timeless} statements have no time that is one, and were skipped"] if self._timeless else []
        return [*self._logs.notes, *self._notes, *self._selector.notes, *timeless]

    @property
    def notes(self) -> list[str]:
        return [*self.problems, *self._logs.incomplete, *self._incomplete]

    def _read(self, log: LogFile) -> Iterator[LedgerEntry]:
        try:
            with log.open(self._positions.of(log.identity)) as stream:
                records = LogRecords(stream, log.format, self._positions.of(log.identity))
                try:
                    yield from self._entries(log, records)
                finally:
                    self._positions.advance(log.identity, records.position)
                    self._note(log, records)
            self._logs.finished(log)
        except UNREADABLE as error:
            self.counts.unreadable_files += 1
            self._notes.append(f"{log.path}: cannot be read further: {error}")
            if is_damage(error):
                self._logs.finished(log)

    def _entries(self, log: LogFile, records: LogRecords) -> Iterator[LedgerEntry]:
        before = self.counts.lines
        for number, record in enumerate(records, 1):
            self.counts.lines = before + records.lines
            for statement in self._statements.take(record):
                yield from self._selected(statement)
            if number % _SAVED_AFTER == 0:
                self._positions.advance(log.identity, records.position)
                self._save()
        self.counts.lines = before + records.lines

    def _selected(self, statement: LoggedStatement) -> Iterator[LedgerEntry]:
        try:
            time = self._clock.utc(statement.time)
        except ValueError:
            self._timeless += 1
            self.counts.damaged_records += 1
            return
        yield from self._selector.selected(statement.role, time, lambda role: joined(statement, time, role, self._finder, MAX_TEXT))

    def _at_the_end(self) -> Iterator[LoggedStatement]:
        """Yield the statements without an outcome: of a run that is continued later, those that waited long enough."""
        if self._continuation is None:
            yield from self._statements.rest()
            return
        for session in {each.session for each in self._statements.unfinished() if self._waited(each, self._continuation.now)}:
            yield from self._statements.finish(session)

    def _waited(self, statement: LoggedStatement, now: datetime) -> bool:
        try:
            return self._clock.utc(statement.time) < now - _WAITS
        except ValueError:
            return True

    def _save(self) -> None:
        if self._continuation is not None:
            self._positions.pending = self._statements.saved()
            self._continuation.save(self._positions)

    def _restore(self, pending: dict[str, object]) -> None:
        try:
            self._statements.restore(pending)
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidInput("--state", "its unfinished statements are malformed; name another file") from error

    def _note(self, log: LogFile, records: LogRecords) -> None:
        self.counts.damaged_records += records.cut
        self.counts.truncated_records += records.long
        for count, text in (
            (records.cut, "records are cut off or damaged, and were skipped"),
            (records.long, f"records are longer than {MAX_RECORD_BYTES} bytes: only their beginning was read"),
            (records.not_text, r"records have bytes that are not UTF-8, shown as \xff"),
        ):
            if count:
                self._notes.append(f"{log.path}: {count} {text}")
        if records.open_end:
            self._incomplete.append(f"{log.path}: its last record is incomplete; a later run reads it")


class UnusedGrants:
    """Yields the grants of a period that no statement used. Iterate once; afterwards `notes` says what is not certain."""

    def __init__(self, ledger: LedgerRun, roles: AuditedRoles, period: Selection, since: datetime, platform: str | None = None) -> None:
        """`ledger` selects nothing: statements before `since` show that the logs are complete. `period` selects roles by their people and
        the time of their grant. `platform` limits the report; by default it covers the platforms of the roles in the logs."""
        self._ledger = ledger
        self._roles = roles
        self._period = period
        self._since = since
        self._platform = platform
        self._notes: list[str] = []

    def __iter__(self) -> Iterator[UnusedGrant | UnusedPolicyTable]:
        use = TableUse()
        for entry in self._ledger:
            use.take(entry)
        platforms = use.platforms if self._platform is None else {self._platform}
        roles = [each for each in self._roles if self._granted(each) and each.platform in platforms]
        yield from use.unused_policy_tables(roles)
        yield from use.unused_grants(roles)
        self._tell(use, roles, platforms)

    @property
    def notes(self) -> list[str]:
        return [*self._ledger.notes, *self._notes]

    def _granted(self, role: AuditedRole) -> bool:
        return role.granted_at is not None and self._period.in_time(role.granted_at) and self._period.of_people(role)

    def _tell(self, use: TableUse, roles: Sequence[AuditedRole], platforms: set[str]) -> None:
        if use.first is None or use.first > self._since:
            begins = "hold no statement" if use.first is None else f"begin at {use.first:%Y-%m-%d %H:%M} UTC"
            self._notes.append(f"the logs {begins}, after the period begins: earlier reads are not known")
        others = {str(each.platform) for each in self._roles if self._granted(each)} - platforms
        if others:
            self._notes.append(f"no statement of roles on {', '.join(sorted(others))} is in these logs: their grants are left out")
        left_out = sum(each.tables.left_out for each in roles if each.tables is not None)
        if left_out:
            self._notes.append(f"{left_out} tables of roles are not in their audit events, which had no room for them: left out")
