"""The statements that end a vended role, in the order in which nothing is left open. Pure: an ending to SQL.

Its end is written down first, and then its user is locked out: a vend that arrives later is refused, and one that is under way fails.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rolevend.model import ClusterId, RoleName
from rolevend.platforms.protocol import DropRequest
from rolevend.platforms.snowflake.names import LEASE, QUARANTINE
from rolevend.platforms.snowflake.sql import Sql, compose, literal, name

Row = Mapping[str, Any]


def drop(ending: DropRequest, cluster: ClusterId) -> tuple[Sql, ...]:
    """Of a role that is there. The answer to the first statement says what it held, for `owned`: that goes to who drops it, and from
    there to quarantine.

    Fails before anything is changed where the name belongs to another vend."""
    return (compose("SHOW GRANTS TO ROLE {}", name(ending.role)), *drop_remains(ending, cluster))


def drop_remains(ending: DropRequest, cluster: ClusterId) -> tuple[Sql, ...]:
    """Of a role that is not there: it never was, is gone already, or its vend was cut short or is under way."""
    return (close(ending, cluster), *without_warehouse(ending.role))


def without_warehouse(role: RoleName) -> tuple[Sql, ...]:
    """Disabling a user aborts what it runs; dropping it ends its sessions."""
    user = name(role)
    return (
        compose("ALTER USER IF EXISTS {} SET DISABLED = TRUE", user),
        compose("DROP USER IF EXISTS {}", user),
        compose("DROP ROLE IF EXISTS {}", user),
    )


def close(ending: DropRequest, cluster: ClusterId) -> Sql:
    """Writes its end down, once. CLUSTER is NULL, and so the row and all that follows refused, where the name belongs to another vend."""
    return compose(
        "INSERT INTO {lease} (ROLE, EVENT, CLUSTER, UID)\n"
        "SELECT {role}, {reason},\n"
        "       CASE WHEN (SELECT COUNT(*) FROM {lease} WHERE ROLE = {role} AND (CLUSTER <> {cluster} OR UID <> {uid})) = 0\n"
        "            THEN {cluster} END,\n"
        "       {uid}\n"
        " WHERE (SELECT COUNT(*) FROM {lease} WHERE ROLE = {role} AND EVENT = {reason} AND CLUSTER = {cluster} AND UID = {uid}) = 0",
        lease=LEASE,
        role=literal(ending.role),
        reason=literal(ending.reason.value),
        cluster=literal(cluster),
        uid=literal(ending.uid),
    )


def look(role: str) -> Sql:
    """The role with its owner and comment, and whatever else begins like it: see `found`."""
    return compose("SHOW ROLES STARTS WITH {}", literal(role))


def found(role: str, rows: Sequence[Row]) -> Row | None:
    return next((row for row in rows if row["name"] == role), None)


def owned(rows: Sequence[Row]) -> tuple[tuple[str, str], ...]:
    """What a role owned, of `SHOW GRANTS TO ROLE`: kind and name. A vended role can make nothing, so somebody gave it that."""
    return tuple((str(row["granted_on"]), str(row["name"])) for row in rows if row["privilege"] == "OWNERSHIP")


def quarantine(kind: str, owned_name: str) -> Sql:
    """Gives what a vended role owned to a role that nobody has. Both are as SHOW GRANTS wrote them: quoted where need be."""
    return compose("GRANT OWNERSHIP ON {} IDENTIFIER({}) TO ROLE {} COPY CURRENT GRANTS", Sql(_kind(kind)), literal(owned_name), QUARANTINE)


def _kind(shown: str) -> str:
    """Of letters and blanks alone: it comes from the account, and is no literal."""
    words = shown.replace("_", " ")
    if not words.replace(" ", "").isalpha() or not words.isascii():
        raise ValueError(f"{shown[:40]!r} is no kind of object")
    return words.upper()
