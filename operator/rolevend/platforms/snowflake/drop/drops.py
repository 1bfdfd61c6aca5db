"""Statements that end a vended role, in a safe order, and the procedure that ends expired roles without the operator. Pure.

The end is recorded first, then the user is locked out: a later vend is refused, and a concurrent one fails.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rolevend.errors import InvalidInput
from rolevend.model import ClusterId, RoleName
from rolevend.naming import PREFIX
from rolevend.platforms.protocol import DropRequest
from rolevend.platforms.snowflake.control import OPENED
from rolevend.platforms.snowflake.names import LEASE, QUARANTINE, REAP
from rolevend.platforms.snowflake.sql import Sql, compose, literal, name

Row = Mapping[str, Any]
_REAP_BODY: Final = """
DECLARE
  ended INTEGER DEFAULT 0;
BEGIN
  SHOW ROLES STARTS WITH {ours};
  LET over CURSOR FOR
    SELECT "name" AS role, TRY_PARSE_JSON("comment"):rolevend:cluster::VARCHAR AS cluster,
           TRY_PARSE_JSON("comment"):rolevend:uid::VARCHAR AS uid
    FROM TABLE(RESULT_SCAN(LAST_QUERY_ID()))
    WHERE TRY_TO_TIMESTAMP_TZ(TRY_PARSE_JSON("comment"):rolevend:expires::VARCHAR) < CURRENT_TIMESTAMP();
  FOR each IN over DO
    LET role VARCHAR := each.role;
    LET cluster VARCHAR := each.cluster;
    LET uid VARCHAR := each.uid;
    INSERT INTO {lease} (ROLE, EVENT, CLUSTER, UID)
      SELECT :role, 'Expired', :cluster, :uid
      WHERE (SELECT COUNT(*) FROM {lease} WHERE ROLE = :role AND EVENT <> {opened}) = 0;
    ALTER USER IF EXISTS IDENTIFIER(:role) SET DISABLED = TRUE;
    DROP USER IF EXISTS IDENTIFIER(:role);
    DROP ROLE IF EXISTS IDENTIFIER(:role);
    ended := ended + 1;
  END FOR;
  DELETE FROM {lease}
    WHERE ROLE IN (SELECT ROLE FROM {lease} WHERE EVENT <> {opened} AND RECORDED_AT < DATEADD(DAY, -7, CURRENT_TIMESTAMP()));
  RETURN ended;
END
"""
"""In the order of `drops.drop`; names of vended roles need no quotes. Then, in one statement, delete rows of roles that ended a week ago.
"""


def drop(ending: DropRequest, cluster: ClusterId) -> tuple[Sql, ...]:
    """Return the statements for an existing role. The rows of the first one list its grants, for `owned`: owned objects go to the dropping
    role, and then to quarantine.

    Fails before any change if the name belongs to another vend.
    """
    return (compose("SHOW GRANTS TO ROLE {}", name(ending.role)), *drop_remains(ending, cluster))


def drop_remains(ending: DropRequest, cluster: ClusterId) -> tuple[Sql, ...]:
    """Return the statements for a missing role: it never existed, is dropped already, or its vend was interrupted or is running."""
    return (close(ending, cluster), *without_warehouse(ending.role))


def without_warehouse(role: RoleName) -> tuple[Sql, ...]:
    """Return the statements that need no warehouse. Disabling a user aborts its statements; dropping it ends its sessions."""
    user = name(role)
    return (
        compose("ALTER USER IF EXISTS {} SET DISABLED = TRUE", user),
        compose("DROP USER IF EXISTS {}", user),
        compose("DROP ROLE IF EXISTS {}", user),
    )


def close(ending: DropRequest, cluster: ClusterId) -> Sql:
    """Return the statement that records the end once. If the name belongs to another vend, CLUSTER is NULL, so that the row and the
    following statements fail.
    """
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
    """Return the statement that shows the role, and others with this prefix: see `found`."""
    return compose("SHOW ROLES STARTS WITH {}", literal(role))


def found(role: str, rows: Sequence[Row]) -> Row | None:
    return next((row for row in rows if row["name"] == role), None)


def owned(rows: Sequence[Row]) -> tuple[tuple[str, str], ...]:
    """Return kind and name of objects that a role owned, from `SHOW GRANTS TO ROLE`. A vended role cannot create objects, so another
    account transferred them.
    """
    return tuple((str(row["granted_on"]), str(row["name"])) for row in rows if row["privilege"] == "OWNERSHIP")


def quarantine(kind: str, owned_name: str) -> Sql:
    """Return the statement that transfers an owned object to a role without members. Both texts are from SHOW GRANTS."""
    return compose("GRANT OWNERSHIP ON {} IDENTIFIER({}) TO ROLE {} COPY CURRENT GRANTS", Sql(_kind(kind)), literal(owned_name), QUARANTINE)


def _kind(shown: str) -> str:
    """Return the kind, letters and blanks only, because it comes from the account and is not a literal."""
    words = shown.replace("_", " ")
    if not words.replace(" ", "").isalpha() or not words.isascii():
        raise ValueError(f"{shown[:40]!r} is no kind of object")
    return words.upper()


def reap() -> Sql:
    """Return the procedure, with caller's rights, because SHOW is limited with owner's rights."""
    body = compose(_REAP_BODY, ours=literal(PREFIX), lease=LEASE, opened=literal(OPENED))
    return compose("CREATE OR REPLACE PROCEDURE {} RETURNS INTEGER LANGUAGE SQL EXECUTE AS CALLER AS\n{}", REAP, _between_dollars(body))


def _between_dollars(body: Sql) -> Sql:
    """Quote the body with dollars, for readability."""
    if "$$" in body:
        raise InvalidInput("", "the text of a procedure cannot hold $$")
    return Sql(f"$${body}$$")
