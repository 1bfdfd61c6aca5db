"""The procedure that ends expired roles, run by Snowflake's scheduler, independent of the operator. Pure."""

from typing import Final

from rolevend.errors import InvalidInput
from rolevend.naming import PREFIX
from rolevend.platforms.snowflake.control import OPENED
from rolevend.platforms.snowflake.names import LEASE, REAP
from rolevend.platforms.snowflake.sql import Sql, compose, literal

_BODY: Final = """
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


def reap() -> Sql:
    """Return the procedure, with caller's rights, because SHOW is limited with owner's rights."""
    body = compose(_BODY, ours=literal(PREFIX), lease=LEASE, opened=literal(OPENED))
    return compose("CREATE OR REPLACE PROCEDURE {} RETURNS INTEGER LANGUAGE SQL EXECUTE AS CALLER AS\n{}", REAP, _between_dollars(body))


def _between_dollars(body: Sql) -> Sql:
    """Quote the body with dollars, for readability."""
    if "$$" in body:
        raise InvalidInput("", "the text of a procedure cannot hold $$")
    return Sql(f"$${body}$$")
