"""The real connector logs in, asks, and is answered: the wire of the stand-in. It is a model of Snowflake, and not Snowflake."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from snowflake.connector import errors

from tests.support.snowflake import Harm, KeyPair, StandIn
from tests.support.snowflake.using import Sessions, connect
from tests.support.waiting import eventually


def test_a_user_logs_in_with_its_key_and_with_no_other(snowflake: StandIn, sessions: Sessions):
    key = sessions.user("ANNA", "PUBLIC")
    assert sessions.open("ANNA", key).run("SELECT CURRENT_USER(), CURRENT_ROLE()") == [("ANNA", "PUBLIC")]
    with pytest.raises(errors.DatabaseError, match="JWT token is invalid"):
        connect(snowflake, "ANNA", KeyPair.new())


def test_a_login_with_a_role_that_the_user_does_not_have_is_refused(snowflake: StandIn, sessions: Sessions):
    key = sessions.user("ANNA", "PUBLIC")
    with pytest.raises(errors.DatabaseError, match="specified in the connect string does not exist or not authorized"):
        connect(snowflake, "ANNA", key, role="ACCOUNTADMIN")


def test_each_type_comes_back_as_what_it_is(sessions: Sessions):
    (row,) = sessions.admin.run(
        "SELECT 1, 1.50::NUMBER(10, 2), 2.5::FLOAT, 'ü', TRUE, '2026-02-03'::DATE, '2026-02-03 04:05:06'::TIMESTAMP_NTZ, "
        "'2026-02-03 04:05:06Z'::TIMESTAMP_LTZ, NULL, TO_BINARY('AB', 'HEX'), PARSE_JSON('{\"a\": [1]}')"
    )
    moment = datetime(2026, 2, 3, 4, 5, 6)  # noqa: DTZ001 - TIMESTAMP_NTZ has no zone
    assert row == (
        1,
        Decimal("1.50"),
        2.5,
        "ü",
        True,
        date(2026, 2, 3),
        moment,
        moment.replace(tzinfo=UTC),
        None,
        b"\xab",
        '{"a":[1]}',
    )


@pytest.mark.parametrize("style", ["pyformat", "qmark"])
def test_bound_values_arrive_as_they_are(sessions: Sessions, snowflake: StandIn, style: str):
    session = sessions.open("ADMIN", snowflake.administrator, paramstyle=style)
    marks = ", ".join(["%s" if style == "pyformat" else "?"] * 4)
    assert session.run(f"SELECT {marks}", "it's \\ ?", 7, None, True) == [("it's \\ ?", 7, None, True)]


def test_several_statements_are_one_request_and_each_further_result_is_one_more(sessions: Sessions, snowflake: StandIn):
    sessions.admin.run("CREATE WAREHOUSE W")
    before = len(snowflake.requests)
    with sessions.admin.connection.cursor() as cursor:
        cursor.execute("CREATE ROLE A; GRANT ROLE A TO ROLE SYSADMIN; SELECT 1", num_statements=3)
        assert [one.path.split("/")[-1] for one in snowflake.requests[before:]] == ["query-request", "result"]
        assert cursor.fetchall() == [("Role A successfully created.",)]
        assert cursor.nextset()
        assert cursor.nextset()
        assert cursor.fetchall() == [(1,)]
    assert sessions.admin.refused("SELECT 1; SELECT 2") == 8


def test_of_several_statements_the_one_that_fails_is_named_and_its_number_is_lost(sessions: Sessions):
    sessions.admin.run("CREATE WAREHOUSE W")
    sessions.admin.run("CREATE ROLE A")
    with pytest.raises(errors.ProgrammingError) as refused:
        sessions.admin.run("CREATE ROLE B;\nCREATE ROLE A COMMENT = 'there already';\nCREATE ROLE C", num_statements=3)
    assert refused.value.errno == 100132
    assert refused.value.sqlstate == "P0000"
    assert 'failed on statement "CREATE ROLE A COMMENT = \'there..." (at line 2, position 0).' in refused.value.raw_msg
    assert "Object 'A' already exists." in refused.value.raw_msg
    assert [row[1] for row in sessions.admin.run("SHOW ROLES") if len(row[1]) == 1] == ["A", "B"]


def test_of_several_statements_none_runs_where_one_is_not_understood(sessions: Sessions):
    sessions.admin.run("CREATE WAREHOUSE W")
    assert sessions.admin.refused("CREATE ROLE B; CREATE ROLE", num_statements=2) == 1003
    assert not sessions.admin.run("SHOW ROLES LIKE 'B'")


def test_several_statements_need_a_warehouse(sessions: Sessions):
    assert sessions.admin.refused("CREATE ROLE A; CREATE ROLE B", num_statements=2) == 606


def test_a_block_is_one_request_and_a_statement_that_fails_in_it_leaves_what_went_before(sessions: Sessions, snowflake: StandIn):
    before = len(snowflake.asked())
    assert sessions.admin.run("BEGIN CREATE ROLE A; CREATE ROLE B; RETURN 'both'; END") == [("both",)]
    assert len(snowflake.asked()) == before + 1
    assert sessions.admin.refused("BEGIN CREATE ROLE C; CREATE ROLE A; CREATE ROLE D; END") == 2002
    assert {"B", "C"} < {row[1] for row in sessions.admin.run("SHOW ROLES")}
    assert sessions.admin.run("SHOW ROLES LIKE 'D'") == []


def test_the_query_tag_of_the_session_stays_with_the_statement(sessions: Sessions, snowflake: StandIn):
    tagged = sessions.open("ADMIN", snowflake.administrator, session_parameters={"QUERY_TAG": "vend-1"})
    tagged.run("SELECT 41")
    tagged.run("ALTER SESSION SET QUERY_TAG = 'vend-2'")
    tagged.run("SELECT 42")
    tags = sessions.admin.run("SELECT QUERY_TEXT, QUERY_TAG FROM TABLE(INFORMATION_SCHEMA.QUERY_HISTORY()) WHERE QUERY_TAG <> ''")
    assert ("SELECT 41", "vend-1") in tags
    assert ("SELECT 42", "vend-2") in tags


def test_an_expired_session_token_is_renewed_without_a_new_login(sessions: Sessions, snowflake: StandIn):
    snowflake.account.tokens.expire()
    assert sessions.admin.run("SELECT 1") == [(1,)]
    assert len(snowflake.asked("login-request")) == 1
    assert len(snowflake.asked("token-request")) == 1


def test_a_session_whose_master_token_has_expired_is_over(sessions: Sessions, snowflake: StandIn):
    snowflake.account.tokens.expire(masters=True)
    assert sessions.admin.refused("SELECT 1") in (390112, 390114)


def test_a_token_expires_by_the_clock_of_the_account(sessions: Sessions, snowflake: StandIn):
    later = datetime.now(UTC) + timedelta(hours=2)
    snowflake.account.clock = lambda: later
    assert sessions.admin.run("SELECT CURRENT_TIMESTAMP()") == [(later,)]
    assert len(snowflake.asked("token-request")) == 1


def test_a_statement_that_runs_on_its_own_is_asked_after_and_fetched(sessions: Sessions):
    connection = sessions.admin.connection
    with connection.cursor() as cursor:
        query = cursor.execute_async("SELECT SYSTEM$WAIT(5)")["queryId"]
        assert connection.is_still_running(connection.get_query_status(query))
        cursor.get_results_from_sfqid(query)
        assert cursor.fetchall() == [("waited 5 seconds",)]


def test_a_statement_can_be_cancelled_from_another_session(sessions: Sessions, snowflake: StandIn):
    connection = sessions.admin.connection
    with connection.cursor() as cursor:
        query = cursor.execute_async("SELECT SYSTEM$WAIT(600)")["queryId"]
        other = sessions.open("ADMIN", snowflake.administrator)
        assert "terminated" in other.run(f"SELECT SYSTEM$CANCEL_QUERY('{query}')")[0][0]
        eventually(lambda: not connection.is_still_running(connection.get_query_status(query)))


def test_a_statement_that_takes_too_long_ends_by_its_timeout(sessions: Sessions):
    sessions.admin.run("ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS = 1")
    assert sessions.admin.refused("SELECT SYSTEM$WAIT(600)") == 630


@pytest.mark.parametrize("harm", [Harm.STATUS, Harm.STATUS_AFTER, Harm.LOST_BEFORE, Harm.LOST_AFTER])
def test_a_request_that_is_sent_again_is_done_once(sessions: Sessions, snowflake: StandIn, harm: Harm):
    snowflake.account.faults.on_statement(harm, "CREATE ROLE A")
    assert sessions.admin.run("CREATE ROLE A") == [("Role A successfully created.",)]
    assert [one.retried for one in snowflake.asked() if "CREATE ROLE A" in one.sql] == [False, True]


def test_what_a_client_gave_up_on_happens_all_the_same(sessions: Sessions, snowflake: StandIn):
    snowflake.account.faults.on_statement(Harm.SILENT_AFTER, "CREATE ROLE A")
    impatient = sessions.open("ADMIN", snowflake.administrator, query_timeout=1)
    impatient.refused("CREATE ROLE A")
    eventually(lambda: sessions.admin.run("SHOW ROLES LIKE 'A'"))


def test_what_the_stand_in_does_not_know_it_refuses_loudly(sessions: Sessions):
    for unknown in (
        "CREATE PIPE P AS COPY INTO T",
        "FROBNICATE",
        "SELECT FROBNICATE(1)",
        "CREATE DATABASE D CLONE E",
    ):
        assert sessions.admin.refused(unknown) == 900001


def test_connections_are_kept_alive(sessions: Sessions, snowflake: StandIn):
    """The connector's pool opens a second one if an answer's connection is not back in time for the next request."""
    before = len(snowflake.requests)  # a login that took too long is sent again, by another connection
    for number in range(20):
        sessions.admin.run(f"SELECT {number}")
    assert len(snowflake.requests) == before + 20
    assert len({one.connection for one in snowflake.requests[before:]}) < 10
