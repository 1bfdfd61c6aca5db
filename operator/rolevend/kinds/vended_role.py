"""The kind VendedRole: one role, for one agent, on behalf of one user, until one moment."""

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

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
    TaskIdText,
    Timestamp,
    UserHandleText,
)

MOST_PLATFORMS: Final = 8
"""Of one VendedRole."""


class AgentRef(Part):
    """An Agent in the namespace of the VendedRole."""

    name: ObjectReferenceName
    """Name of an Agent in the same namespace."""


class TableName(Part):
    """A table, by its name on the platform."""

    schema_name: Annotated[Identifier, Field(alias="schema")]
    """Name of the schema."""
    table: Identifier
    """Name of the table."""


class Task(Part):
    """What the agent works on, so that its own record and ours can be laid side by side. Said by the agent, and checked by nobody."""

    id: TaskIdText
    """The agent's own name for it: a conversation, a ticket, a run. Not a secret, and nothing about a person: it is in logs."""
    intent_digest: Sha256Text | None = None
    """Digest of what the agent was told to do. The text itself stays with the agent, which can show later that it was this one."""


class VendedRoleSpec(Part):
    """What is asked for. Immutable as a whole: another question is another object."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.delivery == 'Secret' || !has(self.userTokenSecretRef)",
            message="userTokenSecretRef is for delivery Secret only: the API is shown the token itself",
            holds=lambda spec: spec.delivery == "Secret" or spec.user_token_secret_ref is None,
            field="userTokenSecretRef",
        ),
    )

    agent_ref: AgentRef
    """The agent that asks. Creating the object needs the RBAC verb `vend` on it."""
    user: UserName
    """The person it acts for. A claim: `status.user.proof` says what it rests on."""
    user_token_secret_ref: UserTokenSecretRef | None = None
    """The proof: a token of this user that names the agent, in a Secret in this namespace. It is read once, before the role is made, and
    proves this one VendedRole; the role ends with the token at the latest. Without it: the agent's word."""
    delivery: Literal["Secret", "Response"] = "Secret"
    """How the agent gets the credential. `Secret`: the operator makes the role, and keeps it in a Secret of the same name. `Response`: the
    API makes the role and answers with it, and nothing keeps it; only the API may write this."""
    platform_refs: Annotated[tuple[PlatformRef, ...], Field(min_length=1, max_length=MOST_PLATFORMS), KeyedBy(("name",))]
    """The DataPlatforms to get a role on, under one name: on all of them, or on none."""
    allow_partial: bool = False
    """With several platforms: whether the role is made where it can be, and left out where it is not granted or fails for now. What is left
    out stays so; `status.platforms` says why."""
    purpose: Label | None = None
    """What it is for, as the agent says. One of those that the DataPlatform lets the agent say; policies may ask for it."""
    resources: Annotated[tuple[TableName, ...], Field(min_length=1, max_length=64), KeyedBy(("schema", "table"))] | None = None
    """The only tables that the role reads, of those that policies grant; each must be granted. Without it: all of them."""
    expiration_seconds: Seconds = 900
    """How long the role lives, counted from the creation of this object, 5 seconds to one day."""
    task: Task | None = None


class Actor(StatusPart):
    """Somebody who acts for the user."""

    issuer: Issuer
    """The identity provider that names them."""
    subject: Subject
    """Who they are there."""


class ClaimedAttribute(Attribute, StatusPart):
    """A fact about the user that the token says."""

    source: Sentence
    """Where in the token."""


class TokenProof(StatusPart):
    """The token that proved the user, without anything that it could be made from."""

    provider: ObjectReferenceName
    """Name of the IdentityProvider."""
    type: TokenTypeName
    """As in its `spec.accepts`."""
    digest: Annotated[str, Field(max_length=64)]
    """SHA-256 in hex of all before its signature."""
    actors: Annotated[tuple[Actor, ...], Field(max_length=4), Atomic()] = ()
    """Of an exchanged token: the agent first, then whom it got that from."""
    attributes: Annotated[tuple[ClaimedAttribute, ...], Field(max_length=64), Atomic()] = ()
    """What it says of the user; only attributes that the Agent, a policy or a guardrail of the platform asks for. The role is judged by
    these until it ends."""
    unread_attributes: Annotated[tuple[Key, ...], Field(max_length=64), Atomic()] = ()
    """Keys of others that it says something of. If they are asked for one day, the role ends: what they are is not known."""


class ProvenUser(StatusPart):
    """The user as the decision saw them."""

    handle: UserHandleText
    """As in the role name."""
    proof: Literal["Asserted", "Token", "Exchanged"]
    """What shows that it is this user. `Asserted`: the agent named the user, and is trusted to. `Token`: a token that the user let the
    agent's client have. `Exchanged`: a token in which its issuer says that the agent acts for the user."""
    token: TokenProof | None = None
    attributes: Annotated[tuple[Attribute, ...], Field(max_length=64), Atomic()] = ()
    """What is known of them; only attributes that a granting policy reads."""


class PlatformState(StatusPart):
    """The role on one platform."""

    name: ObjectReferenceName
    """Name of the DataPlatform."""
    state: Literal["Pending", "Live", "Dropping", "Gone", "LeftOut"]
    """How far it is. `Pending`: nothing can log in yet. `Live`: the role can log in until the expiry. `Dropping`: it is being taken away,
    again and again until it was looked for and is gone, with its sessions. `Gone`: that is done here, and not yet on all platforms; then
    this object goes, too. `LeftOut`: nothing was made here, and nothing will be, which `spec.allowPartial` allows."""
    reason: Annotated[str, Field(max_length=64)] | None = None
    """Why it is not as it should be here: the reason of a refusal, or of what is in the way."""
    message: Sentence | None = None
    """The same for people."""
    profile: Annotated[str, Field(max_length=63)] | None = None
    """The shape of access that the role has, shared with every role of the same shape."""
    table_count: Count | None = None
    """How many tables the role can read."""
    credential_secret_ref: SecretRef | None = None
    """The Secret in this namespace with `username password host port dbname sslmode uri`, and `ca.crt` where the platform has an authority
    of its own. It is named as this object is, and on further platforms than the first one `NAME-PLATFORM`. Goes with this object. Not
    there where `spec.delivery` is `Response`."""
    receipt_digest: Sha256Text | None = None
    """Of further platforms than the first one: as `status.receiptDigest`."""


class Ended(StatusPart):
    """Why the role was taken away. Written before the object is deleted."""

    reason: Literal["Released", "Revoked", "Expired"]
    """`Released`: the agent was done. `Expired`: its time was over. `Revoked`: a change of policy, or of the platform by hand,
    ended it."""
    by: Sentence | None = None
    """Who ended it."""
    message: Sentence | None = None
    """Why, for people."""


class VendedRoleStatus(Status):
    """What the operator saw and did. Not written by people."""

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
    """When the role stops working. May only move earlier."""
    user: ProvenUser | None = None
    platforms: Annotated[tuple[PlatformState, ...], Field(max_length=16), Atomic()] = ()
    """The role on each platform."""
    receipt_digest: Sha256Text | None = None
    """Digest of the receipt that the audit event `granted` of the first platform holds. That of the role's end there names it."""
    ended: Ended | None = None


class VendedRole(Resource):
    """A short-lived database role for an agent that acts on behalf of a person. Deleting it drops the role and ends its
    sessions."""

    kind: Literal["VendedRole"] = "VendedRole"
    spec: Annotated[VendedRoleSpec, Field(json_schema_extra=immutable("spec", "delete this VendedRole and create another one"))]
    status: VendedRoleStatus = VendedRoleStatus()
