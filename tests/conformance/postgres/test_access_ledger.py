"""The ledger of a real server's logs: every statement of a vended role once, with the person behind it and the tables that it touched."""

import json
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rolevend.access_ledger.entry import LedgerEntry
from rolevend.access_ledger.grants import AuditedRoles
from rolevend.access_ledger.selection import Selection
from rolevend.access_ledger.text import row
from rolevend.app.ledger import AccessLedger
from rolevend.platforms.postgres.log_time import LogClock
from rolevend.policytools.embedded.ports import free_ports
from tests.support.pglogs import granted
from tests.support.server_log import Logging
from tests.support.waiting import PROGRAM, eventually


def test_every_statement_of_a_role_is_told_with_its_person_and_its_tables(logging: Logging, kind: str):
    role, session, of = logging.agent_of()
    table = str(of.tables[0].table)
    known = AuditedRoles()
    known.learn(granted(role, tables=(table,), profile=of.name))
    forged = f'SELECT 1 /*\n2026-11-24 12:00:00.000 UTC,{role},"x"\n{{"timestamp":"\x1b[2J \u202e\r\n\'"}}*/ FROM people'
    session.run("SELECT count(*) FROM people")
    session.run(forged)
    session.connection.execute("SELECT email FROM people WHERE id = %s", [3], prepare=True)
    with pytest.raises(psycopg.Error):
        session.run("SELECT * FROM governed.secret")
    with session.connection.cursor() as cursor, pytest.raises(psycopg.Error), cursor.copy("COPY people TO STDOUT") as copied:
        list(copied)
    session.run("WITH people AS (SELECT * FROM people) SELECT 1 FROM people")

    def entries() -> list[LedgerEntry]:
        found = AccessLedger(logging.files(kind), known, Selection(), LogClock())
        mine = [each for each in found if each.role == role]
        assert len(mine) == 6, [each.statement for each in mine]
        assert not [note for note in found.notes if "damaged" in note]
        return mine

    found = eventually(entries)
    simple, hostile, prepared, refused, copy, hiding = found

    assert {(each.user_subject, each.agent, each.purpose, each.known) for each in found} == {
        ("anna", "agents/finbot", "fraud-review", True)
    }
    assert [each.tables for each in (simple, hostile, prepared, hiding)] == [(table,)] * 4
    assert {each.tables_from for each in found} == {"parsed"}
    assert hostile.statement == forged
    assert len(row(hostile).splitlines()) == 1
    assert row(hostile).isprintable()
    assert (prepared.parameters, prepared.command) == ("$1 = '3'", "SELECT")
    assert (refused.error or "").startswith(("42501", "42P01"))
    assert refused.refused
    assert (copy.command, copy.tables) == ("COPY", (table,))
    assert len({each.id for each in found}) == 6
    assert all(each.duration_ms is not None for each in found if each.error is None)


@pytest.mark.long
def test_runs_with_a_state_tell_each_statement_once_also_over_a_rotation(logging: Logging, kind: str, tmp_path: Path):
    role, session = logging.agent()
    folder = Path(logging.files(kind)[0]).parent
    audit = tmp_path / "audit.ndjson"
    audit.write_text(json.dumps(granted(role)) + "\n")
    command = [sys.executable, "-m", "rolevend", "ledger", "LOGS", "--audit", str(audit), "--state", str(tmp_path / "state"), "-o", "json"]

    def new() -> list[str]:
        paths = logging.files("csv") if kind == "csv" else [str(folder)]
        words = [word for each in command for word in (paths if each == "LOGS" else [each])]
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=PROGRAM)
        objects = [json.loads(line) for line in done.stdout.splitlines()]
        return [each["statement"] for each in objects if each["role"] == role]

    told: list[str] = []

    def all_of(count: int) -> bool:
        told.extend(new())
        assert len(told) >= count, told
        return True

    session.run("SELECT 'before'")
    eventually(lambda: all_of(1))
    session.run("SELECT 'between'")
    logging.rotate()
    session.run("SELECT 'after'")
    eventually(lambda: all_of(3))

    assert told == ["SELECT 'before'", "SELECT 'between'", "SELECT 'after'"]
    assert new() == []


