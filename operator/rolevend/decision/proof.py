"""How a request shows for whom it asks: by a token that was checked, by one that proves nothing, or by the agent's word. Values."""

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from rolevend.model import UserHandle, Version


class UserProof(enum.StrEnum):
    """What shows that it is this user."""

    ASSERTED = "Asserted"
    """The agent named the user, and is trusted to."""
    TOKEN = "Token"  # noqa: S105 - no password
    """A token that the user let the agent's client have."""
    EXCHANGED = "Exchanged"
    """A token in which its issuer says that the agent acts for the user."""


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
    """Who it is as an actor."""


Identity = ServiceAccountIdentity | ClientIdentity


@dataclass(frozen=True, slots=True)
class UserToken:
    """Where the user's token is: a key of a Secret in the namespace of the request."""

    secret: str
    key: str


@dataclass(frozen=True, slots=True)
class Presented:
    """The user's token came with the call to the API, which checked it, and is nowhere now."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """An attribute of the user that a token says."""

    key: str
    values: tuple[str, ...]
    source: str
    """Where in the token: `claim groups`."""


@dataclass(frozen=True, slots=True)
class Actor:
    issuer: str
    subject: str

    def __str__(self) -> str:
        return f"{self.subject} ({self.issuer})"


@dataclass(frozen=True, slots=True)
class ProofContext:
    """What a token is checked against, beside keys and time: where that is another one, it is worth another look."""

    agent: Version | None
    issuers: Mapping[str, Version]


@dataclass(frozen=True, slots=True)
class Proof:
    """A token proved the user, and named the agent. Nothing of it is the token itself."""

    kind: UserProof
    provider: str
    """Name of the IdentityProvider."""
    token_type: str
    digest: str
    """SHA-256 of the token, in hex."""
    expires_at: datetime
    """Nothing that is given for it lives longer."""
    handle: UserHandle | None = None
    attributes: tuple[Claimed, ...] = ()
    unreadable: frozenset[str] = frozenset()
    """Keys of attributes whose claims are there and not known: they may have any value."""
    actors: tuple[Actor, ...] = ()
    """Who acts for the user: the agent first, then whom it got that from."""
    basis: ProofContext | None = None
    """None: as it was written down when the role was begun."""

    def only(self, keys: Collection[str]) -> "Proof":
        """Without the values of other attributes, which are then not known."""
        kept = tuple(each for each in self.attributes if each.key in keys)
        return replace(self, attributes=kept, unreadable=self.unreadable | {each.key for each in self.attributes if each.key not in keys})


@dataclass(frozen=True, slots=True)
class Unproven:
    """A token was looked at and proves nothing here."""

    code: str
    """As in `identity.refusal`."""
    message: str
    digest: str
    basis: ProofContext
