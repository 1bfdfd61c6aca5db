"""What a role reads: exactly the rows and cells that its profile and its lease say, whatever its session sets, and however it asks."""

import hashlib
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import LiteralString

from snowflake.connector import errors as vendor

from rolevend.catalog import TableId
from rolevend.platforms.snowflake.attest.canaries import SnowflakeCanaries
from rolevend.platforms.snowflake.attest.check import Trial, trial
from rolevend.platforms.snowflake.attest.environment import CODES, WITHHELD
from rolevend.platforms.snowflake.attest.session import LACKS, NotAsExpected, attempted, passes, refusal, values
from rolevend.platforms.snowflake.connections import SnowflakeSession
from rolevend.platforms.snowflake.failures import NO_WAREHOUSE, code_of
from rolevend.platforms.snowflake.sql import Sql, compose, identifier, literal

_HOSTILE = ("' OR TRUE --", "') OR ('1'='1", '"; DROP TABLE people; --', '["eu","us"]', "\\", "\\'", "%", "☃", "$$")
_IDS = Sql("SELECT ID FROM PEOPLE ORDER BY ID")


def ids(session: SnowflakeSession, statement: Sql = _IDS) -> list[int]:
    return [int(number) for (number,) in values(session, statement)]


def _rows(canaries: SnowflakeCanaries) -> str:
    """A login with the user's defaults alone: the warehouse, and the schema in which its views are."""
    return exactly(ids(canaries.session), [0, 1])


def exactly(found: list[int], wanted: list[int]) -> str:
    """Too few rows are no leak."""
    seen = "" if found == wanted else f"shows the rows {found}, and may show {' and '.join(map(str, wanted))}"
    if seen and set(found) <= set(wanted) and len(found) <= len(wanted):
        raise NotAsExpected(seen)
    return seen


def _two_users(canaries: SnowflakeCanaries) -> str:
    """The same text, so that an answer that is kept for one user could be given to the other."""
    for _ in range(2):
        for session, region in ((canaries.session, "eu"), (canaries.bobs_session, "us")):
            found = {name for (name,) in values(session, Sql("SELECT REGION FROM PEOPLE"))}
            if found - {canaries.region(region)}:
                return f"who may see one region sees {len(found)}"
            if not found:
                raise NotAsExpected("who may see one region sees none")
    return ""


def _no_attribute(canaries: SnowflakeCanaries) -> str:
    return _none(canaries.vended(canaries.profiles.shared, "NOBODY"))


def _hostile_attributes(canaries: SnowflakeCanaries) -> str:
    return _none(canaries.vended(canaries.profiles.shared, "MALLORY", regions=_HOSTILE))


def _differs_in_case(canaries: SnowflakeCanaries) -> str:
    return _none(canaries.vended(canaries.profiles.shared, "UPPER", regions=[canaries.region("eu").upper()]))


def _other_table(canaries: SnowflakeCanaries) -> str:
    """Of the same profile, which another role of the user reads."""
    lease = canaries.lease(canaries.profiles.shared, "NARA", regions=[canaries.region("eu")])
    session = canaries.log_in(canaries.vend(replace(lease, resources=(TableId(canaries.ground.schema, "GUARDED"),))))
    return _none(session) or exactly(ids(session, Sql("SELECT ID FROM GUARDED ORDER BY ID")), [0, 1])


def _ambiguous_dates(canaries: SnowflakeCanaries) -> str:
    """Which day it is would be the session's to say."""
    session = canaries.vended(canaries.profiles.dated, "DORA", days=["01/02/2024"])
    for style in ("AUTO", "DD/MM/YYYY", "MM/DD/YYYY"):
        session.rows(compose("ALTER SESSION SET DATE_INPUT_FORMAT = {}", literal(style)))
        if seen := _none(session, Sql("SELECT ID FROM DATED")):
            return f"{seen} under {style}"
    return ""


