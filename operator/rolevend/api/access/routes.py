"""The calls about requests for offers. Each parses, calls the service and answers."""

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Header, Path, Request, Response
from fastapi.security import HTTPBearer

from rolevend.access_objects.use import approved_by
from rolevend.api.access.keyed_requests import KEY, KEY_PATTERN, CallKey
from rolevend.api.access.schemas import (
    AccessRequestShown,
    AccessRequestsShown,
    ApprovalShown,
    ConfirmShown,
    OfferAskedShown,
    OfferRequest,
)
from rolevend.api.access.service import MAX_WAIT_SECONDS, AccessService, is_decided
from rolevend.api.confirm.links import ConfirmPage
from rolevend.api.json_body import WrittenJson
from rolevend.api.problems import RETRY_SECONDS
from rolevend.api.responses import as_json
from rolevend.decision.admission import Agent
from rolevend.kinds import AccessRequest
from rolevend.kinds.access_request_facts import recorded, state_of
from rolevend.kinds.text import SUBDOMAIN_PATTERN, timestamp_text

REQUESTS: Final = "/access/v1/requests"
ACCESS_CALLS: Final = ("requestAccess", "listAccessRequests", "getAccessRequest", "withdrawAccessRequest")
"""Operation ids."""
_WAIT: Final = re.compile(r"wait\s*=\s*\"?([0-9]{1,9})\"?", re.IGNORECASE)


def add_access_routes(app: FastAPI, access: AccessService, caller: Callable[[Request], Awaitable[Agent]], scheme: HTTPBearer) -> None:
    """Add the calls. `caller` authenticates the agent, and `scheme` documents that."""
    agent_type = Annotated[Agent, Depends(caller)]
    secured: dict[str, Any] = {"dependencies": [Depends(scheme)]}
    name_type = Annotated[str, Path(alias="id", max_length=253, pattern=SUBDOMAIN_PATTERN, description="`id` of an access request")]
    key_type = Annotated[
        str | None,
        Header(alias=KEY, pattern=KEY_PATTERN, description="The same key and body again: the same request, whatever became of it"),
    ]
    prefer_type = Annotated[
        str | None,
        Header(
            alias="Prefer",
            description="`wait=30` (RFC 7240): answer when the request is decided or its user answers, at most after 60 seconds",
        ),
    ]

    @app.post(
        REQUESTS,
        status_code=201,
        summary="Request an offer",
        operation_id="requestAccess",
        response_description="Approved by a rule: use its `id` as `approval` of a request for a role",
        response_model=AccessRequestShown,
        responses={
            202: {"model": AccessRequestShown, "description": "The user must confirm, or people decide: get it with `Prefer: wait=60`"}
        },
        **secured,
    )
    async def request_access(request: Request, agent: agent_type, question: OfferRequest, key: key_type = None) -> Response:
        call = None if key is None else CallKey(key, question.model_dump_json(exclude={"user_token"}))
        (found,) = await access.ask(agent, (question,), request.state.request_id, call)
        headers = {"Location": f"{REQUESTS}/{found.name}"}
        if not is_decided(found):
            return WrittenJson(as_json(shown(found, access.page_of(found))), 202, headers | {"Retry-After": str(RETRY_SECONDS)})
        if not _is_usable(found):
            raise access.refusal(found)
        return WrittenJson(as_json(shown(found)), 201, headers)

    @app.get(
        REQUESTS,
        summary="The agent's own requests for offers",
        operation_id="listAccessRequests",
        response_description="By their ids",
        response_model=AccessRequestsShown,
        **secured,
    )
    async def own_requests(agent: agent_type) -> Response:
        return WrittenJson(as_json(AccessRequestsShown(items=tuple(shown(each, access.page_of(each)) for each in access.all_of(agent)))))

    @app.get(
        f"{REQUESTS}/{{id}}",
        summary="One of them, perhaps after its decision",
        operation_id="getAccessRequest",
        response_description="As it is now. The end of the wait is no failure",
        response_model=AccessRequestShown,
        **secured,
    )
    async def one_request(agent: agent_type, name: name_type, prefer: prefer_type = None) -> Response:
        seconds = wait_seconds(prefer)
        found = await access.own(agent, name, seconds)
        return WrittenJson(
            as_json(shown(found, access.page_of(found))), 200, {"Preference-Applied": f"wait={seconds}"} if seconds else None
        )

    @app.delete(
        f"{REQUESTS}/{{id}}",
        summary="Withdraw a request",
        operation_id="withdrawAccessRequest",
        status_code=204,
        response_description="Withdrawn. Roles that use its approval end",
        **secured,
    )
    async def withdraw(agent: agent_type, name: name_type) -> Response:
        await access.withdraw(agent, name)
        return Response(status_code=204)


def shown(request: AccessRequest, page: ConfirmPage | None = None) -> AccessRequestShown:
    """`page` is the one on which the user must answer; None: there is nothing to answer."""
    status, offer, life = request.status, request.spec.offer_ref, recorded(request)
    return AccessRequestShown(
        id=request.name,
        state=status.state or "Pending",
        reason=status.reason,
        message=status.message,
        offer=OfferAskedShown(
            name=f"{offer.namespace}/{offer.name}",
            display=status.offer.display if status.offer else None,
            digest=status.offer.digest if status.offer else None,
        ),
        expiration_seconds=request.spec.expiration_seconds,
        confirm=None if page is None else ConfirmShown(url=page.url, expires_at=timestamp_text(page.expires_at)),
        approval=None
        if life.approval is None
        else ApprovalShown(
            claim_until=timestamp_text(life.approval.claim_until),
            expiration_seconds=life.approval.expiration_seconds,
            approved_by=approved_by(life.approval),
        ),
    )


def wait_seconds(prefer: str | None) -> int:
    """Return the seconds of the preference `wait` (RFC 7240), at most `MAX_WAIT_SECONDS`; 0 without one that can be read."""
    for preference in (prefer or "").split(","):
        if found := _WAIT.fullmatch(preference.partition(";")[0].strip()):
            return min(int(found[1]), MAX_WAIT_SECONDS)
    return 0


def _is_usable(request: AccessRequest) -> bool:
    state = state_of(request)
    return state is not None and state.is_live
