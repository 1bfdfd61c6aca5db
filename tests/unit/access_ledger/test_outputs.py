"""Entries as OCSF events and as lines of a terminal, also of hostile statements."""

import json
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from rolevend.access_ledger.entry import LedgerEntry, joined
from rolevend.access_ledger.grants import AuditedRoles
from rolevend.access_ledger.ocsf import VERSION, ocsf
from rolevend.access_ledger.relations import TableFinder
from rolevend.access_ledger.text import HEADER, row
from rolevend.platforms.postgres.log_time import LogClock
from rolevend.platforms.postgres.session_statements import LoggedStatement
from tests.support.json_schema import validator
from tests.support.pglogs import OTHER_ROLE, ROLE, TIME, granted

HOSTILE = "SELECT 1\n2026-11-24T12:00:00.000Z  agents/riskbot\r\x1b[2J\x9b1A\u202e\u2028\x00\ud800 'x\"y' \\ FROM people"


def entry(text: str = "SELECT * FROM people", *, known: bool = True, **values: Any) -> LedgerEntry:
    audited = AuditedRoles()
    audited.learn(granted(approval={"approvedBy": ["alice"], "offer": "domain-claims/ssn", "requestUid": "u"}))
    statement = LoggedStatement(TIME, "claims", "6924.1", "10.0.0.7:5123", "psql", text, role=ROLE if known else OTHER_ROLE, number="3")
    made = replace(statement, **values)
    return joined(made, LogClock().utc(TIME), audited.get(made.role), TableFinder(), 100)


@cache
def schema() -> Any:
    return OcsfJsonSchemaEmbedded(get_ocsf_schema(VERSION)).get_class_schema("datastore_activity", [])


@pytest.mark.parametrize(
    "each",
    [
        entry(),
        entry(milliseconds=1.6),
        entry(error="42501 permission denied", client="[local]"),
        entry("", client=""),
        entry("COPY people TO STDOUT", client="::1:5432"),
        entry("EXECUTE p (1)", known=False),
        entry("DO 'x'", audit_class="MISC", command="DO", client="2001:db8::7:5432"),
        entry(HOSTILE, relations=("TABLE claims.people", "TABLE claims.claims")),
        entry("SELECT 1", role="IMMUTA_VENDED_", database=""),
        entry(client="10.0.0.7:99999"),
    ],
    ids=lambda each: each.statement[:20] or "empty",
)
def test_an_event_is_valid_by_the_schema_of_its_version(each: LedgerEntry):
    event = json.loads(json.dumps(ocsf(each)))

    assert [f"{list(error.path)}: {error.message[:200]}" for error in validator(schema()).iter_errors(event)] == []
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    assert event["metadata"]["version"] == VERSION


def test_the_schema_refuses_an_event_that_is_not_one():
    event = ocsf(entry())

    assert not validator(schema()).is_valid(event | {"actor": None})
    assert not validator(schema()).is_valid({name: value for name, value in event.items() if name != "src_endpoint"})


def test_an_event_says_who_did_what_for_whom():
    event = ocsf(entry(milliseconds=1.6, error="57014 canceled by user"))

    assert event["actor"]["user"] == {
        "name": "anna",
        "domain": "https://idp.example.org",
        "type_id": 1,
        "type": "User",
        "account": {"name": ROLE, "type_id": 99, "type": "PostgreSQL role"},
    }
    assert event["actor"]["app_name"] == "agents/finbot"
    assert event["actor"]["authorizations"] == [{"decision": "granted", "policy": {"name": "domain-claims/analysts"}}]
    assert (event["activity_name"], event["status"], event["status_code"]) == ("Query", "Failure", "57014")
    assert event["status_detail"] == "canceled by user"
    assert event["table"] == {"name": "claims.people"}
    assert event["src_endpoint"] == {"ip": "10.0.0.7", "port": 5123}
    assert event["time"] == 1795521600000
    assert (event["metadata"]["uid"], event["query_info"]["query_string"]) == ("6924.1/3", "SELECT * FROM people")
    assert event["unmapped"]["purpose"] == "fraud-review"
    assert event["unmapped"]["approval"] == "approved by alice (ssn)"
    assert event["unmapped"]["tablesFrom"] == "parsed"


@pytest.mark.parametrize(
    ("text", "activity"),
    [
        ("INSERT INTO t VALUES (1)", 6),
        ("UPDATE t SET a = 1", 2),
        ("DELETE FROM t", 7),
        ("COPY t TO STDOUT", 1),
        ("VACUUM t", 99),
        ("x y z", 0),
    ],
)
def test_an_activity_is_that_of_the_command(text: str, activity: int):
    assert ocsf(entry(text))["activity_id"] == activity


def test_a_hostile_statement_is_one_line_and_reaches_no_terminal():
    hostile = entry(HOSTILE, application="\x1b]0;x\x07\n", relations=("TABLE a\nb",), role=ROLE + "\n\x1b[2J")
    texts = [row(hostile), json.dumps(hostile.as_json()), json.dumps(ocsf(hostile))]

    for text in texts:
        assert len(text.splitlines()) == 1
        assert text.isprintable()
        text.encode()
    assert json.loads(texts[1])["statement"] == HOSTILE


def test_a_row_says_how_its_tables_are_known_and_cuts_a_long_statement():
    assert "  claims.people*  " in row(entry())
    assert "  claims.people   " in row(entry(relations=("TABLE claims.people",)))
    assert "  ?  " in row(entry("EXECUTE p"))
    assert row(entry("SELECT '" + "x" * 500)).endswith("x…")
    assert "unknown (RISKBOT)" in row(entry(known=False))
    assert "failed" in row(entry(error="42501 no"))
    assert HEADER.index("STATEMENT") == row(entry()).index("SELECT")


def test_an_entry_names_some_of_very_many_tables():
    audited = AuditedRoles()
    audited.learn(granted(tables=tuple(f"claims.t{number}" for number in range(30)), tableCount=35))
    statement = LoggedStatement(TIME, "claims", "1", "", "", "SELECT * FROM t29, s.t29, rv_p_1.t28", role=ROLE)

    found = joined(statement, LogClock().utc(TIME), audited.get(ROLE), TableFinder(), 100)

    assert (len(found.granted_tables), found.granted_tables_left_out) == (20, 15)
    assert found.tables == ("claims.t29", "s.t29", "claims.t28")
