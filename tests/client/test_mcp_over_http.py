"""A real MCP server over streamable HTTP, real clients of it, a real identity provider and a real PostgreSQL: a role for each session."""

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import jwt
import pytest
from mcp import MCPError
from mcp.types import TextResourceContents

from tests.client.identity import OTHER, SERVER, Believing, provider
from tests.client.serving_mcp import Served, ask, served
from tests.client.warehouse import Warehouse, sessions
from tests.support.json_schema import validator
from tests.support.waiting import DEADLINE, eventually

WHO = "SELECT current_user AS me, id, region, ssn FROM people ORDER BY id"
CALL = {"method": "tools/call", "params": {"name": "query", "arguments": {"statement": WHO}}}
MODES = pytest.mark.parametrize("mode", ["legacy", "auto"])


@pytest.fixture(scope="module")
def provided(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("mcp")) as made:
        yield made


@pytest.fixture(scope="module")
def running(whole_warehouse: Warehouse, provided: Served) -> Served:
    provided.start(whole_warehouse.api.url, MOST_ROWS="2", MOST_SECONDS="1")
    return provided


@pytest.fixture
def believing(warehouse: Warehouse, provided: Served) -> Iterator[Believing]:
    believing = warehouse.believes = Believing(provided.issuer)
    yield believing
    warehouse.believes = str


@pytest.fixture
def server(running: Served, believing: Believing) -> Served:
    return running


def roles(warehouse: Warehouse) -> list[str]:
    """Those that the database has."""
    return [lease.role for lease in warehouse.leases.values() if warehouse.exists(lease.role)]


@MODES
async def test_two_people_at_once_each_have_a_role_and_no_row_of_the_other(warehouse: Warehouse, server: Served, mode: str):
    async def rows_of(person: str) -> set[str]:
        async with server.client(server.token(person), mode) as client:
            answers = await asyncio.gather(*(ask(client, "query", statement=WHO) for _ in range(5)))
            await ask(client, "release")
        return {answer.text for answer in answers}

    people = ["anna", "bob"] * 3 if mode == "legacy" else ["anna", "bob"]
    told = await asyncio.gather(*map(rows_of, people))

    for person, answers in zip(people, told, strict=True):
        (answer,) = answers
        mine, other = ("EU", "US") if person == "anna" else ("US", "EU")
        assert answer.count(f",{mine},") == 2
        assert f",{other}," not in answer
    assert len({next(iter(answers)).splitlines()[1].partition(",")[0] for answers in told}) == len(people)  # a role for each


async def test_the_token_that_came_never_goes_on(warehouse: Warehouse, server: Served, believing: Believing):
    token = server.token("anna")
    async with server.client(token) as client:
        await ask(client, "list_tables")
        await ask(client, "release")
        await ask(client, "list_tables")  # another role, on the same token
    sent = [body["userToken"] for body in warehouse.api.bodies]
    assert len(set(sent)) == 2
    assert token not in str(warehouse.api.bodies)
    assert [claims["act"]["sub"] for claims in believing.seen] == [SERVER, SERVER]


def test_who_brings_no_token_is_told_where_to_get_one(server: Served):
    answer = server.post(None, method="tools/list")
    assert answer.status_code == 401
    assert f'resource_metadata="{server.metadata_url}"' in answer.headers["www-authenticate"]
    metadata = httpx.get(server.metadata_url, timeout=DEADLINE).json()
    assert metadata["resource"] == server.url
    assert metadata["authorization_servers"] == [server.issuer.issuer]


def test_tokens_that_are_not_for_this_server_are_refused_and_go_nowhere(warehouse: Warehouse, server: Served, believing: Believing):
    good = server.token("anna")
    header, payload, signature = good.split(".")
    claims = jwt.decode(good, options={"verify_signature": False})
    with provider(server.url) as stranger:
        forged = stranger.tokens.tokens_of("anna", client="editor", audience=server.url).access_token
    bad = {
        "for rolevend": server.token("anna", audience="https://rolevend.example.org"),
        "for another server": server.token("anna", audience="https://elsewhere.example.org"),
        "an id token": server.issuer.tokens.tokens_of("anna", client="editor", audience=server.url).id_token,
        "of no person": server.issuer.tokens.agent_token("editor", audience=server.url),
        "of another issuer": forged,
        "without a signature": f"{header}.{payload}.",
        "altered": f"{header}.{payload}.{signature[::-1]}",
        "by none": jwt.encode(claims, None, algorithm="none", headers={"kid": jwt.get_unverified_header(good)["kid"]}),
        "by a secret": jwt.encode(claims, "x" * 32, algorithm="HS256", headers={"kid": jwt.get_unverified_header(good)["kid"]}),
        "no token": "anna",
    }
    answers = {name: server.post(token, **CALL) for name, token in bad.items()}
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(bad, 401)
    assert all("resource_metadata=" in answer.headers["www-authenticate"] for answer in answers.values())
    assert warehouse.api.bodies == []


