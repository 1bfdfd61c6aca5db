"""The kind VendedRole: one role, for one agent, on behalf of one user, with an expiry."""

from datetime import datetime
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from rolevend.decision.proof import Actor as ProvenActor
from rolevend.decision.proof import Claimed, ClientIdentity, Identity, Presented, Proof, ServiceAccountIdentity, UserProof, UserToken
from rolevend.kinds.agent import Agent
from rolevend.kinds.identity_provider import TokenTypeName
from rolevend.kinds.part import VALIDATIONS, Atomic, KeyedBy, Part, Rule, StatusPart, immutable
from rolevend.kinds.shared import Attribute, PlatformRef, Resource, SecretRef, Status, UserName, UserTokenSecretRef
from rolevend.kinds.text import (
    Count,
    Identifier,
    Issuer,
    Key,
    Label,
    ObjectReferenceName,
    Seconds,
    Sentence,
    Sha256Text,
    Subject,
    TableText,
    TaskIdText,
    Timestamp,
    UidText,
    UserHandleText,
)
from rolevend.model import UserHandle

MOST_PLATFORMS: Final = 8
"""In one VendedRole."""


MOST_TABLES_LISTED: Final = 50
"""In the status of one platform."""


class AgentRef(Part):
    """An Agent in the namespace of the VendedRole."""

    name: ObjectReferenceName
    """Name of an Agent in the same namespace."""


class ApprovalRef(Part):
    """An AccessRequest in the namespace of the VendedRole."""

    name: ObjectReferenceName
    """Name of an approved AccessRequest in the same namespace."""


class TableName(Part):
    """A table, by its name on the platform."""

    schema_name: Annotated[Identifier, Field(alias="schema")]
    """Name of the schema."""
    table: Identifier
    """Name of the table."""


class Task(Part):
    """The agent's task, which links its own record to the audit events. Stated by the agent, and not verified."""

    id: TaskIdText
    """The agent's own id of the task: a conversation, a ticket, a run. Not secret and not personal, because it is in logs."""
    intent_digest: Sha256Text | None = None
    """Digest of the agent's instruction. The text stays with the agent, which can later prove it."""


TOKEN_IN_SECRET: Final = Rule(
    cel="self.delivery == 'Secret' || !has(self.userTokenSecretRef)",
    message="userTokenSecretRef is for delivery Secret only: the API receives the token itself",
    holds=lambda spec: spec.delivery == "Secret" or spec.user_token_secret_ref is None,
    field="userTokenSecretRef",
)


class VendedRoleSpec(Part):
    """The request. Immutable as a whole: create another object for another request."""

    rules: ClassVar[tuple[Rule, ...]] = (
        TOKEN_IN_SECRET,
        Rule(
            cel="!has(self.approvalRef) || (self.platformRefs.size() == 1 && !self.allowPartial)",
            message="approvalRef is for one platform: name only the platform of the AccessRequest in platformRefs, without allowPartial",
            holds=lambda spec: spec.approval_ref is None or (len(spec.platform_refs) == 1 and not spec.allow_partial),
            field="approvalRef",
        ),
    )

    agent_ref: AgentRef
    """The requesting agent. Creating the object needs the RBAC verb `vend` on it."""
    user: UserName
    """The user that the agent acts for. An assertion: `status.user.proof` states its proof."""
    user_token_secret_ref: UserTokenSecretRef | None = None
    """A token of this user that names the agent, in a Secret in this namespace. It is read once, before the role is created, and proves
    this one VendedRole; the role expires with the token at the latest. Without it: the agent asserts the user."""
    delivery: Literal["Secret", "Response"] = "Secret"
    """The delivery of the credential. `Secret`: the operator creates the role, and stores the credential in a Secret of the same name.
    `Response`: the API creates the role and returns the credential, which is not stored; only the API may set this."""
    platform_refs: Annotated[tuple[PlatformRef, ...], Field(min_length=1, max_length=MOST_PLATFORMS), KeyedBy(("name",))]
    """The DataPlatforms of the role, under one name: on all of them, or on none."""
    allow_partial: bool = False
    """With several platforms: create the role where possible, and skip a platform that does not grant it or fails. A skipped platform
    stays skipped; `status.platforms` has the reason."""
    purpose: Label | None = None
    """The purpose that the agent states. The DataPlatform must permit it; policies can match it."""
    resources: Annotated[tuple[TableName, ...], Field(min_length=1, max_length=64), KeyedBy(("schema", "table"))] | None = None
    """The only tables of the role, of those that policies grant; each must be granted. Without it: all of them."""
    expiration_seconds: Seconds = 900
    """Lifetime of the role, counted from the creation of this object, 5 seconds to one day."""
    approval_ref: ApprovalRef | None = None
    """An approved AccessRequest of the same agent and user, for the same platform and purpose. The role reads the tables of its offer
    alone, as policies and the approved part of the offer grant them together, and expires as the approval states at the latest. It is one
    use of the approval. Without it: only policies that grant at all times."""
    task: Task | None = None