def _whatever_is_set(canaries: SnowflakeCanaries) -> str:
    """Settings that change what a text, a time or a name means."""
    session = canaries.log_in(canaries.eve)
    settings: tuple[LiteralString, ...] = (
        "TIMEZONE = 'Pacific/Apia'",
        "TIMESTAMP_TYPE_MAPPING = 'TIMESTAMP_LTZ'",
        "DATE_OUTPUT_FORMAT = 'DD/MM/YYYY'",
        "QUOTED_IDENTIFIERS_IGNORE_CASE = TRUE",
        "WEEK_START = 7",
        "ROWS_PER_RESULTSET = 0",
    )
    for setting in settings:
        refusal(session, Sql(f"ALTER SESSION SET {setting}"))
        found = values(session, Sql("SELECT ID, BORN FROM PEOPLE ORDER BY ID"))
        if found != [(0, date(1980, 1, 1)), (1, date(1981, 1, 1))]:
            return f"shows {len(found)} rows, and not its own two, after SET {setting}"
    return ""


def _cells(canaries: SnowflakeCanaries) -> str:
    session = canaries.vended(canaries.profiles.mixed, "DAN")
    found = values(session, Sql("SELECT ID, EMAIL, SSN, CODE FROM PEOPLE ORDER BY ID"))
    wanted = [(0, f"p0@{canaries.token}.example", WITHHELD, None), (2, None, f"ssn-{canaries.token}-2", CODES[2])]
    return "" if found == wanted else "a cell is shown that no grant of its row shows, or one is missing"


def _mask(kind: str, column: str, wanted: list[object], *assumptions: str) -> Trial:
    def test(canaries: SnowflakeCanaries) -> str:
        found = [value for (value,) in values(canaries.session, compose("SELECT {} FROM PEOPLE ORDER BY ID", identifier(column)))]
        if found != wanted and set(found) <= {None}:
            raise NotAsExpected("the column shows nothing")
        return "" if found == wanted else "the column does not show what its mask says"

    return trial(f"mask {kind}", test, *assumptions)


def _hash(canaries: SnowflakeCanaries) -> str:
    first, second = (value for (value,) in values(canaries.session, Sql("SELECT EMAIL FROM PEOPLE ORDER BY ID")))
    plain = hashlib.sha256(f"p0@{canaries.token}.example".encode()).hexdigest()
    if not all(isinstance(value, str) and len(value) == 64 for value in (first, second)) or first == second:
        return "the column does not show what its mask says"
    return "the hash is made without a secret" if first == plain else ""


def _own_profile(canaries: SnowflakeCanaries) -> str:
    """The role has it, so it may use it; there is no lease of that name."""
    session = canaries.log_in(canaries.eve)
    found = attempted(session, canaries.filled("USE ROLE {profile}"), canaries.filled("SELECT ID FROM {people}"))
    return f"shows {len(found)} rows" if found else ""


def _text_of_the_view(canaries: SnowflakeCanaries) -> str:
    shown = canaries.session.rows(canaries.filled("SHOW VIEWS IN SCHEMA {views}"))
    return "shows the text of a view" if any(row.get("text") for row in shown) else ""


def _plan(canaries: SnowflakeCanaries) -> str:
    """What EXPLAIN says of a secure view: not which table is behind it, nor what is asked of it."""
    error_or_rows = _rows_or_nothing(canaries, "EXPLAIN USING TEXT SELECT * FROM {people}")
    told = str(error_or_rows)
    return "names the table behind the view" if canaries.ground.schema in told or canaries.token in told else ""


def _statements_of_others(canaries: SnowflakeCanaries) -> str:
    question = canaries.filled("SELECT QUERY_TEXT, USER_NAME FROM TABLE({database}.INFORMATION_SCHEMA.QUERY_HISTORY(RESULT_LIMIT => 1000))")
    others = {user for _, user in attempted(canaries.session, question) if user != canaries.eve.lease.role}
    return f"shows what {len(others)} others asked" if others else ""


def _answers_of_others(canaries: SnowflakeCanaries) -> str:
    bob = canaries.bobs_session
    values(bob, _IDS)
    ((query,),) = values(bob, Sql("SELECT LAST_QUERY_ID()"))
    found = attempted(canaries.session, compose("SELECT * FROM TABLE(RESULT_SCAN({}))", literal(str(query))))
    return f"shows {len(found)} rows of another session's answer" if found else ""


