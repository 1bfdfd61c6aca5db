"""What a role ran, where pgaudit tells it, too, or alone: each statement once, with the relations that only pgaudit knows.

The lines are as pgaudit's documentation gives them and its source writes them: no package has the extension.
"""

import csv
import io
import json
from pathlib import Path

import pytest

from rolevend.app.trace import Trace, shown
from rolevend.platforms.postgres.session_statements import COLUMNS
from rolevend.platforms.statement import Statement

ROLE = "IMMUTA_VENDED_FINBOT_E10442_3FXWQ4H5S8CK9RN2V6Y0ZTBDGM"
QUERY = 'select password, "Name"\n  from account'
QUOTED = '"select password, ""Name""\n  from account"'


@pytest.fixture(params=["csv", "json"])
def trace(request: pytest.FixtureRequest, tmp_path: Path):
    """What is read of records in that order: each a message, or a record's values."""

    def read(*records: str | dict[str, str]) -> list[Statement]:
        known = {"timestamp": "2026-11-24 12:00:00.000 UTC", "user": ROLE, "dbname": "claims", "session_id": "1", "error_severity": "LOG"}
        rows = [known | (each if isinstance(each, dict) else {"message": each}) for each in records]
        text = io.StringIO()
        if request.param == "csv":
            csv.writer(text, lineterminator="\n").writerows([[each.get(column, "") for column in COLUMNS] for each in rows])
        else:
            text.writelines(json.dumps(each) + "\n" for each in rows)
        log = tmp_path / "log"
        log.write_text(text.getvalue())
        return list(Trace(ROLE, [str(log)]))

    return read


def session(text: str, number: int = 1, part: int = 1, relation: str = ",", parameters: str = "<not logged>") -> str:
    return f"AUDIT: SESSION,{number},{part},READ,SELECT,{relation},{text},{parameters}"


def texts(statements: list[Statement]) -> list[str]:
    return [each.text for each in statements]


def test_pgaudit_alone_tells_every_statement_as_it_was_sent(trace):
    found = trace(
        session(QUOTED),
        session("SELECT 1", 2),
        session("SELECT 1", 3),
        session(f"\"SELECT '{'x' * 300_000}',\r1\"", 4),
        "AUDIT: SESSION,5,1,MISC,SET,,,SET log_statement = 'none',<not logged>",
    )

    assert texts(found) == [QUERY, "SELECT 1", "SELECT 1", f"SELECT '{'x' * 300_000}',\r1", "SET log_statement = 'none'"]
    assert all(each.parameters is None and each.relations == () for each in found)


@pytest.mark.parametrize("again", [QUOTED, "<previously logged>"])
def test_a_statement_with_a_line_for_each_relation_is_one_and_names_them(trace, again: str):
    (found,) = trace(
        session(QUOTED, relation="VIEW,rv_0a.account"),
        session(again, relation="TABLE,public.account"),
        f"AUDIT: OBJECT,1,1,READ,SELECT,TABLE,public.account,{again},<not logged>",
        f"AUDIT: SESSION,1,2,FUNCTION,EXECUTE,FUNCTION,rolevend.tells,{QUOTED},<not logged>",
    )

    assert found.text == QUERY
    assert found.relations == ("VIEW rv_0a.account", "TABLE public.account", "FUNCTION rolevend.tells")
    assert "    on VIEW rv_0a.account, TABLE public.account, FUNCTION rolevend.tells" in shown(found)


def test_where_the_server_logs_statements_too_each_is_told_once_with_what_both_know(trace):
    found = trace(
        f"statement: {QUERY}",
        session(QUOTED, relation="TABLE,public.account"),
        "duration: 1.500 ms",
        "statement: SELECT 1; SELECT 1",
        session("SELECT 1; SELECT 1", 2),
        session("SELECT 1; SELECT 1", 3),
        "duration: 0.100 ms",
        {"message": "statement: EXECUTE p (3)", "detail": f"prepare: PREPARE p AS {QUERY}"},
        session(f'"PREPARE p AS {QUOTED[1:]}', 4, relation="TABLE,public.account"),
        "duration: 0.200 ms",
        "statement: BEGIN",
        "duration: 0.010 ms",
    )

    assert texts(found) == [QUERY, "SELECT 1; SELECT 1", "EXECUTE p (3)", "BEGIN"]
    assert [each.milliseconds for each in found] == [1.5, 0.1, 0.2, 0.01]
    assert [each.relations for each in found] == [("TABLE public.account",), (), ("TABLE public.account",), ()]


