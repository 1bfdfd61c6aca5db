"""What a vended role runs stands in the account's own history under its name, and is told by `rolevend trace`; whose it was by `who`.

It is a model of an account: what passes here was not tried on Snowflake.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from snowflake.connector import errors as vendor

from rolevend.cli import cli
from rolevend.model import AgentHandle, RoleName, UserHandle
from rolevend.naming import role_name
from rolevend.plan import Lease
from rolevend.platforms.protocol import DropRequest, EndReason
from rolevend.platforms.snowflake.connections import administrators_session
from rolevend.platforms.snowflake.history import statements_of
from tests.conformance.bench import lease, profile, shape, vend
from tests.conformance.snowflake_bench import WAREHOUSE, SnowflakeBench, SnowflakeSession, installed
from tests.support.snowflake import StandIn
from tests.support.snowflake.using import administrators_connection

SENT = (
    'SELECT COUNT(*) FROM "people"',
    'SELECT "id",\n  "email" -- a comment\n  FROM "people"',
    "SELECT 'Grüße, \u4f60\u597d \u202e \x1b[2J \\'quoted\\''",
    "SELECT * FROM APP.GOVERNED.NOWHERE",
    "SELECT FROM FROM",
    "USE ROLE PUBLIC",
    'SELECT COUNT(*) FROM "people"',
)


@pytest.fixture(scope="module")
def account() -> Iterator[SnowflakeBench]:
    with StandIn() as snowflake, installed(snowflake) as bench:
        yield bench


@pytest.fixture
def bench(account: SnowflakeBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SnowflakeBench]:
    """With the administrator's own connection, `admin`."""
    monkeypatch.setenv("SNOWFLAKE_HOME", str(tmp_path))
    administrators_connection(account.snowflake, tmp_path, WAREHOUSE)
    yield account
    account.tidy()


def agent(bench: SnowflakeBench) -> tuple[Lease, SnowflakeSession]:
    """A role with a table `people`, logged in."""
    of = profile(shape(bench.people()))
    made = lease(of)
    made = replace(made, role=role_name(AgentHandle("AGENT"), UserHandle("USER"), made.uid))
    return made, bench.log_in(vend(bench.platform, of, made))


def send(session: SnowflakeSession, statement: str) -> str:
    """`ok`, or the number of the refusal."""
    try:
        session.run(statement)
    except vendor.Error as error:
        return f"{error.errno:06d}"
    return "ok"


def rolevend(*arguments: str) -> tuple[str, str]:
    answer = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.stdout, answer.stderr


def traced(role: RoleName, *more: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in rolevend("trace", role, "--connection", "admin", "-o", "json", *more)[0].splitlines()]


def test_every_statement_is_told_as_it_was_sent_in_its_order_and_none_of_anybody_else(bench: SnowflakeBench):
    made, session = agent(bench)
    other, elsewhere = agent(bench)
    outcomes = []
    for statement in SENT:
        outcomes.append(send(session, statement))
        elsewhere.run("SELECT 'somebody else'")

    found = traced(made.role)

    assert [each["text"] for each in found] == list(SENT)
    assert [str(each["error"])[:6] if each["error"] else "ok" for each in found] == outcomes
    assert outcomes[3:5] == ["002003", "001003"]
    assert all(each["milliseconds"] is not None and str(each["time"]).endswith(" UTC") for each in found)
    assert {json.loads(str(each["application"]))["rolevend"]["uid"] for each in found} == {made.uid}
    assert {each["text"] for each in traced(other.role)} == {"SELECT 'somebody else'"}


def test_what_people_see_steers_no_terminal_and_no_line_looks_like_another_statement(bench: SnowflakeBench):
    made, session = agent(bench)
    send(session, "SELECT 1 /*\n2026-01-01 00:00:00.000 UTC  forged \x1b[2J */")

    shown, _ = rolevend("trace", made.role, "--connection", "admin")

    first, *later = shown.splitlines()
    assert first.endswith("SELECT 1 /*")
    assert later
    assert all(line.startswith("    ") for line in later)
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    "hide",
    [
        ("ALTER SESSION SET QUERY_TAG = ''",),
        ("ALTER SESSION UNSET QUERY_TAG",),
        ("USE ROLE PUBLIC", "USE SECONDARY ROLES NONE"),
        ("ALTER USER \"{role}\" SET QUERY_TAG = 'somebody else'",),
    ],
    ids=" ".join,
)
def test_an_agent_cannot_keep_a_statement_out_of_the_history(bench: SnowflakeBench, hide: tuple[str, ...]):
    made, session = agent(bench)
    for statement in hide:
        send(session, statement.format(role=made.role))
    session.run("SELECT 'still told'")

    assert [each["text"] for each in traced(made.role)] == [*(each.format(role=made.role) for each in hide), "SELECT 'still told'"]


