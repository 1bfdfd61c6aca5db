"""Wrong arguments of every tool, over both transports: one sentence names the argument and the way out, and costs no role."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
from mcp import Client

from rolevend_client import Rolevend
from rolevend_client.langchain import RolevendToolkit
from tests.client.serving_mcp import Told, ask, local, served
from tests.client.speaking import Document, SpeakingServer
from tests.client.test_mcp_over_stdio import token_of

TEXT, TEXTS = "a text", "a list, in which each is a text"
KINDS = {
    **dict.fromkeys(("statement", "platform", "table", "offer", "why", "ticket", "request"), TEXT),
    **dict.fromkeys(("tables", "columns"), TEXTS),
    "minutes": "a whole number from 1 to 1440",
    "wait_seconds": "a whole number from 0 to 60",
}
WRONG: dict[str, list[Any]] = {
    TEXT: [7, True, ["secret-value"], {"secret-value": 1}],
    TEXTS: [7, [1], "secret-value", {"secret-value": 1}],
    KINDS["minutes"]: [0, 1441, -1, 10**30, 1.5, "secret-value", []],
    KINDS["wait_seconds"]: [-1, 61, "secret-value", {}],
}
INTERNALS = ("pydantic", "http", "Arguments", "validation error", "type=", "input_", "secret-value", "Traceback", "\n")


class Opens(Protocol):
    def __call__(self) -> AbstractAsyncContextManager[Client]: ...


@pytest.fixture(scope="module")
def api() -> Iterator[SpeakingServer]:
    def vend(_: Document) -> tuple[int, Document]:
        return 500, {}

    with SpeakingServer(vend) as made:
        yield made
    assert made.bodies == []


@pytest.fixture(scope="module", params=["stdio", "http"])
def opens(request: pytest.FixtureRequest, api: SpeakingServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opens]:
    folder: Path = tmp_path_factory.mktemp("mcp")
    if request.param == "http":
        with served(folder) as server:
            server.start(api.url, PLATFORM="warehouse,crm")
            yield lambda: server.client(server.token("anna"), "auto")
        return
    token = folder / "persons-token"
    token.write_text(token_of("anna"))

    @asynccontextmanager
    async def client() -> AsyncIterator[Client]:
        async with Client(local(api.url, folder, token, PLATFORM="warehouse,crm")) as opened:
            yield opened

    yield client


def said(told: Told, tool: str) -> str:
    assert told.failed
    assert not [each for each in INTERNALS if each in told.text]
    return told.text.removeprefix(f"Error executing tool {tool}: ")


async def test_a_wrong_argument_is_answered_in_one_sentence_with_the_way_out(opens: Opens):
    async with opens() as client:
        tools = {each.name: each.input_schema for each in (await client.list_tools()).tools}
        assert {name for schema in tools.values() for name in schema.get("properties", {})} == set(KINDS)
        for tool, schema in tools.items():
            names, required = list(schema.get("properties", {})), schema.get("required", [])
            whole = dict.fromkeys(required, "x")
            for name in required:
                lacking = {each: value for each, value in whole.items() if each != name}
                assert said(await ask(client, tool, **lacking), tool) == f"{name}: is missing, and must be {KINDS[name]}."
            for name in names:
                for wrong in WRONG[KINDS[name]]:
                    assert said(await ask(client, tool, **{**whole, name: wrong}), tool) == f"{name}: must be {KINDS[name]}."
            known = f"the arguments are {', '.join(names)}" if names else "the tool has none"
            assert said(await ask(client, tool, **whole, limit="secret-value"), tool) == f'there is no argument "limit": {known}.'


async def test_several_wrong_arguments_are_one_bounded_sentence(opens: Opens):
    async with opens() as client:
        both = said(await ask(client, "access_status", request=1, wait_seconds=99), "access_status")
        assert both == "request: must be a text; wait_seconds: must be a whole number from 0 to 60."
        many = {f'{number}"\u2028{"x" * 1000}': number for number in range(1000)}
        assert len(said(await ask(client, "release", **many), "release")) < 1000


def test_wrong_arguments_of_a_langchain_tool_are_answered_in_the_same_way():
    toolkit = RolevendToolkit(client=Rolevend("https://rolevend.example.org", token="own"), platform="warehouse")
    (asks,) = (each for each in toolkit.get_tools() if each.name == "request_access")
    for arguments, sentence in (
        ({}, "offer: is missing, and must be a text."),
        ({"offer": "x", "minutes": 0}, "minutes: must be a whole number from 1 to 1440."),
        ({"offer": "x", "tables": [1]}, f"tables: must be {TEXTS}."),
    ):
        message = asks.invoke({"type": "tool_call", "id": "1", "name": asks.name, "args": arguments})
        assert (message.content, message.status) == (sentence, "error")
