"""What goes wrong between the connector and the account, on purpose. It is a model of Snowflake, and not Snowflake."""

import http.client
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from snowflake.connector import errors

from tests.support.snowflake import Harm, StandIn
from tests.support.snowflake.using import Sessions, connect
from tests.support.waiting import DEADLINE, eventually


def test_several_statements_fail_half_way(sessions: Sessions, snowflake: StandIn):
    sessions.admin.run("CREATE WAREHOUSE W")
    snowflake.account.faults.refuse("GRANT ROLE", "000603", "SQL execution internal error")
    assert sessions.admin.refused("CREATE ROLE A; GRANT ROLE A TO ROLE SYSADMIN; CREATE ROLE B", num_statements=3) == 100132
    assert [row[1] for row in sessions.admin.run("SHOW ROLES") if len(row[1]) == 1] == ["A"]
    assert sessions.admin.run("SHOW GRANTS OF ROLE A") == []


def test_a_statement_that_is_said_to_have_timed_out_happened_all_the_same(sessions: Sessions, snowflake: StandIn):
    snowflake.account.faults.refuse("CREATE ROLE A", "000630", "Statement reached its statement or warehouse timeout", after=True)
    assert sessions.admin.refused("CREATE ROLE A") == 630
    assert sessions.admin.refused("CREATE ROLE A") == 2002


def test_a_table_that_too_many_wait_for_is_said_to_be_locked(sessions: Sessions, snowflake: StandIn):
    snowflake.account.faults.refuse("SELECT 1", "000625", "The number of waiters for this lock exceeds the 20 statements limit")
    assert sessions.admin.refused("SELECT 1") == 625
    assert sessions.admin.run("SELECT 1") == [(1,)]


def test_a_login_that_the_account_answers_with_a_status_is_tried_again(snowflake: StandIn):
    snowflake.account.faults.on_path(Harm.STATUS, "login-request", times=2)
    connect(snowflake, "ADMIN", snowflake.administrator).close()
    assert len(snowflake.asked("login-request")) == 3


def test_an_account_that_always_answers_with_a_status_is_given_up(sessions: Sessions, snowflake: StandIn):
    impatient = sessions.open("ADMIN", snowflake.administrator, retry_max_attempts=2)
    snowflake.account.faults.on_statement(Harm.STATUS, "SELECT 1", times=2)
    with pytest.raises(errors.Error):
        impatient.run("SELECT 1")
    assert impatient.run("SELECT 1") == [(1,)]


def test_sixteen_sessions_do_not_wait_for_each_others_way_to_the_account(sessions: Sessions, snowflake: StandIn):
    opened = [sessions.open("ADMIN", snowflake.administrator) for _ in range(16)]
    snowflake.account.faults.latency = 2.0
    begun = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(lambda session: session.run("SELECT 1"), opened)) == [[(1,)]] * 16
    assert time.monotonic() - begun < 16 * 2.0 / 2
    snowflake.account.faults.latency = 0.0  # the sessions are closed one after the other


def test_a_user_that_is_disabled_loses_what_it_runs(sessions: Sessions, snowflake: StandIn):
    session = sessions.open("U", sessions.user("U", "PUBLIC"))
    outcome: list[int] = []
    running = threading.Thread(target=lambda: outcome.append(session.refused("SELECT SYSTEM$WAIT(600)")))
    running.start()
    eventually(lambda: any(one.user == "U" and one.status == "RUNNING" for one in snowflake.account.history))
    sessions.admin.run("ALTER USER U SET DISABLED = TRUE")
    running.join(DEADLINE)
    assert outcome
    assert outcome[0] in (604, 390111)


def test_nobody_reads_the_result_of_another_users_statement(sessions: Sessions, snowflake: StandIn):
    sessions.admin.run("SELECT 41")
    query = snowflake.account.history[-1].id
    sessions.open("U", sessions.user("U", "PUBLIC"))
    assert "41" in _result(snowflake, "ADMIN", query)
    assert "not found" in _result(snowflake, "U", query)


def _result(snowflake: StandIn, user: str, query: str) -> str:
    """What a session of `user` is answered that asks for a result by its id."""
    account = snowflake.account
    session = next(one for one in account.sessions.values() if one.user == user)
    token, _ = account.tokens.issue(session, account.clock())
    connection = http.client.HTTPConnection("127.0.0.1", snowflake.port)
    try:
        connection.request("GET", f"/queries/{query}/result", headers={"Authorization": f'Snowflake Token="{token}"'})
        return connection.getresponse().read().decode()
    finally:
        connection.close()