def test_a_session_is_its_own_persons_and_clients(warehouse: Warehouse, server: Served):
    token = server.token("anna")
    session = server.session(token)
    assert ",EU," in server.post(token, session, **CALL).text
    for stranger in (server.token("bob"), server.token("anna", client=OTHER)):
        answer = server.post(stranger, session, **CALL)
        assert answer.status_code == 404
        assert "EU" not in answer.text
        assert server.delete(stranger, session).status_code == 404
    assert server.post(None, session, **CALL).status_code == 401
    assert len(roles(warehouse)) == 1

    assert ",EU," in server.post(server.token("anna"), session, **CALL).text  # hers, a newer one
    assert len(warehouse.api.bodies) == 1
    server.delete(token, session)
    assert roles(warehouse) == []


@MODES
async def test_a_call_of_a_newer_protocol_gets_no_role_of_a_session_that_it_names(warehouse: Warehouse, server: Served, mode: str):
    session = server.session(token := server.token("anna"))
    server.post(token, session, **CALL)
    async with server.client(server.token("bob"), mode) as client:
        assert ",US," in (await ask(client, "query", statement=WHO)).text
        await ask(client, "release")
    server.delete(token, session)


async def test_no_role_is_made_before_one_is_needed_and_none_outlives_its_session(warehouse: Warehouse, server: Served):
    async with server.client(server.token("anna")) as client:
        tools = await client.list_tools()
        names = ["query", "list_tables", "describe_table", "explain", "request_access", "access_status", "release"]
        assert [each.name for each in tools.tools] == names
        assert warehouse.api.bodies == []
        await ask(client, "query", statement=WHO)
        (role,) = roles(warehouse)
        assert sessions(warehouse) == 1
    assert not warehouse.exists(role)
    assert await asyncio.to_thread(eventually, lambda: sessions(warehouse) == 0)


async def test_release_ends_the_role_and_the_next_call_has_another_one(warehouse: Warehouse, server: Served):
    async with server.client(server.token("anna")) as client:
        assert (await ask(client, "release")).text == "There was no role to release."
        await ask(client, "query", statement=WHO)
        (first,) = roles(warehouse)
        assert (await ask(client, "release")).text == "The role is released."
        assert roles(warehouse) == []
        await ask(client, "query", statement=WHO)
        (second,) = roles(warehouse)
        assert first != second


async def test_a_denial_says_what_is_missing_and_explain_says_why(server: Served):
    async with server.client(server.token("eve")) as client:
        for tool, arguments in (("query", {"statement": WHO}), ("list_tables", {})):
            told = await ask(client, tool, **arguments)
            assert told.failed
            assert "NoPolicy" in told.text
            assert "table governed.people" in told.text
        told = await ask(client, "explain")
        assert not told.failed
        assert "NoPolicy" in told.text


async def test_the_model_is_told_what_the_role_reads_and_what_the_database_refuses(server: Served):
    async with server.client(server.token("bob")) as client:
        told = (await ask(client, "list_tables")).text
        assert told == (await ask(client, "describe_table", table="people")).text
        first, *comments = told.splitlines()
        assert first.startswith("people: id integer, region text (one of ")
        assert first.endswith("email text, ssn text (masked: NULL); only rows where region in (US); key id")
        assert comments == ['  comment: "Everybody who is insured"', '  comment on region: "Where they live"']
        assert "for bob through agent" in (await ask(client, "explain")).text
        for statement, code in (("SELECT * FROM pg_authid", "42501"), ("SELECT * FROM nothing", "42P01"), ("DROP TABLE people", "")):
            told = await ask(client, "query", statement=statement)
            assert (told.failed, code in told.text) == (True, True)