def test_statements_begin_while_somebody_looks_at_what_the_account_ran(bench: SnowflakeBench):
    _, session = agent(bench)
    looking = iter(bench.snowflake.account.history)
    first = next(looking)
    session.run("SELECT 'meanwhile'")

    assert "SELECT 'meanwhile'" not in [first.text, *(each.text for each in looking)]
    assert bench.snowflake.account.history[-1].text == "SELECT 'meanwhile'"


def test_a_role_that_is_gone_is_told_of_for_a_week_and_from_the_archive_for_longer_but_later(bench: SnowflakeBench):
    made, session = agent(bench)
    session.run("SELECT 1")
    assert bench.platform.drop([DropRequest(made.role, made.uid, EndReason.RELEASED)])[0].error is None

    assert [each["text"] for each in traced(made.role)] == ["SELECT 1"]
    assert traced(made.role, "--archive") == []

    for one in bench.snowflake.account.history:
        one.started, one.ended = one.started - timedelta(days=8), one.ended and one.ended - timedelta(days=8)
    told, note = rolevend("trace", made.role, "--connection", "admin")
    assert told == ""
    assert "with --archive it tells those of a year" in note
    assert [each["text"] for each in traced(made.role, "--archive")] == ["SELECT 1"]


def test_more_statements_than_one_answer_holds_are_asked_for_again(bench: SnowflakeBench):
    made, session = agent(bench)
    sent = [f"SELECT {number}" for number in range(7)]
    for statement in sent:
        session.run(statement)

    with administrators_session("admin") as asking:
        assert [each.text for each in statements_of(asking, made.role, most=3)] == sent


def test_of_a_role_that_was_granted_to_the_agents_own_user_only_what_it_ran_in_that_role(bench: SnowflakeBench):
    made, _ = agent(bench)
    vendor_session = bench.session(bench.vendor.user, bench.vendor.private_key)
    vendor_session.run(f'GRANT ROLE "{made.role}" TO ROLE RV_VENDOR')
    vendor_session.run("SELECT 'without it'")
    vendor_session.run(f'USE ROLE "{made.role}"')
    vendor_session.run("SELECT 'in it'")

    assert [each["text"] for each in traced(made.role, "--user", bench.vendor.user)] == ["SELECT 'in it'"]


def test_whose_role_it_was_and_what_ended_it_is_asked_of_the_account(bench: SnowflakeBench):
    made, _ = agent(bench)
    ask = ("who", made.role, "--offline", "--connection", "admin", "-o", "json")
    living = json.loads(rolevend(*ask)[0])
    bench.platform.drop([DropRequest(made.role, made.uid, EndReason.REVOKED)])
    gone = json.loads(rolevend(*ask)[0])

    assert living["profile"] == gone["profile"] == made.profile
    assert living["request"] == made.uid
    assert datetime.fromisoformat(living["until"]) == made.expires_at
    assert living["sources"]["until"] == "the account"
    assert "ended" not in living
    assert gone["ended"].startswith("Revoked, closed at ")
    assert living["agent"] == "handle AGENT"


def test_a_role_that_the_account_never_knew_and_a_connection_that_is_not_there_are_said(bench: SnowflakeBench):
    role = role_name(AgentHandle("AGENT"), UserHandle("USER"), lease(profile()).uid)

    facts = json.loads(rolevend("who", role, "--offline", "--connection", "admin", "-o", "json")[0])
    assert "until" not in facts
    assert traced(role) == []
    _, note = rolevend("who", role, "--offline", "--connection", "nowhere")
    assert "cannot use the connection nowhere" in note


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "name either FILEs of PostgreSQL's log, or with --connection how to ask Snowflake"),
        (("-", "--connection", "admin"), "name either FILEs of PostgreSQL's log, or with --connection how to ask Snowflake"),
        (("-", "--archive"), "--user and --archive are for Snowflake: name a --connection"),
        (("-", "--user", "x"), "--user and --archive are for Snowflake: name a --connection"),
    ],
)
def test_which_platform_is_asked_is_said_once(arguments: tuple[str, ...], told: str):
    answer = CliRunner().invoke(cli, ["trace", "IMMUTA_VENDED_FINBOT_E10442_3FXWQ4H5S8CK9RN2V6Y0ZTBDGM", *arguments])
    assert answer.exit_code == 2
    assert told in answer.stderr


def test_what_is_no_vended_role_is_not_asked_for():
    answer = CliRunner().invoke(cli, ["trace", "ACCOUNTADMIN", "--connection", "admin"])
    assert "is not the name of a vended role" in str(answer.exception)
