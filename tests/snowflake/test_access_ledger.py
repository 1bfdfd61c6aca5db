"""The ledger of an account's history: every statement of a vended role once, with the person behind it and the tables that it read.

It is a model of an account: what passes here was not tried on Snowflake.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from snowflake.connector import errors as vendor

from rolevend.access_ledger import history_position
from rolevend.access_ledger.position_file import PositionFile
from rolevend.access_ledger.selection import Selection
from rolevend.app.ledger import audited_roles
from rolevend.app.ledger_sources import HistorySource, SavedRun
from rolevend.cli import cli
from rolevend.errors import InvalidInput, RolevendError
from rolevend.model import AgentHandle, RoleName, UserHandle
from rolevend.naming import role_name
from rolevend.plan import Lease
from rolevend.platforms.protocol import DropRequest, EndReason
from rolevend.platforms.snowflake.account_history import HistoryPlace, split_name, statements_since
from rolevend.platforms.snowflake.connections import administrators_session
from tests.conformance.bench import lease, profile, shape, vend
from tests.conformance.snowflake_bench import DATABASE, WAREHOUSE, SnowflakeBench, SnowflakeSession, installed
from tests.conformance.snowflake_tools import GOVERNED
from tests.support.pglogs import granted
from tests.support.snowflake import StandIn
from tests.support.snowflake.using import add_connection
from tests.support.snowflake.wire import KeyPair
from tests.support.waiting import PROGRAM, eventually

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "see-what-agents-read.md"
(SCRIPT,) = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)
HOURS_AGO = timedelta(hours=5)


@pytest.fixture(scope="module")
def account() -> Iterator[tuple[SnowflakeBench, KeyPair]]:
    """With the auditor that the page makes."""
    key = KeyPair.new()
    with StandIn() as snowflake, installed(snowflake) as bench:
        bench.admin.run("CREATE DATABASE SNOWFLAKE")
        bench.admin.run("CREATE DATABASE ROLE SNOWFLAKE.GOVERNANCE_VIEWER")
        for statement in (
            SCRIPT.replace("WAREHOUSE AUDIT", f'WAREHOUSE "{WAREHOUSE}"').replace("= AUDIT;", f'= "{WAREHOUSE}";').split(";\n")
        ):
            if statement.strip():
                bench.admin.run(re.sub(r"'MIIB[^']*'", f"'{key.public}'", statement))
        yield bench, key


class Auditor:
    """Runs of the ledger with one state, and the events of the roles that were vended."""

    def __init__(self, bench: SnowflakeBench, folder: Path) -> None:
        self.bench, self.audit, self.state = bench, folder / "audit.ndjson", folder / "state"
        self.audit.write_text("")
        self.now = datetime.now(UTC)
        self.notes: list[str] = []
        self.leases: list[Lease] = []

    def agent(self) -> tuple[RoleName, SnowflakeSession]:
        """A role with a table `people`, logged in."""
        of = profile(shape(self.bench.people()))
        made = lease(of)
        made = replace(made, role=role_name(AgentHandle("AGENT"), UserHandle("USER"), made.uid))
        self.leases.append(made)
        session = self.bench.log_in(vend(self.bench.platform, of, made))
        with self.audit.open("a") as file:
            file.write(json.dumps(granted(made.role, (str(of.tables[0].table),), profile=of.name, platform="lake")) + "\n")
        return made.role, session

    def ago(self, role: str, by: timedelta) -> None:
        """The role's statements that the history has not as old yet ended so long ago."""
        for one in self.bench.snowflake.account.history:
            if one.user == role and one.ended is not None and one.ended > self.now - timedelta(minutes=1):
                one.started, one.ended = one.started - by, one.ended - by

    def run(self, now: datetime | None = None) -> list[dict[str, Any]]:
        with PositionFile(self.state) as file:
            saved = SavedRun(file, lambda: None, now or self.now)
            run = HistorySource("auditor").continued(audited_roles([str(self.audit)], "lake"), Selection(), saved)
            entries = [each.as_json() for each in run]
            self.notes, self.counts = run.notes, run.counts
            return entries