RAISES = "DO $$ BEGIN EXECUTE 'SELECT count(*) FROM people'; RAISE LOG '%'; END $$"
HIDING = (
    ("SET standard_conforming_strings = off", None),
    ("SELECT 'a\\'' FROM people --'", "unknown"),
    ("RESET standard_conforming_strings", None),
    ('PREPARE "x AS SELECT 1 --" AS SELECT count(*) FROM people', "people"),
    ('EXECUTE "x AS SELECT 1 --"', "people"),
    ("SELECT * FROM ts_stat('SELECT to_tsvector(email) FROM people')", "unknown"),
    ('SELECT * FROM U&"p\\0065ople"', "unknown"),
    ("SELECT ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, plainto_tsquery(email) FROM people')", "unknown"),
    (RAISES.replace("%", "AUDIT: SESSION,1,1,READ,SELECT,TABLE,pg_catalog.pg_class,<none>,<none>"), "unknown"),
    (RAISES.replace("%", "statement: SELECT 1"), "unknown"),
    (RAISES.replace("LOG '%'", "EXCEPTION USING MESSAGE = E'x\\n2026-11-24 12:00:00.000 UTC,', DETAIL = ',', HINT = ',1'"), "unknown"),
    ("SELECT email, CASE WHEN id > 2 THEN current_setting('no.such') END FROM people", "people"),
    ("SELECT email FROM people; SELECT nosuch FROM people", "people"),
    ("SELECT email FROM people /*\n2026-11-24 12:00:00.000 UTC,", "refused"),
    ("SELECT nosuch FROM people", "refused"),
)
"""Statements of an agent, and how the ledger must show its table: by name, or as one that may be read. A refused one reads nothing."""


def test_a_statement_hides_neither_itself_nor_its_table(logging: Logging, kind: str):
    role, session, of = logging.agent_of()
    table = str(of.tables[0].table)
    known = AuditedRoles()
    known.learn(granted(role, tables=(table,), profile=of.name))
    for text, _ in HIDING:
        with suppress(psycopg.Error):
            session.run(text)
    client = session.connection.pgconn
    for name, begin in ((b"a: SELECT 1 --", b""), (b"<unnamed>: SELECT 1 --", b""), (b"b: SELECT 1 --", b";")):
        client.prepare(name, begin + b"SELECT email FROM people")
        assert client.exec_prepared(name, []).ntuples > 0

    def entries() -> list[LedgerEntry]:
        ledger = AccessLedger(logging.files(kind), known, Selection(), LogClock())
        mine = [each for each in ledger if each.role == role]
        assert len(mine) == len(HIDING) + 3, [each.statement for each in mine]
        assert not [note for note in ledger.notes if "damaged" in note]
        return mine

    *found, one, other, third = eventually(entries)

    assert [each.statement for each in found] == [text for text, _ in HIDING]
    for entry, (_, shown) in zip(found, HIDING, strict=True):
        expected = {
            None: not entry.tables,
            "people": entry.tables == (table,) and not entry.refused,
            "unknown": entry.tables_from == "unknown" and not entry.refused,
            "refused": entry.refused,
        }
        assert expected[shown], entry
    assert {(each.tables, each.tables_from) for each in (one, other, third)} == {((table,), "unknown")}


class Followed:
    """`rolevend ledger --follow` over the server's logs, as a process of its own."""

    def __init__(self, logs: str, audit: Path, folder: Path) -> None:
        self.out = folder / "out.ndjson"
        (self._port,) = free_ports(1)
        words = ["ledger", logs, "--audit", str(audit), "--state", str(folder / "state"), "--write", str(self.out), "-o", "json"]
        probes = ("--probes", f"127.0.0.1:{self._port}")
        self._command = [sys.executable, "-m", "rolevend", *words, "--platform", "warehouse", "--follow", "--pause", "0.1", *probes]

    def __enter__(self) -> "Followed":
        self.process = subprocess.Popen(self._command, stderr=subprocess.PIPE)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def written(self, role: str) -> list[dict[str, Any]]:
        lines = self.out.read_bytes().splitlines() if self.out.exists() else []
        return [each for each in map(json.loads, lines) if each["role"] == role]

    def asked(self, path: str) -> str:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=PROGRAM) as answer:
            return str(answer.read().decode())
        return ""


@pytest.mark.long
def test_a_process_follows_the_logs_over_kills_and_rotations(logging: Logging, tmp_path: Path):
    role, session = logging.agent()
    logs = str(Path(logging.files("json")[0]).parent)
    audit = tmp_path / "audit.ndjson"
    audit.write_text("")
    with Followed(logs, audit, tmp_path) as ledger:
        eventually(lambda: ledger.asked("/readyz") == "ok")
        with audit.open("a") as file:
            file.write(json.dumps(granted(role)) + "\n")
        session.run("SELECT 'first'")
        eventually(lambda: len(ledger.written(role)) == 1)
        session.run("SELECT 'second'")
    logging.rotate()
    session.run("SELECT 'third'")
    with Followed(logs, audit, tmp_path) as ledger:
        eventually(lambda: {each["statement"] for each in ledger.written(role)} >= {"SELECT 'second'", "SELECT 'third'"})
        told = ledger.written(role)
        eventually(lambda: 'role="known"} ' in ledger.asked("/metrics"))
        ledger.process.terminate()
        assert ledger.process.wait(PROGRAM) == 0

    by_id = {each["id"]: each["statement"] for each in told}
    assert sorted(by_id.values()) == ["SELECT 'first'", "SELECT 'second'", "SELECT 'third'"]
    assert {each["userSubject"] for each in told} == {"anna"}
