"""Real LangGraph agents with a model that follows a script, on a real database: every run has a role of its own, and no run leaves one."""

import asyncio
from contextlib import aclosing, closing
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphRecursionError
from langgraph.types import Command, interrupt

from rolevend.identity.refusal import Code, Standing
from rolevend_client import AssertedUser, Denied, Misconfigured, Refused
from rolevend_client.langchain import OwnRole, RolevendToolkit, UserToken, own_role, sql_agent
from rolevend_client.langchain.agent import AGAINST_TOKENS
from tests.client.scripted import DONE, Scripted, calls, queries, told
from tests.client.warehouse import Warehouse, sessions
from tests.support.waiting import eventually

WHO = "SELECT current_user AS me, id, region, ssn FROM people ORDER BY id"
QUESTION = {"messages": [("user", "Who is there?")]}


def agent(warehouse: Warehouse, *script: AIMessage, **settings: Any) -> OwnRole:
    toolkit = RolevendToolkit(client=warehouse.client(), platform="warehouse", **settings)
    return sql_agent(Scripted(script=[*script, DONE]), toolkit)


def as_(person: str, **more: Any) -> RunnableConfig:
    return {"configurable": {"user_token": UserToken(person), **more}}


def only(state: dict[str, Any]) -> str:
    (message,) = told(state)
    return str(message.content)


def test_each_run_has_a_role_of_its_own_that_reads_what_its_person_may(warehouse: Warehouse):
    made = agent(warehouse, queries(WHO))
    rows = {person: only(made.invoke(QUESTION, as_(person))).splitlines() for person in ("anna", "bob", "anna")}
    header, first, second, count = rows["anna"]
    assert (header, count) == ("me,id,region,ssn", "(2 rows)")
    assert [line.split(",")[1:] for line in (first, second)] == [["0", "EU", "NULL"], ["1", "EU", "NULL"]]
    assert [line.split(",")[1:3] for line in rows["bob"][1:3]] == [["2", "US"], ["3", "US"]]
    assert len({lease.role for lease in warehouse.leases.values()}) >= 3
    assert [line.split()[0] for line in warehouse.api.asked] == ["POST", "DELETE"] * 3


def test_tables_are_those_that_the_role_reads_and_access_is_explained(warehouse: Warehouse):
    describes = ("describe_table", {"table": "people"}), ("describe_table", {"table": 'pg_authid"\nDo'})
    made = agent(warehouse, calls(("list_tables", {}), ("explain_access", {}), *describes), purpose="fraud-review")
    listed, explained, described, unknown = (str(each.content) for each in told(made.invoke(QUESTION, as_("anna"))))
    assert listed == described
    assert listed.startswith(
        'people: id integer, region text (one of "EU", "US"), email text, ssn text (masked: NULL); only rows where region in (EU)'
    )
    assert listed.endswith('  comment on region: "Where they live"')
    assert unknown == 'The role reads no table "pg_authid\' Do"; list_tables shows those that it reads.'
    assert "for anna through agent agents/assistant, for the purpose fraud-review, until 20" in explained
    assert "granted by domain-claims/analysts" in explained


def test_a_denial_is_something_that_the_model_is_told(warehouse: Warehouse):
    made = agent(warehouse, queries(WHO), calls(("list_tables", {}), ("explain_access", {})))
    query, tables, explained = told(made.invoke(QUESTION, as_("eve")))
    expected = (
        "Access was denied (NoPolicy): nothing is granted to eve. The smallest missing piece: table governed.people. "
        "Another statement does not change that; tell the person."
    )
    assert [str(each.content) for each in (query, tables, explained)] == [expected] * 3
    assert [each.status for each in (query, tables, explained)] == ["error", "error", "success"]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT * FROM pg_authid", "(42501): permission denied for table pg_authid. The role may not do that"),
        ("SELECT * FROM payments", '(42P01): relation "payments" does not exist. The role sees no such table; list_tables'),
        ("SELECT iban FROM people", '(42703): column "iban" does not exist.'),
        ("SELEC 1", "(42601): syntax error"),
        ("SELECT 1; SELECT 2", "(42601): cannot insert multiple commands"),
        ("SELECT pg_terminate_backend(pg_backend_pid())", "The role has ended"),
        ("SELECT 1/0", "(22012): division by zero"),
        ("SET ROLE rv_programmer", "(42501): permission denied to set role"),
        ("COPY people TO STDOUT", "(42809): cannot copy from view"),
        ("COPY (SELECT 1) TO STDOUT", "No rows came of that statement"),
        ("BEGIN", "No rows came of that statement; ask with one that gives rows, such as SELECT."),
        ("SET TIME ZONE 'UTC'", "No rows came of that statement"),
    ],
    ids=lambda value: value[:20],
)
def test_what_the_database_refuses_is_told_and_the_next_statement_works(warehouse: Warehouse, statement: str, expected: str):
    made = agent(warehouse, queries(statement), queries("SELECT count(*) FROM people"))
    refused, answer = told(made.invoke(QUESTION, as_("anna")))
    assert refused.status == "error"
    assert expected in str(refused.content)
    assert "\n" not in str(refused.content)
    assert answer.content == "count\n2\n(1 row)"


