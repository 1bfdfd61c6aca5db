"""The kind AccessRequest: the request of an agent, for one user, to activate an offer."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rolevend.kinds.access_policy import MaskRule
from rolevend.kinds.part import Atomic, Distinct, KeyedBy, Part, Rule, StatusPart, immutable
from rolevend.kinds.shared import PlatformRef, Resource, Status, UserName, UserTokenSecretRef
from rolevend.kinds.text import (
    AccountName,
    Count,
    DisplayText,
    FreeText,
    Generation,
    Identifier,
    Label,
    ObjectReferenceName,
    Seconds,
    Sentence,
    Sha256Text,
    TicketText,
    Timestamp,
    UidText,
)
from rolevend.kinds.vended_role import TOKEN_IN_SECRET, AgentRef, ProvenUser, TableName, Task

MOST_USES = 64
MOST_APPROVERS = 8
MOST_NOTIFICATIONS = 64

OnlyTables = Annotated[tuple[TableName, ...], Field(min_length=1, max_length=64), KeyedBy(("schema", "table"))]
OnlyColumns = Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=256), Distinct()]
AddedMasks = Annotated[tuple[MaskRule, ...], Field(min_length=1, max_length=16), KeyedBy(("name",))]
StateName = Literal["Pending", "Denied", "Expired", "Cancelled", "Approved", "Used", "Spent", "Lapsed", "Revoked", "Superseded"]


class OfferRef(Part):
    """An AccessPolicy with `onRequest`."""

    namespace: Label
    """The namespace of the AccessPolicy."""
    name: ObjectReferenceName
    """The name of the AccessPolicy."""


class StatedJustification(Part):
    """The reason of the agent, for the approvers. The words of the user, from rolevend's own page, are in `status.confirmation`."""

    text: FreeText
    """The reason. It is shown as a quotation, and never interpreted."""


class AccessRequestSpec(Part):
    """The request. Immutable as a whole: create another object for another request."""

    rules: ClassVar[tuple[Rule, ...]] = (
        TOKEN_IN_SECRET,
        Rule(
            cel="self.delivery == 'Response' || !has(self.proven)",
            message="proven is for delivery Response only: the API sets it after it checked the user's token",
            holds=lambda spec: spec.delivery == "Response" or spec.proven is None,
            field="proven",
        ),
    )

    agent_ref: AgentRef
    """The requesting agent. Creating the object needs the RBAC verb `vend` on it."""
    user: UserName
    """The user that the agent acts for. An assertion: `status.user.proof` states its proof."""
    user_token_secret_ref: UserTokenSecretRef | None = None
    """A token of this user that names the agent, in a Secret in this namespace. It is read once, and proves this one request. Without it:
    the agent asserts the user."""
    platform_ref: PlatformRef
    """The DataPlatform of the role."""
    offer_ref: OfferRef
    """The offer to activate."""
    tables: OnlyTables | None = None
    """The only tables, of those that the offer grants. Without it: all of them."""
    columns: OnlyColumns | None = None
    """The only columns, by their exact names, of those that the offer grants. Without it: all of them."""
    expiration_seconds: Seconds = 900
    """Lifetime of the role, 5 seconds to one day. The offer and its approvers may shorten it."""
    purpose: Label | None = None
    """The purpose that the agent states. The offer may require it."""
    justification: StatedJustification | None = None
    """The reason of the agent, for the approvers. The words of the user, from rolevend's own page, are in
    `status.confirmation`. The offer may require it."""
    ticket: TicketText | None = None
    """The ticket of the request. The offer may require it."""
    task: Task | None = None
    """The agent's task, such as a conversation. Only a role for the same task can use the approval; without one, only a role without."""
    delivery: Literal["Secret", "Response"] = "Secret"
    """The delivery of the credential, as of the VendedRole that uses the approval. `Response`: the API made the request and checked the
    user's token; only the API may set this."""
    proven: ProvenUser | None = None
    """The user as the API proved it by a token. Only with `delivery: Response`. Without it: the agent asserts the user."""


class Login(StatusPart):
    """The login by which the user was recognized, as the ID token of the provider states it."""

    provider: ObjectReferenceName
    """Name of the IdentityProvider."""
    token_digest: Annotated[str, Field(max_length=64, pattern="^[0-9a-f]{64}$")]
    """SHA-256 of the ID token without its signature, in hexadecimal."""
    auth_time: Timestamp | None = None
    """When the user logged in. Absent if the token does not state it."""
    acr: Annotated[str, Field(max_length=255)] | None = None
    """The class of the login. Absent if the token does not state it."""


class Confirmation(StatusPart):
    """The answer of the user, whom the API recognized by a login of their own. Written once."""

    verdict: Literal["Confirm", "Refuse"]
    """The answer."""
    at: Timestamp
    """When the user answered."""
    digest: Sha256Text
    """The `offer.digest` that the user saw."""
    text: FreeText | None = None
    """The reason in the words of the user. Absent if the user refused."""
    login: Login
    """The login of the user."""


