"""The requirements on a token, and its proven facts. Values; they contain no token."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from rolevend.identity.claim_mapping import Mapped
from rolevend.identity.provider import TokenType
from rolevend.model import ObjectName, Uid, User, UserHandle


@dataclass(frozen=True, slots=True, order=True)
class Party:
    """An identity of an issuer: equal names of two issuers are two parties."""

    issuer: str
    name: str


@dataclass(frozen=True, slots=True)
class OwnSubject:
    """The `sub` that an issuer sets in a client's own tokens, if it differs from the client id."""

    client: Party
    subject: str


@dataclass(frozen=True, slots=True)
class AgentWanted:
    """The bearer must be an agent."""

    own_subjects: Container[OwnSubject] = frozenset()
    """Own subjects of registered agents. All other clients have their id as `sub`."""


@dataclass(frozen=True, slots=True)
class UserWanted:
    """The token must prove a user who lets this agent act for them."""

    agent: Party
    """The agent's own proven identity: issuer and subject of its token."""
    clients: frozenset[Party] = frozenset()
    """The client ids that are registered for the agent, with their issuers."""
    exchange_required: bool = False
    """True if only `act` proves the delegation."""


Wanting = AgentWanted | UserWanted


@dataclass(frozen=True, slots=True)
class LoginWanted:
    """The token must be the ID token of one login of a person at rolevend's own client."""

    client: Party
    """Issuer and client id."""
    nonce: str
    claims: tuple[str, ...] = ()
    """The names of further claims to return."""


class ProofKind(StrEnum):
    """The kind of proof of a user. `Asserted` is not a result of a token, and never occurs here."""

    TOKEN = "Token"
    """A token that was issued to the agent's client."""
    EXCHANGED = "Exchanged"
    """A token whose issuer states that the agent acts for the user."""


@dataclass(frozen=True, slots=True)
class TokenFacts:
    type: TokenType
    provider: str
    """Name of the IdentityProvider."""
    digest: str
    """SHA-256 in hex of the signed part: it identifies the token and reveals nothing of it."""
    issued_at: datetime | None
    expires_at: datetime
    """May be past by the leeway. No role for the token lives longer."""
    token_id: str | None
    """`jti`, unique with its issuer. To prevent replays, record it until `expires_at`."""
    authenticated_at: datetime | None = None
    """When the user logged in (`auth_time`); None: the token does not state it."""
    acr: str | None = None
    """The class of the login; None: the token does not state it."""


@dataclass(frozen=True, slots=True)
class Pod:
    name: str
    uid: Uid


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    name: ObjectName
    uid: Uid
    pod: Pod | None
    """None if the token is not bound to a pod."""


@dataclass(frozen=True, slots=True)
class ProvenAgent:
    party: Party
    """`iss` and `sub`."""
    client: Party | None
    """`iss` and `client_id`; None for a ServiceAccount."""
    service_account: ServiceAccount | None
    token: TokenFacts


@dataclass(frozen=True, slots=True)
class ProvenUser:
    user: User
    handle: UserHandle | None
    mapped: Mapped
    proof: ProofKind
    actors: tuple[Party, ...]
    """The actors for the user: the agent first, then each earlier actor. Empty if the token was not exchanged."""
    token: TokenFacts


Proven = ProvenAgent | ProvenUser


@dataclass(frozen=True, slots=True)
class ProvenLogin:
    """A person who logged in at rolevend's own client."""

    user: User
    token: TokenFacts
    claims: Mapping[str, object] = field(default_factory=dict)
    """Those that were wanted, as far as the token has them."""
