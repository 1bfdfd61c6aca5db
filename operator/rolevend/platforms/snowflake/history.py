"""Read Snowflake's record of a vended role: its statements and its lease. With a person's own login.

Statements are found by user: a session can change its QUERY_TAG, but not its user.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from rolevend.model import ProfileName, RoleName, Uid
from rolevend.platforms.snowflake.connections import Row, SnowflakeSession
from rolevend.platforms.snowflake.control import OPENED
from rolevend.platforms.snowflake.names import DATABASE, LEASE
from rolevend.platforms.snowflake.sql import Sql, compose, identifier, literal, number
from rolevend.platforms.statement import Statement

MOST_STATEMENTS: Final = 10_000
"""The maximum number of statements of one call of QUERY_HISTORY_BY_USER, which returns the newest."""

_COLUMNS: Final = Sql(
    "QUERY_ID, QUERY_TEXT, DATABASE_NAME, SESSION_ID, QUERY_TAG, EXECUTION_STATUS, ERROR_CODE, ERROR_MESSAGE,\n"
    "       START_TIME, END_TIME, TOTAL_ELAPSED_TIME"
)
_NOT_OVER: Final = frozenset({"RUNNING", "QUEUED", "BLOCKED", "RESUMING_WAREHOUSE"})


@dataclass(frozen=True, slots=True)
class Remembered:
    """A lease, live or ended."""

    uid: Uid
    profile: ProfileName | None
    """None if it was never vended, or ended before."""
    issued_at: datetime | None
    expires_at: datetime | None
    closed_at: datetime | None
    reason: str | None
    """The reason of the end."""


def statements_of(session: SnowflakeSession, role: RoleName, *, user: str | None = None, most: int = MOST_STATEMENTS) -> list[Statement]:
    """Return the role's statements of the last seven days, oldest first. `user` is its user, if that is not of the role's name.

    Snowflake returns `most` at a time, so the call is repeated for earlier ones.
    """
    rows: dict[str, Row] = {}
    before: datetime | None = None
    while True:
        page = session.rows(recent(role, user, before=before, most=most))
        fresh = {row["query_id"]: row for row in page if row["query_id"] not in rows}
        rows |= fresh
        ended = [row["end_time"] for row in page if _is_over(row)]
        if len(page) < most or not fresh or not ended:
            return _in_order(rows.values())
        before = min(ended)


def archived_statements_of(session: SnowflakeSession, role: RoleName, *, user: str | None = None) -> list[Statement]:
    """Return the role's statements of the last year, oldest first, except the last 45 minutes."""
    return _in_order(session.rows(archived(role, user)))


def recent(role: RoleName, user: str | None, *, before: datetime | None, most: int) -> Sql:
    """Select statements, including those that a client sends by itself. Without `before` running ones are included."""
    until = Sql("") if before is None else compose(", END_TIME_RANGE_END => TO_TIMESTAMP_LTZ({})", literal(before.isoformat()))
    return compose(
        "SELECT {columns}\n"
        "  FROM TABLE({database}.INFORMATION_SCHEMA.QUERY_HISTORY_BY_USER(USER_NAME => {user},\n"
        "       INCLUDE_CLIENT_GENERATED_STATEMENT => TRUE, RESULT_LIMIT => {most}{until})){of_role}",
        columns=_COLUMNS,
        database=DATABASE,
        user=literal(identifier(user or role)),
        most=number(most),
        until=until,
        of_role=Sql("") if user is None else compose("\n WHERE ROLE_NAME = {}", literal(role)),
    )


def archived(role: RoleName, user: str | None) -> Sql:
    return compose(
        "SELECT {columns}\n  FROM SNOWFLAKE.ACCOUNT_USAGE.QUERY_HISTORY\n WHERE USER_NAME = {user}{of_role}",
        columns=_COLUMNS,
        user=literal(user or role),
        of_role=Sql("") if user is None else compose(" AND ROLE_NAME = {}", literal(role)),
    )


def lease_of_role(session: SnowflakeSession, role: RoleName) -> Remembered | None:
    """Return the lease, or None if there is no record: rows are kept for a week after the end."""
    rows = session.rows(compose("SELECT EVENT, UID, PROFILE, RECORDED_AT, EXPIRES_AT FROM {} WHERE ROLE = {}", LEASE, literal(role)))
    if not rows:
        return None
    opened = sorted((row for row in rows if row["event"] == OPENED), key=lambda row: row["recorded_at"])
    ended = sorted((row for row in rows if row["event"] != OPENED), key=lambda row: row["recorded_at"])
    first = opened[0] if opened else {}
    return Remembered(
        uid=Uid(rows[0]["uid"]),
        profile=ProfileName(str(first["profile"]).lower()) if first else None,
        issued_at=first.get("recorded_at"),
        expires_at=min((row["expires_at"] for row in opened), default=None),
        closed_at=ended[0]["recorded_at"] if ended else None,
        reason=ended[0]["event"] if ended else None,
    )


def _in_order(rows: Iterable[Row]) -> list[Statement]:
    return [_statement(row) for row in sorted(rows, key=lambda row: (row["start_time"], row["query_id"]))]


def _statement(row: Row) -> Statement:
    return Statement(
        time=row["start_time"].astimezone(UTC).isoformat(sep=" ", timespec="milliseconds").replace("+00:00", " UTC"),
        database=row["database_name"] or "",
        session=str(row["session_id"]),
        client="",
        application=row["query_tag"] or "",
        text=row["query_text"],
        milliseconds=float(row["total_elapsed_time"]) if _is_over(row) else None,
        error=f"{int(row['error_code']):06d} {row['error_message']}" if row["error_code"] else None,
    )


def _is_over(row: Row) -> bool:
    return row["end_time"] is not None and str(row["execution_status"]).upper() not in _NOT_OVER
