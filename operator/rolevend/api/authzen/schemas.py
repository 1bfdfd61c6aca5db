"""The members of evaluations: OpenID AuthZEN, Authorization API 1.0, with those of the access request profile, draft 1 (June 2026)."""

from typing import Annotated, ClassVar, Final, Literal

from pydantic import ConfigDict, Field, SecretStr

from rolevend.api.access.offer_schemas import AnswerPart, MissingShown
from rolevend.api.schemas import LONGEST_TOKEN, NamedApproval, VendRequest
from rolevend.kinds.part import Part, Rule, exactly_one
from rolevend.kinds.shared import UserName
from rolevend.kinds.text import Identifier, Issuer, Label, ObjectReferenceName, Subject
from rolevend.kinds.vended_role import TableName


class DraftPart(Part):
    """Members in snake_case. Unknown ones are ignored, as the profile asks."""

    model_config = ConfigDict(alias_generator=None, extra="ignore")


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


class NamedByTask(DraftPart):
    """An approval, as the result of a task has it. Only `id` is read."""

    id: ObjectReferenceName


class EvaluationContext(Part):
    """The facts of the request."""

    approval: NamedByTask | None = None
    """The approval to decide with."""

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
            approval=None if self.context.approval is None else NamedApproval(id=self.context.approval.id),
        )


class DenialDisplay(DraftPart):
    title: str
    """The offer in one sentence, as its owner wrote it."""
    description: str
    """The approver, and the longest lifetime."""


class RequestableDenial(DraftPart):
    """The start of a request for the denied access. A denial remains a denial."""

    endpoint: str
    template: str
    """The offer, `namespace/name`."""
    expires_at: str
    binding_token: str
    """Opaque: bring it back unchanged."""
    display: DenialDisplay


class UsedApproval(DraftPart):
    """The approval that the decision has used."""

    id: str
    approved_until: str
    """The latest end of a role that is requested now."""


class DecisionContext(AnswerPart):
    """The reason of a decision."""

    reason: str
    """`PolicyGrants`, or the stable code of a denial."""
    message: str | None = None
    """For a denial: cause and action."""
    shown: Literal["Clear", "Masked"] | None = None
    """For a column that is granted: `Masked` if some or all rows show another value than the stored one."""
    missing: MissingShown | None = None
    """For a denial: the missing grant, and the offers that can be requested."""
    access_request: Annotated[RequestableDenial | None, Field(alias="access_request")] = None
    """For a denial that an offer would lift: how to request it. Absent: it cannot be requested."""
    approval: UsedApproval | None = None
    """For a grant by an approval."""
    next_action: Annotated[Literal["request", "retry", "none"] | None, Field(alias="next_action")] = None
    """For a denial with an approval."""
    retry_after: Annotated[int | None, Field(alias="retry_after")] = None
    """Seconds, for `retry`."""


class EvaluationShown(AnswerPart):
    """The decision. Nothing was created."""

    decision: bool
    """True if a role for this user could read the resource now."""
    context: DecisionContext


_SHORTEST_SECONDS: Final = 5
"""The lifetime that every Agent and DataPlatform permits."""
