"""One request, what can be said to it, and what that means for a role that lives already. Pure."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from rolevend.catalog import TableId
from rolevend.decision.proof import Presented, Proof, Unproven, UserToken
from rolevend.model import ObjectName, PlatformName, Task, Uid, User, UserHandle
from rolevend.plan import Lease, Profile, TableShape, attribute_keys, contains


class Delivery(enum.StrEnum):
    """How the agent gets the credential, and so who makes the role."""

    SECRET = "Secret"  # noqa: S105 - no password
    """The operator does, and keeps it in a Secret."""
    RESPONSE = "Response"
    """The API does, and answers with it: a role that is not Ready when the call is over is worth nothing."""


@dataclass(frozen=True, slots=True)
class Request:
    """A VendedRole, and one of its platforms: everything a vend is derived from. The object exists already, so whatever follows can be
    found and undone."""

    name: ObjectName
    uid: Uid
    agent: ObjectName
    user: User
    platform: PlatformName
    created_at: datetime
    expiration_seconds: int
    purpose: str | None = None
    """What the agent says it is for."""
    resources: tuple[TableId, ...] | None = None
    """The only tables that are asked for; None: whatever is granted."""
    requested_by: str | None = None
    """Who created the object, where the cluster writes that down."""
    token: UserToken | Presented | None = None
    """Where the proof of the user is; None: the agent's word is all there is."""
    proof: Proof | Unproven | None = None
    """What came of the token; None: it was not looked at yet."""
    delivery: Delivery = Delivery.SECRET
    task: Task | None = None
    request_id: str | None = None
    """Of the API call that made it, as the caller knows it."""
    allow_partial: bool = False
    """Whether it may be made on some of the object's platforms, and not on others."""
    further: bool = False
    """Whether `platform` is not the first that the object names."""

    @property
    def expires_at(self) -> datetime:
        """Counted from the object's creation, so that no retry moves it; and never later than what proves the user."""
        asked = self.created_at + timedelta(seconds=self.expiration_seconds)
        return min(asked, self.proof.expires_at) if isinstance(self.proof, Proof) else asked


@dataclass(frozen=True, slots=True)
class Pending:
    """Something that the verdict needs is not known yet; `message` says what."""

    reason: str
    message: str
    withdrawn: bool = False
    """What a role that is live already rested on was taken away: that role ends. Otherwise not knowing ends nothing."""


@dataclass(frozen=True, slots=True)
class Denied:
    reason: str
    message: str
    withdrawn: bool = True
    """See Undecided: a role that lives without a grant ends."""
    missing: str | None = field(default=None, compare=False)
    """The smallest thing that would have to be granted, which the message also names, or None."""


@dataclass(frozen=True, slots=True)
class Granted:
    """What would be vended: the shape, the values, the names."""

    profile: Profile
    lease: Lease
    user_handle: UserHandle
    proof: Proof | None = None
    """What proved the user, with the attributes alone that somebody asks for here; None: nothing did."""
    granted_by: Mapping[TableId, tuple[ObjectName, ...]] = field(default_factory=dict, compare=False)
    """The policies that grant each table."""
    behind: Mapping[TableId, tuple[str, ...]] = field(default_factory=dict, compare=False)
    """The tables that a tool reads by their own names, each with what is stricter there than what is granted."""

    @property
    def tables(self) -> tuple[TableShape, ...]:
        """What the role reads: those of the profile, as far as the lease is not narrowed."""
        wanted = self.lease.resources
        return self.profile.tables if wanted is None else tuple(each for each in self.profile.tables if each.table in wanted)

    @property
    def stricter(self) -> tuple[str, ...]:
        """Where a tool sees less of `tables` than the role itself, one sentence each."""
        return tuple(sentence for shape in self.tables for sentence in self.behind.get(shape.table, ()))

    def still_carries(self, other: "Granted") -> bool:
        """Whether a role that was vended as `other` may live on under this verdict: everything it reads is granted unchanged, to the same
        login. What its lease keeps from it may be lost."""
        held = replace(other.profile, tables=other.tables)
        keys = attribute_keys(held)
        is_same_login = self.lease.agent_user == other.lease.agent_user
        return is_same_login and contains(self.profile, held) and self.lease.attributes.only(keys) == other.lease.attributes.only(keys)


Decision = Pending | Denied | Granted


def withdrawal_reason(verdict: Decision, held: Granted) -> str | None:
    """Return the reason to revoke a role that was vended as `held`, or None."""
    if not isinstance(verdict, Granted):
        return verdict.message if verdict.withdrawn else None
    if verdict.still_carries(held):
        return None
    return "policy, guardrails, tags or attributes changed: what the role reads is no longer granted unchanged"


def revocation_code(verdict: Decision) -> str:
    """What took a live role's ground away: a leak of the platform, or policy."""
    return "Leak" if isinstance(verdict, Pending) and verdict.reason == "Leak" else "PolicyChanged"