@pytest.fixture
def auditor(account: tuple[SnowflakeBench, KeyPair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Auditor]:
    bench, key = account
    monkeypatch.setenv("SNOWFLAKE_HOME", str(tmp_path))
    add_connection(bench.snowflake, tmp_path, "auditor", "ROLEVEND_AUDITOR", key)
    bench.snowflake.account.forget()
    yield Auditor(bench, tmp_path)
    bench.tidy()


def of(role: str, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in entries if each["role"] == role]


def test_a_statement_is_joined_to_the_person_and_to_the_table_behind_the_view(auditor: Auditor):
    role, session = auditor.agent()
    session.run('SELECT COUNT(*) FROM "people"')
    auditor.ago(role, HOURS_AGO)

    (entry,) = of(role, auditor.run())

    assert entry["source"] == "Snowflake"
    assert (entry["userSubject"], entry["agent"], entry["purpose"], entry["platform"]) == ("anna", "agents/finbot", "fraud-review", "lake")
    assert (entry["tables"], entry["tablesFrom"], entry["command"]) == (tuple(entry["grantedTables"]), "observed", "SELECT")
    assert entry["statement"] == 'SELECT COUNT(*) FROM "people"'
    assert entry["durationMs"] >= 0
    assert not entry["refused"]


@pytest.mark.parametrize(
    "hide",
    [
        "ALTER SESSION SET QUERY_TAG = ''",
        "USE ROLE PUBLIC",
        'SELECT 1 /*\n2026-11-24 12:00:00.000 UTC,"IMMUTA_VENDED_OTHER"*/',
        'SELECT \'{"rolevend": {"uid": "x"}}\'',
    ],
)
def test_an_agent_hides_no_statement(auditor: Auditor, hide: str):
    role, session = auditor.agent()
    with suppress(vendor.Error):
        session.run(hide)
    session.run("SELECT 'still told'")
    auditor.ago(role, HOURS_AGO)

    found = of(role, auditor.run())

    assert [each["statement"] for each in found] == [hide, "SELECT 'still told'"]
    assert {each["known"] for each in found} == {True}


def test_a_table_that_no_policy_gave_has_its_database(auditor: Auditor):
    role, session = auditor.agent()
    auditor.bench.admin.run(f"GRANT USAGE ON DATABASE {DATABASE} TO ROLE PUBLIC")
    auditor.bench.admin.run(f"CREATE SCHEMA IF NOT EXISTS {DATABASE}.OPEN")
    auditor.bench.admin.run(f"GRANT USAGE ON SCHEMA {DATABASE}.OPEN TO ROLE PUBLIC")
    auditor.bench.admin.run(f"CREATE TABLE IF NOT EXISTS {DATABASE}.OPEN.THINGS (ID NUMBER)")
    auditor.bench.admin.run(f"GRANT SELECT ON TABLE {DATABASE}.OPEN.THINGS TO ROLE PUBLIC")
    session.run(f'SELECT COUNT(*) FROM "people", {DATABASE}.OPEN.THINGS')
    auditor.ago(role, HOURS_AGO)

    (entry,) = of(role, auditor.run())

    assert set(entry["tables"]) == {*entry["grantedTables"], f"{DATABASE}.OPEN.THINGS"}


def test_a_statement_waits_for_its_objects_and_is_told_once(auditor: Auditor):
    role, session = auditor.agent()
    session.run('SELECT COUNT(*) FROM "people"')
    with suppress(vendor.Error):
        session.run("SELECT * FROM NOWHERE")
    auditor.ago(role, timedelta(hours=1))

    (failed,) = of(role, auditor.run())
    assert (failed["error"][:6], failed["refused"], failed["tablesFrom"]) == ("002003", True, "parsed")
    assert auditor.notes == ["1 statements wait for the objects that they read: a later run has them"]
    auditor.bench.snowflake.account.clock = lambda: auditor.now + timedelta(hours=3)
    try:
        (read,) = of(role, auditor.run(auditor.now + timedelta(hours=2, minutes=30)))
        assert read["tablesFrom"] == "observed"
        assert auditor.run(auditor.now + timedelta(hours=2, minutes=45)) == []
        assert auditor.run(auditor.now + timedelta(hours=9)) == []
    finally:
        auditor.bench.snowflake.account.clock = lambda: datetime.now(UTC)


def test_a_statement_that_appears_late_is_found_and_a_restart_repeats_none(auditor: Auditor, monkeypatch: pytest.MonkeyPatch):
    role, session = auditor.agent()
    session.run("SELECT 'in time'")
    auditor.ago(role, timedelta(hours=3, minutes=10))
    assert [each["statement"] for each in of(role, auditor.run())] == ["SELECT 'in time'"]
    session.run("SELECT 'late'")
    auditor.ago(role, timedelta(hours=3, minutes=50))

    assert [each["statement"] for each in of(role, auditor.run(auditor.now + timedelta(minutes=5)))] == ["SELECT 'late'"]
    assert auditor.run(auditor.now + timedelta(minutes=6)) == []
    assert json.loads(auditor.state.read_text())["queryHistory"]["told"]


def test_more_statements_than_are_remembered_fall_behind_and_none_is_lost(auditor: Auditor, monkeypatch: pytest.MonkeyPatch):
    role, session = auditor.agent()
    for number in range(5):
        session.run(f"SELECT {number}")
    auditor.ago(role, timedelta(hours=3, minutes=30))
    monkeypatch.setattr(history_position, "MAX_TOLD", 3)
    pages = statements_since
    monkeypatch.setattr("rolevend.app.history_ledger.statements_since", lambda session, place: pages(session, place, page=2))

    first = of(role, auditor.run())
    assert auditor.notes == ["too many statements of the last hours: a later run continues"]
    assert of(role, auditor.run()) == []
    rest = of(role, auditor.run(auditor.now + timedelta(hours=2)))

    assert {each["statement"] for each in [*first, *rest]} == {f"SELECT {number}" for number in range(5)}


def test_pages_have_every_statement_once_in_their_order(auditor: Auditor):
    role, session = auditor.agent()
    for number in range(7):
        session.run(f"SELECT {number}")
    auditor.ago(role, HOURS_AGO)

    with administrators_session("auditor") as asking:
        pages = list(statements_since(asking, HistoryPlace(auditor.now - timedelta(days=1)), page=3))

    assert [len(page) for page in pages] == [3, 3, 1]
    assert [each.text for page in pages for each in page] == [f"SELECT {number}" for number in range(7)]


def test_a_role_that_is_gone_is_told(auditor: Auditor):
    role, session = auditor.agent()
    session.run("SELECT 1")
    (lease_of,) = [one for one in auditor.leases if one.role == role]
    assert auditor.bench.platform.drop([DropRequest(role, lease_of.uid, EndReason.RELEASED)])[0].error is None
    auditor.ago(role, HOURS_AGO)

    assert [each["statement"] for each in of(role, auditor.run())] == ["SELECT 1"]


def test_the_auditor_has_no_other_right(auditor: Auditor):
    with administrators_session("auditor") as asking:
        for text in (f'SELECT * FROM {DATABASE}."{GOVERNED}"."people"', "SELECT * FROM ROLEVEND.CONTROL.LEASE", "CREATE ROLE X"):
            with pytest.raises((vendor.Error, RolevendError)):
                asking.rows(text)  # type: ignore[arg-type]


def test_without_the_right_the_error_names_the_view(account: tuple[SnowflakeBench, KeyPair], auditor: Auditor):
    auditor.bench.admin.run("REVOKE DATABASE ROLE SNOWFLAKE.GOVERNANCE_VIEWER FROM ROLE ROLEVEND_AUDITOR")
    try:
        with pytest.raises(RolevendError, match="QUERY_HISTORY"):
            auditor.run()
    finally:
        auditor.bench.admin.run("GRANT DATABASE ROLE SNOWFLAKE.GOVERNANCE_VIEWER TO ROLE ROLEVEND_AUDITOR")


def test_the_command_prints_it_and_keeps_its_state(auditor: Auditor):
    role, session = auditor.agent()
    session.run('SELECT COUNT(*) FROM "people"')
    auditor.ago(role, HOURS_AGO)
    words = ["ledger", "--connection", "auditor", "--audit", str(auditor.audit), "--platform", "lake", "-o", "ocsf"]

    whole = CliRunner().invoke(cli, words, catch_exceptions=False)
    kept = [CliRunner().invoke(cli, [*words, "--state", str(auditor.state)], catch_exceptions=False) for _ in range(2)]

    events = [json.loads(line) for line in whole.stdout.splitlines()]
    (event,) = [each for each in events if each["actor"]["user"]["account"]["name"] == role]
    assert (event["metadata"]["log_provider"], event["actor"]["user"]["account"]["type"]) == ("Snowflake", "Snowflake role")
    assert event["activity_name"] == "Query"
    assert [role in each.stdout for each in kept] == [True, False]


@pytest.mark.parametrize("text", ['{"version": 1, "files": {}}', "[]", '{"version": 1, "queryHistory": {"floor": "x", "told": {}}}'])
def test_a_state_of_another_source_is_refused_and_kept(auditor: Auditor, text: str):
    auditor.state.write_text(text)
    with pytest.raises(InvalidInput, match="is not a state of a query history"):
        auditor.run()
    assert auditor.state.read_text() == text


@pytest.mark.parametrize(
    ("text", "parts"),
    [("PROD.HR.PEOPLE", ("PROD", "HR", "PEOPLE")), ('A."b.c"."d""e"', ("A", "b.c", 'd"e')), ("", ("",)), ('A."', ("A", ""))],
)
def test_a_name_is_split_into_its_parts(text: str, parts: tuple[str, ...]):
    assert split_name(text) == parts


@pytest.mark.long
def test_a_process_follows_the_history(auditor: Auditor, tmp_path: Path):
    role, session = auditor.agent()
    session.run('SELECT COUNT(*) FROM "people"')
    auditor.ago(role, HOURS_AGO)
    out = tmp_path / "out.ndjson"
    words = ["ledger", "--connection", "auditor", "--audit", str(auditor.audit), "--platform", "lake", "-o", "json", "--follow"]
    command = [sys.executable, "-m", "rolevend", *words, "--state", str(auditor.state), "--write", str(out), "--pause", "0.1"]

    def written() -> set[str]:
        lines = out.read_text().splitlines() if out.exists() else []
        return {each["statement"] for each in of(role, list(map(json.loads, lines)))}

    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: written() == {'SELECT COUNT(*) FROM "people"'})
            process.terminate()
            assert process.wait(PROGRAM) == 0
        finally:
            process.kill()
