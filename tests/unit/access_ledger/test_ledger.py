"""The ledger: statements in files of a log, joined to roles of audit events, each once over any number of runs."""

import gzip
import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from rolevend.access_ledger.entry import LedgerEntry
from rolevend.access_ledger.grants import AuditedRoles
from rolevend.access_ledger.position_file import PositionFile
from rolevend.access_ledger.positions import positions_of
from rolevend.access_ledger.selection import Selection
from rolevend.access_ledger.unused import UnusedGrant, UnusedPolicyTable
from rolevend.app.ledger import AccessLedger, Continuation, UnusedGrants
from rolevend.errors import Conflict, InvalidInput
from rolevend.platforms.postgres.log_time import LogClock
from tests.support.pglogs import OTHER_ROLE, ROLE, as_csv, as_json, dropped, granted, record

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
Encode = Callable[..., bytes]


@pytest.fixture(params=[as_csv, as_json], ids=["csv", "json"])
def encode(request: pytest.FixtureRequest) -> Encode:
    return request.param


def roles(*events: dict[str, Any]) -> AuditedRoles:
    known = AuditedRoles()
    for event in events or (granted(), dropped()):
        known.learn(event)
    return known


def ledger(*paths: Path, known: AuditedRoles | None = None, **selected: Any) -> AccessLedger:
    return AccessLedger(list(map(str, paths)), known or roles(), Selection(**selected), LogClock())


def texts(entries: Any) -> list[str]:
    return [each.statement for each in entries]


def written(path: Path, *parts: bytes) -> Path:
    path.write_bytes(b"".join(parts))
    return path


def run_of(folder: Path, file: PositionFile, now: datetime) -> AccessLedger:
    continuation = Continuation(positions_of(file.load(), file.name), file.save, now)
    return AccessLedger([str(folder)], roles(), Selection(), LogClock(), continuation)


class Runs:
    """Runs with one state, as a person starts them again and again."""

    def __init__(self, folder: Path, state: Path) -> None:
        self.folder, self.state = folder, state
        self.notes: list[str] = []

    def __call__(self, now: datetime = LATER) -> list[LedgerEntry]:
        with PositionFile(self.state) as file:
            found = AccessLedger(
                [str(self.folder)], roles(), Selection(), LogClock(), Continuation(positions_of(file.load(), file.name), file.save, now)
            )
            entries = list(found)
            self.notes = found.notes
            return entries

    def texts(self, now: datetime = LATER) -> list[str]:
        return texts(self(now))


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    (tmp_path / "log").mkdir()
    return Runs(tmp_path / "log", tmp_path / "state.json")


def test_a_statement_is_joined_to_the_person_behind_its_role(encode: Encode, tmp_path: Path):
    log = written(
        tmp_path / "log",
        encode(
            record("execute <unnamed>: SELECT full_name FROM people WHERE id = $1", detail="Parameters: $1 = '42'", line_num="7"),
            record("duration: 1.250 ms"),
            record("statement: SELECT 1", user="postgres"),
        ),
    )

    (entry,) = ledger(log)

    assert entry.as_json() == {
        "id": "1/7",
        "source": "PostgreSQL",
        "time": "2026-11-24T12:00:00.000Z",
        "role": ROLE,
        "known": True,
        "agent": "agents/finbot",
        "agentHandle": "FINBOT",
        "userIssuer": "https://idp.example.org",
        "userSubject": "anna",
        "userHandle": "E10442",
        "userProof": "Token",
        "identityProvider": "workforce",
        "purpose": "fraud-review",
        "policies": ("domain-claims/analysts",),
        "platform": "warehouse",
        "profile": "rv_p_1",
        "request": "agents/ask",
        "requestUid": "82ccdfa0-a03f-46a6-b123-035112b452a0",
        "grantedTables": ("claims.people", "claims.claims"),
        "database": "claims",
        "session": "1",
        "client": "10.0.0.7:5123",
        "application": "",
        "statement": "SELECT full_name FROM people WHERE id = $1",
        "truncated": False,
        "parameters": "$1 = '42'",
        "durationMs": 1.25,
        "refused": False,
        "command": "SELECT",
        "tables": ("claims.people",),
        "tablesFrom": "parsed",
    }


