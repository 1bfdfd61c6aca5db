"""The users of a snapshot, the versions of its inputs, and the ledger of used tokens. Values."""

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256

from rolevend.model import Attributes, ObjectName, PlatformName, User, UserHandle, Version


@dataclass(frozen=True, slots=True)
class KnownUser:
    user: User
    handle: UserHandle | None
    attributes: Attributes
    version: Version | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    """The claim that gave each attribute, by key. Other attributes come from UserAttributes."""
    unreadable: frozenset[str] = frozenset()
    """Keys of attributes whose claims cannot be read."""


@dataclass(frozen=True, slots=True)
class KubernetesUsername:
    """How an API server names the users of one issuer."""

    attribute: str
    """The key of the user's attribute with the name."""
    prefix: str


@dataclass(frozen=True)
class SourceVersions:
    """The versions of the inputs to the decisions on one platform."""

    platform: Version
    policies: Mapping[ObjectName, Version]
    bindings: tuple[Version, ...]
    """The TagBindings that select the platform, sorted."""
    catalog: str | None
    """Digest of the tables and columns that were read there, or None before the first read."""
    guardrails: Mapping[str, Version] = field(default_factory=dict)
    """The guardrails that name the platform, by name."""

    @cached_property
    def policy_digest(self) -> str:
        """Digest of the versions of all policies, guardrails and bindings."""
        versions = sorted([*self.policies.values(), *self.guardrails.values(), *self.bindings])
        identities = [[each.kind, each.name, each.uid, each.generation] for each in versions]
        return f"sha256:{sha256(json.dumps(identities).encode()).hexdigest()}"


class LedgerMode(enum.StrEnum):
    """The places of the records of used tokens."""

    JOINING = "Joining"
    """The ledger and Kubernetes: a token must be unused in both."""
    ENABLED = "Enabled"
    """The ledger alone."""
    UNKNOWN = "Unknown"
    """The DataPlatform cannot be read: no token is redeemed."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The DataPlatform whose database keeps the records of used tokens."""

    platform: PlatformName
    mode: LedgerMode
