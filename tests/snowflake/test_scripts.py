"""Procedures and tasks of the stand-in: what ends roles while nothing of ours runs. It is a model of Snowflake, and not Snowflake."""

from datetime import UTC, datetime, timedelta

from tests.support.snowflake import StandIn
from tests.support.snowflake.using import Sessions

_REAP = """CREATE OR REPLACE PROCEDURE D.PUBLIC.REAP() RETURNS INTEGER LANGUAGE SQL EXECUTE AS CALLER AS
$$
DECLARE
  ended INTEGER DEFAULT 0;
BEGIN
  SHOW ROLES LIKE 'IMMUTA\\\\_VENDED\\\\_%';
  LET over CURSOR FOR
    SELECT "name" AS role, TRY_PARSE_JSON("comment"):rolevend:uid::VARCHAR AS uid
    FROM TABLE(RESULT_SCAN(LAST_QUERY_ID()))
    WHERE TRY_TO_TIMESTAMP_TZ(TRY_PARSE_JSON("comment"):rolevend:expires::VARCHAR) < CURRENT_TIMESTAMP();
  FOR each IN over DO
    LET role VARCHAR := each.role;
    LET uid VARCHAR := each.uid;
    INSERT INTO D.PUBLIC.ENDS (ROLE, UID) SELECT :role, :uid WHERE (SELECT COUNT(*) FROM D.PUBLIC.ENDS WHERE ROLE = :role) = 0;
    DROP USER IF EXISTS IDENTIFIER(:role);
    DROP ROLE IF EXISTS IDENTIFIER(:role);
    ended := ended + 1;
  END FOR;
  RETURN ended;
END
$$"""


def _with_reaper(sessions: Sessions) -> None:
    for statement in ("CREATE WAREHOUSE W", "CREATE DATABASE D", "CREATE TABLE D.PUBLIC.ENDS (ROLE VARCHAR, UID VARCHAR)", _REAP):
        sessions.admin.run(statement)
    sessions.admin.run("CREATE TASK D.PUBLIC.REAPER WAREHOUSE = W SCHEDULE = '5 MINUTES' AS CALL D.PUBLIC.REAP()")
    for role, expires in (("IMMUTA_VENDED_A", "2026-01-01T00:00:00+00:00"), ("IMMUTA_VENDED_B", "2999-01-01T00:00:00+00:00")):
        comment = f'{{"rolevend":{{"uid":"u-{role[-1]}","expires":"{expires}"}}}}'
        sessions.admin.run(f"CREATE ROLE {role} COMMENT = '{comment}'")
    sessions.admin.run("CREATE ROLE IMMUTAXVENDED_C COMMENT = 'of somebody else'")


def test_a_procedure_ends_what_its_mark_says_is_over(sessions: Sessions):
    _with_reaper(sessions)
    assert sessions.admin.run("CALL D.PUBLIC.REAP()") == [("1",)]
    assert sessions.admin.run("SELECT ROLE, UID FROM D.PUBLIC.ENDS") == [("IMMUTA_VENDED_A", "u-A")]
    assert [row[1] for row in sessions.admin.run("SHOW ROLES LIKE 'IMMUTA%'")] == ["IMMUTAXVENDED_C", "IMMUTA_VENDED_B"]
    assert sessions.admin.run("CALL D.PUBLIC.REAP()") == [("0",)]


def test_a_task_runs_by_the_clock_of_the_account_with_the_role_of_its_owner(sessions: Sessions, snowflake: StandIn):
    _with_reaper(sessions)
    task = snowflake.account.catalog.find("TASK", ("D", "PUBLIC", "REAPER"))
    assert task is not None
    assert task.state == "suspended"
    sessions.admin.run("ALTER TASK D.PUBLIC.REAPER RESUME")
    later = datetime(3000, 1, 1, tzinfo=UTC) + timedelta(days=1)
    snowflake.account.clock = lambda: later
    snowflake.account.run_task(task)
    assert snowflake.account.catalog.find("ROLE", ("IMMUTA_VENDED_B",)) is None
    assert snowflake.account.catalog.find("ROLE", ("IMMUTAXVENDED_C",)) is not None


def test_an_exception_is_handled_and_raised_again(sessions: Sessions):
    block = "BEGIN CREATE ROLE A; CREATE ROLE A; EXCEPTION WHEN OTHER THEN CREATE ROLE AFTERWARDS; RAISE; END"
    assert sessions.admin.refused(block) == 2002
    assert len(sessions.admin.run("SHOW ROLES LIKE 'AFTERWARDS'")) == 1
