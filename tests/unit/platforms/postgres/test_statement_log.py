"""What a role ran, from records of PostgreSQL's log that are broken, strange or very many. What a real server writes: tests/conformance."""

import csv
import io
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from rolevend.app.trace import Trace, shown
from rolevend.errors import InvalidInput
from rolevend.platforms.postgres.session_statements import COLUMNS
from rolevend.platforms.statement import Statement

ROLE = "IMMUTA_VENDED_FINBOT_E10442_3FXWQ4H5S8CK9RN2V6Y0ZTBDGM"
TIME = "2026-11-24 12:00:00.000 UTC"


def record(message: str, **values: str) -> dict[str, str]:
    known = {"timestamp": TIME, "user": ROLE, "dbname": "claims", "session_id": "1", "error_severity": "LOG", "message": message}
    return known | values


def as_csv(*records: dict[str, str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[each.get(column, "") for column in COLUMNS] for each in records])
    return text.getvalue()


def as_json(*records: dict[str, str]) -> str:
    return "".join(json.dumps(each) + "\n" for each in records)


@pytest.fixture(params=[as_csv, as_json], ids=["csv", "json"])
def write(request: pytest.FixtureRequest, tmp_path: Path):
    numbers = iter(range(100))

    def written(*records: dict[str, str], cut: int = 0) -> str:
        path = tmp_path / f"log-{next(numbers)}"
        text = request.param(*records)
        path.write_text(text[: len(text) - cut])
        return str(path)

    return written


def of(*files: str) -> list[str]:
    return [statement.text for statement in Trace(ROLE, files)]


def test_the_outcome_may_stand_in_the_next_file(write):
    first = write(record("statement: SELECT 1"))
    second = write(record("duration: 1.500 ms"), record("statement: SELECT 2"))
    third = write(record("division by zero", error_severity="ERROR", state_code="22012", statement="SELECT 2"))

    one, two = Trace(ROLE, [first, second, third])

    assert (one.text, one.milliseconds, one.error) == ("SELECT 1", 1.5, None)
    assert (two.text, two.milliseconds, two.error) == ("SELECT 2", None, "22012 division by zero")


def test_two_sessions_of_a_role_are_kept_apart(write):
    log = write(
        record("statement: SELECT 1", session_id="a"),
        record("statement: SELECT 2", session_id="b"),
        record("duration: 2.000 ms", session_id="b"),
        record("duration: 1.000 ms", session_id="a"),
    )

    assert [(each.text, each.milliseconds) for each in Trace(ROLE, [log])] == [("SELECT 2", 2.0), ("SELECT 1", 1.0)]


def test_an_error_between_statements_is_not_that_of_the_one_before(write):
    log = write(
        record("statement: SELECT 1"),
        record("terminating connection due to administrator command", error_severity="FATAL", state_code="57P01"),
    )

    (statement,) = Trace(ROLE, [log])
    assert statement.error is None


def test_parse_and_bind_are_no_statements_and_a_fastpath_call_is_one(write):
    log = write(
        record("duration: 0.100 ms  parse s: SELECT $1"),
        record("duration: 0.100 ms  bind s: SELECT $1", detail="Parameters: $1 = '1'"),
        record("duration: 0.100 ms  execute s: SELECT $1", detail="Parameters: $1 = '1'"),
        record('fastpath function call: "lo_open" (OID 952)'),
        record("connection authorized: user=x"),
    )

    assert of(log) == ["SELECT $1", 'fastpath function call: "lo_open" (OID 952)']


def test_a_record_that_is_cut_short_is_counted_and_spoils_no_file_but_its_own(write):
    cut = write(record("statement: SELECT 1"), record("statement: SELECT 2"), cut=30)
    after = write(record("statement: SELECT 3"))

    trace = Trace(ROLE, [cut, after])

    assert [each.text for each in trace] == ["SELECT 1", "SELECT 3"]
    assert trace.notes == ["1 records are cut short, and were passed over"]


def test_what_is_no_such_log_is_named(tmp_path: Path):
    plain = tmp_path / "postgresql.log"
    plain.write_text(f"2026-11-24 12:00:00.000 UTC [17] {ROLE}@claims LOG:  statement: SELECT 1\n")

    with pytest.raises(InvalidInput, match=r"postgresql.log: is neither csvlog nor jsonlog: set log_destination"):
        of(str(plain))
    with pytest.raises(InvalidInput, match="No such file"):
        of(str(tmp_path / "nothing"))
    with pytest.raises(InvalidInput, match="is not the name of a vended role"):
        Trace("postgres", [])
    empty = tmp_path / "empty"
    empty.touch()
    assert of(str(empty)) == []


def test_bytes_that_are_no_text_are_shown_as_such(tmp_path: Path):
    log = tmp_path / "log"
    log.write_bytes(as_csv(record("statement: SELECT '@'")).encode().replace(b"@", b"\xff\x00"))

    (statement,) = Trace(ROLE, [str(log)])
    assert "\\xff" in shown(statement)
    assert "\0" not in shown(statement)


class Endless:
    """Lines of a log as large as it is asked to be, made as they are read."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Iterator[str]:
        other = as_csv(record("statement: " + "y" * 10_000, user="somebody"))
        ours = as_csv(record("statement: SELECT 1"), record("duration: 1.000 ms"))
        for number in range(self.count):
            yield from (ours if number % 100 == 0 else other).splitlines(keepends=True)


def test_a_log_is_read_in_the_memory_of_one_record(monkeypatch: pytest.MonkeyPatch):
    from rolevend.platforms.postgres.statement_log import StatementLog

    tracemalloc.start()
    try:
        found = sum(1 for _ in StatementLog(ROLE).read(Endless(10_000), "log"))  # type: ignore[arg-type]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert found == 100
    assert peak < 2_000_000, "of a log of 100 MB"


def test_a_statement_is_shown_so_that_no_line_of_it_passes_for_another_one():
    forged = f"SELECT 1\n{TIME}  claims      0.100 ms  DROP TABLE x\r\x1b[1A\u2028also"
    statement = Statement(TIME, "claims", "1", "", "", forged, "$1 = 'a\nb'", 1.25, "42501 no\nno")

    first, *others = shown(statement).split("\n")

    assert first == f"{TIME}  claims      1.250 ms  SELECT 1"
    assert all(line.startswith("    ") for line in others)
    assert all(letter.isprintable() for line in (first, *others) for letter in line)