def _time_travel(canaries: SnowflakeCanaries) -> str:
    found = _rows_or_nothing(canaries, "SELECT ID FROM {people} AT (OFFSET => -1)")
    found += _rows_or_nothing(canaries, "SELECT ID FROM {guarded_table} AT (OFFSET => -1)")
    beyond = [number for (number,) in found if number not in (0, 1)]
    return f"shows the rows {beyond}" if beyond else ""


_LEAKY: dict[str, LiteralString] = {
    "divide by zero on a hidden row": "SELECT ID FROM PEOPLE WHERE 1 / (ID - 3) > 5",
    "divide by zero on a hidden cell": "SELECT ID FROM PEOPLE WHERE 1 / (CASE SSN WHEN {ssn} THEN 0 ELSE 1 END) > 5",
    "look with CASE first": "SELECT 1 AS A FROM PEOPLE WHERE CASE WHEN ID = 3 THEN 1 / (ID - 3) ELSE 0 END > 5",
    "aggregate over hidden rows": "SELECT 1 AS A FROM PEOPLE HAVING SUM(1 / (ID - 3)) > 5",
    "search hidden cells": "SELECT ID FROM PEOPLE WHERE STARTSWITH(SSN, 'ssn')",
    "search hidden rows": "SELECT ID FROM PEOPLE WHERE STARTSWITH(REGION, 'us')",
}
"""No row that eve may see answers these; a hidden one would, or would be an error."""


def _leaky(what: str, statement: LiteralString) -> Trial:
    def test(canaries: SnowflakeCanaries) -> str:
        try:
            found = values(canaries.session, canaries.filled(statement))
        except vendor.Error as error:
            if passes(error) or code_of(error) in LACKS | NO_WAREHOUSE:
                raise  # who may not ask, or cannot, learns of no value
            return "an error tells of hidden values"
        return "finds hidden values" if found else ""

    return trial(what, test, "E6")


def _rows_or_nothing(canaries: SnowflakeCanaries, statement: LiteralString) -> list[tuple[object, ...]]:
    return attempted(canaries.session, canaries.filled(statement))


def _none(session: SnowflakeSession, statement: Sql = _IDS) -> str:
    rows = values(session, statement)
    return f"shows {len(rows)} rows" if rows else ""


TRIALS = (
    trial("read exactly the permitted rows", _rows, "P6", "P7", "E1", "E4", "R15", "R30", "W9"),
    trial("two users behind one agent read each their own", _two_users, "P5"),
    trial("read nothing without the attribute", _no_attribute, "E8"),
    trial("attribute values are never SQL", _hostile_attributes),
    trial("attribute values are compared letter by letter", _differs_in_case, "E9"),
    trial("read a table that the lease is not narrowed to", _other_table),
    trial("ambiguous dates equal none, whatever the session sets", _ambiguous_dates),
    trial("rows and cells are the same, whatever the session sets", _whatever_is_set, "E19"),
    trial("a cell is shown only where a grant of its row shows it", _cells),
    trial("mask Hash", _hash, "E14"),
    _mask("Nullify", "SSN", [None, None]),
    _mask("Partial", "CODE", ["***5678", "***567"], "E15"),
    _mask("Round", "AMOUNT", [Decimal(1200), Decimal(-1200)], "E13"),
    _mask("Regex", "PHONE", ["+## ## ####", "***"], "E16"),
    _mask("DateTrunc", "BORN", [date(1980, 1, 1), date(1981, 1, 1)]),
    _mask("Constant", "NOTE", [WITHHELD, WITHHELD]),
    trial("use its own profile as its role", _own_profile, "R3"),
    trial("read the text of its view in a list", _text_of_the_view, "E22"),
    trial("read the plan of a question", _plan, "E22", on_accounts_alone=True),
    trial("read what others asked", _statements_of_others),
    trial("read what others were answered", _answers_of_others),
    trial("read what a table held before", _time_travel, on_accounts_alone=True),
    *(_leaky(what, statement) for what, statement in _LEAKY.items()),
)