class ObservedOffer(StatusPart):
    """The offer when it was requested. An approval of another offer does not count."""

    uid: UidText
    """The `metadata.uid` of the AccessPolicy."""
    generation: Generation
    """The `metadata.generation` of the AccessPolicy."""
    digest: Sha256Text
    """Digest of what the offer, narrowed by this request, shows this user. An approver repeats it; if it changes, the request is
    `Superseded`."""
    display: DisplayText
    """The offer in one sentence, as its owner wrote it."""


class DecisionRef(StatusPart):
    """An AccessDecision in the namespace of the offer."""

    name: ObjectReferenceName
    """Name of the AccessDecision."""
    uid: UidText
    """Its `metadata.uid`. When this object is deleted, the approval is revoked."""


class Approver(StatusPart):
    """A person who approved, with the narrowing of the approval."""

    by: AccountName
    """The user name of the approver in Kubernetes."""
    decision: DecisionRef
    """The vote."""
    at: Timestamp
    """When the vote was created."""
    comment: FreeText | None = None
    """The comment of the approver."""
    expiration_seconds: Seconds | None = None
    """The longest lifetime of a role."""
    tables: OnlyTables | None = None
    """The only tables."""
    masks: AddedMasks | None = None
    """Masks that are added to those of the offer."""


class Approval(StatusPart):
    """The approval. It does not grant by itself: each use is decided again."""

    decided_at: Timestamp
    """When the request was approved."""
    claim_until: Timestamp
    """The approval lapses if it is not used until then."""
    expiration_seconds: Seconds
    """The longest lifetime of a role: the shortest of request, offer, rule and approvers."""
    rule: Label | None = None
    """The rule of `automatic` that approved. Absent if people approved."""
    approvers: Annotated[tuple[Approver, ...], Field(max_length=MOST_APPROVERS), Atomic()] = ()
    """The people who approved. Empty if a rule approved."""


class Use(StatusPart):
    """A role that used the approval."""

    role_uid: UidText
    """The `metadata.uid` of the VendedRole. The same uid again is the same use."""
    role_name: ObjectReferenceName
    """The name of the VendedRole."""
    at: Timestamp
    """When the use was recorded, before the role was created."""


class Notification(StatusPart):
    """The last attempt to notify a receiver. Written when the receiver accepted it, or when the operator gave up."""

    receiver: Label
    """The receiver, as in the operator's configuration."""
    event: Literal["Pending", "Decided"]
    """`Pending`: people decide about the request. `Decided`: they need not any more."""
    state: Literal["Delivered", "Failed"]
    """`Delivered`: the receiver answered with a status of success. `Failed`: the operator gave up, and does not try again."""
    attempts: Count
    """Number of calls. After a restart of the operator the count begins again."""
    message: Annotated[str, Field(max_length=256)] | None = None
    """The last failure."""
    at: Timestamp
    """When it was recorded."""


class AccessRequestStatus(Status):
    """The state that the operator observed, and what the API recorded: uses, and the answer of the user. Not written by people."""

    state: StateName | None = None
    """`Pending`: not decided. `Approved`: a role can be vended with it. `Used`: roles were vended, and more can be. `Spent`: all uses are
    gone. `Denied`: by a person or a rule. `Expired`: not decided in time. `Cancelled`: withdrawn by the agent, the user or the owner.
    `Lapsed`: not used in time. `Revoked`: an approval was deleted, or the user deactivated; its roles end. `Superseded`: the offer, its
    data or the user changed; ask again."""
    reason: Annotated[str, Field(max_length=64)] | None = None
    """The reason of the state, in one word."""
    message: Sentence | None = None
    """The reason of the state, for people."""
    state_since: Timestamp | None = None
    """When the state changed last."""
    user: ProvenUser | None = None
    offer: ObservedOffer | None = None
    confirmation: Confirmation | None = None
    approval: Approval | None = None
    uses: Annotated[tuple[Use, ...], Field(max_length=MOST_USES), KeyedBy(("roleUid",))] = ()
    """The roles that used the approval."""
    notifications: Annotated[tuple[Notification, ...], Field(max_length=MOST_NOTIFICATIONS), KeyedBy(("receiver", "event"))] = ()
    """The receivers that were notified of the request, or could not be notified."""


class AccessRequest(Resource):
    """A request of an agent to activate an offer for one user. A rule of the offer or people approve it; a VendedRole with
    `spec.approvalRef` uses it. Deleting it withdraws the request."""

    kind: Literal["AccessRequest"] = "AccessRequest"
    spec: Annotated[AccessRequestSpec, Field(json_schema_extra=immutable("spec", "delete this AccessRequest and create another one"))]
    status: AccessRequestStatus = AccessRequestStatus()
