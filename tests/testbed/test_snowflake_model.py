"""The model of Snowflake as a process: it answers Snowflake's connector, keeps its key to itself, and leaves nothing behind."""

import signal
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import snowflake.connector

from rolevend.policytools.embedded.errors import PartFailed, Unusable
from testbed.installation import checkout
from testbed.snowflake_model import CONNECTION, SnowflakeModel
from tests.support.waiting import DEADLINE


@pytest.fixture
def model(tmp_path: Path) -> Iterator[SnowflakeModel]:
    with SnowflakeModel(checkout(), tmp_path / "account", "AGENTS_WH") as started:
        yield started


def test_its_administrator_logs_in_by_a_key_and_by_the_name_of_a_connection(model: SnowflakeModel, monkeypatch: pytest.MonkeyPatch):
    with model.administrator() as administrator:
        assert administrator.cursor().execute("SELECT CURRENT_ROLE()").fetchall() == [("ACCOUNTADMIN",)]
        administrator.cursor().execute("CREATE WAREHOUSE AGENTS_WH")
    monkeypatch.setenv("SNOWFLAKE_HOME", str(model.connections))
    named = snowflake.connector.connect(connection_name=CONNECTION, enable_server_session_keep_alive_auto_detection=False)
    assert named.cursor().execute("SELECT CURRENT_ROLE(), CURRENT_WAREHOUSE()").fetchall() == [("ACCOUNTADMIN", "AGENTS_WH")]
    named.close()


def test_nobody_else_reads_its_files_and_it_does_not_print_its_key(model: SnowflakeModel):
    folder = model.connections
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()} == {0o600}
    assert "private_key" not in repr(model.place)


def test_what_ended_by_itself_is_told_and_what_is_closed_listens_no_more(tmp_path: Path):
    model = SnowflakeModel(checkout(), tmp_path / "account", "AGENTS_WH").start()
    try:
        model.check()
        model.process.send(signal.SIGTERM)
        assert model.process.wait(DEADLINE)
        with pytest.raises(PartFailed, match="the model of Snowflake ended by itself"):
            model.check()
    finally:
        model.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((model.place.host, model.place.port), timeout=5)


def test_without_duckdb_the_way_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(Unusable, match="run make setup"):
        SnowflakeModel(checkout(), tmp_path / "account", "AGENTS_WH").start()
