"""The Python client and a model's tools ask for an offer, wait for a person, and read its rows: against the API itself."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain_core.messages import AIMessage, BaseMessage

from rolevend_client import Denied, RoleEnded, Rolevend
from rolevend_client.langchain import RolevendToolkit, UserToken, sql_agent
from tests.client.scripted import DONE, Scripted, calls, queries, told
from tests.support.calling import Caller, Doors
from tests.support.proving import Proven
from tests.support.requesting import ApiRequester
from tests.support.site import DOMAIN, WAREHOUSE
from tests.support.waiting import eventually

SSN = "SELECT person_id, ssn FROM people ORDER BY 1"
HIDDEN, CLEAR = [(1, None), (2, None)], [(1, "900-01-0001"), (2, "900-01-0002")]


@pytest.fixture
def requester(proven: Proven, doors: Doors) -> ApiRequester:
    return ApiRequester(Caller(proven, doors.first)).ready({"discoverable": True})


@pytest.fixture
def client(requester: ApiRequester) -> Rolevend:
    return Rolevend(requester.caller.api.url, token=lambda: requester.caller.token)


def offer_of(requester: ApiRequester) -> str:
    return f"{DOMAIN}/{requester.offers.offer_name}"


def test_a_client_asks_waits_for_a_person_and_reads_in_clear_until_the_yes_is_deleted(client: Rolevend, requester: ApiRequester):
    token = requester.caller.proven.token
    eventually(lambda: client.decide(token(), platform=WAREHOUSE).explanation.offers)  # the replica has read the newest policy
    with client.vend(token(), platform=WAREHOUSE) as role:
        assert role.connect().execute(SSN).fetchall() == HIDDEN
        assert [each.name for each in role.explanation.offers] == [offer_of(requester)]
    request = client.request_access(token(), platform=WAREHOUSE, offer=offer_of(requester), justification="the customer asked")
    assert request.is_pending
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(client.access_request(request.id).wait, 30)
        vote = requester.offers.vote(requester.offers.found(request.id))
        assert waiting.result().is_approved

    def reads() -> bool:
        with client.vend(token(), platform=WAREHOUSE, approval=request.id) as role, role.connect() as session:
            assert session.execute(SSN).fetchall() == CLEAR
            requester.offers.site.remove(vote)
            with pytest.raises(RoleEnded, match="Revoked"):
                session.execute("SELECT pg_sleep(60)")
        return True

    assert eventually(reads)
    with pytest.raises(Denied), client.vend(token(), platform=WAREHOUSE, approval=request.id):
        pass


def waits(messages: list[BaseMessage]) -> AIMessage:
    """Wait for the request that the last tool named: it may be judged after that answer."""
    (name,) = re.findall(r"Request (ar-\S+) ", str(messages[-1].content))
    return calls(("access_status", {"request": name, "wait_seconds": 60}))


def test_a_models_tools_ask_and_go_on_with_the_approved_role(client: Rolevend, requester: ApiRequester):
    rule = {"name": "small", "limits": {"perUserPerDay": 5}}
    requester.offers.site.patch(requester.offers.offer, {"onRequest": {"automatic": [rule]}})
    eventually(lambda: requester.asked("Approved", columns=["ssn"]))
    script = [queries(SSN), calls(("request_access", {"offer": offer_of(requester), "why": "asked"})), waits, queries(SSN), DONE]
    config = {"configurable": {"user_token": lambda: UserToken(requester.caller.proven.token())}}

    agent = sql_agent(Scripted(script=script), RolevendToolkit(client=client, platform=WAREHOUSE))
    hidden, _, asked, shown = told(agent.invoke({"messages": [("user", "Which SSNs?")]}, config))

    assert "900-01-0001" not in str(hidden.content)
    assert "is approved by rule small" in str(asked.content)
    assert "900-01-0001" in str(shown.content)
