"""The clients of docs/reference/clients.md, each with a role's own login: they list its tables, and read its rows and no others."""

import subprocess
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from rolevend.policytools.embedded.postgres_programs import postgres_programs
from tests.clients_matrix.conftest import Reader
from tests.clients_matrix.programs import Clients

ROWS = [[0, "EU", None], [1, "EU", None]]
REFUSED = "permission denied for schema"
Answer = dict[str, Any]


def expect(answer: Answer, *, pool: int | None = None, more: Answer | None = None) -> None:
    assert answer["tables"] == ["people"]
    assert answer["rows"] == ROWS
    assert len(answer["refusals"]) == 2
    assert all(REFUSED in text for text in answer["refusals"])
    assert answer.get("pool") == pool
    assert set(answer.get("counts", [len(ROWS)])) == {len(ROWS)}, "every query of the whole pool reads these rows"
    assert answer.get("more") == more


def test_psql_describes_the_views_and_no_hidden_table(reader: Reader, tmp_path):
    def said(command: str) -> tuple[int, str]:
        psql = postgres_programs(17, None, tmp_path) / "psql"
        done = subprocess.run([psql, "-XwAt", reader.uri, "-c", command], capture_output=True, text=True)
        return done.returncode, (done.stdout + done.stderr).strip()

    status, views = said(r"\dv")
    assert (status, [line.split("|")[:3] for line in views.splitlines()]) == (0, [[reader.schema, "people", "view"]])
    assert said(r"\dt")[1] == "Did not find any relations."
    assert said(r"\d people")[1].splitlines()[0] == "id|integer|||"
    assert said("SELECT id, region, ssn FROM people ORDER BY id") == (0, "0|EU|\n1|EU|")
    for table in reader.hidden:
        status, error = said(f"SELECT * FROM {table}")
        assert status == 1
        assert REFUSED in error


def test_sqlalchemy_reflects_views_and_fills_its_pool(clients: Clients):
    expect(
        clients.python("use_sqlalchemy"),
        pool=15,
        more={
            "tables without views": [],
            "schema": clients.login["ROLE_SCHEMA"],
            "columns": ["id", "region", "email", "ssn"],
            "reflected": [0, 1],
            "psycopg2": 2,
        },
    )


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "pool", "more"),
    [
        ("use_asyncpg", 10, None),
        ("use_duckdb", None, None),
        ("use_pandas", None, {"adbc": ["EU", "EU"]}),
        ("use_polars", None, {"arrow": ["EU", "EU"]}),
    ],
)
def test_of_python_read_the_rows_of_the_role(clients: Clients, name: str, pool: int | None, more: Answer | None):
    expect(clients.python(name), pool=pool, more=more)


@pytest.mark.long
def test_langchain_lists_views_with_view_support_alone(clients: Clients):
    more = {"without view_support": [], "schema tool": True, "query tool": "[(1,)]"}
    expect(clients.python("use_langchain"), more=more)


@pytest.mark.long
def test_dbt_shows_models_and_builds_none(clients: Clients):
    answer = clients.python("use_dbt")

    assert REFUSED in answer["more"].pop("run")
    expect(answer, more={})


@pytest.mark.long
def test_pgjdbc_reads_with_a_pool_of_hikaricp(clients: Clients):
    expect(clients.python("use_jdbc"), pool=10)


def test_node_pg_fills_its_pool(clients: Clients):
    expect(clients.node("use_pg"), pool=10)


@pytest.mark.long
@pytest.mark.parametrize(("driver", "pool"), [("pgx", None), ("pq", 16)])
def test_of_go_read_the_rows_of_the_role(clients: Clients, driver: str, pool: int | None):
    answer = clients.go(driver)

    assert answer["pool"] >= 4
    expect(answer, pool=pool or answer["pool"])


@pytest.mark.long
async def test_the_mcp_server_for_postgresql_queries_and_lists_no_view(clients: Clients):
    program = clients.folder / "node_modules" / "@modelcontextprotocol" / "server-postgres" / "dist" / "index.js"
    server = StdioServerParameters(command=str(clients.node_program), args=[str(program), clients.login["ROLE_URI"]])

    async with Client(server, mode="legacy") as client:
        resources = await client.list_resources()
        read = await client.call_tool("query", {"sql": "SELECT id, region, ssn FROM people ORDER BY id"})

    assert resources.resources == []
    assert '"region": "EU"' in read.content[0].text
