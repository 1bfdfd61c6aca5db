"""Reads of a role: exactly the rows and cells of its profile and its lease, with any settings of its session and any query."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import LiteralString

from snowflake.connector import errors as vendor

from rolevend.catalog import TableId
from rolevend.platforms.attestation import common_checks as common
from rolevend.platforms.snowflake.attest.canaries import SnowflakeCanaries
from rolevend.platforms.snowflake.attest.check import Trial, trial
from rolevend.platforms.snowflake.attest.session import LACKS, attempted, is_transient, refusal, values
from rolevend.platforms.snowflake.failures import NO_WAREHOUSE, code_of
from rolevend.platforms.snowflake.sql import Sql, compose, literal


def _differs_in_case(canaries: SnowflakeCanaries) -> str:
    session = canaries.vended(canaries.profiles.shared, "UPPER", regions=[canaries.region("eu").upper()])
    return common.shows_nothing(canaries, session)


def _other_table(canaries: SnowflakeCanaries) -> str:
    """A table of the same profile, which another role of the user reads."""
    lease = canaries.lease(canaries.profiles.shared, "NARA", regions=[canaries.region("eu")])
    session = canaries.log_in(canaries.vend(replace(lease, resources=(TableId(canaries.environment.schema, "GUARDED"),))))
    guarded = common.ids(canaries, session, "SELECT ID FROM GUARDED ORDER BY ID")
    return common.shows_nothing(canaries, session) or common.exactly(guarded, [0, 1])


def _ambiguous_dates(canaries: SnowflakeCanaries) -> str:
    """The settings of the session would decide which day the text means."""
    session = canaries.vended(canaries.profiles.dated, "DORA", days=["01/02/2024"])
    for style in ("AUTO", "DD/MM/YYYY", "MM/DD/YYYY"):
        session.rows(compose("ALTER SESSION SET DATE_INPUT_FORMAT = {}", literal(style)))
        if seen := common.shows_nothing(canaries, session, "SELECT ID FROM DATED"):
            return f"{seen} under {style}"
    return ""


def _other_settings(canaries: SnowflakeCanaries) -> str:
    """Settings that change the meaning of a text, a time or a name."""
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


def _own_profile(canaries: SnowflakeCanaries) -> str:
    """The role is granted its profile, so it may use it; the lease table has no row of that name."""
    session = canaries.log_in(canaries.eve)
    found = attempted(session, canaries.filled("USE ROLE {profile}"), canaries.filled("SELECT ID FROM {people}"))
    return f"shows {len(found)} rows" if found else ""


def _text_of_the_view(canaries: SnowflakeCanaries) -> str:
    shown = canaries.session.rows(canaries.filled("SHOW VIEWS IN SCHEMA {views}"))
    return "shows the text of a view" if any(row.get("text") for row in shown) else ""


def _plan(canaries: SnowflakeCanaries) -> str:
    """EXPLAIN of a secure view shows neither the table behind it nor its conditions."""
    plan = str(_rows_or_nothing(canaries, "EXPLAIN USING TEXT SELECT * FROM {people}"))
    return "names the table behind the view" if canaries.environment.schema in plan or canaries.token in plan else ""


def _statements_of_others(canaries: SnowflakeCanaries) -> str:
    question = canaries.filled("SELECT QUERY_TEXT, USER_NAME FROM TABLE({database}.INFORMATION_SCHEMA.QUERY_HISTORY(RESULT_LIMIT => 1000))")
    others = {user for _, user in attempted(canaries.session, question) if user != canaries.eve.lease.role}
    return f"shows what {len(others)} others asked" if others else ""


def _answers_of_others(canaries: SnowflakeCanaries) -> str:
    bob = canaries.bobs_session
    values(bob, Sql("SELECT ID FROM PEOPLE ORDER BY ID"))
    ((query,),) = values(bob, Sql("SELECT LAST_QUERY_ID()"))
    found = attempted(canaries.session, compose("SELECT * FROM TABLE(RESULT_SCAN({}))", literal(str(query))))
    return f"shows {len(found)} rows of another session's answer" if found else ""


def _time_travel(canaries: SnowflakeCanaries) -> str:
    found = _rows_or_nothing(canaries, "SELECT ID FROM {people} AT (OFFSET => -1)")
    found += _rows_or_nothing(canaries, "SELECT ID FROM {guarded_table} AT (OFFSET => -1)")
    beyond = [number for (number,) in found if number not in (0, 1)]
    return f"shows the rows {beyond}" if beyond else ""


_LEAKY: Mapping[str, LiteralString] = {
    **common.LEAKY,
    "search hidden cells": "SELECT ID FROM PEOPLE WHERE STARTSWITH(SSN, 'ssn')",
    "search hidden rows": "SELECT ID FROM PEOPLE WHERE STARTSWITH(REGION, 'us')",
}


def _leaky(what: str, statement: LiteralString) -> Trial:
    def test(canaries: SnowflakeCanaries) -> str:
        try:
            found = values(canaries.session, canaries.filled(statement))
        except vendor.Error as error:
            if is_transient(error) or code_of(error) in LACKS | NO_WAREHOUSE:
                raise  # who may not ask, or cannot, learns of no value
            return "an error tells of hidden values"
        return "finds hidden values" if found else ""

    return trial(what, test, "E6")


def _rows_or_nothing(canaries: SnowflakeCanaries, statement: LiteralString) -> list[tuple[object, ...]]:
    return attempted(canaries.session, canaries.filled(statement))


_OF_MASKS = {"mask Hash": ("E14",), "mask Partial": ("E15",), "mask Round": ("E13",), "mask Regex": ("E16",)}
"""The assumptions that a mask rests on."""
TRIALS = (
    trial("read exactly the permitted rows", common.permitted_rows, "P6", "P7", "E1", "E4", "R15", "R30", "W9"),
    trial("two users behind one agent read each their own", common.two_users, "P5"),
    trial("read nothing without the attribute", common.no_attribute, "E8"),
    trial("attribute values are never SQL", common.hostile_attributes),
    trial("attribute values are compared letter by letter", _differs_in_case, "E9"),
    trial("read a table that the lease is not narrowed to", _other_table),
    trial("ambiguous dates equal none, whatever the session sets", _ambiguous_dates),
    trial("rows and cells are the same, whatever the session sets", _other_settings, "E19"),
    trial("a cell is shown only where a grant of its row shows it", common.cells),
    *(trial(name, test, *_OF_MASKS.get(name, ())) for name, test in common.MASKS.items()),
    trial("use its own profile as its role", _own_profile, "R3"),
    trial("read the text of its view in a list", _text_of_the_view, "E22"),
    trial("read the plan of a question", _plan, "E22", on_accounts_alone=True),
    trial("read what others asked", _statements_of_others),
    trial("read what others were answered", _answers_of_others),
    trial("read what a table held before", _time_travel, on_accounts_alone=True),
    *(_leaky(what, statement) for what, statement in _LEAKY.items()),
)