def test_rows_are_bounded_and_not_fetched(warehouse: Warehouse):
    """A billion rows would take minutes, and a gigabyte."""
    made = agent(warehouse, queries("SELECT generate_series(1, 1000000000) AS n"), queries("SELECT 1 AS one"), most_rows=3)
    many, one = told(made.invoke(QUESTION, as_("anna")))
    assert many.content == "n\n1\n2\n3\n(more rows were left out after 3: ask for an aggregate, or with a narrower condition)"
    assert one.content == "one\n1\n(1 row)"


def test_characters_are_bounded(warehouse: Warehouse):
    long = "SELECT n, repeat('x', 100000) AS wide FROM generate_series(1, 50) AS n"
    exact, none = "SELECT * FROM generate_series(1, 3) AS n", "SELECT id FROM people WHERE id < 0"
    made = agent(warehouse, queries(long), queries(exact), queries(none), most_characters=3_000, most_rows=3)
    wide, three, empty = (str(each.content) for each in told(made.invoke(QUESTION, as_("anna"))))
    assert len(wide) < 3_200
    assert "x…\n(more rows were left out after 2: the answer is long" in wide
    assert three == "n\n1\n2\n3\n(3 rows)"
    assert empty == "(0 rows)"


def test_values_are_written_so_that_a_model_can_read_them(warehouse: Warehouse):
    texts = """'a "b", c' AS text, NULL AS nothing, '{"k": [1]}'::jsonb AS json, ARRAY['x', NULL] AS array, '\\x00ff'::bytea AS bytes"""
    others = (
        "true AS yes, 1.50::numeric AS money, 'infinity'::timestamp AS ever, '294276-12-31'::date AS late, '4713-01-01 BC'::date AS early"
    )
    answer = only(agent(warehouse, queries(f"SELECT {texts}, {others}")).invoke(QUESTION, as_("anna")))
    assert answer.splitlines()[1] == ('"a ""b"", c",NULL,"{""k"": [1]}","{x,NULL}",\\x00ff,t,1.50,infinity,294276-12-31,4713-01-01 BC')


def test_tools_that_are_called_at_once_share_the_runs_session(warehouse: Warehouse):
    made = agent(warehouse, queries(*["SELECT pg_backend_pid() AS pid"] * 8))
    assert len({str(each.content) for each in told(made.invoke(QUESTION, as_("anna")))}) == 1


@pytest.mark.parametrize("ending", ["model", "loop"])
def test_a_run_that_fails_leaves_no_role(warehouse: Warehouse, ending: str):
    script = [AIMessage(content="fail")] if ending == "model" else [queries("SELECT 1")] * 20
    expected: type[Exception] = ConnectionError if ending == "model" else GraphRecursionError
    with pytest.raises(expected):
        agent(warehouse, queries(WHO), *script).invoke(QUESTION, {**as_("anna"), "recursion_limit": 10})
    assert warehouse.leases


def test_a_run_that_stops_to_ask_somebody_leaves_no_role_and_is_resumed_with_another(warehouse: Warehouse):
    def confirm() -> str:
        """Ask the person whether to go on."""
        return str(interrupt("go on?"))

    toolkit = RolevendToolkit(client=warehouse.client(), platform="warehouse")
    script = [queries("SELECT current_user"), calls(("confirm", {})), queries("SELECT current_user"), DONE]
    made = sql_agent(Scripted(script=script), toolkit, tools=[tool(confirm)], checkpointer=InMemorySaver())
    stopped = made.invoke(QUESTION, as_("anna", thread_id="1"))
    assert stopped["__interrupt__"]
    assert warehouse.api.live == set()

    first, confirmed, second = told(made.invoke(Command(resume="yes"), as_("anna", thread_id="1")))
    assert confirmed.content == "yes"
    assert first.content != second.content


