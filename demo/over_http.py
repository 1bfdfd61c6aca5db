"""Near the end of the story: a LangGraph agent answers for two people with one call each, authenticated by their tokens."""

import csv
import json
from collections.abc import Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableConfig

from demo.acts import Scene
from demo.checks import ANNA, BOB, CheckFailed, Sight, check
from demo.questions import TOTALS
from demo.stage import CHATBOT, EMPLOYEES
from rolevend_client import Rolevend, RolevendError, Task, UserToken
from rolevend_client.langchain import RolevendToolkit, sql_agent

_QUESTION = "How many claims are there, by country?"


class ScriptedModel(BaseChatModel):
    """Scripted answers of a model: list the tables, ask one question, sum the answer."""

    def bind_tools(self, tools: Any, **_: Any) -> Any:  # noqa: ARG002 - the script knows the tools
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        answers = [each for each in messages if isinstance(each, ToolMessage)]
        match len(answers):
            case 0:
                said = _calls("list_tables", {})
            case 1:
                said = _calls("query_sql", {"statement": TOTALS})
            case _:
                rows = _rows(str(answers[-1].content))
                said = AIMessage(f"{sum(int(row[2]) for row in rows):,} in {', '.join(sorted({row[0] for row in rows}))}")
        return ChatResult(generations=[ChatGeneration(message=said)])

    @property
    def _llm_type(self) -> str:
        return "scripted"


def ask_over_http(scene: Scene) -> None:
    stage, tell = scene.stage, scene.tell
    tell.act(8, f"The agent {CHATBOT} asks over HTTP, for two people whom nobody registered: tokens say who they are")
    tell.say(f"An OpenID Connect provider signs them; {CHATBOT} is a client there, and a graph of LangGraph with a scripted model.")
    tell.command("kubectl apply -f examples/04-over-http/access.yaml")
    client = Rolevend(stage.api.url, token=lambda: stage.provider.tokens.agent_token(CHATBOT))
    agent = sql_agent(ScriptedModel(), RolevendToolkit(client=client, platform="warehouse"))
    told = []
    for sight in (ANNA, BOB):
        token = stage.provider.tokens.tokens_of(sight.subject, client=CHATBOT).access_token
        config: RunnableConfig = {
            "configurable": {"user_token": UserToken(token), "task": Task.of(f"demo-{sight.subject}", intent=_QUESTION)}
        }
        state = agent.invoke({"messages": [("user", _QUESTION)]}, config)
        _check_answer(scene, sight, state["messages"])
        role = _role_of(scene, sight)
        told.append((sight.first_name, state["messages"][-1].content, role))
        _check_refused(client, token)
    tell.table(("for", f"answers “{_QUESTION}”", "as"), told)
    tell.seen("each run had a role of its own, which is gone; what the model read is what the person may see, row by row")
    tell.seen("neither token could be used once more: TokenReplayed")


def _check_answer(scene: Scene, sight: Sight, messages: Sequence[BaseMessage]) -> None:
    (*_, read) = [each for each in messages if isinstance(each, ToolMessage)]
    expected = [[str(cell) for cell in row] for row in sight.totals(scene.stage.seed)]
    check(
        f"over HTTP: what the model reads for {sight.first_name}", expected=json.dumps(expected), seen=json.dumps(_rows(str(read.content)))
    )


def _role_of(scene: Scene, sight: Sight) -> str:
    """Find the role in the database's log."""
    roles = [
        role for role in scene.witness.logged(TOTALS) if role.startswith(f"IMMUTA_VENDED_{CHATBOT.upper()}_{EMPLOYEES[sight.subject]}_")
    ]
    check(f"over HTTP: one role asked for {sight.first_name}", expected=1, seen=len(roles))
    check(f"over HTTP: the role for {sight.first_name} is gone after the run", expected=False, seen=scene.witness.exists(roles[0]))
    return roles[0]


def _check_refused(client: Rolevend, token: str) -> None:
    """Check that a token is accepted only once."""
    try:
        with client.vend(token, platform="warehouse") as role:
            raise CheckFailed("a token is taken once", "TokenReplayed", role.name)
    except RolevendError as error:
        check("a token is taken once", expected="TokenReplayed", seen=error.code)


def _calls(tool: str, arguments: dict[str, Any]) -> AIMessage:
    return AIMessage(content="", tool_calls=[{"name": tool, "args": arguments, "id": f"call-{tool}"}])


def _rows(answer: str) -> list[list[str]]:
    """Parse the tool's CSV, without its header and the count line."""
    return list(csv.reader(answer.splitlines()))[1:-1]
