"""The core values of rolevend: agent, user, and the identity of a vend. Imports only the standard library."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NewType

AgentHandle = NewType("AgentHandle", str)
"""`[A-Z0-9]{1,10}`: the AGENT_ID of a role name."""
UserHandle = NewType("UserHandle", str)
"""`[A-Z0-9]{1,11}`: the USER_ID of a role name. Opaque, never an e-mail address, because role names are visible to every login."""
RoleName = NewType("RoleName", str)
"""`IMMUTA_VENDED_<AgentHandle>_<UserHandle>_<uid in base32>`, at most 63 bytes."""
ProfileName = NewType("ProfileName", str)
ClusterId = NewType("ClusterId", str)
"""The uid of the cluster's `kube-system` namespace. It separates the roles of two clusters on one platform."""
Uid = NewType("Uid", str)
"""A Kubernetes object's uid: a lower-case UUID with hyphens."""
PlatformName = NewType("PlatformName", str)
Claim = tuple[str, ...]
"""The kind of record, the handle, and the two values that identify the agent or user."""


@dataclass(frozen=True, slots=True, order=True)
class ObjectName:
    """A namespaced object: an agent, or a policy."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """One version of one object in the cluster, for the audit of a decision."""

    kind: str
    name: str
    """`namespace/name`, or the name alone for a cluster-scoped kind."""
    uid: Uid
    generation: int


@dataclass(frozen=True, slots=True, order=True)
class User:
    """The user that an agent acts for, as an identity provider names them."""

    issuer: str
    subject: str

    def __str__(self) -> str:
        return f"{self.subject} ({self.issuer})"


@dataclass(frozen=True, slots=True, order=True)
class Task:
    """The agent's task, as the agent states it: its own id, and a digest of the instruction. They link its record to ours."""

    id: str
    intent_digest: str | None = None
    """`sha256:` and 64 hexadecimal digits. The instruction itself stays with the agent."""


@dataclass(frozen=True, slots=True, order=True)
class Tag:
    """A fact about data: `pii=ssn`."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Attributes:
    """Facts about a user: each key has one or more values. Sorted, so that equal facts are equal values."""

    items: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, Iterable[str]]]) -> "Attributes":
        """Build from pairs. Pairs with the same key are combined; a key without values is left out."""
        merged: dict[str, set[str]] = {}
        for key, values in pairs:
            merged.setdefault(key, set()).update(value for value in values if value)
        return cls(tuple((key, tuple(sorted(values))) for key, values in sorted(merged.items()) if values))

    def values(self, key: str) -> tuple[str, ...]:
        """Return the values of `key`, or () if the user has none."""
        return next((values for name, values in self.items if name == key), ())

    def only(self, keys: Iterable[str]) -> "Attributes":
        wanted = frozenset(keys)
        return Attributes(tuple(item for item in self.items if item[0] in wanted))

    def __iter__(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        return iter(self.items)


def agent_claim(handle: AgentHandle, agent: ObjectName) -> Claim:
    return "agent", handle, agent.namespace, agent.name


def user_claim(handle: UserHandle, user: User) -> Claim:
    return "user", handle, user.issuer, user.subject
