"""Two people behind one agent, one with an approval and one without: a real LangGraph agent and a real MCP client ask, wait and go on."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from mcp import Client

from rolevend_client import Rolevend
from rolevend_client.langchain import RolevendToolkit, UserToken, sql_agent
from tests.client.identity import SERVER
from tests.client.scripted import DONE, Scripted, calls, queries, told
from tests.client.serving_mcp import Told, ask, served
from tests.support.calling import Caller, Doors
from tests.support.proving import Proven
from tests.support.requesting import REQUESTS, AccessRequested, ApiRequester
from tests.support.site import DOMAIN, WAREHOUSE
from tests.support.waiting import DEADLINE, eventually

SSN = "SELECT person_id, ssn FROM people ORDER BY 1"
HIDDEN, CLEAR = "person_id,ssn\n1,NULL\n2,NULL\n(2 rows)", "person_id,ssn\n1,900-01-0001\n2,900-01-0002\n(2 rows)"


@pytest.fixture
def requester(proven: Proven, doors: Doors) -> ApiRequester:
    return ApiRequester(Caller(proven, doors.first))


def offer_of(requester: ApiRequester) -> str:
    return f"{DOMAIN}/{requester.offers.offer_name}"


def request_of(requester: ApiRequester, person: str) -> AccessRequested:
    """The open request for this person."""

    def found() -> AccessRequested:
        listed = requester.caller.call("GET", REQUESTS).json()["items"]
        requests = [requester.offers.found(each["id"]) for each in listed if each["state"] == "Pending" and "digest" in each["offer"]]
        (request,) = (each for each in requests if each.body["spec"]["user"]["subject"] == person)
        return request

    def one() -> AccessRequested | None:
        try:
            return found()
        except ValueError:
            return None

    request: AccessRequested = eventually(one)
    return request


def waits(messages: list[BaseMessage]) -> AIMessage:
    """Wait for the request that the last tool named, as long as the person says."""
    (name,) = re.findall(r"Request (ar-\S+) for offer", str(messages[-1].content))
    (seconds,) = re.findall(r"[0-9]+", next(str(each.content) for each in messages if isinstance(each, HumanMessage)))
    return calls(("access_status", {"request": name, "wait_seconds": int(seconds)}))


def test_a_graph_goes_on_with_the_approval_of_one_person_and_without_it_for_the_other(requester: ApiRequester):
    requester.ready({"discoverable": True})
    client = Rolevend(requester.caller.api.url, token=lambda: requester.caller.token)
    script = [queries(SSN), calls(("request_access", {"offer": offer_of(requester), "why": "asked"})), waits, queries(SSN), DONE]
    agent = sql_agent(Scripted(script=script), RolevendToolkit(client=client, platform=WAREHOUSE))

    def run(person: str, seconds: int) -> list[str]:
        config: Any = {"configurable": {"user_token": lambda: UserToken(requester.caller.proven.token(person))}}
        state = agent.invoke({"messages": [("user", f"Which SSNs? Wait {seconds} seconds.")]}, config)
        return [str(each.content) for each in told(state)]

    with ThreadPoolExecutor() as pool:
        anna, bert = pool.submit(run, "anna", 60), pool.submit(run, "bert", 3)
        requester.offers.vote(request_of(requester, "anna"))
        first, asked, approved, shown = anna.result()
        of_bert = bert.result()

    assert (first, shown) == (HIDDEN, CLEAR)
    assert "Do not ask again meanwhile" in asked
    assert "is approved by alice@example.org" in approved
    assert (of_bert[0], of_bert[3]) == (HIDDEN, HIDDEN)
    assert "Do not ask again meanwhile" in of_bert[2]
    assert eventually(lambda: requester.offers.tenant.roles() == set())


@pytest.mark.thinned(2, "long")
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_an_mcp_client_goes_on_with_the_approval_of_one_person_and_without_it_for_the_other(
    requester: ApiRequester, doors: Doors, tmp_path: Path, mode: str
):
    proven, tenant = requester.caller.proven, requester.offers.tenant
    with served(tmp_path, tenant=tenant.name, groups=["DE", "AT", "everybody"]) as server:
        keys = server.issuer.tokens.call("GET", f"{server.issuer.issuer}/keys").body.decode()
        proven.issuer, proven.client = server.issuer.issuer, SERVER
        proven.site.told(proven.provider(keys={"inline": keys}, accepts=["Exchanged", "AccessToken"]), "Ready", "True", "KeysRead")
        proven.site.told(proven.agent(), "Ready", "True")
        proven.site.told(tenant.policy(), "Ready", "True")
        requester.offers.offering({"discoverable": True})
        server.start(doors.first.url, agent_token="", PLATFORM=WAREHOUSE)

        async with server.client(server.token("anna"), mode) as anna, server.client(server.token("bob"), mode) as bob:
            assert (await rows(anna), await rows(bob)) == (HIDDEN, HIDDEN)
            asked = await ask(anna, "request_access", offer=offer_of(requester), why="asked")
            (name,) = re.findall(r"Request (ar-\S+) for offer", asked.text)
            waiting = asyncio.create_task(ask(anna, "access_status", request=name, wait_seconds=60))
            request = requester.offers.found(name)
            yes = await asyncio.to_thread(requester.offers.vote, request)
            assert "is approved by alice@example.org" in (await waiting).text

            assert (await rows(anna), await rows(bob)) == (CLEAR, HIDDEN)
            foreign = await ask(bob, "access_status", request=name)
            assert foreign == Told(foreign.text, failed=True)
            assert "This conversation made no such request" in foreign.text

            requester.offers.site.remove(yes)
            await asyncio.to_thread(eventually, lambda: request.status["state"] == "Revoked")
            assert await rows(anna, HIDDEN) == HIDDEN
            for client in (anna, bob):  # the newest protocol has no sessions that could end
                await ask(client, "release")
        assert await asyncio.to_thread(eventually, lambda: tenant.roles() == set())


async def rows(client: Client, wanted: str = "") -> str:
    """Asked until what is new to the API is known to it, and until the answer ends with `wanted`."""
    async with asyncio.timeout(DEADLINE):
        while (told := await ask(client, "query", statement=SSN)).failed or not told.text.endswith(wanted):
            await asyncio.sleep(0.2)
    return wanted or told.text
