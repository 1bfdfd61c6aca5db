"""The kind Agent: a registered piece of software, for whom it may act, and for how long."""

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
    """What the agent is called there: a user's token must be issued to one of these (`azp`, `client_id`), and an ID token be for one
    (`aud`)."""
    subject: Subject | None = None
    """Who the agent is as an actor: in `act` of exchanged tokens, and as `sub` of its own. Without it: the first of `clientIDs`."""


class AgentIdentity(Part):
    """Who the agent is to issuers of tokens."""

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
    """How the agent shows for whom it acts."""

    assertion: Assertion
    """What it shows. `Trusted`: it names the user, and is believed; status and audit mark such roles as asserted. `TokenRequired`: each
    VendedRole brings a token of the user, issued for this agent (`spec.userTokenSecretRef`). A DataPlatform must permit the same."""
    users: UserSelector | None = None
    """The only users it may act for. Without it: every user."""


class AgentLimits(Part):
    """The agent's own bounds, within those of the DataPlatform."""

    max_expiration_seconds: Seconds = 3600
    """The longest life of a role that is vended to this agent."""
    idle_release_seconds: IdleSeconds | None = None
    """A role whose sessions did nothing for so long, or that has none, counts as given back, and is ended. Choose more than the agent
    thinks between two questions. Without it: as the DataPlatform says."""
    max_transaction_seconds: Seconds | None = None
    """The age of a transaction, and so of a statement outside of one, where that is less than the DataPlatform allows. On Snowflake it is
    the timeout of the role's statements, which a session can raise for itself. Without it: as the DataPlatform says."""
    max_live_roles: PositiveCount | None = None
    """How many roles it may have at once, those that end included. The API refuses more, and through kubectl one more waits until another
    one is gone; calls that come at the same moment may pass it by their number. Without it: as many as the DataPlatform permits."""
    vends_per_minute: PositiveCount | None = None
    """How many calls that vend each replica of the API takes of it in a minute, all at once at most. Without it: any number.
    As many calls may ask for a decision, and never more than 600."""


class AgentSpec(Part):
    """Who the agent is and what it may ask for. Each part holds only as far as the DataPlatform permits it."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.onBehalfOf.assertion != 'TokenRequired' || has(self.identity)",
            message="identity must be set where onBehalfOf.assertion is TokenRequired: whom else could a token name?",
            holds=lambda spec: spec.on_behalf_of.assertion != "TokenRequired" or spec.identity is not None,
            field="identity",
        ),
    )

    handle: Annotated[
        AgentHandleText,
        Field(json_schema_extra=immutable("spec.handle", "old role names must stay true; register another Agent instead")),
    ]
    """Names the agent in every role name: 1 to 10 characters of A-Z and 0-9, unique in the cluster, immutable."""
    identity: AgentIdentity | None = None
    """Whom a user's token must name. One accepted Agent in the cluster has it. A token is checked also where the agent is trusted."""
    on_behalf_of: OnBehalfOf
    combination: CombinationName | None = None
    """How what the agent itself is granted (AccessPolicies with `grantsTo: Agents`) counts beside what the user is granted. `Union`: both
    together. `UserCeiling`: only where the user is granted it, too, so that the user's grants are all there is. `Intersection`: a row that
    both are granted, of each cell no more than both are shown, and no column that one of them is not granted. Each is narrower
    than the one before, and no wider one is granted anything than the `widestCombination` of the DataPlatform. Without it: that one."""
    limits: AgentLimits = AgentLimits()
    tools: Annotated[tuple[AgentTools, ...], Field(max_length=16), Atomic()] = ()
    """What it needs whoever it acts for. Several items for one platform add up."""


class AgentStatus(Status):
    """What the operator saw. Not written by people."""


class Agent(Resource):
    """Software that queries data on behalf of people. Whoever has the verb `vend` on it may create a VendedRole for it."""

    kind: Literal["Agent"] = "Agent"
    spec: AgentSpec
    status: AgentStatus = AgentStatus()
