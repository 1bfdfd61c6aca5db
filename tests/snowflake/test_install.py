"""The script of an installation, run by an administrator's own connection, twice, on the stand-in."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from rolevend.app import snowflake_account
from rolevend.catalog import TableId
from rolevend.cli import cli
from rolevend.errors import Conflict
from rolevend.kinds import DataPlatform, parse, values
from rolevend.kinds.catalog_file import parse_catalog
from rolevend.model import ClusterId
from rolevend.platforms.protocol import Account, Secret
from rolevend.platforms.snowflake import SnowflakeLogin, SnowflakePlatform
from rolevend.platforms.snowflake.install.installation import VERSION
from tests.conformance.snowflake_bench import connected
from tests.support.manifests import MISSING, changed, on_snowflake
from tests.support.snowflake import StandIn
from tests.support.snowflake.using import administrators_connection

AGENTS_TOOLS = {
    "warehouses": ["EXTRA_WH"],
    "semanticViews": [{"schema": "SEM", "name": "ORDERS"}],
    "procedures": [{"schema": "SEM", "name": "AS_OWNER", "arguments": ""}],
}


@pytest.fixture
def manifest(snowflake: StandIn) -> DataPlatform:
    where = {"account": snowflake.account.name, "host": "127.0.0.1", "port": snowflake.port, "protocol": "HTTP"}
    spelled = {**where, "database": "SALES", "warehouse": "agents wh"}
    written = on_snowflake(spelled)
    admin = connected(snowflake, "ADMIN", snowflake.administrator.private, role="ACCOUNTADMIN")
    schemas = [schema for domain in written["spec"]["domains"] for schema in domain["schemas"]]
    own = ["tools"]
    for statement in (
        'CREATE WAREHOUSE "agents wh"',
        "CREATE DATABASE SALES",
        *(f'CREATE SCHEMA SALES."{each}"' for each in (*schemas, *own)),
    ):
        admin.cursor().execute(statement)
    admin.close()
    return parse(DataPlatform, changed(written, "spec.agents", MISSING))


@pytest.fixture
def connection(snowflake: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SNOWFLAKE_HOME", str(tmp_path))
    return administrators_connection(snowflake, tmp_path, "agents wh")


@pytest.mark.long
def test_an_installation_by_a_connection_is_what_the_operator_logs_in_to_and_may_run_again(
    snowflake: StandIn, manifest: DataPlatform, connection: str
):
    _, digest = snowflake_account.plan(manifest)
    for _ in range(2):
        prepared = snowflake_account.prepare(manifest, digest, "rolevend-system")
        snowflake_account.apply(prepared, connection)

    programmer, vendor = (each["stringData"] for each in yaml.safe_load_all(prepared.secrets))
    account = Account(snowflake.account.name, "127.0.0.1", snowflake.port, "SALES", "agents wh", encrypted=False)
    logins = [SnowflakeLogin(each["username"], Secret(each["private_key"])) for each in (vendor, programmer)]
    driver = SnowflakePlatform(account, ClusterId("c"), *logins)
    try:
        assert driver.facts().limitations == ()
        assert driver.catalog(frozenset(manifest.spec.domains[0].schemas)).tables == {}
        assert driver.catalog(frozenset({"a schema that vanished"})).tables == {}
    finally:
        driver.close()


def test_a_newer_installation_is_neither_replaced_nor_removed(snowflake: StandIn, manifest: DataPlatform, connection: str):
    prepared = snowflake_account.prepare(manifest, snowflake_account.plan(manifest)[1], "rolevend-system")
    snowflake_account.apply(prepared, connection)
    admin = connected(snowflake, "ADMIN", snowflake.administrator.private, role="ACCOUNTADMIN")
    admin.cursor().execute(f"ALTER DATABASE ROLEVEND SET COMMENT = 'rolevend {VERSION + 1}: more'")
    admin.close()

    for attempt in (
        lambda: snowflake_account.apply(prepared, connection),
        lambda: snowflake_account.plan_uninstall(manifest, connection),
        lambda: snowflake_account.uninstall(manifest, connection, "0" * 64),
    ):
        with pytest.raises(Conflict, match=f"version {VERSION + 1} of rolevend's script was run .* knows {VERSION}: use a newer rolevend"):
            attempt()


def test_the_catalog_that_an_administrator_writes_is_what_the_programmer_sees(snowflake: StandIn, manifest: DataPlatform, connection: str):
    schema = sorted(manifest.spec.domains[0].schemas)[0]
    manifest = parse(DataPlatform, on_snowflake(manifest.spec.snowflake.model_dump(exclude_none=True), {"snowflake": AGENTS_TOOLS}))
    admin = connected(snowflake, "ADMIN", snowflake.administrator.private, role="ACCOUNTADMIN", warehouse='"agents wh"')
    for statement in (
        f'CREATE TABLE SALES."{schema}".ORDERS (ID NUMBER(38,0), COUNTRY VARCHAR(2))',
        f'CREATE TABLE SALES."{schema}".TAKEN (ID NUMBER(38,0))',
        f'CREATE ROW ACCESS POLICY SALES."{schema}".THEIRS AS (ID NUMBER) RETURNS BOOLEAN -> TRUE',
        f'ALTER TABLE SALES."{schema}".TAKEN ADD ROW ACCESS POLICY SALES."{schema}".THEIRS ON (ID)',
        "CREATE WAREHOUSE EXTRA_WH",
        'USE WAREHOUSE "agents wh"',
        "CREATE SCHEMA SALES.SEM",
        f'CREATE SEMANTIC VIEW SALES.SEM.ORDERS TABLES (SALES."{schema}".ORDERS) METRICS (ORDERS.N AS COUNT(*))',
        "CREATE PROCEDURE SALES.SEM.AS_OWNER() RETURNS NUMBER LANGUAGE SQL AS 'BEGIN RETURN 1; END'",
    ):
        admin.cursor().execute(statement)
    prepared = snowflake_account.prepare(manifest, snowflake_account.plan(manifest)[1], "rolevend-system")
    snowflake_account.apply(prepared, connection)

    text, tables = snowflake_account.catalog(manifest, connection, as_json=False)

    platform, written = parse_catalog(yaml.safe_load(text))
    programmer, vendor = (each["stringData"] for each in yaml.safe_load_all(prepared.secrets))
    account = Account(snowflake.account.name, "127.0.0.1", snowflake.port, "SALES", "agents wh", encrypted=False)
    driver = SnowflakePlatform(
        account, ClusterId("c"), *(SnowflakeLogin(each["username"], Secret(each["private_key"])) for each in (vendor, programmer))
    )
    try:
        assert written == driver.catalog(values.governed(manifest), tools=values.objects(manifest))
    finally:
        driver.close()
        admin.close()
    assert (platform, tables) == (manifest.name, 2)
    assert "THEIRS" in written.tables[TableId(schema, "TAKEN")].obstacle
    owners, orders, extra = written.tools
    assert "acts with the rights of its owner" in owners.obstacle
    assert (orders.reads, orders.obstacle, extra.obstacle) == ((TableId(schema, "ORDERS"),), "", "")


def test_the_catalog_of_an_account_takes_a_connection(manifest: DataPlatform, tmp_path: Path):
    file = tmp_path / "platform.yaml"
    file.write_text(manifest.model_dump_json(by_alias=True, exclude_none=True, exclude={"status"}))

    done = CliRunner().invoke(cli, ["platform", "catalog", "-f", str(file)])

    assert done.exit_code == 2
    assert "Missing option '--connection'" in done.output


def test_another_script_than_the_one_that_was_read_is_not_run(manifest: DataPlatform):
    with pytest.raises(Conflict, match="read the new plan"):
        snowflake_account.prepare(manifest, "0" * 64, "rolevend-system")
