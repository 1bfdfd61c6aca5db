"""The MCP server lets the client open rolevend's page, where the person answers: real clients, the API itself, and a real login."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp import Client
from mcp.server.mcpserver import MCPServer
from mcp.types import ElicitRequestURLParams, ElicitResult

from rolevend_client import AsyncRolevend
from rolevend_client.async_exchange import Person
from rolevend_client.mcp.serving import ClientAccess
from rolevend_client.mcp.sessions import Conversations, Key
from rolevend_client.mcp.settings import Wanted
from rolevend_client.mcp.tools import Caller, add_tools
from rolevend_client.sessions import Bounds
from rolevend_client.values import UserToken
from tests.client.serving_mcp import Told, ask
from tests.support.confirming import Browser, Confirmed, Installed, Seen
from tests.support.requesting import REQUESTS
from tests.support.site import DOMAIN, WAREHOUSE
from tests.support.waiting import DEADLINE, eventually

SSN = "SELECT person_id, ssn FROM people ORDER BY 1"
CLEAR = "person_id,ssn\n1,900-01-0001\n2,900-01-0002\n(2 rows)"
WHY = "I look into a dispute"
MODES = pytest.mark.parametrize("mode", ["auto", "legacy"])
"""Protocol 2026-07-28, and 2025-11-25."""

Answering = Callable[[str], str]


@pytest.fixture
def requester(installed: Installed) -> Iterator[Confirmed]:
    yield installed.requester()
    installed.settle()


@asynccontextmanager
async def client(requester: Confirmed, person: str, mode: str, answering: Answering | None) -> AsyncIterator[Client]:
    """`answering` gets the address of the page, and returns the answer to the client; None: the client can ask nobody."""
    caller = requester.asking.caller

    async def proof() -> UserToken:
        return UserToken(await asyncio.to_thread(caller.proven.token, person))

    async def elicited(_: Any, question: Any) -> ElicitResult:
        assert answering is not None
        assert isinstance(question, ElicitRequestURLParams)
        return ElicitResult(action=await asyncio.to_thread(answering, question.url))

    server: MCPServer[Any] = MCPServer("rolevend")
    settings = Wanted((WAREHOUSE,), allow_partial=False, purpose=None, bounds=Bounds(10, 1000))
    access = ClientAccess(AsyncRolevend(caller.api.url, token=lambda: caller.token), settings)
    async with Conversations(access, idle_seconds=None) as conversations:
        add_tools(server, conversations, lambda _: Caller(Key(Person(caller.proven.issuer, person), "editor", None), proof), settings)
        async with Client(server, mode=mode, elicitation_callback=None if answering is None else elicited) as opened:
            yield opened


def wanted(requester: Confirmed, ticket: str) -> dict[str, Any]:
    return {"offer": f"{DOMAIN}/{requester.asking.offers.offer_name}", "minutes": 10, "ticket": ticket}


def open_requests(requester: Confirmed) -> list[str]:
    listed = requester.asking.caller.call("GET", REQUESTS).json()["items"]
    return [each["id"] for each in listed if each["state"] == "Pending"]


async def asked(mcp: Client, requester: Confirmed, ticket: str) -> Told:
    """Asked until the operator has judged the request: a call waits for that for two seconds. The same is found again."""
    async with asyncio.timeout(DEADLINE):
        while "is not decided yet" in (told := await ask(mcp, "request_access", **wanted(requester, ticket))).text:
            await asyncio.sleep(0.2)
    return told


def opened(installed: Installed, browser: Browser, url: str) -> Seen:
    """The page, as soon as the replicas that show it know the request."""
    eventually(lambda: installed.shows(url))
    return browser.get(url)


async def rows(mcp: Client) -> str:
    """Asked until the operator has built the profile of the offer."""
    async with asyncio.timeout(DEADLINE):
        while (told := await ask(mcp, "query", statement=SSN)).failed:
            await asyncio.sleep(0.2)
    return told.text


@MODES
async def test_the_call_goes_on_when_the_person_has_confirmed_on_the_page(installed: Installed, requester: Confirmed, mode: str):
    browser = installed.browser("anna")

    def confirms(url: str) -> str:
        browser.submit(opened(installed, browser, url), "confirm", WHY)
        return "accept"

    async with client(requester, "anna", mode, confirms) as mcp:
        answer = await asked(mcp, requester, f"yes-{mode}")
        assert "is approved by rule small" in answer.text, answer.text
        assert await rows(mcp) == CLEAR
        await ask(mcp, "release")


@MODES
async def test_the_model_hears_that_the_person_declined_and_nothing_waits(requester: Confirmed, mode: str):
    async with client(requester, "bert", mode, lambda _: "decline") as mcp:
        answer = await asked(mcp, requester, f"no-{mode}")

    assert "The person declined the request" in answer.text
    assert not answer.failed
    await asyncio.to_thread(eventually, lambda: open_requests(requester) == [])  # a withdrawal waits for two seconds


@MODES
async def test_a_client_that_can_ask_nobody_gives_the_link_as_text_and_waits(installed: Installed, requester: Confirmed, mode: str):
    browser = installed.browser("anna")

    async with client(requester, "anna", mode, None) as mcp:
        answer = await asked(mcp, requester, f"text-{mode}")
        assert "waits until the person confirms it on this page: https://" in answer.text
        (url,) = (word for word in answer.text.split() if word.startswith("https://"))
        (name,) = open_requests(requester)
        waiting = asyncio.create_task(ask(mcp, "access_status", request=name, wait_seconds=60))
        await asyncio.to_thread(lambda: browser.submit(opened(installed, browser, url), "confirm", WHY))
        assert "is approved by rule small" in (await waiting).text


@MODES
async def test_a_no_on_the_page_is_told(installed: Installed, requester: Confirmed, mode: str):
    person = {"auto": "dora", "legacy": "emil"}[mode]  # a no starts a cool-down
    browser = installed.browser(person)

    def refuses(url: str) -> str:
        browser.submit(opened(installed, browser, url), "refuse")
        return "accept"

    async with client(requester, person, mode, refuses) as mcp:
        answer = await asked(mcp, requester, f"page-no-{mode}")

    assert "is cancelled (RefusedByUser)" in answer.text
    assert answer == Told(answer.text, failed=False)