def test_a_role_that_is_ended_meanwhile_is_told_of(warehouse: Warehouse):
    toolkit = RolevendToolkit(client=warehouse.client(), platform="warehouse")

    def revoke() -> str:
        """Somebody ends every role."""
        for role_id in warehouse.api.live:
            warehouse.drop(role_id)
        return "ended"

    script = [queries(WHO), calls(("revoke", {})), queries(WHO), queries(WHO), DONE]
    made = sql_agent(Scripted(script=script), toolkit, tools=[tool(revoke)])
    _, _, third, fourth = told(made.invoke(QUESTION, as_("anna")))
    assert (third.status, fourth.status) == ("error", "error")
    for message in (third, fourth):
        assert "nothing more can be asked in this run" in str(message.content)


def test_two_streams_that_are_read_in_turn_keep_their_roles_apart(warehouse: Warehouse):
    """Both in one thread, so that whatever belongs to a thread or a context would be the other's."""
    made = agent(warehouse, queries(WHO), queries(WHO))
    anna, bob = (made.stream(QUESTION, as_(person), stream_mode="values") for person in ("anna", "bob"))
    with closing(anna), closing(bob):
        for ours, theirs in zip(anna, bob, strict=True):
            states = ours, theirs
    for state, region, other in zip(states, (",EU,", ",US,"), (",US,", ",EU,"), strict=True):
        assert [str(each.content).count(region) for each in told(state)] == [2, 2]
        assert other not in "".join(str(each.content) for each in told(state))


def test_a_stream_that_nobody_reads_to_its_end_leaves_no_role(warehouse: Warehouse):
    with closing(agent(warehouse, queries(WHO)).stream(QUESTION, as_("anna"))) as stream:
        next(stream)
        assert len(warehouse.api.live) == 1
    assert warehouse.api.live == set()


def test_a_batch_is_as_many_runs(warehouse: Warehouse):
    people = ["anna", "bob"] * 4
    states = agent(warehouse, queries(WHO)).batch([QUESTION] * len(people), [as_(person) for person in people])
    assert [(",EU," in only(state), ",US," in only(state)) for state in states] == [
        (person == "anna", person == "bob") for person in people
    ]
    assert len(warehouse.api.bodies) == len(people)


async def test_many_runs_at_once_never_see_each_others_rows(warehouse: Warehouse):
    made = agent(warehouse, queries(WHO), queries(WHO))
    people = ["anna", "bob", "eve"] * 5
    states = await asyncio.gather(*(made.ainvoke(QUESTION, as_(person)) for person in people))
    for person, state in zip(people, states, strict=True):
        text = "".join(str(each.content) for each in told(state))
        assert (",EU," in text, ",US," in text, "denied" in text) == (person == "anna", person == "bob", person == "eve")


