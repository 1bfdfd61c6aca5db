"""One request, its decision, and the effect of the decision on an existing role. Pure."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from rolevend.catalog import TableId
from rolevend.decision.approval import ActiveApproval, Approval
from rolevend.decision.description import ProfileCatalog
from rolevend.decision.proof import Presented, Proof, Unproven, UserToken
from rolevend.model import ObjectName, PlatformName, Task, Uid, User, UserHandle
from rolevend.plan import Lease, Profile, TableShape, attribute_keys, contains

SUSPENDED: Final = "Suspended"
"""The reason of a denial, and the cause of an end, while `spec.suspend` of the agent, the user or the platform is true."""

SESSION_REVOKED: Final = "SessionRevoked"
"""The reason of a denial, and the cause of an end, for a request or a token from before `spec.notBefore` of the user."""


class Delivery(enum.StrEnum):
    """How the agent receives the credential, and which process creates the role."""

    SECRET = "Secret"  # noqa: S105 - no password
    """The operator creates the role and stores the credential in a Secret."""
    RESPONSE = "Response"
    """The API creates the role and returns the credential. If the role is not Ready at the end of the call, nobody can use it."""


@dataclass(frozen=True, slots=True)
class Request:
    """One platform of a VendedRole: the input of a vend. The object exists already, so that each later effect can be found and undone."""

    name: ObjectName
    uid: Uid
    agent: ObjectName
    user: User
    platform: PlatformName
    created_at: datetime
    expiration_seconds: int
    purpose: str | None = None
    """The purpose that the agent states."""
    resources: tuple[TableId, ...] | None = None
    """The requested tables; None: every granted table."""
    requested_by: str | None = None
    """The creator of the object, if the cluster records it."""
    token: UserToken | Presented | None = None
    """The place of the user's token; None: the agent asserts the user."""
    proof: Proof | Unproven | None = None
    """The result of the token check; None: not checked yet."""
    delivery: Delivery = Delivery.SECRET
    task: Task | None = None
    request_id: str | None = None
    """The caller's id of the API call that created the object."""
    allow_partial: bool = False
    """True if the role may exist on some of the object's platforms only."""
    further: bool = False
    """True if `platform` is not the first platform of the object."""
    approval: Approval | None = None
    """The approval of an offer; None: only policies grant."""
    ends_by: datetime | None = field(default=None, compare=False)
    """The expiry that the status records; None: no vend was begun."""

    @property
    def expires_at(self) -> datetime:
        """Return the expiry, counted from the creation of the object so that no retry moves it. Never later than the expiry of the
        proof, and than the approval allows."""
        ends = [self.created_at + timedelta(seconds=self.expiration_seconds)]
        if self.ends_by is not None:
            ends.append(self.ends_by)
        if isinstance(self.proof, Proof):
            ends.append(self.proof.expires_at)
        if isinstance(self.approval, ActiveApproval):
            ends.append(self.approval.ends_by)
        return min(ends)


@dataclass(frozen=True, slots=True)
class Pending:
    """The decision needs an input that is not known yet; `message` names it."""

    reason: str
    message: str
    withdrawn: bool = False
    """True if an input was withdrawn: existing roles are revoked. An input that is only unknown revokes nothing."""
    names_nothing: bool = False
    """True if the request names an object that does not exist. It may be created later: an object waits for it, a call fails."""


@dataclass(frozen=True, slots=True)
class Denied:
    reason: str
    message: str
    withdrawn: bool = True
    """See `Pending`: a role without a grant is revoked."""
    missing: str | None = field(default=None, compare=False)
    """The smallest grant that is missing, which the message also names. None if there is none."""
    tables: tuple[TableId, ...] = field(default=(), compare=False)
    """The requested tables that are not granted, if only some are not, or that do not exist."""
    ended_by: str | None = field(default=None, compare=False)
    """The code for the end of a role whose approval ended, or whose agent, user or platform is suspended. None: its policies changed."""


@dataclass(frozen=True, slots=True)
class Granted:
    """The profile and the lease of the role to vend."""

    profile: Profile
    lease: Lease
    user_handle: UserHandle
    proof: Proof | None = None
    """The proof of the user, reduced to the attributes that are read here; None: the agent asserts the user."""
    granted_by: Mapping[TableId, tuple[ObjectName, ...]] = field(default_factory=dict, compare=False)
    """The policies that grant each table."""
    behind: Mapping[TableId, tuple[str, ...]] = field(default_factory=dict, compare=False)
    """For each table that a tool reads directly: the restrictions that are stricter for the tool than the grant."""
    catalog: ProfileCatalog = field(default_factory=ProfileCatalog, compare=False)
    """The tables of the profile, for descriptions."""

    @property
    def tables(self) -> tuple[TableShape, ...]:
        """The tables that the role reads: those of the profile that the lease includes."""
        wanted = self.lease.resources
        return self.profile.tables if wanted is None else tuple(each for each in self.profile.tables if each.table in wanted)

    @property
    def stricter(self) -> tuple[str, ...]:
        """The restrictions of `tables` that are stricter for a tool than for the role, one sentence each."""
        return tuple(sentence for shape in self.tables for sentence in self.behind.get(shape.table, ()))

    def still_carries(self, other: "Granted") -> bool:
        """True if a role that was vended as `other` may continue under this decision: each table that it reads is granted unchanged, to
        the same login. Tables outside its lease are ignored."""
        held = replace(other.profile, tables=other.tables)
        keys = attribute_keys(held)
        is_same_login = self.lease.agent_user == other.lease.agent_user
        return is_same_login and contains(self.profile, held) and self.lease.attributes.only(keys) == other.lease.attributes.only(keys)


Decision = Pending | Denied | Granted


def withdrawal_reason(decision: Decision, held: Granted) -> str | None:
    """Return the reason to revoke a role that was vended as `held`, or None."""
    if not isinstance(decision, Granted):
        return decision.message if decision.withdrawn else None
    if decision.still_carries(held):
        return None
    return "policy, guardrails, tags or attributes changed: what the role reads is no longer granted unchanged"


def revocation_code(decision: Decision) -> str:
    """Return the code of a revocation: a leak of the platform, the end of the role's approval, or a changed policy."""
    match decision:
        case Pending(reason="Leak"):
            return "Leak"
        case Denied(ended_by=str(code)):
            return code
        case _:
            return "PolicyChanged"
