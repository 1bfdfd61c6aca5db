"""Read the statements of all vended roles from SNOWFLAKE.ACCOUNT_USAGE, oldest first and in pages, with the objects that they read.

QUERY_HISTORY has a statement up to 45 minutes after its end, and ACCESS_HISTORY its objects up to three hours after. A statement is found
by its user or its role: a session can change its QUERY_TAG and take another role, but not another user.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from rolevend.naming import PREFIX
from rolevend.platforms.snowflake.connections import Row, SnowflakeSession
from rolevend.platforms.snowflake.sql import Sql, compose, literal, number
from rolevend.platforms.statement import Statement

OBJECTS_DELAY: Final = timedelta(hours=3)
"""When ACCESS_HISTORY has the objects of a statement, at the latest."""
MAX_TEXT: Final = 32 * 1024
_MAX_ERROR: Final = 2048
_PAGE: Final = 500
"""Rows of one answer: texts and lists of objects are long."""
_LONGEST_STATEMENT: Final = timedelta(days=8)
"""A statement may run for seven days."""
_REFUSED: Final = frozenset({"001003", "002003", "003001", "000904"})
"""Numbers of errors of the compiler: syntax, no such object or no right to see it, no right, no such column."""
_COMPILED_FIRST: Final = frozenset({"SELECT", "UNKNOWN"})
"""Types of statements. Nothing of them ran before such an error."""
_READ: Final = ("TABLE", "MATERIALIZED VIEW", "STREAM", "STAGE")
"""The ends of the domains of objects with rows: `Table`, `External table`, `Dynamic table` and others."""
_NAME_PARTS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryStatement(Statement):
    """A statement in the account's history."""

    id: str
    """Unique in the account."""
    role: str
    """The vended role, which is the user, or the role of the agent's own user."""
    began: datetime
    ended: datetime
    command: str | None
    """The type of the statement."""
    refused: bool
    """True if it failed before it ran."""
    named: tuple[tuple[str, ...], ...] | None
    """The tables and views that the text names, each as database, schema and name. None if ACCESS_HISTORY does not have the statement."""
    read: tuple[tuple[str, ...], ...]
    """The tables that it read, also behind views."""


@dataclass(frozen=True, slots=True, order=True)
class HistoryPlace:
    """The end and the id of a statement: the order of the history."""

    ended: datetime
    id: str = ""


def statements_since(session: SnowflakeSession, place: HistoryPlace, page: int = _PAGE) -> Iterator[list[HistoryStatement]]:
    """Yield pages of the statements behind `place`."""
    while True:
        rows = session.rows(next_page(place, page))
        found = [_statement(row) for row in _merged(rows)]
        if found:
            yield found
            place = HistoryPlace(found[-1].ended, found[-1].id)
        if len(rows) < page:
            return


def next_page(place: HistoryPlace, page: int) -> Sql:
    return compose(
        "SELECT Q.QUERY_ID, LEFT(Q.QUERY_TEXT, {longest}) AS QUERY_TEXT, Q.QUERY_TYPE, Q.USER_NAME, Q.ROLE_NAME, Q.DATABASE_NAME,\n"
        "       Q.SESSION_ID, Q.QUERY_TAG, Q.ERROR_CODE, LEFT(Q.ERROR_MESSAGE, {longest_error}) AS ERROR_MESSAGE,\n"
        "       Q.START_TIME, Q.END_TIME, Q.TOTAL_ELAPSED_TIME, A.DIRECT_OBJECTS_ACCESSED, A.BASE_OBJECTS_ACCESSED\n"
        "  FROM SNOWFLAKE.ACCOUNT_USAGE.QUERY_HISTORY AS Q\n"
        "  LEFT JOIN SNOWFLAKE.ACCOUNT_USAGE.ACCESS_HISTORY AS A\n"
        "       ON A.QUERY_ID = Q.QUERY_ID AND A.QUERY_START_TIME > TO_TIMESTAMP_LTZ({oldest})\n"
        " WHERE (STARTSWITH(Q.USER_NAME, {prefix}) OR STARTSWITH(Q.ROLE_NAME, {prefix}))\n"
        "   AND (Q.END_TIME > TO_TIMESTAMP_LTZ({ended}) OR Q.END_TIME = TO_TIMESTAMP_LTZ({ended}) AND Q.QUERY_ID > {id})\n"
        " ORDER BY Q.END_TIME, Q.QUERY_ID\n"
        " LIMIT {page}",
        longest=number(MAX_TEXT),
        longest_error=number(_MAX_ERROR),
        oldest=literal((place.ended - _LONGEST_STATEMENT).isoformat()),
        prefix=literal(PREFIX),
        ended=literal(place.ended.isoformat()),
        id=literal(place.id),
        page=number(page),
    )


def _merged(rows: list[Row]) -> Iterator[Row]:
    """Yield one row for each statement: ACCESS_HISTORY may have several."""
    last: Row | None = None
    for row in rows:
        if last is not None and last["query_id"] == row["query_id"]:
            for name in ("direct_objects_accessed", "base_objects_accessed"):
                last[name] = json.dumps([*_objects(last[name]), *_objects(row[name])])
            continue
        if last is not None:
            yield last
        last = row
    if last is not None:
        yield last


def _statement(row: Row) -> HistoryStatement:
    user, role = str(row["user_name"] or ""), str(row["role_name"] or "")
    code = f"{int(row['error_code']):06d}" if row["error_code"] else None
    kind = str(row["query_type"] or "UNKNOWN")
    began = row["start_time"].astimezone(UTC)
    return HistoryStatement(
        time=began.isoformat(),
        database=row["database_name"] or "",
        session=str(row["session_id"]),
        client="",
        application=row["query_tag"] or "",
        text=row["query_text"] or "",
        milliseconds=float(row["total_elapsed_time"]),
        error=f"{code} {row['error_message']}" if code else None,
        id=row["query_id"],
        role=user if user.startswith(PREFIX) else role,
        began=began,
        ended=row["end_time"].astimezone(UTC),
        command=None if kind == "UNKNOWN" else kind,
        refused=code in _REFUSED and kind in _COMPILED_FIRST,
        named=None if row["direct_objects_accessed"] is None else _names(row["direct_objects_accessed"], ("",)),
        read=_names(row["base_objects_accessed"], _READ),
    )


def _objects(value: Any) -> list[Any]:
    """Return the elements of an ARRAY, which the connector gives as JSON."""
    found = json.loads(value) if isinstance(value, str) else value
    return found if isinstance(found, list) else []


def _names(value: Any, domains: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    found = dict.fromkeys(
        split_name(str(each.get("objectName", "")))
        for each in _objects(value)
        if isinstance(each, dict) and str(each.get("objectDomain", "")).upper().endswith(domains)
    )
    return tuple(name for name in found if len(name) == _NAME_PARTS)


def split_name(text: str) -> tuple[str, ...]:
    """Return the parts of a name such as `PROD.HR."Odd.name"`, without quotes."""
    parts, part, quoted = [], "", False
    position = 0
    while position < len(text):
        letter = text[position]
        if letter == '"' and quoted and text[position + 1 : position + 2] == '"':
            part += letter
            position += 1
        elif letter == '"':
            quoted = not quoted
        elif letter == "." and not quoted:
            parts.append(part)
            part = ""
        else:
            part += letter
        position += 1
    return (*parts, part)
