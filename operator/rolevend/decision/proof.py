"""How the user of a request is proven: by an accepted token, or by the agent's assertion. Values."""

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from rolevend.model import UserHandle, Version


class UserProof(enum.StrEnum):
    """The kind of proof."""

    ASSERTED = "Asserted"
    """A trusted agent named the user."""
    TOKEN = "Token"  # noqa: S105 - no password
    """A token of the user."""
    EXCHANGED = "Exchanged"
    """A token whose issuer states that the agent acts for the user."""


@dataclass(frozen=True, slots=True)
class ServiceAccountIdentity:
    """The agent is a ServiceAccount in its own namespace."""

    name: str


@dataclass(frozen=True, slots=True)
class ClientIdentity:
    """The agent is a client of an identity provider."""

    issuer: str
    client_ids: frozenset[str]
    subject: str
    """Its subject in the `act` claim."""


Identity = ServiceAccountIdentity | ClientIdentity


@dataclass(frozen=True, slots=True)
class UserToken:
    """The key of a Secret, in the namespace of the request, that holds the user's token."""

    secret: str
    key: str


@dataclass(frozen=True, slots=True)
class Presented:
    """The API call carried the user's token. The API checked it and did not store it."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """An attribute of the user, taken from a token."""

    key: str
    values: tuple[str, ...]
    source: str
    """The claim that gave the values, for example `claim groups`."""


@dataclass(frozen=True, slots=True)
class Actor:
    issuer: str
    subject: str

    def __str__(self) -> str:
        return f"{self.subject} ({self.issuer})"


@dataclass(frozen=True, slots=True)
class ProofContext:
    """The objects that a token is checked against. If they change, the token is checked again."""

    agent: Version | None
    issuers: Mapping[str, Version]


@dataclass(frozen=True, slots=True)
class Proof:
    """An accepted token that proves the user and names the agent. It does not contain the token."""

    kind: UserProof
    provider: str
    """Name of the IdentityProvider."""
    token_type: str
    digest: str
    """SHA-256 of the token, in hex."""
    expires_at: datetime
    """Every role for this token expires by then."""
    handle: UserHandle | None = None
    attributes: tuple[Claimed, ...] = ()
    unreadable: frozenset[str] = frozenset()
    """Keys of attributes whose claims cannot be read. They may have any value."""
    actors: tuple[Actor, ...] = ()
    """The actors for the user: the agent first, then each earlier actor."""
    basis: ProofContext | None = None
    """None: read from the status, as the operator wrote it with the intent."""
    authenticated_at: datetime | None = None
    """When the user logged in; None: the token does not state it."""
    acr: str | None = None
    """The class of the login; None: the token does not state it."""
    issued_at: datetime | None = None
    """When the token was issued; None: it does not state it, or `basis` is None."""

    def only(self, keys: Collection[str]) -> "Proof":
        """Return the proof without the values of other attributes. Their keys become unreadable."""
        kept = tuple(each for each in self.attributes if each.key in keys)
        return replace(self, attributes=kept, unreadable=self.unreadable | {each.key for each in self.attributes if each.key not in keys})


@dataclass(frozen=True, slots=True)
class Unproven:
    """A checked token that does not prove the user."""

    code: str
    """See `identity.refusal`."""
    message: str
    digest: str
    basis: ProofContext
