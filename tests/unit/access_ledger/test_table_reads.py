"""Granted tables that nobody reads, as a process that goes on counts them: over restarts, and in bounded memory."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rolevend.access_ledger.audit_tail import FollowedRoles
from rolevend.access_ledger.entry import LedgerEntry, joined
from rolevend.access_ledger.position_file import PositionFile
from rolevend.access_ledger.relations import TableFinder
from rolevend.access_ledger.table_reads import TableReads, table_reads_of
from rolevend.app.unread_tables import UnreadTables
from rolevend.errors import InvalidInput
from rolevend.platforms.postgres.session_statements import LoggedStatement
from rolevend.telemetry.ledger_metrics import LedgerMetrics
from tests.support.pglogs import OTHER_ROLE, ROLE, TIME, granted

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
MONTH = timedelta(days=30)


class Process:
    def __init__(self, folder: Path) -> None:
        self.audit, self.state = folder / "audit.ndjson", folder / "state.reads"
        self.audit.write_text(json.dumps(granted()) + "\n" + json.dumps(granted(OTHER_ROLE, platform="crm", tables=("crm.x",))) + "\n")
        self.now = NOON
        self.start()

    def start(self) -> None:
        self.roles = FollowedRoles([str(self.audit)], "warehouse", lambda: self.now)
        self.roles.refresh()
        self.metrics = LedgerMetrics("warehouse")
        self.unread = UnreadTables(PositionFile(self.state), MONTH.days, self.roles, self.metrics, lambda: self.now)

    def entry(self, text: str, *, refused: bool = False) -> LedgerEntry:
        statement = LoggedStatement(TIME, "claims", "1", "", "", text, role=ROLE, refused=refused)
        return joined(statement, self.now, self.roles.get(ROLE), TableFinder(), 1000)

    def count(self) -> float | None:
        self.unread.report()
        return self.metrics.registry.get_sample_value("rolevend_access_ledger_unread_tables", {"platform": "warehouse"})


@pytest.fixture
def process(tmp_path: Path) -> Process:
    return Process(tmp_path)


def test_tables_are_counted_after_the_period_and_over_restarts(process: Process, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    assert process.count() is None
    process.now += timedelta(days=2)
    process.unread.take(process.entry("SELECT * FROM people"))
    assert process.count() is None
    process.now = NOON + MONTH
    process.start()
    assert process.count() == 0  # nothing was granted of late
    process.audit.write_text(json.dumps(granted(expiresAt="2027-01-01T00:00:00Z")) + "\n")
    process.start()

    assert process.count() == 1
    assert [each.tables for each in caplog.records if each.message == "tables not read"] == [[], ["claims.claims"]]  # type: ignore[attr-defined]
    process.now += timedelta(days=5)
    assert process.count() == 2


def test_what_was_refused_is_no_read_and_names_that_an_agent_makes_up_are_not_kept(process: Process):
    process.count()
    process.unread.take(process.entry("SELECT * FROM claims", refused=True))
    for number in range(1000):
        process.unread.take(process.entry(f"SELECT * FROM made_up_{number}, people"))
    process.now += timedelta(hours=2)
    process.count()

    assert list(json.loads(process.state.read_text())["lastRead"]) == ["claims.people"]


def test_a_record_of_something_else_is_refused_and_an_old_read_is_forgotten():
    with pytest.raises(InvalidInput, match="is not a record of table reads"):
        table_reads_of({"version": 1, "files": {}}, "state", NOON)
    old = TableReads(NOON - timedelta(days=900), {"a.b": NOON - timedelta(days=500), "a.c": NOON})
    assert table_reads_of(json.loads(json.dumps(old.as_json())), "state", NOON).last == {"a.c": NOON}
