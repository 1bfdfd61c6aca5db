"""rolevend-client against the API itself: what `tests/client` shows with the contract holds for who keeps it."""

import asyncio
import signal

import httpx
import pytest

from rolevend_client import AsyncRolevend, Denied, InvalidInput, NotFound, Refused, Resource, RoleEnded, Rolevend, Task
from rolevend_client.langchain import RolevendToolkit, sql_agent
from rolevend_client.values import UserToken
from tests.client.scripted import DONE, Scripted, calls, queries, told
from tests.support.calling import Caller, Doors
from tests.support.proving import Proven
from tests.support.site import WAREHOUSE
from tests.support.waiting import eventually

PEOPLE = "SELECT person_id, ssn FROM people ORDER BY 1"


@pytest.fixture
def caller(proven: Proven, doors: Doors) -> Caller:
    """One whose policies both replicas know."""
    made = Caller(proven.ready_to_ask(), doors.first)
    for door in (doors.first, doors.second):
        Caller(proven, door).known()
    return made


@pytest.fixture
def client(caller: Caller) -> Rolevend:
    return Rolevend(caller.api.url, token=lambda: caller.token)


def gone(caller: Caller) -> bool:
    return eventually(lambda: caller.proven.tenant.roles() == set())


def test_a_block_reads_the_persons_rows_and_leaves_nothing(client: Rolevend, caller: Caller):
    task = Task.of("chat-4711", intent="Who is there?")
    with client.vend(caller.proven.token(), platform=WAREHOUSE, seconds=300, task=task) as role:
        assert role.connect().execute(PEOPLE).fetchall() == [(1, None), (2, None)]
        assert role.name == role.vended.role_name
        assert role.vended.user.subject == "anna"
        (table,) = role.explanation.tables
        assert ("ssn", "Nullify") in [(column.name, column.mask) for column in table.columns]
        assert eventually(lambda: [each.id for each in client.list()]) == [role.id]
        looked = client.get(role.id)
        assert (looked.role_name, looked.state, looked.platforms[0].credential) == (role.name, "Live", None)
    assert gone(caller)
    assert eventually(lambda: not client.list())
    with pytest.raises(NotFound):
        client.get(role.id)
    with pytest.raises(NotFound):
        client.release(role.id)


async def test_the_other_colour_does_the_same(caller: Caller):
    async with AsyncRolevend(caller.api.url, token=lambda: caller.token).vend(caller.proven.token(), platform=WAREHOUSE) as role:
        connection = await role.connect()
        answer = await connection.execute(PEOPLE)
        assert await answer.fetchall() == [(1, None), (2, None)]
    assert await asyncio.to_thread(gone, caller)


def test_what_goes_wrong_is_what_the_client_calls_it(client: Rolevend, caller: Caller):
    proven = caller.proven
    with pytest.raises(Refused) as refused, client.vend(proven.token(seconds=-600), platform=WAREHOUSE):
        pass
    assert (refused.value.code, refused.value.problem.field) == ("TokenExpired", "userToken")
    assert len(refused.value.request_id) == 32

    with pytest.raises(Refused), Rolevend(caller.api.url, token=lambda: "no.token.atall").vend(proven.token(), platform=WAREHOUSE):
        pass
    with pytest.raises(Denied) as denied, client.vend(proven.token(tenant="another"), platform=WAREHOUSE):
        pass
    assert denied.value.code == "NoPolicy"
    with pytest.raises(InvalidInput) as invalid, client.vend(proven.token(), platform=WAREHOUSE, seconds=1):
        pass
    assert invalid.value.field == "expirationSeconds"
    assert invalid.value.argument == "seconds"
    with pytest.raises(InvalidInput, match=f"platform: no DataPlatform is named elsewhere; .* may use .*{WAREHOUSE}") as unknown:
        client.vend(proven.token(), platform="elsewhere").__enter__()
    assert (unknown.value.code, unknown.value.argument) == ("PlatformUnknown", "platform")
    assert WAREHOUSE in [each.name for each in client.platforms()]
    with pytest.raises(Denied) as beyond, client.vend(proven.token(), platform=WAREHOUSE, resources=["nowhere.nothing"]):
        pass
    assert (beyond.value.missing.tables, str(beyond.value.missing)) == ((Resource("nowhere", "nothing"),), "table nowhere.nothing")
    assert not client.decide(proven.token(tenant="another"), platform=WAREHOUSE).granted
    assert caller.proven.tenant.roles() == set()


