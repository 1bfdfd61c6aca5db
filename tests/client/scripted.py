"""A chat model that follows a script, and what tools told it."""

from collections.abc import Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult

DONE = AIMessage(content="done")


class Scripted(BaseChatModel):
    """Says one line of its script after the other, by how many it has said in this conversation: so it serves many at once. A line may be
    a function of the conversation."""

    script: Sequence[Any]

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        said = sum(isinstance(each, AIMessage) for each in messages)
        line = self.script[said]
        line = line(messages) if callable(line) else line
        if line.content == "fail":
            raise ConnectionError("the model does not answer")
        return ChatResult(generations=[ChatGeneration(message=line.model_copy(deep=True))])

    @property
    def _llm_type(self) -> str:
        return "scripted"


def calls(*wanted: tuple[str, dict[str, Any]]) -> AIMessage:
    named = [{"name": name, "args": arguments, "id": f"call-{number}"} for number, (name, arguments) in enumerate(wanted)]
    return AIMessage(content="", tool_calls=named)


def queries(*statements: str) -> AIMessage:
    return calls(*(("query_sql", {"statement": statement}) for statement in statements))


def told(state: dict[str, Any]) -> list[ToolMessage]:
    """What the model was told by tools."""
    return [each for each in state["messages"] if isinstance(each, ToolMessage)]