@pytest.mark.parametrize("timed", [True, False])
def test_prepared_statements_which_pgaudit_tells_first_are_told_once(trace, timed: bool):
    text = "SELECT $1"
    values = {"detail": "Parameters: $1 = 'a,b'"}
    one = [
        session(text, relation="TABLE,public.account", parameters='"""a,b"""'),
        {"message": f"execute <unnamed>: {text}", **values},
        *(["duration: 0.300 ms"] if timed else []),
    ]

    found = trace("statement: SELECT 0", *one, "statement: SELECT 2", *one)

    assert texts(found) == ["SELECT 0", text, "SELECT 2", text]
    assert found[1].parameters == found[3].parameters == "$1 = 'a,b'"
    assert found[1].relations == found[3].relations == ("TABLE public.account",)


def test_where_the_server_logs_durations_alone_each_is_told_once(trace):
    found = trace(
        session("SELECT 1"),
        "duration: 1.000 ms  statement: SELECT 1",
        session("SELECT 1", 2),
        "duration: 2.000 ms  statement: SELECT 1",
        {"message": "duration: 0.100 ms  parse s: SELECT $1"},
        session("SELECT $1", 3),
        {"message": "duration: 0.100 ms  bind s: SELECT $1"},
        {"message": "duration: 3.000 ms  execute s: SELECT $1", "detail": "Parameters: $1 = '1'"},
    )

    assert [(each.text, each.milliseconds) for each in found] == [("SELECT 1", 1.0), ("SELECT 1", 2.0), ("SELECT $1", 3.0)]


def test_a_statement_that_fails_is_told_once_and_never_in_place_of_one_that_did_not(trace):
    failure = {"error_severity": "ERROR", "state_code": "42501", "message": "permission denied", "statement": "SELECT 1"}
    found = trace(
        {"message": session("SELECT 1"), "vxid": "3/1"},
        failure | {"vxid": "3/1"},
        {"message": session("SELECT 1", 2), "vxid": "3/2"},
        failure | {"vxid": "3/3"},
    )

    assert [(each.text, each.error) for each in found] == [
        ("SELECT 1", "42501 permission denied"),
        ("SELECT 1", None),
        ("SELECT 1", "42501 permission denied"),
    ]


def test_parameters_of_pgaudit_are_told_where_nobody_else_has_them(trace):
    (found,) = trace(session("SELECT $1", parameters='"42,""a,b"""'))

    assert found.parameters == '42,"a,b"'


def test_statements_within_functions_and_while_a_cursor_is_open_have_their_own_lines(trace):
    found = trace(
        "AUDIT: SESSION,1,1,READ,DECLARE CURSOR,,,DECLARE c CURSOR FOR SELECT 1,<not logged>",
        session("SELECT 2", 1, 2),
        session("SELECT 2", 1, 3),
    )

    assert texts(found) == ["DECLARE c CURSOR FOR SELECT 1", "SELECT 2", "SELECT 2"]


def test_the_statements_within_one_that_the_server_told_do_not_take_its_duration(trace):
    found = trace("statement: DO 'x'", session("SELECT secret", 7), "duration: 5.000 ms", "statement: SELECT 3")

    assert [(each.text, each.milliseconds) for each in found] == [("SELECT secret", None), ("DO 'x'", 5.0), ("SELECT 3", None)]


@pytest.mark.parametrize(
    "line", ["AUDIT: ", "AUDIT: SESSION,1,1,READ,SELECT,,,", session("<not logged>", parameters="<not logged>"), "AUDIT:"]
)
def test_lines_without_a_statement_tell_none_and_hide_none(trace, line: str):
    assert texts(trace("statement: SELECT 1", line, "duration: 1.000 ms", line)) == ["SELECT 1"]
