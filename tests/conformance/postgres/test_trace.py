"""Whatever a vended role runs stands in the server's log under its name, is read back as it was sent, and cannot be kept out of it."""

import gzip
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from rolevend.app.trace import Trace, shown
from rolevend.model import RoleName
from rolevend.naming import parse_role_name
from rolevend.platforms.protocol import DropRequest, EndReason
from tests.conformance.bench import PostgresSession, lease, profile, shape, vend
from tests.support.server_log import Logging
from tests.support.waiting import PROGRAM, eventually

HIDE = (
    "SET log_statement = 'none'",
    "SET log_min_duration_statement = -1",
    "SET log_duration = off",
    "SET log_min_messages = 'panic'",
    "SET log_min_error_statement = 'panic'",
    "SET log_statement_sample_rate = 0",
    "SET log_parameter_max_length = 0",
    "SET lc_messages = 'C'",
    "SELECT set_config('log_statement', 'none', false)",
    "SET SESSION AUTHORIZATION DEFAULT; SET log_statement = 'none'",
    "SELECT pg_rotate_logfile()",
    "SELECT pg_reload_conf()",
    "ALTER SYSTEM SET log_statement = 'none'",
    "ALTER ROLE CURRENT_USER SET log_statement = 'none'",
    "LOAD 'auto_explain'",
)


def outcome(session: PostgresSession, statement: str) -> str:
    """`ok`, or the SQLSTATE."""
    try:
        session.run(statement)
    except psycopg.Error as error:
        return str(error.sqlstate)
    return "ok"


@pytest.mark.thinned(2, "long")
def test_every_statement_is_there_as_it_was_sent_in_its_order_and_none_of_anybody_else(logging: Logging, kind: str):
    sent = [
        "SELECT count(*) FROM people",
        "SELECT id,\n  email -- a comment\n  FROM people\n",
        "SELECT 'Grüße, \u4f60\u597d \u202e \t \"quoted\", ''twice'' '",
        "SELECT 1/0",
        "SELEKT 1",
        "SELECT * FROM governed.first",
        "SELECT '" + "x" * 300_000 + "'",
        "BEGIN",
        "DECLARE c CURSOR FOR SELECT id FROM people",
        "FETCH 2 FROM c",
        "COMMIT",
        "SELECT 1; SELECT 2",
        "PREPARE p (integer) AS SELECT email FROM people WHERE id = $1",
        "EXECUTE p (3)",
        "COPY people TO STDOUT",
    ]
    role, session = logging.agent()
    other, elsewhere = logging.agent()
    outcomes = []
    for statement in sent[:-1]:
        outcomes.append(outcome(session, statement))
        elsewhere.run("SELECT 'somebody else'")
    with session.connection.cursor() as cursor, pytest.raises(psycopg.Error), cursor.copy("COPY people TO STDOUT") as copied:
        list(copied)

    found = logging.told(role, len(sent), kind)

    assert [each.text for each in found] == sent
    failed = [each.error[:5] if each.error else "ok" for each in found[:-1]]
    assert failed == outcomes
    assert failed[3:6] == ["22012", "42601", "42501"]
    assert all(each.milliseconds is not None for each in found if each.error is None)
    assert {each.database for each in found} == {"traced"}
    assert len({each.session for each in found}) == 1
    assert {each.text for each in logging.told(other, len(sent) - 1, kind)} == {"SELECT 'somebody else'"}


def test_parameters_of_prepared_statements_are_there(logging: Logging, kind: str):
    role, session = logging.agent()
    query = "SELECT email FROM people WHERE region = %s AND id > %s"
    for region, least in (("EU", 0), ("O'Hara", -1), (None, 2)):
        session.connection.execute(query, [region, least], prepare=True)

    found = logging.told(role, 3, kind)

    assert {each.text for each in found} == {"SELECT email FROM people WHERE region = $1 AND id > $2"}
    assert [each.parameters for each in found] == ["$1 = 'EU', $2 = '0'", "$1 = 'O''Hara', $2 = '-1'", "$1 = NULL, $2 = '2'"]


def test_a_statement_that_looks_like_the_log_of_somebody_else_is_one_statement(logging: Logging, kind: str):
    role, session = logging.agent()
    other, _ = logging.agent()
    session.run("SELECT 'real'")
    logging.told(role, 1, kind)
    real = next(line for line in reversed(Path(logging.files(kind)[-1]).read_text().splitlines()) if role in line)
    forged = 'SELECT 1 /*\n{0}\n"\n{0}"" \x1b[2J*/'.format(real.replace(role, other))
    session.run(forged)

    _, found = logging.told(role, 2, kind)

    assert found.text == forged
    assert logging.of(other, kind) == []
    text = shown(found)
    assert "\x1b" not in text
    assert all(line.startswith("    ") for line in text.splitlines()[1:])


