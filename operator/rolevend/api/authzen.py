"""The calls of OpenID AuthZEN: Authorization API 1.0 (January 2026), and the metadata of its Access Request and Approval Profile, draft 1
(June 2026), which will change.

An evaluation is a decision without a role, for the calling agent and a user: nothing is created. Requests for offers have the members of
`access_schemas`, not those of the profile; an approval is an input of a later decision, as in the profile.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, ClassVar, Final, Literal

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from pydantic import Field, SecretStr

from rolevend.api import responses
from rolevend.api.json_body import WrittenJson
from rolevend.api.missing import OfferFinder
from rolevend.api.offer_schemas import MissingShown, Shown
from rolevend.api.problems import Problem, public_reason
from rolevend.api.schemas import LONGEST_TOKEN, VendRequest
from rolevend.api.vend_service import VendService
from rolevend.audit.evidence import tables_of
from rolevend.decision.admission import Agent
from rolevend.kinds.part import Part, Rule, exactly_one
from rolevend.kinds.shared import UserName
from rolevend.kinds.text import Identifier, Issuer, Label, ObjectReferenceName, Subject
from rolevend.kinds.vended_role import TableName
from rolevend.plan import TableShape
from rolevend.roles.decision import RoleDecision

EVALUATION: Final = "/access/v1/evaluation"
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


class SubjectProperties(Part):
    """The proof of the user. Set exactly one."""

    rules: ClassVar[tuple[Rule, ...]] = (exactly_one("proof of the user", "userToken", "issuer"),)

    user_token: Annotated[SecretStr, Field(min_length=1, max_length=LONGEST_TOKEN)] | None = None
    """A token of the user that names the agent. It is not redeemed."""
    issuer: Issuer | None = None
    """The issuer of a user whom the agent asserts: only for an Agent with `assertion: Trusted`."""


class EvaluatedSubject(Part):
    """The user."""

    type: Literal["user"]
    id: Subject
    """The user's subject at the issuer, which the token must have, too."""
    properties: SubjectProperties


class EvaluatedAction(Part):
    """The action."""

    name: Literal["read"]


class ResourceProperties(Part):
    """A table, or a column of it, by their names on the platform."""

    platform: ObjectReferenceName
    """Name of the DataPlatform."""
    schema_name: Annotated[Identifier, Field(alias="schema")]
    table: Identifier
    column: Identifier | None = None
    """Only for a column."""


class EvaluatedResource(Part):
    """The table or column."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="(self.type == 'column') == has(self.properties.column)",
            message="properties.column must be set for type column, and for no other",
            holds=lambda resource: (resource.type == "column") == (resource.properties.column is not None),
            field="properties",
        ),
    )

    type: Literal["table", "column"]
    id: Annotated[str, Field(min_length=1, max_length=512)]
    """For the caller alone: `properties` name the resource."""
    properties: ResourceProperties


class EvaluationContext(Part):
    """The facts of the request."""

    purpose: Label | None = None
    """The purpose: one that the DataPlatform permits the agent to state."""


class EvaluationRequest(Part):
    """An AuthZEN evaluation for the calling agent and a user."""

    subject: EvaluatedSubject
    action: EvaluatedAction
    resource: EvaluatedResource
    context: EvaluationContext = EvaluationContext()

    @property
    def question(self) -> VendRequest:
        """Return the request for a role that this evaluation is about."""
        subject, resource = self.subject, self.resource.properties
        issuer = subject.properties.issuer
        return VendRequest(
            user_token=subject.properties.user_token,
            user=None if issuer is None else UserName(issuer=issuer, subject=subject.id),
            platforms=(resource.platform,),
            purpose=self.context.purpose,
            resources=(TableName(schema_name=resource.schema_name, table=resource.table),),
            expiration_seconds=_SHORTEST_SECONDS,
        )


class DecisionContext(Shown):
    """The reason of a decision."""

    reason: str
    """`PolicyGrants`, or the stable code of a denial."""
    message: str | None = None
    """For a denial: cause and action."""
    shown: Literal["Clear", "Masked"] | None = None
    """For a column that is granted: `Masked` if some or all rows show another value than the stored one."""
    missing: MissingShown | None = None
    """For a denial: the missing grant, and the offers that can be requested."""


class EvaluationShown(Shown):
    """The decision. Nothing was created."""

    decision: bool
    """True if a role for this user could read the resource now."""
    context: DecisionContext


_SHORTEST_SECONDS: Final = 5
"""The lifetime that every Agent and DataPlatform permits."""


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
        return WrittenJson(responses.as_json(evaluated(evaluation, decision, finder)))

    @app.get(METADATA, include_in_schema=False)
    async def metadata(request: Request) -> Response:
        base = str(request.base_url).rstrip("/")
        return JSONResponse(
            {
                "policy_decision_point": base,
                "access_evaluation_endpoint": f"{base}{EVALUATION}",
                "access_request_endpoint": f"{base}/access/v1/requests",
            }
        )


def evaluated(evaluation: EvaluationRequest, decision: RoleDecision, finder: OfferFinder) -> EvaluationShown:
    """Return the answer. A column that is not granted has the same answer as one that does not exist."""
    if decision.blocking_decision is not None:
        request, refusal = decision.blocking_decision
        missing = finder.missing(request, refusal)
        context = DecisionContext(reason=public_reason(refusal.reason), message=refusal.message, missing=missing)
        return EvaluationShown(decision=False, context=context)
    grant, column = decision.grants[0], evaluation.resource.properties.column
    shown = None if column is None else _shown(grant.granted.tables[0], column)
    if column is not None and shown is None:
        message = f"column {column} is not granted to this user through this agent, or is not there"
        return EvaluationShown(decision=False, context=DecisionContext(reason="ResourceNotGranted", message=message))
    return EvaluationShown(decision=True, context=DecisionContext(reason="PolicyGrants", shown=shown))


def _shown(table: TableShape, column: str) -> Literal["Clear", "Masked"] | None:
    (summary,) = tables_of([table])
    if column in summary.clear:
        return "Clear"
    return "Masked" if any(each.name == column for each in summary.masked) else None
