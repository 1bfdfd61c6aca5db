"""What a token is wanted to prove, and what it proved. Values; no token is among them."""

from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rolevend.identity.claim_mapping import Mapped
from rolevend.identity.provider import TokenType
from rolevend.model import ObjectName, Uid, User, UserHandle


@dataclass(frozen=True, slots=True, order=True)
class Party:
    """Whoever an issuer gives a name to: the same name of two issuers is of two parties."""

    issuer: str
    name: str


@dataclass(frozen=True, slots=True)
class OwnSubject:
    """The `sub` that an issuer writes into tokens that a client gets for itself, where it is not the client's id."""

    client: Party
    subject: str


@dataclass(frozen=True, slots=True)
class AgentWanted:
    """The bearer is an agent."""

    own_subjects: Container[OwnSubject] = frozenset()
    """Of registered agents. All other clients bear their own id as `sub`."""


@dataclass(frozen=True, slots=True)
class UserWanted:
    """A person let this agent act for them."""

    agent: Party
    """As it proved itself: the issuer and subject of its own token."""
    clients: frozenset[Party] = frozenset()
    """What the agent is as a client: with each issuer, the client ids that are registered for it."""
    exchange_required: bool = False
    """Only `act` shows it."""


Wanting = AgentWanted | UserWanted


class ProofKind(StrEnum):
    """How a person is proven. (What nobody proved is `Asserted`, and never comes from here.)"""

    TOKEN = "Token"
    """By a token that was issued to the agent's client."""
    EXCHANGED = "Exchanged"
    """By a token in which the issuer says that the agent acts for the person."""


@dataclass(frozen=True, slots=True)
class TokenFacts:
    type: TokenType
    provider: str
    """Its name."""
    digest: str
    """SHA-256 in hex of what is signed: names the token, and tells nothing of it."""
    issued_at: datetime | None
    expires_at: datetime
    """May be past by the leeway. Nothing that is given for it outlives it."""
    token_id: str | None
    """`jti`, unique with its issuer: who must not take a token twice writes it down, until `expires_at`."""


@dataclass(frozen=True, slots=True)
class Pod:
    name: str
    uid: Uid


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    name: ObjectName
    uid: Uid
    pod: Pod | None
    """None where the token is bound to none."""


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
    """Who acts for them: the agent first, then whom it got that from. Empty where nobody exchanged the token."""
    token: TokenFacts


Proven = ProvenAgent | ProvenUser