class Actor(StatusPart):
    """An actor for the user."""

    issuer: Issuer
    """The issuer of the actor's identity provider."""
    subject: Subject
    """The actor's subject at the issuer."""


class ClaimedAttribute(Attribute, StatusPart):
    """An attribute of the user in the token."""

    source: Sentence
    """The claim."""


class TokenProof(StatusPart):
    """The token that proved the user. It does not contain the token."""

    provider: ObjectReferenceName
    """Name of the IdentityProvider."""
    type: TokenTypeName
    """As in its `spec.accepts`."""
    digest: Annotated[str, Field(max_length=64)]
    """SHA-256 in hex of the signed part."""
    auth_time: Timestamp | None = None
    """When the user logged in, as the token states it."""
    acr: Annotated[str, Field(max_length=255)] | None = None
    """The class of the login (Authentication Context Class Reference), as the token states it."""
    actors: Annotated[tuple[Actor, ...], Field(max_length=4), Atomic()] = ()
    """For an exchanged token: the agent first, then each earlier actor."""
    attributes: Annotated[tuple[ClaimedAttribute, ...], Field(max_length=64), Atomic()] = ()
    """The user's attributes in the token; only those that the Agent, a policy or a guardrail of the platform reads. The role is
    evaluated by these until it ends."""
    unread_attributes: Annotated[tuple[Key, ...], Field(max_length=64), Atomic()] = ()
    """Keys of other attributes in the token. If a policy reads one later, the role is revoked, because its values are not stored."""


class ProvenUser(StatusPart):
    """The user as the decision saw them."""

    handle: UserHandleText
    """The user's part of the role name."""
    proof: Literal["Asserted", "Token", "Exchanged"]
    """The proof of the user. `Asserted`: a trusted agent named the user. `Token`: a token of the user. `Exchanged`: a token whose issuer
    states that the agent acts for the user."""
    token: TokenProof | None = None
    attributes: Annotated[tuple[Attribute, ...], Field(max_length=64), Atomic()] = ()
    """The user's attributes; only those that a granting policy reads."""


class PlatformState(StatusPart):
    """The role on one platform."""

    name: ObjectReferenceName
    """Name of the DataPlatform."""
    state: Literal["Pending", "Live", "Dropping", "Gone", "LeftOut"]
    """`Pending`: nothing can log in yet. `Live`: the role can log in until its expiry. `Dropping`: it is being dropped, with retries,
    until it is verified to be gone with its sessions. `Gone`: it is dropped here, but not yet on all platforms; then this object is
    deleted. `LeftOut`: nothing is created here, which `spec.allowPartial` allows."""
    reason: Annotated[str, Field(max_length=64)] | None = None
    """The reason of a denial or failure."""
    message: Sentence | None = None
    """The reason for people."""
    profile: Annotated[str, Field(max_length=63)] | None = None
    """The profile of the role, shared with every role of the same access."""
    table_count: Count | None = None
    """Number of tables that the role can read."""
    tables: Annotated[tuple[TableText, ...], Field(max_length=MOST_TABLES_LISTED), Atomic()] = ()
    """These tables, at most 50 of them: `claims.people`. A name with a dot, a comma, a space or a quote is in double quotes:
    `claims."a.b"`. If `tableCount` is larger, the role reads others, too."""
    credential_secret_ref: SecretRef | None = None
    """The Secret in this namespace with `username password host port dbname schema sslmode uri`, and `ca.crt` if the platform has its
    own authority. It has the name of this object; on platforms after the first one it is `NAME-PLATFORM`. Deleted with this object. Absent
    if `spec.delivery` is `Response`."""
    receipt_digest: Sha256Text | None = None
    """For platforms after the first one: as `status.receiptDigest`."""