@MODES
async def test_programs_get_the_same_tables_as_structured_content_and_as_a_resource(server: Served, mode: str):
    async with server.client(server.token("anna"), mode) as client:
        schemas = {each.name: each.output_schema for each in (await client.list_tools()).tools}
        listed = (await client.call_tool("list_tables", {})).structured_content
        described = (await client.call_tool("describe_table", {"table": "people"})).structured_content
        (read,) = (await client.read_resource("rolevend://platforms/warehouse/tables")).contents
        (template,) = (await client.list_resource_templates()).resource_templates
        await ask(client, "release")

    assert listed is not None
    assert described is not None
    assert (listed["tables"], listed["left_out"]) == ([described], 0)
    assert isinstance(read, TextResourceContents)
    assert (json.loads(read.text), template.uri_template) == (listed, "rolevend://platforms/{platform}/tables")
    for tool, content in (("list_tables", listed), ("describe_table", described)):
        validator(schemas[tool]).validate(content)
    assert (described["name"], described["rows"], described["primary_key"]) == ("people", "region in (EU)", ["id"])
    assert described["columns"][-1] == {"name": "ssn", "type": "text", "comment": "", "mask": "NULL", "values": []}
    assert {name for name, schema in schemas.items() if schema} == {"list_tables", "describe_table"}


async def test_a_person_without_a_grant_reads_no_resource_and_no_other_platform_is_named(server: Served):
    async with server.client(server.token("eve")) as client:
        with pytest.raises(MCPError, match="NoPolicy"):
            await client.read_resource("rolevend://platforms/warehouse/tables")
    async with server.client(server.token("anna")) as client:
        with pytest.raises(MCPError, match="There is no platform lake here; name one of warehouse"):
            await client.read_resource("rolevend://platforms/lake/tables")
        missing = await ask(client, "describe_table", table="secrets")
        assert (missing.failed, "reads no table" in missing.text) == (True, True)


async def test_answers_are_bounded_in_rows_and_in_time_whatever_the_session_says(server: Served):
    async with server.client(server.token("anna")) as client:
        told = await ask(client, "query", statement="SELECT n FROM generate_series(1, 1000000) AS n")
        assert told.text.splitlines() == ["n", "1", "2", told.text.splitlines()[-1]]
        assert "left out" in told.text
        await ask(client, "query", statement="SET statement_timeout = 0")
        began = time.monotonic()
        told = await ask(client, "query", statement="SELECT pg_sleep(60)")
        assert time.monotonic() - began < 50
        assert told.failed
        assert "It took too long" in told.text
        assert ",EU," in (await ask(client, "query", statement=WHO)).text


def test_a_server_without_clients_of_assertions_is_no_authorization_server(server: Served):
    here = server.url.removesuffix("/mcp")
    assert httpx.post(f"{here}/token").status_code == 404
    assert httpx.get(f"{here}/.well-known/oauth-authorization-server").status_code == 404
    assert httpx.get(server.metadata_url).json()["authorization_servers"] == [server.issuer.issuer]


async def test_keys_of_the_provider_may_change_while_it_serves(server: Served):
    server.issuer.rotate()
    token = server.token("anna")
    assert await asyncio.to_thread(eventually, lambda: server.post(token, method="initialize", params={}).status_code != 401)


@pytest.fixture
def another(warehouse: Warehouse, tmp_path: Path) -> Iterator[Served]:
    """A server of the test's own, which it starts itself."""
    with served(tmp_path) as made:
        warehouse.believes = Believing(made.issuer)
        yield made
        warehouse.believes = str


@pytest.mark.long
async def test_a_role_that_nobody_uses_is_released(warehouse: Warehouse, another: Served):
    another.start(warehouse.api.url, IDLE_SECONDS="1")
    for mode in ("legacy", "auto"):
        async with another.client(another.token("anna"), mode) as client:
            await ask(client, "query", statement=WHO)
            assert await asyncio.to_thread(eventually, lambda: roles(warehouse) == [])
            assert ",EU," in (await ask(client, "query", statement=WHO)).text
    assert await asyncio.to_thread(eventually, lambda: roles(warehouse) == [])
    assert len(warehouse.api.bodies) == 4


def test_a_server_that_is_told_to_stop_leaves_no_role(warehouse: Warehouse, another: Served):
    another.start(warehouse.api.url)
    for person in ("anna", "bob"):
        token = another.token(person)
        another.post(token, another.session(token), **CALL)
    assert len(roles(warehouse)) == 2
    another.process.send(signal.SIGTERM)
    assert another.process.wait(DEADLINE)
    assert roles(warehouse) == []
