"""The kind Agent: registered software, its users, and its limits."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rolevend.kinds.part import Atomic, Distinct, Part, Rule, immutable, only_with_type
from rolevend.kinds.shared import Assertion, CombinationName, Resource, Status, UserSelector
from rolevend.kinds.text import AgentHandleText, IdleSeconds, Issuer, ObjectReferenceName, PositiveCount, Seconds, Subject
from rolevend.kinds.tools import AgentTools

_OF_A_CLUSTER = "system:serviceaccount:"


class ServiceAccountName(Part):
    """A ServiceAccount in the namespace of the Agent."""

    name: ObjectReferenceName
    """Its name."""


class OIDCClient(Part):
    """A client of an identity provider."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"!(self.clientIDs + (has(self.subject) ? [self.subject] : [])).exists(name, name.startsWith('{_OF_A_CLUSTER}'))",
            message="a ServiceAccount is named by the type ServiceAccount, and only in its own namespace",
            holds=lambda client: not any(name.startswith(_OF_A_CLUSTER) for name in (*client.client_ids, client.subject or "")),
        ),
    )

    issuer: Issuer
    """The identity provider, as in the `iss` of its tokens."""
    client_ids: Annotated[tuple[Subject, ...], Field(min_length=1, max_length=16, alias="clientIDs"), Distinct()]
    """The agent's client ids: a user's token must be issued to one of these (`azp`, `client_id`), and the audience of an ID token must
    be one (`aud`)."""
    subject: Subject | None = None
    """The agent's subject: in `act` of exchanged tokens, and as `sub` of its own. Without it: the first of `clientIDs`."""


class AgentIdentity(Part):
    """The identity of the agent in tokens."""

    rules: ClassVar[tuple[Rule, ...]] = (
        only_with_type("ServiceAccount", "serviceAccount"),
        only_with_type("OIDCClient", "oidcClient"),
    )

    type: Literal["ServiceAccount", "OIDCClient"]
    """`ServiceAccount`: of this cluster, whose tokens an IdentityProvider accepts. Users' tokens name it in `act`. `OIDCClient`: of an
    identity provider. Users' tokens are issued to it, or name it in `act`."""
    service_account: ServiceAccountName | None = None
    """For type ServiceAccount only."""
    oidc_client: OIDCClient | None = None
    """For type OIDCClient only."""


class OnBehalfOf(Part):
    """The users of the agent, and their proof."""

    assertion: Assertion
    """The proof of the user. `Trusted`: the agent asserts the user; status and audit mark such roles as asserted. `TokenRequired`: each
    VendedRole brings a token of the user, issued for this agent (`spec.userTokenSecretRef`). A DataPlatform must permit the same."""
    users: UserSelector | None = None
    """The only users that it may act for. Without it: every user."""


class AgentLimits(Part):
    """The agent's own limits, within those of the DataPlatform."""

    max_expiration_seconds: Seconds = 3600
    """Maximum lifetime of its roles."""
    idle_release_seconds: IdleSeconds | None = None
    """A role whose sessions were idle for this time, or that has none, is released. Choose more than the agent's pause between two
    queries. Without it: the limit of the DataPlatform."""
    max_transaction_seconds: Seconds | None = None
    """Maximum age of a transaction, and of a statement outside of one, if less than the DataPlatform allows. On Snowflake it is the
    statement timeout of the role, which a session can raise. Without it: the limit of the DataPlatform."""
    max_live_roles: PositiveCount | None = None
    """Maximum number of its roles at one time, including roles that are ending. The API refuses more, and through kubectl a request
    waits until another role is gone; concurrent calls may exceed it by their number. Without it: the limit of the DataPlatform."""
    vends_per_minute: PositiveCount | None = None
    """Maximum vending calls per minute in each replica of the API, also the maximum burst. Without it: no limit. The same number of
    calls may ask for a decision, at most 600."""


class AgentSpec(Part):
    """Identity, users and limits of the agent. Each part holds only as far as the DataPlatform permits it."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.onBehalfOf.assertion != 'TokenRequired' || has(self.identity)",
            message="identity must be set if onBehalfOf.assertion is TokenRequired: the user's token must name it",
            holds=lambda spec: spec.on_behalf_of.assertion != "TokenRequired" or spec.identity is not None,
            field="identity",
        ),
    )

    handle: Annotated[
        AgentHandleText,
        Field(json_schema_extra=immutable("spec.handle", "old role names must stay true; register another Agent instead")),
    ]
    """The agent's part of every role name: 1 to 10 characters of A-Z and 0-9, unique in the cluster, immutable."""
    identity: AgentIdentity | None = None
    """The identity that a user's token must name. Unique among accepted Agents. A token is checked even if the agent is trusted."""
    on_behalf_of: OnBehalfOf
    combination: CombinationName | None = None
    """The combination of the agent's own grants (AccessPolicies with `grantsTo: Agents`) with the user's. `Union`: both together.
    `UserCeiling`: the agent's own grants add nothing; the user's grants are the result. `Intersection`: only rows and columns that both
    are granted, and of each cell no more than both are shown. Each is narrower than the one before. If it is wider than the
    `widestCombination` of the DataPlatform, every request is denied. Without it: that one.
    """
    limits: AgentLimits = AgentLimits()
    suspend: bool = False
    """`true`: no role is vended for the agent, and its roles end. Everything else stays, and vends go on when it is `false` again."""
    tools: Annotated[tuple[AgentTools, ...], Field(max_length=16), Atomic()] = ()
    """The tools that it needs for every user. Several items for one platform add up."""


class AgentStatus(Status):
    """The state that the operator observed. Not written by people."""


class Agent(Resource):
    """Software that queries data on behalf of people. An account with the verb `vend` on it may create a VendedRole for it."""

    kind: Literal["Agent"] = "Agent"
    spec: AgentSpec
    status: AgentStatus = AgentStatus()