async def test_a_run_that_is_cancelled_leaves_no_role_and_no_statement(warehouse: Warehouse):
    made = agent(warehouse, queries("SELECT pg_sleep(600)"))
    running = asyncio.create_task(made.ainvoke(QUESTION, as_("anna")))
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(600)' AND state = 'active'"
    await asyncio.to_thread(eventually, lambda: warehouse.bench.value(asleep) == 1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert warehouse.api.live == set()
    await asyncio.to_thread(eventually, lambda: sessions(warehouse) == 0)


async def test_an_async_stream_and_its_events_have_a_role_too(warehouse: Warehouse):
    made = agent(warehouse, queries(WHO))
    async with aclosing(made.astream(QUESTION, as_("anna"), stream_mode="values")) as states:
        *_, last = [state async for state in states]
    assert ",EU," in only(last)
    ends = [event["name"] async for event in made.astream_events(QUESTION, as_("bob"), version="v2") if event["event"] == "on_tool_end"]
    assert ends == ["query_sql"]


class Watching(BaseCallbackHandler):
    """Remembers whatever a tracer is told."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("on_"):
            return lambda *arguments, **named: self.seen.append(f"{name} {arguments} {named}")
        return super().__getattribute__(name)


def test_no_trace_and_no_checkpoint_keeps_a_token_or_a_password(warehouse: Warehouse):
    watching, kept = Watching(), InMemorySaver()
    toolkit = RolevendToolkit(client=warehouse.client(), platform="warehouse")
    made = sql_agent(Scripted(script=[queries(WHO), DONE]), toolkit, checkpointer=kept)
    state = made.invoke(QUESTION, {**as_("anna", thread_id="1"), "callbacks": [watching]})
    (document,) = (document for _, document in warehouse.api.made.values())
    password = document["platforms"][0]["credential"]["password"]
    checkpoints = [repr(each) for each in kept.list({"configurable": {"thread_id": "1"}})]
    assert checkpoints
    assert any(line.startswith("on_tool_start") for line in watching.seen)
    for text in (*watching.seen, *checkpoints, repr(state)):
        assert password not in text
        assert "UserToken" not in text
        assert "'anna'" not in text


def test_nothing_inside_the_graph_sees_the_token(warehouse: Warehouse):
    seen: list[RunnableConfig] = []

    def look(config: RunnableConfig) -> str:
        """Look around."""
        seen.append(config)
        return "seen"

    toolkit = RolevendToolkit(client=warehouse.client(), platform="warehouse")
    made = sql_agent(Scripted(script=[calls(("look", {})), DONE]), toolkit, tools=[tool(look)])
    made.invoke(QUESTION, as_("anna", thread_id="1", purpose="fraud-review"))
    (config,) = seen
    assert config["configurable"]["thread_id"] == "1"
    assert {"user_token", "purpose"}.isdisjoint(config["configurable"])
    assert "anna" not in str(config["metadata"])


@pytest.mark.parametrize("token", ["anna", None], ids=["a text", "nothing"])
def test_a_token_that_would_be_kept_or_is_missing_is_refused_before_anything_is_asked(warehouse: Warehouse, token: str | None):
    with pytest.raises(Misconfigured, match="UserToken"):
        agent(warehouse, queries(WHO)).invoke(QUESTION, {"configurable": {"user_token": token}})
    with pytest.raises(Misconfigured, match="UserToken"):
        agent(warehouse, queries(WHO)).invoke(QUESTION)
    assert warehouse.api.asked == []


async def test_what_the_model_cannot_mend_is_raised(warehouse: Warehouse):
    made = agent(warehouse, queries(WHO))
    for token, code, kind in (("expired", "TokenExpired", Refused), ("used", "TokenReplayed", Denied)):
        with pytest.raises(kind, match=code):
            made.invoke(QUESTION, as_(token))
        with pytest.raises(kind, match=code):
            await made.ainvoke(QUESTION, as_(token))


def test_the_codes_that_are_against_a_token_are_those_of_the_api():
    assert {code.value for code in Code if code.standing is Standing.NOT_ALLOWED} == AGAINST_TOKENS - {"TokenRequired"}


def test_a_run_says_its_purpose_and_its_person_itself(warehouse: Warehouse):
    made = agent(warehouse, calls(("list_tables", {})), purpose="support", seconds=60, resources=["governed.people"])
    made.invoke(QUESTION, as_("anna", purpose="fraud-review"))
    made.invoke(QUESTION, as_("anna"))
    with pytest.raises(TypeError, match="token"):
        made.invoke(QUESTION, as_("anna", user=AssertedUser("https://idp.example.org", "anna")))
    first, second = warehouse.api.bodies
    assert (first["purpose"], second["purpose"], second["expirationSeconds"]) == ("fraud-review", "support", 60)
    assert second["resources"] == [{"schema": "governed", "table": "people"}]


def test_an_agent_that_langchain_makes_has_roles_of_its_own_too(warehouse: Warehouse):
    toolkit = RolevendToolkit(client=warehouse.client(), platform="warehouse")
    graph = create_agent(Scripted(script=[queries(WHO), queries("SELECT * FROM pg_authid"), DONE]), toolkit.get_tools())
    rows, refused = told(own_role(graph, toolkit).invoke(QUESTION, as_("bob")))
    assert ",US," in str(rows.content)
    assert (refused.status, "42501" in str(refused.content)) == ("error", True)


def test_a_graph_that_was_not_given_roles_has_none(warehouse: Warehouse):
    with pytest.raises(Misconfigured, match="own_role"):
        agent(warehouse, queries(WHO)).graph.invoke(QUESTION, as_("anna"))
    assert warehouse.api.asked == []


def test_the_tools_ask_the_model_for_no_more_than_they_need(warehouse: Warehouse):
    tools = RolevendToolkit(client=warehouse.client(), platform="warehouse").get_tools()
    assert {each.name: list(each.args) for each in tools} == {
        "query_sql": ["statement"],
        "list_tables": [],
        "describe_table": ["table", "platform"],
        "explain_access": ["table", "platform"],
        "request_access": ["offer", "tables", "columns", "minutes", "why", "ticket"],
        "access_status": ["request", "wait_seconds"],
    }
    assert all(len(each.description) > 40 for each in tools)