def test_a_role_that_no_event_names_is_kept_and_said_to_be_unknown(encode: Encode, tmp_path: Path):
    odd = "IMMUTA_VENDED_CANARY_x"
    log = written(
        tmp_path / "log", encode(record("statement: SELECT 1", user=OTHER_ROLE), record("statement: SELECT 2", user=odd, session_id="2"))
    )

    found = ledger(log)
    first, second = found

    assert (first.known, first.agent, first.agent_handle, first.user_handle) == (False, None, "RISKBOT", "E20001")
    assert (second.known, second.agent_handle) == (False, None)
    assert any("2 roles in the logs are unknown to the audit events" in each for each in found.notes)


def test_what_pgaudit_observed_is_preferred_and_a_view_is_its_table(encode: Encode, tmp_path: Path):
    def audit(part: str, relation: str) -> dict[str, str]:
        return record(f"AUDIT: {part},1,1,READ,SELECT,{relation},SELECT * FROM people,<not logged>")

    log = written(
        tmp_path / "log",
        encode(
            audit("SESSION", "VIEW,rv_p_1.people"),
            audit("OBJECT", "TABLE,claims.people"),
            record("statement: SELECT * FROM people"),
            record("duration: 1.000 ms"),
            record("AUDIT: SESSION,2,1,READ,COPY,VIEW,rv_p_1.claims,COPY claims TO STDOUT,<not logged>", session_id="2"),
        ),
    )

    first, second = ledger(log)

    assert (first.tables, first.tables_from, first.audit_class, first.command) == (("claims.people",), "observed", "READ", "SELECT")
    assert (second.tables, second.tables_from, second.command) == (("claims.claims",), "observed", "COPY")


def test_entries_are_selected(tmp_path: Path):
    log = written(
        tmp_path / "log",
        as_json(
            record("duration: 1.0 ms  statement: SELECT 1 FROM people"),
            record("duration: 1.0 ms  statement: SELECT 2 FROM claims", user=OTHER_ROLE),
            record("duration: 1.0 ms  statement: EXECUTE p", timestamp="2026-11-24 13:00:00.000 UTC"),
        ),
    )
    other = granted(OTHER_ROLE, agent="agents/riskbot", userSubject="bert")
    known = roles(granted(), other)

    def chosen(**selected: Any) -> list[str]:
        return [text[:8] for text in texts(ledger(log, known=known, **selected))]

    assert chosen() == ["SELECT 1", "SELECT 2", "EXECUTE "]
    assert chosen(since=LATER) == ["EXECUTE "]
    assert chosen(until=LATER) == ["SELECT 1", "SELECT 2"]
    for user in ("bert", "bert (https://idp.example.org)", "E20001"):
        assert chosen(user=user) == ["SELECT 2"]
    for agent in ("agents/riskbot", "riskbot", "RISKBOT"):
        assert chosen(agent=agent) == ["SELECT 2"]
    assert chosen(table="claims.people") == chosen(table="people") == ["SELECT 1"]
    assert chosen(user="") == []
    by_table = ledger(log, known=known, table="people")
    assert len(list(by_table)) == 1
    assert by_table.notes == ["1 statements without --table may have read it: their text could not be parsed"]


def test_times_are_told_in_utc_and_an_ambiguous_zone_is_asked_for(tmp_path: Path):
    log = written(tmp_path / "log", as_csv(record("statement: SELECT 1", timestamp="2026-10-25 02:30:00.000 CEST")))

    with pytest.raises(InvalidInput, match=r"--log-timezone: the log's times are in 'CEST'"):
        list(ledger(log))
    (entry,) = AccessLedger([str(log)], roles(), Selection(), LogClock(ZoneInfo("Europe/Berlin")))
    assert entry.time == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    winter = LogClock(ZoneInfo("Europe/Berlin")).utc("2026-10-25 02:30:00.000 CET")
    assert winter == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert LogClock().utc("2026-10-25 02:30:00.000 -0330") == datetime(2026, 10, 25, 6, 0, tzinfo=UTC)


