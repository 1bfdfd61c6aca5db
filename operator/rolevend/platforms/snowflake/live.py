"""Read the vended roles, by name and by the mark in their comment. Needs no warehouse."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from rolevend.model import ClusterId, RoleName
from rolevend.naming import PREFIX
from rolevend.platforms.protocol import EndedRole, EndReason, LimitAction, LimitViolation, LiveRole
from rolevend.platforms.snowflake.catalog import MOST_SHOWN
from rolevend.platforms.snowflake.connections import Row, SnowflakeSession
from rolevend.platforms.snowflake.names import LEASE, OwnershipTag, mark_of
from rolevend.platforms.snowflake.sql import Sql, compose, literal, name, number

_NOW: Final = Sql("SELECT CURRENT_TIMESTAMP() AS now")
_GRACE: Final = timedelta(seconds=1)


def live_roles(session: SnowflakeSession, cluster: ClusterId) -> Sequence[LiveRole]:
    """Return the roles of this cluster, and users whose role is already dropped: both must be dropped. A role with a disabled user counts
    as closed.
    """
    users = {str(row["name"]): row for row in shown_vended(session, Sql("USERS"))}
    roles = {str(row["name"]): row for row in shown_vended(session, Sql("ROLES"))}
    found = ((role, mark_of((roles.get(role) or users[role]).get("comment"))) for role in sorted(roles.keys() | users.keys()))
    return [
        LiveRole(RoleName(role), mark.uid, mark.expires_at, closed=role in users and _is_disabled(users[role]))
        for role, mark in found
        if mark is not None and mark.cluster == cluster
    ]


def curb_expired(session: SnowflakeSession, cluster: ClusterId) -> Sequence[LimitViolation]:
    """Lock out each user whose lease expired more than a second ago, which aborts its statements. By Snowflake's clock."""
    enabled = [(row, mark) for row in shown_vended(session, Sql("USERS")) if not _is_disabled(row) and (mark := _ours(row, cluster))]
    if not enabled:
        return ()
    now: datetime = session.rows(_NOW)[0]["now"]
    over = [(RoleName(str(row["name"])), mark) for row, mark in enabled if mark.expires_at + _GRACE < now]
    for role, _ in over:
        session.rows(compose("ALTER USER IF EXISTS {} SET DISABLED = TRUE", name(role)))
    return [
        LimitViolation(role, mark.uid, LimitAction.EXPIRED, f"its lease is over since {(now - mark.expires_at).total_seconds():.0f} s")
        for role, mark in over
    ]


def ended_roles(session: SnowflakeSession, cluster: ClusterId, reason: EndReason) -> Sequence[EndedRole]:
    """Return the roles that ended within the last day: the end is recorded and the role does not exist."""
    rows = session.rows(
        compose(
            "SELECT ROLE, UID, RECORDED_AT FROM {} WHERE CLUSTER = {} AND EVENT = {}\n"
            "   AND RECORDED_AT > DATEADD(DAY, -1, CURRENT_TIMESTAMP())",
            *(LEASE, literal(cluster), literal(reason.value)),
        )
    )
    there = {role.role for role in live_roles(session, cluster)} if rows else set()
    return [
        EndedRole(RoleName(row["role"]), row["uid"], row["recorded_at"], row["recorded_at"]) for row in rows if row["role"] not in there
    ]


def shown_vended(session: SnowflakeSession, what: Sql) -> Iterator[Row]:
    """Yield all rows of `what` with a vended role's name, in pages of ten thousand, the maximum of SHOW."""
    after = Sql("")
    while True:
        rows = session.rows(compose("SHOW {} STARTS WITH {}{}", what, literal(PREFIX), after))
        yield from rows
        if len(rows) < MOST_SHOWN:
            return
        after = compose(" LIMIT {} FROM {}", number(MOST_SHOWN), literal(str(rows[-1]["name"])))


def _ours(row: Row, cluster: ClusterId) -> OwnershipTag | None:
    mark = mark_of(row.get("comment"))
    return mark if mark is not None and mark.cluster == cluster else None


def _is_disabled(row: Row) -> bool:
    return str(row.get("disabled", "")).lower() == "true"
