"""The calls of OpenID AuthZEN: Authorization API 1.0 (January 2026), and the metadata of its Access Request and Approval Profile, draft 1
(June 2026): see `tasks`.

An evaluation is a decision without a role, for the calling agent and a user: nothing is created.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Literal

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer

from rolevend.api import responses
from rolevend.api.access.missing import OfferFinder
from rolevend.api.authzen.denial_binding import BINDING_SECONDS, DeniedAccess, sealed
from rolevend.api.authzen.schemas import (
    DecisionContext,
    DenialDisplay,
    EvaluationRequest,
    EvaluationShown,
    RequestableDenial,
    ResourceProperties,
    UsedApproval,
)
from rolevend.api.json_body import WrittenJson
from rolevend.api.problems import RETRY_SECONDS, Problem, public_reason
from rolevend.api.vend_service import VendService
from rolevend.audit.evidence import tables_of
from rolevend.catalog import TableId
from rolevend.decision.admission import Agent
from rolevend.decision.approval import ActiveApproval
from rolevend.decision.offers import ApprovedBy, AvailableOffer
from rolevend.decision.outcome import Denied, Pending
from rolevend.decision.outcome import Request as DecidedRequest
from rolevend.kinds.text import timestamp_text
from rolevend.plan import TableShape
from rolevend.roles.decision import RoleDecision

EVALUATION: Final = "/access/v1/evaluation"
TASKS: Final = "/access/v1/tasks"
METADATA: Final = "/.well-known/authzen-configuration"
AUTHZEN_CALLS: Final = ("evaluate",)
"""Operation ids."""
EVALUATION_EXAMPLE: Final[dict[str, Any]] = {
    "subject": {"type": "user", "id": "anna", "properties": {"issuer": "https://idp.example.org"}},
    "action": {"name": "read"},
    "resource": {
        "type": "column",
        "id": "claims.people.ssn",
        "properties": {"platform": "warehouse", "schema": "claims", "table": "people", "column": "ssn"},
    },
    "context": {"purpose": "fraud-review"},
}


def add_authzen_routes(app: FastAPI, vends: VendService, caller: Callable[[Request], Awaitable[Agent]], scheme: HTTPBearer) -> None:
    """Add the calls. `caller` authenticates the agent, and `scheme` documents that."""

    @app.post(
        EVALUATION,
        summary="Evaluate one table or column (AuthZEN)",
        operation_id="evaluate",
        response_description="The decision and its reason",
        response_model=EvaluationShown,
        dependencies=[Depends(scheme)],
    )
    async def evaluate(request: Request, agent: Annotated[Agent, Depends(caller)], evaluation: EvaluationRequest) -> Response:
        decision, finder = await vends.decide(agent, evaluation.question, request.state.request_id)
        asked, _ = decision.decisions[0]
        if asked.user.subject != evaluation.subject.id:
            raise Problem(422, "InvalidInput", "subject.id: the token is of another user", field="subject.id")
        return WrittenJson(responses.as_json(evaluated(evaluation, decision, finder, f"{base_of(request)}{TASKS}")))

    @app.get(METADATA, include_in_schema=False)
    async def metadata(request: Request) -> Response:
        base = base_of(request)
        return JSONResponse(
            {
                "policy_decision_point": base,
                "access_evaluation_endpoint": f"{base}{EVALUATION}",
                "access_request_endpoint": f"{base}{TASKS}",
                "capabilities": ["urn:openid:authzen:capability:access-request"],
            }
        )


def base_of(request: Request) -> str:
    """Return the address of the API, as the caller named it."""
    return str(request.base_url).rstrip("/")


def evaluated(evaluation: EvaluationRequest, decision: RoleDecision, finder: OfferFinder, endpoint: str) -> EvaluationShown:
    """Return the answer. A column that is not granted has the same answer as one that does not exist. `endpoint` takes requests."""
    if decision.blocking_decision is not None:
        request, refusal = decision.blocking_decision
        missing = finder.missing(request, refusal)
        context = DecisionContext(reason=public_reason(refusal.reason), message=refusal.message, missing=missing)
        return EvaluationShown(decision=False, context=_requestable(context, evaluation, request, refusal, finder, endpoint))
    grant, column = decision.grants[0], evaluation.resource.properties.column
    shown = None if column is None else _shown(grant.granted.tables[0], column)
    if column is not None and shown is None:
        message = f"column {column} is not granted to this user through this agent, or is not there"
        context = DecisionContext(reason="ResourceNotGranted", message=message)
        return EvaluationShown(decision=False, context=_requestable(context, evaluation, grant.request, None, finder, endpoint))
    used = grant.request.approval
    approval = UsedApproval(id=used.name.name, approved_until=timestamp_text(used.ends_by)) if isinstance(used, ActiveApproval) else None
    return EvaluationShown(decision=True, context=DecisionContext(reason="PolicyGrants", shown=shown, approval=approval))


def _requestable(
    context: DecisionContext,
    evaluation: EvaluationRequest,
    request: DecidedRequest,
    refusal: Denied | Pending | None,
    finder: OfferFinder,
    endpoint: str,
) -> DecisionContext:
    """Return the context of a denial with how to request the access, and with the next step after an approval."""
    resource, waits = evaluation.resource.properties, isinstance(refusal, Pending) and not refusal.withdrawn
    table = TableId(resource.schema_name, resource.table)
    offer = None if isinstance(refusal, Pending) else finder.showing(request, table, resource.column)
    hint = None if offer is None else _hint(offer, resource, request, finder.snapshot.handle_key, endpoint)
    action: Literal["request", "retry", "none"] | None = None
    if evaluation.context.approval is not None:
        action = "retry" if waits else "none" if hint is None else "request"
    return context.model_copy(
        update={"access_request": hint, "next_action": action, "retry_after": RETRY_SECONDS if action == "retry" else None}
    )


def _hint(offer: AvailableOffer, resource: ResourceProperties, request: DecidedRequest, key: bytes, endpoint: str) -> RequestableDenial:
    denied = DeniedAccess(
        agent=str(request.agent),
        issuer=request.user.issuer,
        subject=request.user.subject,
        platform=resource.platform,
        schema=resource.schema_name,
        table=resource.table,
        column=resource.column,
        purpose=request.purpose,
        offer=str(offer.terms.offer),
        expires_at=int(request.created_at.timestamp()) + BINDING_SECONDS,
    )
    who = "a rule decides at once" if offer.how is ApprovedBy.AUTOMATIC else "people decide"
    return RequestableDenial(
        endpoint=endpoint,
        template=denied.offer,
        expires_at=timestamp_text(denied.deadline),
        binding_token=sealed(denied, key),
        display=DenialDisplay(title=offer.terms.display, description=f"{who}, for at most {offer.longest_seconds} seconds"),
    )


def _shown(table: TableShape, column: str) -> Literal["Clear", "Masked"] | None:
    (summary,) = tables_of([table])
    if column in summary.clear:
        return "Clear"
    return "Masked" if any(each.name == column for each in summary.masked) else None