class Ended(StatusPart):
    """The reason of the end of the role. Written before the object is deleted."""

    reason: Literal["Released", "Revoked", "Expired"]
    """`Released`: the agent released it. `Expired`: its lifetime ended. `Revoked`: a change of policy, a manual change of the platform,
    or a person with `rolevend revoke` ended it."""
    by: Sentence | None = None
    """The actor who ended it: a code, or `User` and the name of the Kubernetes user who revoked it."""
    message: Sentence | None = None
    """The reason for people."""


class VendedRoleStatus(Status):
    """The state that the operator observed. Not written by people."""

    role_name: Annotated[str, Field(max_length=63)] | None = None
    """The name of the role, the same on every platform."""
    expiration_timestamp: (
        Annotated[
            Timestamp,
            Field(
                json_schema_extra={
                    VALIDATIONS: [{"rule": "self <= oldSelf", "message": "status.expirationTimestamp may only move earlier"}]
                }
            ),
        ]
        | None
    ) = None
    """The expiry of the role. It may only move earlier."""
    user: ProvenUser | None = None
    access_request_uid: UidText | None = None
    """The `metadata.uid` of the AccessRequest whose approval the role uses. Another AccessRequest of the same name is of no use to it."""
    platforms: Annotated[tuple[PlatformState, ...], Field(max_length=16), Atomic()] = ()
    """The role on each platform."""
    receipt_digest: Sha256Text | None = None
    """Digest of the receipt in the audit event `granted` of the first platform. The event of the role's end names it."""
    ended: Ended | None = None


class VendedRole(Resource):
    """A short-lived database role for an agent that acts on behalf of a person. Deleting it drops the role and ends its
    sessions."""

    kind: Literal["VendedRole"] = "VendedRole"
    spec: Annotated[VendedRoleSpec, Field(json_schema_extra=immutable("spec", "delete this VendedRole and create another one"))]
    status: VendedRoleStatus = VendedRoleStatus()


def user_token(role: VendedRole) -> UserToken | Presented | None:
    """Return the place of the user's token, or None."""
    if role.spec.delivery == "Response" and role.status.user is not None and role.status.user.token is not None:
        return Presented()
    ref = role.spec.user_token_secret_ref
    return None if ref is None else UserToken(ref.name, ref.key)


def proof_of(user: ProvenUser, expires_at: datetime) -> Proof | None:
    """Return the proof that a status holds, because the token may be gone. None: the agent asserts the user."""
    token = user.token
    if token is None:
        return None
    return Proof(
        kind=UserProof(user.proof),
        provider=token.provider,
        token_type=token.type,
        digest=token.digest,
        expires_at=expires_at,
        handle=UserHandle(user.handle),
        attributes=tuple(Claimed(each.key, each.values, each.source) for each in token.attributes),
        unreadable=frozenset(token.unread_attributes),
        actors=tuple(ProvenActor(each.issuer, each.subject) for each in token.actors),
        authenticated_at=token.auth_time,
        acr=token.acr,
    )


def agent_identity(agent: Agent) -> Identity | None:
    """Return the identity that a user's token must name, or None. Parsing has verified that the part for its type is set."""
    spelled_out = agent.spec.identity
    if spelled_out is None:
        return None
    if spelled_out.service_account is not None:
        return ServiceAccountIdentity(spelled_out.service_account.name)
    client = spelled_out.oidc_client
    return None if client is None else ClientIdentity(client.issuer, frozenset(client.client_ids), client.subject or client.client_ids[0])


def agent_claims(agent: Agent) -> tuple[tuple[str, object], ...]:
    """Return the unique values of an agent, each with its field."""
    match agent_identity(agent):
        case ServiceAccountIdentity(name):
            named: tuple[object, ...] = ((None, agent.namespace, name),)
        case ClientIdentity(issuer, client_ids, subject):
            named = tuple((issuer, each) for each in sorted(client_ids | {subject}))
        case None:
            named = ()
    return (("spec.handle", agent.spec.handle), *(("spec.identity", each) for each in named))