def test_a_second_run_tells_only_what_is_new(encode: Encode, runs: Runs):
    log = runs.folder / f"a.{'csv' if encode is as_csv else 'json'}"
    whole = encode(*(record(f"duration: 1.0 ms  statement: SELECT\n{number}") for number in range(4)))
    step = len(whole) // 4

    told = []
    for end in range(0, len(whole) + 1, step // 3):
        log.write_bytes(whole[:end])
        told += runs.texts()
    log.write_bytes(whole)
    told += runs.texts()

    assert told == [f"SELECT\n{number}" for number in range(4)]
    assert runs.texts() == []


def test_a_log_keeps_its_position_when_it_is_renamed_compressed_or_copied(encode: Encode, runs: Runs):
    end = "csv" if encode is as_csv else "json"
    log = written(runs.folder / f"a.{end}", encode(record("duration: 1.0 ms  statement: SELECT 1")))
    assert runs.texts() == ["SELECT 1"]

    with log.open("ab") as file:
        file.write(encode(record("duration: 1.0 ms  statement: SELECT 2", line_num="2")))
    log.rename(runs.folder / f"a.{end}.1")
    written(log, encode(record("duration: 1.0 ms  statement: SELECT 3", session_id="2", timestamp="2026-11-24 12:01:00.000 UTC")))
    assert runs.texts() == ["SELECT 2", "SELECT 3"]

    older = runs.folder / f"a.{end}.1"
    with older.open("ab") as file:
        file.write(encode(record("duration: 1.0 ms  statement: SELECT 4", line_num="3")))
    (runs.folder / f"a.{end}.1.gz").write_bytes(gzip.compress(older.read_bytes()))
    older.unlink()
    shutil.copy(log, runs.folder / f"copy.{end}")
    assert runs.texts() == ["SELECT 4"]

    log.write_bytes(encode(record("duration: 1.0 ms  statement: SELECT 5", session_id="3")))  # copied and truncated
    assert runs.texts() == ["SELECT 5"]


def test_a_statement_waits_for_its_outcome_in_a_later_run_and_not_for_ever(encode: Encode, runs: Runs):
    log = runs.folder / f"a.{'csv' if encode is as_csv else 'json'}"
    begun = encode(
        record("AUDIT: SESSION,1,1,READ,SELECT,TABLE,claims.people,SELECT 1,<not logged>", session_id="2"),
        record("statement: SELECT 2 FROM people", session_id="3"),
        record("statement: SELECT 3", session_id="4", timestamp="2026-11-24 11:00:00.000 UTC"),
    )
    log.write_bytes(begun)
    assert runs.texts(NOON) == ["SELECT 3"]
    log.write_bytes(
        begun + encode(record("duration: 5.0 ms  statement: SELECT 1", session_id="2"), record("duration: 6.0 ms", session_id="3"))
    )

    found = runs(NOON)

    assert [(each.statement, each.duration_ms, each.tables) for each in found] == [
        ("SELECT 1", 5.0, ("claims.people",)),
        ("SELECT 2 FROM people", 6.0, ("claims.people",)),
    ]
    log.write_bytes(log.read_bytes() + encode(record("statement: SELECT 4", session_id="5")))
    assert runs.texts(NOON) == []
    assert runs.texts(NOON + timedelta(minutes=2)) == ["SELECT 4"]
    assert runs.texts(NOON + timedelta(minutes=2)) == []


def test_a_crash_repeats_entries_and_loses_none(runs: Runs):
    written(runs.folder / "a.json", as_json(*(record(f"duration: 1.0 ms  statement: SELECT {number}") for number in range(3))))
    with PositionFile(runs.state) as file:
        crashed = AccessLedger(
            [str(runs.folder)], roles(), Selection(), LogClock(), Continuation(positions_of(file.load(), file.name), file.save, LATER)
        )
        assert next(iter(crashed)).statement == "SELECT 0"
        del crashed

    assert runs.texts() == ["SELECT 0", "SELECT 1", "SELECT 2"]


def test_a_state_that_cannot_be_used_is_named_and_kept(runs: Runs):
    for text in (
        "",
        "{",
        "[]",
        '{"version": 2, "files": {}}',
        '{"version": 1, "files": {"a": "b"}}',
        '{"version":1,"files":{},"pending":{"x":1}}',
    ):
        runs.state.write_text(text)
        with pytest.raises(InvalidInput, match="name another file"):
            runs()
        assert runs.state.read_text() == text
    with PositionFile(runs.state), pytest.raises(Conflict, match="another run of rolevend ledger uses"), PositionFile(runs.state):
        pass


def test_the_state_is_replaced_as_a_whole_and_private(runs: Runs):
    written(runs.folder / "a.json", as_json(record("statement: SELECT 1", timestamp="2026-11-24 12:59:59.000 UTC")))
    runs(LATER)
    with runs.state.open() as before:
        runs(LATER + timedelta(hours=1))

        assert json.loads(before.read())["pending"]["running"]["1"]["statement"]["text"] == "SELECT 1"
    assert json.loads(runs.state.read_text())["pending"]["running"] == {}
    assert runs.state.stat().st_mode & 0o777 == 0o600


def test_damage_is_noted_with_its_file(encode: Encode, tmp_path: Path):
    end = "csv" if encode is as_csv else "json"
    good = encode(record("duration: 1.0 ms  statement: SELECT 1"))
    long = encode(record("duration: 1.0 ms  statement: SELECT '" + "x" * 10_000_000 + "'", line_num="2"))
    odd = encode(record("duration: 1.0 ms  statement: SELECT '@'", line_num="3")).replace(b"@", b"\xff")
    cut = encode(record("duration: 1.0 ms  statement: SELECT\n2"))[:-60] + b"\n"
    written(tmp_path / f"a.{end}", good, long, odd, cut, good, good[:-9])
    whole = gzip.compress(good * 50_000)
    written(tmp_path / f"b.{end}.gz", whole[: len(whole) // 2])
    short = gzip.compress(encode(*(record(f"duration: 1.0 ms  statement: {os.urandom(99).hex()}", session_id="5") for _ in range(50))))
    written(tmp_path / f"g.{end}.gz", short[: len(short) * 3 // 4])
    written(tmp_path / f"c.{end}", b"no log\n")
    written(tmp_path / f"d.{end}", good[:20])
    written(tmp_path / f"e.{end}")
    written(tmp_path / "postgresql.log", b"other text")

    found = ledger(tmp_path)
    every = list(found)
    entries = [each for each in every if each.session == "1"]

    assert len([each for each in every if each.session == "5"]) > 10
    assert {each.statement[:10] for each in entries} >= {"SELECT 1", "SELECT 'xx", "SELECT '\\x"}
    truncated = next(each for each in entries if each.truncated)
    assert (len(truncated.statement), truncated.tables_from) == (32_768, "unknown")
    notes = "\n".join(found.notes)
    for expected in (
        f"a.{end}: 1 records are cut off or damaged",
        f"a.{end}: 1 records are longer than 1048576 bytes: only their beginning was read",
        f"a.{end}: 1 records have bytes that are not UTF-8",
        f"a.{end}: its last record is incomplete",
        f"b.{end}.gz: cannot be read further",
        f"g.{end}.gz: cannot be read further",
        f"c.{end}: is neither csvlog nor jsonlog",
    ):
        assert expected in notes
    assert "postgresql.log" not in notes
    assert f"e.{end}" not in notes


@pytest.mark.parametrize("length", [40_000, 2_000_000])
def test_a_long_comment_hides_neither_the_statement_nor_that_it_may_read_a_table(encode: Encode, tmp_path: Path, length: int):
    hiding = f"duration: 1.0 ms  statement: SELECT 1 --{'x' * length}\n, * FROM people"
    log = written(tmp_path / "log", encode(record(hiding), record("duration: 1.0 ms  statement: SELECT 2", line_num="2")))

    found, following = ledger(log)

    assert (found.statement[:10], found.truncated, found.tables_from) == ("SELECT 1 -", True, "unknown")
    assert (following.statement, following.tables_from) == ("SELECT 2", "parsed")


def test_a_long_comment_in_a_prepared_statement_hides_no_table(encode: Encode, tmp_path: Path):
    prepared = f"prepare: PREPARE p AS SELECT 1 --{'x' * 40_000}\n, * FROM people"
    log = written(tmp_path / "log", encode(record("duration: 1.0 ms  statement: EXECUTE p", detail=prepared)))

    (found,) = ledger(log)

    assert (found.statement, found.tables_from) == ("EXECUTE p", "unknown")


def test_a_log_that_lost_its_beginning_is_read(encode: Encode, tmp_path: Path):
    lost = encode(record("duration: 1.0 ms  statement: SELECT\n1\n"))[-90:]
    log = written(
        tmp_path / "log", lost, encode(record("duration: 1.0 ms  statement: SELECT 2"), record("duration: 1.0 ms  statement: SELECT 3"))
    )

    assert texts(ledger(log))[-1] == "SELECT 3"


def test_a_file_that_a_person_named_must_be_a_log(tmp_path: Path):
    with pytest.raises(InvalidInput, match="is neither csvlog nor jsonlog: set log_destination"):
        list(ledger(written(tmp_path / "postgresql.log", b"2026 LOG: statement\n")))
    with pytest.raises(InvalidInput, match="cannot be read: No such file"):
        list(ledger(tmp_path / "none.csv"))


def test_of_two_logs_with_the_same_records_one_is_read(tmp_path: Path):
    statement = record("duration: 1.0 ms  statement: SELECT 1")
    written(tmp_path / "postgresql-1.csv", as_csv(statement))
    written(tmp_path / "postgresql-1.json", as_json(statement))

    found = ledger(tmp_path)

    assert texts(found) == ["SELECT 1"]
    assert "1 csvlog files were skipped" in found.notes[0]


def test_a_csvlog_of_another_time_than_the_jsonlog_of_its_name_is_read(tmp_path: Path):
    for name, number in (("postgresql.csv.2", 2), ("postgresql.csv-20261123", 3), ("postgresql.csv.1", 1)):
        written(tmp_path / name, as_csv(record(f"duration: 1.0 ms  statement: SELECT {number}", session_id=str(number))))
    for name, number in (("postgresql.json.1.gz", 1), ("postgresql.json", 0)):
        written(tmp_path / name, as_json(record(f"duration: 1.0 ms  statement: SELECT {number}", session_id=str(number))))

    assert sorted(texts(ledger(tmp_path))) == ["SELECT 0", "SELECT 1", "SELECT 2", "SELECT 3"]


def test_a_log_of_a_folder_whose_name_is_not_known_is_noted(tmp_path: Path):
    written(tmp_path / "postgresql.csv", as_csv(record("statement: SELECT 1")))
    written(tmp_path / "postgresql.csv.1.zst", b"(zstd")
    written(tmp_path / "notes.txt", b"no log")

    found = ledger(tmp_path)

    assert texts(found) == ["SELECT 1"]
    assert found.notes == [
        f"{tmp_path}: 1 files such as 'postgresql.csv.1.zst' were skipped: name each of them, plain or compressed with gzip"
    ]


def test_sessions_without_an_end_do_not_pile_up(tmp_path: Path):
    many = [record("statement: SELECT '" + "x" * 40_000 + "'", session_id=str(number)) for number in range(1100)]
    written(tmp_path / "a.json", as_json(*many))

    found = ledger(tmp_path)
    first = next(iter(found))

    assert (first.session, len(first.statement)) == ("0", 32_768)
    assert len(found._statements.unfinished()) == 1000


def test_a_session_that_ends_completes_its_statement(tmp_path: Path):
    over = record("disconnection: session time: 0:00:01 user=x database=claims host=10.0.0.7")
    written(tmp_path / "a.json", as_json(record("statement: SELECT 1"), over))
    state = Runs(tmp_path, tmp_path / "state")

    assert state.texts(NOON) == ["SELECT 1"]


def unused(log: Path, *events: dict[str, Any], platform: str | None = None, **people: str) -> tuple[list[tuple[Any, ...]], list[str]]:
    known, since = roles(*events), NOON - timedelta(days=1)
    found = UnusedGrants(ledger(log, known=known), known, Selection(since=since, until=LATER, **people), since, platform)
    rows: list[tuple[Any, ...]] = []
    for each in found:
        match each:
            case UnusedGrant(role, table, certain):
                rows.append((role.user_subject, table, certain))
            case UnusedPolicyTable(policy, table, count, certain):
                rows.append((policy, table, count, certain))
    return rows, found.notes


def test_grants_that_nobody_used_are_listed_by_role_and_by_policy(tmp_path: Path):
    refused = record(
        "permission denied for table claims", error_severity="ERROR", state_code="42501", statement="SELECT 1 FROM claims", session_id="3"
    )
    log = written(
        tmp_path / "log",
        as_json(
            record("duration: 1.0 ms  statement: SELECT 1", user="IMMUTA_VENDED_X", timestamp="2026-11-20 12:00:00.000 UTC"),
            record("duration: 1.0 ms  statement: SELECT 1 FROM people"),
            record("duration: 1.0 ms  statement: SELECT 1 FROM people", user=OTHER_ROLE, session_id="2"),
            refused,
        ),
    )
    other = granted(OTHER_ROLE, userSubject="bert")
    elsewhere = granted("IMMUTA_VENDED_FINBOT_E1_3FXWQ4H5S8CK9RN2V6Y0ZTBDGM", platform="lake", userSubject="carl")
    old = granted("IMMUTA_VENDED_FINBOT_E2_3FXWQ4H5S8CK9RN2V6Y0ZTBDGM", userSubject="dora", time="2026-11-01T00:00:00Z")

    rows, notes = unused(log, granted(), other, elsewhere, old)

    assert rows == [
        ("domain-claims/analysts", "claims.claims", 2, True),
        ("anna", "claims.claims", True),
        ("bert", "claims.claims", True),
    ]
    assert notes[-1] == "no statement of roles on lake is in these logs: their grants are left out"
    assert [row for row in unused(log, granted(), other, elsewhere, user="bert")[0] if len(row) == 3] == [("bert", "claims.claims", True)]
    lake, _ = unused(log, elsewhere, platform="lake")
    assert ("carl", "claims.people", True) in lake


RAN = {
    "an error while it ran": ("SELECT a, current_setting('x') FROM claims", {"state_code": "42704"}),
    "an error of a later statement": ("SELECT 1 FROM claims; SELECT b FROM c", {"state_code": "42703", "cursor_position": "29"}),
    "an error that a function raised": ("SELECT f() FROM claims", {"state_code": "42501", "context": "PL/pgSQL function f()"}),
    "a right that is checked while it runs": ("SELECT nextval('s') FROM claims", {"state_code": "42501"}),
}


@pytest.mark.parametrize("case", RAN)
def test_a_statement_that_failed_while_it_ran_has_read_its_table(tmp_path: Path, case: str):
    text, values = RAN[case]
    log = written(tmp_path / "log", as_json(record("permission denied for sequence s", error_severity="ERROR", statement=text, **values)))

    assert [each.refused for each in ledger(log)] == [False]
    assert ("anna", "claims.claims", True) not in unused(log, granted())[0]


@pytest.mark.parametrize(
    ("message", "values"),
    [
        ('column "b" does not exist', {"state_code": "42703", "cursor_position": "8"}),
        ("permission denied for table claims", {"state_code": "42501"}),
    ],
)
def test_a_statement_that_was_refused_before_it_ran_has_read_nothing(tmp_path: Path, message: str, values: dict[str, str]):
    log = written(tmp_path / "log", as_json(record(message, error_severity="ERROR", statement="SELECT b FROM claims;", **values)))

    assert [each.refused for each in ledger(log)] == [True]
    assert ("anna", "claims.claims", True) in unused(log, granted())[0]


@pytest.mark.parametrize(
    "message",
    [
        "execute a: SELECT 1 --: SELECT full_name FROM people",
        "execute a: SELECT 1 --: ;SELECT full_name FROM people",
        "execute <unnamed>: TABLE x; --: SELECT full_name FROM people",
        "statement: SELECT tools.risk(1)",
        "statement: SELECT RISK(1)",
        "statement: SELECT levenshtein('a', 'b')",
        "statement: SELECT c.risk FROM claims c",
    ],
)
def test_a_statement_that_may_read_more_than_it_seems_makes_no_grant_unused_for_certain(tmp_path: Path, message: str):
    log = written(tmp_path / "log", as_json(record(message)))

    rows, _ = unused(log, granted(functions=["tools.risk(integer)", 'tools."Levenshtein"(text, text)']))

    assert [row for row in rows if row[-1]] == []
    assert (("anna", "claims.people", False) in rows) == ("people" not in message)


BLOCK = "DO $$ BEGIN EXECUTE 'SELECT full_name FROM people'; END $$"
FORGED = {
    "a line of pgaudit": f"AUDIT: SESSION,1,1,READ,SELECT,TABLE,claims.claims,{BLOCK},<not logged>",
    "a line of pgaudit that lost its context": f"AUDIT: SESSION,1,1,READ,SELECT,TABLE,claims.claims,{BLOCK},{'x' * 2_000_000}",
    "a statement": "statement: SELECT 1",
    "a duration": "duration: 1.0 ms",
    "a disconnection": "disconnection: session time: 0:00:00.000",
}
"""Messages that a block raises at the level LOG."""


@pytest.mark.parametrize("case", FORGED)
def test_a_message_that_a_statement_raises_is_no_record_of_the_server(encode: Encode, tmp_path: Path, case: str):
    raised = record(FORGED[case], context="PL/pgSQL function inline_code_block line 1 at RAISE", statement=BLOCK, line_num="2")
    log = written(
        tmp_path / "log", encode(record(f"statement: {BLOCK}"), raised, record("duration: 5.0 ms", line_num="3", application_name="x"))
    )

    (found,) = ledger(log)

    assert (found.statement, found.tables, found.tables_from, found.duration_ms) == (BLOCK, (), "unknown", 5.0)


@pytest.mark.parametrize(
    "values",
    [
        {"message": "no", "detail": "prepare: SELECT 1"},
        {"message": "no", "detail": "parameters: $1 = 'x'"},
        {"message": f"permission denied for table claims{'x' * 2_000_000}"},
        {"message": "no", "detail": "x" * 2_000_000, "hint": "y" * 2_000_000},
    ],
    ids=["prepared", "parameters", "long message", "long detail"],
)
def test_an_error_that_a_statement_raises_hides_neither_it_nor_its_table(encode: Encode, tmp_path: Path, values: dict[str, str]):
    """Where the error is all that the server logs of it."""
    log = written(
        tmp_path / "log", encode(record(error_severity="ERROR", state_code="42501", context="PL/pgSQL", statement=BLOCK, **values))
    )

    (found,) = ledger(log)

    assert (found.tables_from, found.parameters, found.refused) == ("unknown", None, False)
    assert [row for row in unused(log, granted())[0] if row[-1]] == []


def test_a_statement_with_more_relations_than_are_kept_is_said_to_read_others(tmp_path: Path):
    lines = [f"AUDIT: SESSION,1,1,READ,SELECT,TABLE,pg_catalog.t{number},SELECT 1,<none>" for number in range(300)]
    log = written(tmp_path / "log", as_json(*(record(each) for each in lines)))

    assert [(len(each.tables), each.tables_from) for each in ledger(log)] == [(256, "unknown")]


def test_a_colon_in_a_literal_makes_no_statement_doubtful(tmp_path: Path):
    log = written(tmp_path / "log", as_json(record("""execute <unnamed>: SELECT '{"a": 1, "b": "Select"}', f(x) FROM people""")))

    assert [(each.tables, each.tables_from) for each in ledger(log)] == [(("claims.people",), "parsed")]


def test_a_statement_that_was_not_understood_makes_an_unused_grant_uncertain(tmp_path: Path):
    log = written(tmp_path / "log", as_json(record("duration: 1.0 ms  statement: EXECUTE p")))

    rows, notes = unused(log, granted(tables=("claims.people",), tableCount=3))

    assert rows == [("domain-claims/analysts", "claims.people", 1, False), ("anna", "claims.people", False)]
    assert any("the logs begin at 2026-11-24 12:00 UTC, after the period begins" in each for each in notes)
    assert any(each.startswith("2 tables of roles are not in their audit events") for each in notes)


def test_a_role_on_several_platforms_is_that_of_the_platform_of_the_logs(tmp_path: Path):
    events = granted(), granted(platform="lake", tables=("lake.trips",), profile="rv_p_2"), dropped(platform="lake")
    log = written(tmp_path / "log", as_json(record("duration: 1.0 ms  statement: SELECT 1 FROM people, trips")))

    def of(platform: str | None) -> LedgerEntry:
        known = AuditedRoles(platform)
        for each in events:
            known.learn(each)
        (entry,) = ledger(log, known=known)
        return entry

    assert (of(None).platform, of(None).user_subject, of(None).tables) == (None, "anna", ("claims.people", "lake.trips"))
    assert (of("warehouse").platform, of("warehouse").tables) == ("warehouse", ("claims.people", "trips"))
    assert (of("lake").profile, of("lake").tables) == ("rv_p_2", ("people", "lake.trips"))
    assert not of("third").known


def test_a_view_means_the_table_that_the_event_names(tmp_path: Path):
    def shown(table: str, **view: str) -> dict[str, object]:
        return {"table": table, "rows": [], "clear": [], "masked": [], **view}

    people = shown("claims.people", view="claims__people")
    log = written(tmp_path / "log", as_json(record("duration: 1.0 ms  statement: SELECT 1 FROM people, claims__people, claims__trips")))

    def tables(*events: dict[str, Any]) -> tuple[str, ...]:
        (entry,) = ledger(log, known=roles(*events))
        return entry.tables

    assert tables(granted() | {}) == ("claims.people", "claims__people", "claims__trips")
    qualified = granted()
    qualified["data"]["tables"] = [people, shown("lake.claims__trips", view="lake__claims__trips")]
    assert tables(qualified) == ("people", "claims.people", "claims__trips"), "the names of the other style mean nothing"
    left_out = granted()  # the other table of this name had no room in the event
    left_out["data"] |= {"tables": [people], "tableCount": 2}
    assert tables(left_out) == ("people", "claims.people", "claims__trips")
    wrong = granted()
    wrong["data"]["tables"] = [shown("claims.people") | {"view": ["people"]}]
    known = roles(wrong)
    assert (len(known), known.malformed) == (0, 1)


def test_events_that_are_malformed_are_counted_and_two_of_a_role_are_one():
    known = roles(
        granted(), granted(), dropped(), {"type": "dev.rolevend.granted", "data": {}}, {"type": "dev.rolevend.granted", "data": {"x": 1}}
    )

    assert len(known) == 1
    assert known.malformed == 2
    role = known.get(ROLE)
    assert role is not None
    assert role.ended_at == datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
    only_end = roles(dropped(OTHER_ROLE)).get(OTHER_ROLE)
    assert only_end is not None
    assert (only_end.user_subject, only_end.tables) == ("anna", None)


def test_a_folder_that_may_not_be_written_keeps_no_state(tmp_path: Path):
    with pytest.raises(OSError, match="No such file"), PositionFile(tmp_path / "none" / "state"):
        pass
    assert os.listdir(tmp_path) == []
