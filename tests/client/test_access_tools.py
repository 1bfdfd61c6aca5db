"""The tools with which a model requests an offer, over the contract of the API: what it is told, and which role its next call uses."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from langchain_core.messages import AIMessage
from mcp import Client
from mcp.server.mcpserver import MCPServer

from rolevend_client import Rolevend, Task, messages
from rolevend_client.async_exchange import Person
from rolevend_client.langchain import RolevendToolkit, UserToken, sql_agent
from rolevend_client.langchain.access import RunAccess
from rolevend_client.mcp.serving import ClientAccess
from rolevend_client.mcp.sessions import Conversations, Key
from rolevend_client.mcp.settings import Wanted
from rolevend_client.mcp.tools import Caller, add_tools
from rolevend_client.open_role import OpenRole
from rolevend_client.run import Run
from rolevend_client.sessions import Bounds, EndedForTheModel, ForTheModel
from rolevend_client.values import Agent, KeyPairCredential, Platform, User, VendedRole
from tests.client.answers import OFFER, TABLE, Api, denied_with_an_offer, problem, requested, vended
from tests.client.scripted import DONE, Scripted, calls, told
from tests.client.serving_mcp import Told, ask
from tests.client.speaking import Document, SpeakingServer

NAME = str(OFFER["name"])
DENIED = (
    "Access was denied (NoPolicy): nothing is granted. Not granted: claims.payments. It can be requested: offer "
    "domain-claims/fraud-ssn-clear (SSNs of open claims in clear, for fraud review) shows claims.payments: iban, ssn, some rows; people "
    "decide, for at most 10 minutes. Ask the person first if you may request it, and for which reason; then call request_access. Do not "
    "try other tables for the same values, and do not ask again after a no."
)
PENDING = (
    "Request ar-3f7k2m for offer domain-claims/fraud-ssn-clear waits for the decision of people. Tell the person, then call access_status "
    "with request ar-3f7k2m; a wait that ends without a decision is no error. Do not ask again meanwhile, and do not try other tables for "
    "the same values."
)
APPROVED = (
    "Request ar-3f7k2m is approved by alice@example.org, for 10 minutes. The next query uses a new role, which reads the tables of offer "
    "domain-claims/fraud-ssn-clear alone: call list_tables. When it ends, the standing role is used again."
)
NO = (
    "Request ar-3f7k2m for offer domain-claims/fraud-ssn-clear is denied (DeniedByPerson): bob@example.org says no: ask the fraud team. "
    "Tell the person. Do not ask again, and do not try other tables for the same values."
)
FELL_BACK = "The approved role has ended. The standing role is used again: values that only the offer showed are not there any more.\n"
HIDDEN = "payments: iban (masked: Hash), amount; only rows where (country IN ('DE'))"
CLEAR = "payments: iban; only rows where (country IN ('DE'))"
ASKED = {"offer": NAME, "tables": ["claims.payments"], "columns": ["ssn"], "minutes": 10, "why": "Anna disputes a payment"}
STATUS = {"request": "ar-3f7k2m", "wait_seconds": 5}
LIST = ("list_tables", {})


def role(*, ends_in: float = 300, **changes: Any) -> httpx.Response:
    """The standing role."""
    until = (datetime.now(UTC) + timedelta(seconds=ends_in)).isoformat()
    return vended(**{"expirationTimestamp": until, "explanation": {"tables": [TABLE]}, **changes})


def approved_role(*, ends_in: float = 300) -> httpx.Response:
    table = {**TABLE, "columns": [{"name": "iban", "shown": "Clear"}]}
    return role(ends_in=ends_in, id="finbot-approved", explanation={"tables": [table]})


def bodies(api: Api, path: str) -> list[Any]:
    return [api.body(number) for number, each in enumerate(api.asked) if each.method == "POST" and each.url.path == path]


def releases(api: Api) -> list[str]:
    return [line.rpartition("/")[2] for line in api.lines if line.startswith("DELETE")]


async def said(client: Client, tool: str, **arguments: Any) -> Told:
    """Without the words of the MCP library before an error."""
    answer = await ask(client, tool, **arguments)
    return Told(answer.text.removeprefix(f"Error executing tool {tool}: "), answer.failed)


class LangChain:
    """A graph whose model follows a script."""

    async def run(self, api: Api, *wanted: tuple[str, dict[str, Any]]) -> list[Told]:
        numbers = iter(range(100))
        config = {"configurable": {"user_token": lambda: UserToken(f"token-{next(numbers)}")}}
        agent = sql_agent(Scripted(script=[*self.script(wanted), DONE]), RolevendToolkit(client=api.client(), platform="warehouse"))
        answers = told(agent.invoke({"messages": [("user", "?")]}, config))
        return [Told(str(each.content), each.status == "error") for each in answers]

    def script(self, wanted: tuple[tuple[str, dict[str, Any]], ...]) -> list[AIMessage]:
        return [calls(each) for each in wanted]


class Mcp:
    """A real client and a real server in this process."""

    async def run(self, api: Api, *wanted: tuple[str, dict[str, Any]]) -> list[Told]:
        async with self.client(api, lambda: "anna") as client:
            return [await said(client, tool, **arguments) for tool, arguments in wanted]

    @asynccontextmanager
    async def client(self, api: Api, person: Callable[[], str]) -> AsyncIterator[Client]:
        numbers = iter(range(100))

        async def proof() -> UserToken:
            return UserToken(f"token-{next(numbers)}")

        server: MCPServer[Any] = MCPServer("rolevend")
        settings = Wanted(("warehouse",), allow_partial=False, purpose=None, bounds=Bounds(10, 1000))
        async with Conversations(ClientAccess(api.async_client(), settings), idle_seconds=None) as conversations:
            add_tools(server, conversations, lambda _: Caller(Key(Person("https://idp", person()), "editor", None), proof), settings)
            async with Client(server) as client:
                yield client


@pytest.fixture(params=[LangChain, Mcp])
def tools(request: pytest.FixtureRequest) -> LangChain | Mcp:
    made: LangChain | Mcp = request.param()
    return made


async def test_a_denied_model_asks_waits_and_reads_with_the_approval(tools: LangChain | Mcp):
    api = Api(denied_with_an_offer(), requested(status=202), requested("Approved"), approved_role())

    answers = await tools.run(api, LIST, ("request_access", ASKED), ("access_status", STATUS), LIST)

    assert [each.text for each in answers] == [DENIED, PENDING, APPROVED, CLEAR]
    assert [each.failed for each in answers] == [True, False, False, False]
    (asked,) = bodies(api, "/access/v1/requests")
    assert {name: value for name, value in asked.items() if name != "userToken"} == {
        "platform": "warehouse",
        "offer": NAME,
        "tables": [{"schema": "claims", "table": "payments"}],
        "columns": ["ssn"],
        "expirationSeconds": 600,
        "purpose": "fraud-review",
        "justification": "Anna disputes a payment",
    }
    vend = bodies(api, "/v1/vended-roles")[-1]
    assert (vend["approval"], vend["purpose"], vend["expirationSeconds"]) == ({"id": "ar-3f7k2m"}, "fraud-review", 600)
    tokens = [each["userToken"] for each in (*bodies(api, "/v1/vended-roles"), asked)]
    assert len(set(tokens)) == len(tokens)
    assert releases(api) == ["finbot-approved"]


async def test_the_standing_role_is_used_again_after_the_approved_one_with_one_sentence(tools: LangChain | Mcp):
    offers = role(explanation={"tables": [TABLE], "offers": [OFFER]})
    api = Api(offers, requested("Approved", 201), approved_role(ends_in=-1))

    listed, approved, clear, fell_back, again = await tools.run(api, LIST, ("request_access", {"offer": NAME}), LIST, LIST, LIST)

    more = "\nMore can be requested: offer domain-claims/fraud-ssn-clear (SSNs of open claims in clear, for fraud review) shows"
    assert listed.text.startswith(HIDDEN + more)
    assert approved.text == APPROVED
    assert clear.text == CLEAR
    assert fell_back.text == FELL_BACK + listed.text
    assert again.text == listed.text
    assert releases(api) == ["finbot-approved", "finbot-0f3a"]


READ = "payments: iban (masked: Hash), amount; only rows where (country IN ('DE'))\nGranted by domain-claims/analysts."


def decided(granted: bool = False, **members: Any) -> httpx.Response:
    return httpx.Response(
        200, json={"granted": granted, **({"explanation": {}} if granted else {"reason": "ResourceNotGranted"}), **members}
    )


async def explains(tools: LangChain | Mcp, api: Api, *tables: str) -> list[Told]:
    """The answers after the first one, which vends the role."""
    name = "explain" if isinstance(tools, Mcp) else "explain_access"
    return (await tools.run(api, LIST, *((name, {"table": each}) for each in tables)))[1:]


async def test_one_table_is_explained_with_its_policies_and_the_offers_that_show_more_of_it(tools: LangChain | Mcp):
    api = Api(role(), decided(True, explanation={"offers": [OFFER]}), decided(True))
    more, alone = await explains(tools, api, "payments", "claims.payments")
    assert more.text.startswith(f"{READ}\nMore of it can be requested: offer domain-claims/fraud-ssn-clear (SSNs of open claims in clear")
    assert alone.text == f"{READ}\nNo offer that can be named shows more of it."
    first, second = bodies(api, "/v1/decisions")
    assert first["resources"] == second["resources"] == [{"schema": "claims", "table": "payments"}]


async def test_a_table_that_is_not_read_is_explained_with_the_offers_that_show_it(tools: LangChain | Mcp):
    offered = decided(message="nothing is granted there", missing={"tables": [], "offers": [OFFER], "sentence": ""})
    api = Api(role(), offered, decided(message="nothing is granted there"), decided(True))
    can_be, cannot, newer = await explains(tools, api, "claims.people", "claims.people", "claims.people")
    said = 'The role reads no table "claims.people" on warehouse.'
    reason = f"{said} The API says (ResourceNotGranted): nothing is granted there."
    assert can_be.text.startswith(f"{reason} It can be requested: offer domain-claims/fraud-ssn-clear (SSNs of open claims in clear")
    assert cannot.text == (
        f"{reason} No offer that can be named shows it. Tell the person. Do not ask again, and do not try other tables for the same values."
    )
    assert newer.text == f"{said} A new role would: this one was vended before the grant, or for an offer alone."


async def test_explaining_says_nothing_of_a_table_that_the_api_does_not_say(tools: LangChain | Mcp):
    """The name alone decides if the API is asked: each schema.table costs one call, and no other name costs any."""
    names = ["claims.people", "claims.nothing", 'x."; DROP', "people", "nothing", ".people", "claims."]
    api = Api(role(), *[decided(message="nothing is granted")] * 3)
    answers = await explains(tools, api, *names)
    texts = {each.text.replace(messages.quoted(name), "it") for name, each in zip(names, answers, strict=True)}
    assert len(texts) == 2
    assert len({each.text.replace(messages.quoted(name), "it") for name, each in zip(names[:3], answers[:3], strict=True)}) == 1
    assert len(bodies(api, "/v1/decisions")) == 3


async def test_one_table_is_explained_where_the_api_takes_no_further_token(tools: LangChain | Mcp):
    used = problem(403, "TokenReplayed", "it was taken for another request", field="userToken")
    read, unread = await explains(tools, Api(role(), used, used), "payments", "claims.people")
    unknown = "\nThe API does not say now which offers show it (TokenReplayed)."
    assert read.text == READ + unknown
    assert unread.text == f'The role reads no table "claims.people" on warehouse.{unknown}'


async def test_a_denied_person_has_one_table_explained(tools: LangChain | Mcp):
    denials = [denied_with_an_offer()] * (2 if isinstance(tools, Mcp) else 1)  # a session tries again at each call
    api = Api(*denials, decided(missing={"tables": [], "offers": [OFFER], "sentence": ""}))
    (told,) = await explains(tools, api, "claims.payments")
    assert not told.failed
    assert told.text.startswith(
        'The role reads no table "claims.payments" on warehouse. It can be requested: offer domain-claims/fraud-ssn'
    )


def test_a_toolkit_for_some_tables_explains_no_others():
    api = Api(role())
    toolkit = RolevendToolkit(client=api.client(), platform="warehouse", resources=(("claims", "payments"),))
    config = {"configurable": {"user_token": UserToken("anna")}}
    script = [calls(("explain_access", {"table": "claims.people"})), DONE]
    (refused,) = told(sql_agent(Scripted(script=script), toolkit).invoke({"messages": [("user", "?")]}, config))
    assert (refused.content, refused.status) == ("Only these tables can be requested here: claims.payments.", "error")
    assert bodies(api, "/v1/decisions") == []


async def test_a_no_ends_the_question(tools: LangChain | Mcp):
    api = Api(role(), requested(status=202), requested("Denied"))
    _, _, denied, same = await tools.run(api, LIST, ("request_access", {"offer": NAME}), ("access_status", STATUS), LIST)
    assert (denied.text, same.text) == (NO, HIDDEN)

    api = Api(role(), problem(403, "CoolDown", "it was denied lately."))
    _, refused = await tools.run(api, LIST, ("request_access", {"offer": NAME}))
    assert refused.failed
    assert refused.text.startswith("The request failed (CoolDown): it was denied lately. Tell the person. Do not ask again")


async def test_a_request_that_nobody_has_judged_yet_does_not_wait_for_people(tools: LangChain | Mcp):
    unjudged = requested(status=202, reason="", message=""), requested(status=202, reason="Starting", message="the operator starts.")

    _, first, second = await tools.run(Api(role(), *unjudged), LIST, *[("request_access", {"offer": NAME})] * 2)

    assert first.text == PENDING.replace("waits for the decision of people", "is not decided yet")
    assert second.text == PENDING.replace("waits for the decision of people", "is not decided yet: the operator starts")


async def test_an_offer_that_asks_for_another_login_says_which_one_and_what_to_do(tools: LangChain | Mcp):
    challenge = 'Bearer error="insufficient_user_authentication", acr_values="mfa phr", max_age="900"'
    weak = problem(401, "ProofNotMet", "the offer asks for a login with mfa", {"WWW-Authenticate": challenge}, field="userToken")
    api = Api(role(), weak, requested(status=202))

    _, told, asked = await tools.run(api, LIST, ("request_access", {"offer": NAME}), ("request_access", {"offer": NAME}))

    assert told.failed
    assert told.text == (
        "The offer asks for another login of the person: a login with mfa or phr, within the last 15 minutes. Ask the person to log in "
        "again, in that way; then call request_access with the same arguments. It was not requested yet."
    )
    assert asked.text == PENDING


async def test_an_approval_that_needs_another_login_says_so_and_is_found_again(tools: LangChain | Mcp):
    challenge = 'Bearer error="insufficient_user_authentication", max_age="60"'
    weak = problem(401, "ProofNotMet", "the login is too old", {"WWW-Authenticate": challenge}, field="userToken")
    api = Api(role(), requested("Approved", 201), weak, requested("Approved", 201), approved_role())
    ask = ("request_access", {"offer": NAME})

    _, _, told, approved, clear = await tools.run(api, LIST, ask, LIST, ask, LIST)

    assert told.text.startswith("The approval needs another login of the person: a login within the last 1 minute. Ask the person to")
    assert told.text.endswith(f"\n{HIDDEN}")
    assert (approved.text, clear.text) == (APPROVED, CLEAR)


async def test_a_ticket_is_passed_on(tools: LangChain | Mcp):
    api = Api(role(), requested(status=202))
    await tools.run(api, LIST, ("request_access", {"offer": NAME, "ticket": " FR-12 "}))
    assert bodies(api, "/access/v1/requests")[0]["ticket"] == "FR-12"


async def test_an_approval_that_is_refused_leaves_the_standing_role_and_says_so(tools: LangChain | Mcp):
    api = Api(role(), requested("Approved", 201), problem(403, "OfferChanged", "the offer was changed after the request; ask again"))
    _, _, said, again = await tools.run(api, LIST, ("request_access", {"offer": NAME}), LIST, LIST)
    assert said.text.startswith("The approval could not be used (OfferChanged): the offer was changed")
    assert said.text.endswith(f"\n{HIDDEN}")
    assert again.text == HIDDEN


async def test_an_approval_is_kept_while_its_role_cannot_be_vended(tools: LangChain | Mcp):
    later = problem(429, "TooManyRoles", "end one of them", {"Retry-After": "600"})
    api = Api(role(), requested("Approved", 201), later, approved_role())
    _, _, waits, clear = await tools.run(api, LIST, ("request_access", {"offer": NAME}), LIST, LIST)
    assert waits.failed
    assert waits.text == "The approved role is not there yet (TooManyRoles): end one of them. Call again later; the approval is kept."
    assert clear.text == CLEAR


async def test_only_requests_of_the_conversation_have_a_status(tools: LangChain | Mcp):
    api = Api(role())
    _, unknown = await tools.run(api, LIST, ("access_status", {"request": "ar-of-another"}))
    assert unknown.failed
    assert unknown.text.startswith("This conversation made no such request.")
    assert len(api.asked) == 2  # the vend and the release


async def test_a_table_is_named_with_its_schema(tools: LangChain | Mcp):
    _, wrong = await tools.run(Api(role()), LIST, ("request_access", {"offer": NAME, "tables": ["payments"]}))
    assert (wrong.text, wrong.failed) == ("Name each table as schema.table, not payments.", True)


def test_an_approved_role_that_was_revoked_is_not_used_again():
    credential = KeyPairCredential("ACCOUNT", "U", "R", "key", "localhost", 443, "DB", "WH")
    platform = Platform("warehouse", "Snowflake", 1, credential)
    given = VendedRole("r", "R", "Live", None, Agent("agents", "finbot"), User("https://idp", "anna", "A", "Token"), (platform,))
    run = Run(OpenRole(given), is_approved=True)

    def revoked(_: Run) -> str:
        raise EndedForTheModel("57P01")

    with pytest.raises(ForTheModel, match=r"The approved role has ended\. Run the statement again"):
        run.told(revoked)
    assert run.has_ended(datetime.now(UTC))


def test_a_toolkit_for_some_tables_requests_no_others():
    api = Api(denied_with_an_offer(), requested(status=202))
    toolkit = RolevendToolkit(client=api.client(), platform="warehouse", resources=(("claims", "payments"),))
    script = [calls(("request_access", {"offer": NAME, "tables": ["claims.people"]})), calls(("request_access", {"offer": NAME})), DONE]
    config = {"configurable": {"user_token": UserToken("anna")}}
    refused, asked = told(sql_agent(Scripted(script=script), toolkit).invoke({"messages": [("user", "?")]}, config))
    assert (refused.content, refused.status) == ("Only these tables can be requested here: claims.payments.", "error")
    assert asked.content == PENDING
    assert bodies(api, "/access/v1/requests")[0]["tables"] == [{"schema": "claims", "table": "payments"}]


def test_a_tool_that_outlives_its_run_gets_no_approved_role():
    api = Api(role(), requested("Approved", 201))
    client, wanted = (
        api.client(),
        {"user_token": "anna", "user": None, "platform": "warehouse", "purpose": None, "resources": (), "task": None},
    )
    with client.vend("anna", platform="warehouse") as standing:
        access = RunAccess(Run(standing), client, lambda: wanted)
        assert access.request(NAME) == APPROVED
        access.end()
        assert access.told(lambda run: run.role.name) == standing.name
    assert len(bodies(api, "/v1/vended-roles")) == 1


def test_request_and_role_of_a_conversation_state_its_task():
    api = Api(denied_with_an_offer(), requested("Approved", 201), approved_role())
    script = [calls(LIST), calls(("request_access", {"offer": NAME})), calls(LIST), DONE]
    config = {"configurable": {"user_token": UserToken("anna"), "task": Task("chat-4711")}}
    sql_agent(Scripted(script=script), RolevendToolkit(client=api.client(), platform="warehouse")).invoke(
        {"messages": [("user", "?")]}, config
    )
    asked, roles = bodies(api, "/access/v1/requests"), bodies(api, "/v1/vended-roles")
    assert [each["task"] for each in (*asked, *roles)] == [{"id": "chat-4711"}] * 3


async def test_a_graph_in_asyncio_has_the_tools():
    def vend(_: Document) -> tuple[int, Document]:
        return 201, role().json()

    with SpeakingServer(vend) as api:
        toolkit = RolevendToolkit(client=Rolevend(api.url, token=lambda: "agents-own"), platform="warehouse")
        script = [calls(LIST), calls(("access_status", {"request": "ar-of-another"})), DONE]
        config = {"configurable": {"user_token": UserToken("anna")}}
        state = await sql_agent(Scripted(script=script), toolkit).ainvoke({"messages": [("user", "?")]}, config)
        listed, unknown = told(state)
        assert (listed.content, unknown.status) == (HIDDEN, "error")
        assert api.live == set()


async def test_the_request_of_one_person_is_not_another_persons():
    api, person = Api(requested("Approved", 201), role()), ["anna"]
    async with Mcp().client(api, lambda: person[0]) as client:
        assert (await said(client, "request_access", offer=NAME)).text == APPROVED
        person[0] = "bob"
        assert (await said(client, "access_status", **STATUS)).text.startswith("This conversation made no such request.")
        assert (await said(client, "list_tables")).text == HIDDEN
    assert "approval" not in bodies(api, "/v1/vended-roles")[0]