def test_an_agent_cannot_keep_a_statement_out_of_the_log(logging: Logging, kind: str):
    role, session = logging.agent()
    allowed = {statement for statement in HIDE if outcome(session, statement) == "ok"}
    session.run("SELECT 'still told'")

    assert allowed == set()
    found = logging.told(role, len(HIDE) + 1, kind)
    assert [each.text for each in found] == [*HIDE, "SELECT 'still told'"]


@pytest.mark.parametrize("options", ["-c log_statement=none", "-c log_min_duration_statement=-1", "-c session_preload_libraries=x"])
def test_an_agent_cannot_log_in_without_the_log(logging: Logging, options: str):
    of = profile(shape(logging.bench.people()))
    credential = vend(logging.bench.platform, of, lease(of))

    with pytest.raises(psycopg.OperationalError, match="permission denied to set parameter"):
        logging.bench.session(credential.role, credential.password.reveal(), options=options)


def test_a_statement_that_the_end_of_its_role_cut_off_is_told_with_that(logging: Logging, kind: str):
    role, session = logging.agent()
    query = "SELECT count(*) FROM generate_series(1, 1000000000000)"
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(outcome, session, query)
        watching = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND state = 'active' AND query = %s"
        eventually(lambda: logging.bench.admin.execute(watching, [role, query]).fetchone() == (1,))
        ended = DropRequest(RoleName(role), parse_role_name(role).uid, EndReason.REVOKED)
        assert logging.bench.platform.drop([ended])[0].error is None
        assert running.result() == "57P01"

    (found,) = logging.told(role, 1, kind)

    assert (found.text, (found.error or "")[:5]) == (query, "57P01")


@pytest.mark.long
@pytest.mark.thinned(2, "long")
def test_files_that_were_rotated_and_compressed_and_a_pipe_are_read_as_one(logging: Logging, kind: str, tmp_path: Path):
    role, session = logging.agent()
    session.run("SELECT 'before'")
    logging.told(role, 1, kind)
    logging.rotate()
    session.run("SELECT 'after'")
    logging.told(role, 2, kind)
    *older, newest = logging.files(kind)
    compressed = []
    for number, path in enumerate(older):
        compressed.append(str(tmp_path / f"{number}.{kind}.gz"))
        with gzip.open(compressed[-1], "wb") as file:
            file.write(Path(path).read_bytes())

    command = [sys.executable, "-m", "rolevend", "trace", role, *compressed, "-", "-o", "json"]
    with Path(newest).open("rb") as pipe:
        done = subprocess.run(command, stdin=pipe, capture_output=True, text=True, check=True, timeout=PROGRAM)

    assert [json.loads(line)["text"] for line in done.stdout.splitlines()] == ["SELECT 'before'", "SELECT 'after'"]


@pytest.mark.parametrize(
    ("settings", "timed"),
    [
        ({"log_min_duration_statement": "-1"}, False),
        ({"log_statement": "none"}, True),
        ({"log_min_duration_statement": "-1", "log_duration": "on"}, True),
    ],
    ids=["log_statement", "log_min_duration_statement", "log_duration"],
)
def test_each_setting_alone_tells_every_statement(logging: Logging, kind: str, settings: dict[str, str], timed: bool):
    with logging.set(settings):
        role, session = logging.agent()
        sent = ["SELECT 1", "SELECT 1/0", "SELEKT", "SELECT 2"]
        for statement in sent:
            outcome(session, statement)
        session.connection.execute("SELECT %s::integer", [3], prepare=True)
        session.run("SELECT 4")  # what follows tells that the one before is over

        found = logging.told(role, 6, kind)[:5]

    assert [each.text for each in found] == [*sent, "SELECT $1::integer"]
    assert [each.error is not None for each in found] == [False, True, True, False, False]
    assert [each.milliseconds is not None for each in found if each.error is None] == [timed] * 3
    assert found[-1].parameters == "$1 = '3'"


def test_without_the_settings_it_says_what_is_missing(logging: Logging, kind: str):
    with logging.set({"log_statement": "none", "log_min_duration_statement": "-1"}):
        role, session = logging.agent()
        session.run("SELECT 'unheard'")
        trace = Trace(role, logging.files(kind))

        assert list(trace) == []
    assert "docs/how-to/trace-a-role.md" in trace.notes[0]
