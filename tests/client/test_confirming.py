"""The person confirms a request on rolevend's own page: real clients of MCP, with and without URL elicitation."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from mcp import Client
from mcp.server.mcpserver import MCPServer
from mcp.types import ElicitRequestURLParams, ElicitResult

from rolevend_client.access_messages import declined
from rolevend_client.async_exchange import Person
from rolevend_client.langchain import RolevendToolkit, UserToken, sql_agent
from rolevend_client.mcp.serving import ClientAccess
from rolevend_client.mcp.sessions import Conversations, Key
from rolevend_client.mcp.settings import Wanted
from rolevend_client.mcp.tools import Caller, add_tools
from rolevend_client.sessions import Bounds
from rolevend_client.values import AccessRequest
from rolevend_client.values import UserToken as Token
from tests.client.answers import OFFER, Api, problem, requested
from tests.client.scripted import DONE, Scripted, calls, told
from tests.client.serving_mcp import Told, ask

NAME = str(OFFER["name"])
URL = "https://access.example.org/confirm/agents/ar-3f7k2m/key"
CONFIRM = {"url": URL, "expiresAt": "2026-11-24T14:15:00Z"}
AS_TEXT = (
    f"Request ar-3f7k2m for offer {NAME} waits until the person confirms it on this page: {URL} Show the person this link; do not open it, "
    "and do not change it. Then call access_status with request ar-3f7k2m; a wait that ends without an answer is no error. Do not ask "
    "again meanwhile."
)
QUESTION = (
    f"The agent asks for offer {NAME} (SSNs of open claims in clear, for fraud review). Confirm or refuse it on rolevend's own page, which "
    "shows what it would read."
)
MODES = pytest.mark.parametrize("mode", ["auto", "legacy"])
"""The newest protocol, 2026-07-28, and the newest with sessions, 2025-11-25."""

People = Callable[[ElicitRequestURLParams], str]


def to_confirm(status: int = 200) -> httpx.Response:
    return requested(status=status, reason="UserConfirms", message="the user confirms it", confirm=CONFIRM)


@asynccontextmanager
async def client(api: Api, mode: str, people: People | None) -> AsyncIterator[Client]:
    """A client whose person answers a question as `people` says; None: a client that can ask nobody."""

    async def proof() -> Token:
        return Token("token")

    async def answered(_: Any, question: Any) -> ElicitResult:
        assert people is not None
        return ElicitResult(action=people(question))

    server: MCPServer[Any] = MCPServer("rolevend")
    settings = Wanted(("warehouse",), allow_partial=False, purpose=None, bounds=Bounds(10, 1000))
    async with Conversations(ClientAccess(api.async_client(), settings), idle_seconds=None) as conversations:
        add_tools(server, conversations, lambda _: Caller(Key(Person("https://idp", "anna"), "editor", None), proof), settings)
        async with Client(server, mode=mode, elicitation_callback=None if people is None else answered) as client:
            yield client


def deletes(api: Api) -> list[str]:
    return [line for line in api.lines if line.startswith("DELETE")]


@MODES
async def test_the_client_opens_the_page_and_the_call_goes_on_with_the_answer(mode: str):
    asked: list[ElicitRequestURLParams] = []

    def accepts(question: ElicitRequestURLParams) -> str:
        asked.append(question)
        return "accept"

    looks = [to_confirm()] if mode == "auto" else []  # the call with the answer looks at the request before it waits
    api = Api(to_confirm(202), *looks, to_confirm(), requested("Approved"))
    async with client(api, mode, accepts) as mcp:
        answer = await ask(mcp, "request_access", offer=NAME)

    assert answer.text.startswith("Request ar-3f7k2m is approved by alice@example.org")
    assert [(each.mode, each.url, each.message) for each in asked] == [("url", URL, QUESTION)]
    assert [line for line in api.lines if line.startswith("POST")] == ["POST /access/v1/requests"]
    assert not deletes(api)


@MODES
async def test_after_the_confirmation_people_may_have_to_decide(mode: str):
    looks = [to_confirm()] if mode == "auto" else []
    api = Api(to_confirm(202), *looks, requested())
    async with client(api, mode, lambda _: "accept") as mcp:
        answer = await ask(mcp, "request_access", offer=NAME)

    assert "waits for the decision of people" in answer.text
    assert not answer.failed


@MODES
async def test_the_model_hears_in_one_sentence_that_the_person_declined_and_nothing_is_left(mode: str):
    looks = [to_confirm()] if mode == "auto" else []
    api = Api(to_confirm(202), *looks, lambda _: httpx.Response(204))
    async with client(api, mode, lambda _: "decline") as mcp:
        answer = await ask(mcp, "request_access", offer=NAME)

    assert answer == Told(declined(AccessRequest("ar-3f7k2m", "Pending", NAME, 600)), failed=False)
    assert deletes(api) == ["DELETE /access/v1/requests/ar-3f7k2m"]


@MODES
async def test_a_question_that_is_closed_without_an_answer_leaves_the_link(mode: str):
    looks = [to_confirm()] if mode == "auto" else []
    api = Api(to_confirm(202), *looks)
    async with client(api, mode, lambda _: "cancel") as mcp:
        assert (await ask(mcp, "request_access", offer=NAME)).text == AS_TEXT
    assert not deletes(api)


@MODES
async def test_a_page_that_nobody_answers_leaves_the_link(mode: str):
    looks = [to_confirm()] if mode == "auto" else []
    api = Api(to_confirm(202), *looks, *[to_confirm()] * 60)
    async with client(api, mode, lambda _: "accept") as mcp:
        assert (await ask(mcp, "request_access", offer=NAME)).text == AS_TEXT
    assert api.now == 45


@MODES
async def test_an_answer_that_is_not_judged_yet_is_waited_for(mode: str):
    unjudged = requested(reason="UserConfirms", message="the user confirms it")
    looks = [unjudged] if mode == "auto" else []
    api = Api(to_confirm(202), *looks, unjudged, requested("Approved"))
    async with client(api, mode, lambda _: "accept") as mcp:
        assert "is approved by alice@example.org" in (await ask(mcp, "request_access", offer=NAME)).text


@MODES
async def test_a_no_on_the_page_is_told(mode: str):
    looks = [to_confirm()] if mode == "auto" else []
    no = requested("Cancelled", reason="RefusedByUser", message="anna refused it on the page")
    api = Api(to_confirm(202), *looks, no)
    async with client(api, mode, lambda _: "accept") as mcp:
        answer = await ask(mcp, "request_access", offer=NAME)
    assert "is cancelled (RefusedByUser): anna refused it on the page. Tell the person. Do not ask again" in answer.text


@MODES
async def test_a_client_that_can_ask_nobody_gets_the_link_as_text(mode: str):
    api = Api(to_confirm(202), to_confirm(), requested("Approved"))
    async with client(api, mode, None) as mcp:
        assert await ask(mcp, "request_access", offer=NAME) == Told(AS_TEXT, failed=False)
        later = await ask(mcp, "access_status", request="ar-3f7k2m", wait_seconds=5)
    assert "is approved by alice@example.org" in later.text


@MODES
async def test_without_a_page_nobody_is_asked(mode: str):
    def refuses(_: ElicitRequestURLParams) -> str:
        raise AssertionError

    async with client(Api(requested(status=202)), mode, refuses) as mcp:
        assert "waits for the decision of people" in (await ask(mcp, "request_access", offer=NAME)).text


def test_a_graph_gets_the_link_as_text():
    api = Api(lambda _: problem(403, "NoPolicy"), to_confirm(202))
    config = {"configurable": {"user_token": UserToken("anna")}}
    script = [calls(("request_access", {"offer": NAME, "ticket": "FR-12"})), DONE]
    (asked,) = told(
        sql_agent(Scripted(script=script), RolevendToolkit(client=api.client(), platform="warehouse")).invoke(
            {"messages": [("user", "?")]}, config
        )
    )
    assert asked.content == AS_TEXT
    assert api.body(1)["ticket"] == "FR-12"