def test_the_end_of_a_role_has_its_type(client: Rolevend, caller: Caller):
    with client.vend(caller.proven.token(), platform=WAREHOUSE) as role:
        connection = role.connect()
        assert list(role.query(PEOPLE)) == [(1, None), (2, None)]
        client.release(role.id)
        for use in (lambda: connection.execute(PEOPLE), lambda: role.query(PEOPLE), role.connect):
            with pytest.raises(RoleEnded, match="Revoked"):
                use()
    assert gone(caller)


def test_a_token_proves_one_role_and_the_second_one_is_denied(client: Rolevend, caller: Caller):
    token = caller.proven.token()
    with client.vend(token, platform=WAREHOUSE):
        with pytest.raises(Denied, match="TokenReplayed"), client.vend(token, platform=WAREHOUSE):
            pass
        assert eventually(lambda: len(client.list()) == 1)
    assert gone(caller)


@pytest.mark.parametrize("lost", [KeyboardInterrupt, httpx.ReadError], ids=["interrupted", "cut off"])
def test_a_vend_whose_answer_is_lost_leaves_no_role(caller: Caller, lost: type[BaseException]):
    """The API has made it and answered; the client never read that."""
    made: list[int] = []

    class Losing(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = super().handle_request(request)
            if request.url.path.endswith("/vended-roles") and not made:
                made.append(answer.status_code)
                answer.close()
                raise lost("lost")
            return answer

    caller.release(caller.vended())  # from now on its profile is built
    client = Rolevend(caller.api.url, token=lambda: caller.token, transport=Losing(), patience=60)
    entered = False
    try:
        with client.vend(caller.proven.token(), platform=WAREHOUSE) as role:
            entered = role.connect().execute(PEOPLE).fetchall() == [(1, None), (2, None)]
    except KeyboardInterrupt:
        assert lost is KeyboardInterrupt
    assert made == [201]
    assert entered == (lost is httpx.ReadError)  # under the same key it got the same role
    assert gone(caller)


@pytest.mark.long
def test_a_vend_that_comes_to_nothing_at_first_is_tried_again_with_the_same_token(caller: Caller):
    """What it grants is not built on the platform yet, and the operator, who builds it, sleeps until the API has said so."""
    proven, operator, codes = caller.proven, caller.proven.site.operator.process, []
    # A shape that nobody else has.
    proven.site.told(proven.tenant.policy(f"{proven.tenant.name}-few", rowFilter="person_id < 3 AND country <> 'nowhere'"), "Ready", "True")

    class Waking(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = super().handle_request(request)
            answer.read()
            codes.append(answer.json().get("code", "") if answer.content else "")
            if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                operator.send(signal.SIGCONT)
            return answer

    client = Rolevend(caller.api.url, token=lambda: caller.token, transport=Waking(), patience=60)
    eventually(lambda: len(client.decide(proven.token(), platform=WAREHOUSE).explanation.tables[0].policies) == 2)
    codes.clear()
    operator.send(signal.SIGSTOP)
    try:
        with client.vend(caller.proven.token(), platform=WAREHOUSE) as role:
            assert role.connect().execute(PEOPLE).fetchall() == [(1, None), (2, None)]
    finally:
        operator.send(signal.SIGCONT)
    assert codes[0] == "ProfileBuilding"
    assert gone(caller)


def test_a_retry_at_another_replica_finds_the_same_role(client: Rolevend, caller: Caller, doors: Doors):
    token = caller.proven.token()
    other = Rolevend(doors.second.url, token=lambda: caller.token)
    wanted = {"platform": WAREHOUSE, "idempotency_key": "chat-4711"}
    with client.vend(token, **wanted) as first, other.vend(token, **wanted) as second:
        assert (first.id, first.name) == (second.id, second.name)
        assert second.connect().execute("SELECT 1").fetchone() == (1,)
    assert gone(caller)


def test_a_langgraph_agent_has_a_role_for_each_run(client: Rolevend, caller: Caller):
    toolkit = RolevendToolkit(client=client, platform=WAREHOUSE)
    agent = sql_agent(Scripted(script=[calls(("list_tables", {})), queries(PEOPLE), DONE]), toolkit)
    question = {"messages": [("user", "Who is there?")]}

    tables, rows = told(agent.invoke(question, {"configurable": {"user_token": UserToken(caller.proven.token())}}))
    assert str(tables.content).startswith("people: ")
    assert "ssn text (masked: NULL)" in str(tables.content)
    assert rows.content == "person_id,ssn\n1,NULL\n2,NULL\n(2 rows)"
    assert gone(caller)

    stranger = UserToken(caller.proven.token(tenant="another"))
    for message in told(agent.invoke(question, {"configurable": {"user_token": stranger}})):
        assert message.status == "error"
        assert str(message.content).startswith("Access was denied (NoPolicy): ")
