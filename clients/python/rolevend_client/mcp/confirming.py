"""Ask the person to open rolevend's own page, where the request is confirmed or refused. The answer of the page never passes through the
client: an accepted elicitation says only that the person opens the page.

| The client speaks | The link goes |
|---|---|
| protocol 2026-07-28 or later, with URL elicitation | in a result `input_required`; the client calls again with the answer |
| protocol 2025-11-25, with URL elicitation | in a request of the server, during the call |
| another protocol, or no URL elicitation | as text to the model |
"""

from typing import Any

from mcp.server.mcpserver import Context
from mcp.types import ElicitRequest, ElicitRequestURLParams, ElicitResult, InputRequiredResult
from mcp.types.version import is_version_at_least

from rolevend_client import access_messages
from rolevend_client.mcp.sessions import Conversations, Key
from rolevend_client.values import AccessRequest

CONFIRM_SECONDS = 45
"""Maximum time that a call waits for the page: clients give up a call after a minute."""
_QUESTION = "confirm"
_RESULTS_ASK = "2026-07-28"
"""The first protocol in which a server asks by its result."""
_URLS = "2025-11-25"
"""The first protocol with URL elicitation."""

AnyContext = Context[Any, Any]


async def confirmed(context: AnyContext, conversations: Conversations, key: Key, request: AccessRequest) -> str | InputRequiredResult:
    """Return the state of the request for the model, after the person was asked where that is needed and the client can; or the result
    that makes the client ask. `request` is that of the earlier call, where this one brings the answer."""
    action = _answer(context)
    if action is None:
        if request.confirmation is None or not _asks_people(context):
            return access_messages.stated(request)
        question = ElicitRequestURLParams(message=access_messages.to_confirm(request), url=request.confirmation.url)
        if is_version_at_least(str(context.protocol_version), _RESULTS_ASK):
            return InputRequiredResult(input_requests={_QUESTION: ElicitRequest(params=question)})
        action = (await context.elicit_url(question.message, question.url, request.id)).action
    if action == "decline" and request.state == "Pending":
        await conversations.withdraw(key, request.id)
        return access_messages.declined(request)
    if action == "accept":
        request = await conversations.status(key, request.id, CONFIRM_SECONDS, for_confirmation=True)
    return access_messages.stated(request)


def _answer(context: AnyContext) -> str | None:
    """Return the answer that this call brings; None: it is the first one."""
    answer = (context.input_responses or {}).get(_QUESTION)
    return answer.action if isinstance(answer, ElicitResult) else None


def _asks_people(context: AnyContext) -> bool:
    asks = context.client_capabilities and context.client_capabilities.elicitation
    return bool(asks and asks.url is not None and is_version_at_least(str(context.protocol_version), _URLS))
