"""The audit events, one class for each type. Pure.

These classes are the format: `docs/generate.py` makes docs/reference/audit.md from their docstrings. The fields of an event, and those of
its groups, are the members of its `data`, in the order in which they are written. A field of several types is described once.
"""

import enum
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, Protocol

from rolevend.audit.access import AccessApprover, AccessVote, RoleApproval
from rolevend.audit.evidence import Evidence, TableAccess
from rolevend.audit.groups import AccessOrigin, RequestedOffer, RequestOrigin, RequestProof, RequestTerms, RequestUser
from rolevend.audit.json_size import as_json, text_of
from rolevend.model import ProfileName, RoleName
from rolevend.platforms.protocol import EndReason

_ENVELOPE = {"id", "subject", "time"}


class EventType(enum.StrEnum):
    GRANTED = "dev.rolevend.granted"
    DENIED = "dev.rolevend.denied"
    DROPPED = "dev.rolevend.dropped"
    REFUSED = "dev.rolevend.refused"
    RELEASE_REQUESTED = "dev.rolevend.releaserequested"
    ACCESS_REQUESTED = "dev.rolevend.access-requested"
    ACCESS_ANSWERED = "dev.rolevend.access-answered"
    ACCESS_DECIDED = "dev.rolevend.access-decided"
    SCIM_CHANGED = "dev.rolevend.scim-changed"
    SIGNAL_RECEIVED = "dev.rolevend.signal-received"
    STARTED = "dev.rolevend.audit.started"
    STOPPED = "dev.rolevend.audit.stopped"


@dataclass(frozen=True, kw_only=True)
class AuditEvent:
    """The common members of all types: the envelope."""

    type: ClassVar[EventType]

    id: str
    """Follows from the request's uid, the platform and the content: a step that runs twice writes the same event twice."""
    subject: str
    """The role's name; for a denial the VendedRole; for a refusal the agent that was proven, or `api`; for the events of an AccessRequest
    the object; for a change by SCIM kind and name of the object; for a signal its IdentityProvider; for the chain's own the host."""
    time: datetime

    def envelope(self, source: str) -> dict[str, Any]:
        """`source` names the cluster."""
        return {"id": self.id, "source": source, "type": self.type.value, "subject": self.subject, "time": as_json(self.time)}

    @property
    def data(self) -> dict[str, Any]:
        """The member `data` of the envelope, as JSON."""
        return {name: value for name, value in as_json(self).items() if name not in _ENVELOPE}

    @cached_property
    def data_text(self) -> str:
        """The text of `data`, which decides if the event fits, and is then written."""
        return text_of(self.data)


class AuditSink(Protocol):
    async def record(self, event: AuditEvent) -> None:
        """Write the event durably. Raises AuditUnavailable; the event may have been written even then."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedEvent(AuditEvent):
    """A request is granted, and its role is created. Written before the role exists, so no role is without it; if the role cannot be
    created, the event stays. A role on several platforms has one event for each."""

    type = EventType.GRANTED

    role: RoleName
    """Name of the role on the platform."""
    origin: RequestOrigin
    agent_handle: str
    """The agent's handle, as in the role's name."""
    user: RequestUser
    user_handle: str
    """The user's handle, as in the role's name."""
    proof: RequestProof
    terms: RequestTerms
    approval: RoleApproval | None = None
    """The approval of an offer that the role uses. After a restart `dropped` may know only the AccessRequest."""
    expires_at: datetime
    """When the role expires."""
    evidence: Evidence
    profile: ProfileName
    """The profile. Its name is a digest of all tables, row filters, masks and functions that it gives."""
    table_count: int
    """How many tables the role can read."""
    tables: tuple[TableAccess, ...] | None = None
    """The role's access to each table."""
    tables_left_out: int | None = None
    """How many more tables there are."""
    functions: tuple[str, ...] | None = None
    """The functions that the agent has as its tools and that the role can call: `schema.name(arguments)`. On Snowflake all tools, each with
    its kind: `semantic view SEM.CLAIMS`."""
    functions_left_out: int | None = None
    """How many more functions there are."""
    receipt: str | None = None
    """This event, signed, if the operator has a key for receipts. A JWS in its compact form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeniedEvent(AuditEvent):
    """A request is denied. If the request is retried, the event is written again only if its reason or message differs, or after a
    restart."""

    type = EventType.DENIED

    origin: RequestOrigin
    user: RequestUser
    proof: RequestProof
    terms: RequestTerms
    approval: RoleApproval | None = None
    reason: str
    """The reason of the condition `Granted`, or `Conflict` if a handle belongs to another agent or user."""
    message: str
    """Why, and what to do about it."""
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedEvent(AuditEvent):
    """A role and its sessions are gone, and the operator verified it. Written before the VendedRole is removed. A role on several platforms
    has one event for each."""

    type = EventType.DROPPED

    role: RoleName
    origin: RequestOrigin
    agent_handle: str | None = None
    user: RequestUser | None = None
    user_handle: str | None = None
    proof: RequestProof | None = None
    terms: RequestTerms | None = None
    approval: RoleApproval | None = None
    expires_at: datetime | None = None
    message: str | None = None
    """Why the role was revoked. For `rolevend revoke` in the words of that user."""
    profile: str | None = None
    ended: EndReason
    """Cause of the end: `Released`, `Expired`, `Revoked` or `Orphaned`."""
    ended_by: str | None = None
    """The actor or rule that ended it, as `status.ended.by`: a code if the operator did it, `User` and the name of the Kubernetes user for
    `rolevend revoke`. For a release see the audit log of the API server."""
    ended_at: datetime
    """When the operator verified that the role was gone; for an orphan when the platform dropped it, by the platform's clock."""
    sessions_ended: int | None = None
    """How many sessions of the role were ended, by all attempts since the operator began to drop it. After a restart or a reconnect the
    count begins at zero. If many roles expire at once, sessions that were ended before their role's turn are not counted."""
    drop_seconds: float
    """How long the drop took, from its first attempt to the last check, counted as `sessionsEnded`; for an orphan from the moment in which
    it was locked out."""
    late_seconds: float
    """From the due end of the role (its expiry, or the deletion of the VendedRole) to `endedAt`."""
    receipt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedEvent(AuditEvent):
    """An API call presented a token that proves nothing, or not what it must prove. The call did nothing."""

    type = EventType.REFUSED

    agent: str | None = None
    """The agent that had authenticated before, if any."""
    token_digest: str | None = None
    request_id: str | None = None
    bearer: str
    """Whose token it was expected to be: `Agent`, `User`, `SCIM` or `Signal`."""
    refusals_left_out: int | None = None
    """With the reason `LeftOut`: how many refusals since the last written event have no event of their own. A replica of the API writes at
    most 120 in a minute, and 600 at once, for each agent and for all callers that are no agent."""
    reason: str
    """The code of the refusal."""
    message: str
    """Why, and what to do about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRequestedEvent(AuditEvent):
    """An API call asks to release a role. Written before the VendedRole is deleted; `dropped` follows when the role is gone. Its
    `requestId` is that of this call."""

    type = EventType.RELEASE_REQUESTED

    role: RoleName | None = None
    origin: RequestOrigin
    user: RequestUser
    proof: RequestProof
    terms: RequestTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRequestedEvent(AuditEvent):
    """An agent asks for an offer. Written when the operator judges the AccessRequest for the first time."""

    type = EventType.ACCESS_REQUESTED

    origin: AccessOrigin
    user: RequestUser
    proof: RequestProof
    offer: RequestedOffer
    terms: RequestTerms
    columns: tuple[str, ...] | None = None
    """The columns to which the request is limited."""
    columns_left_out: int | None = None
    """How many more columns there are."""
    ticket: str | None = None
    """The ticket that the request names. Not verified."""
    justification_digest: str | None = None
    """SHA-256 of the text of the justification, in hexadecimal. The text is in the AccessRequest alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessAnsweredEvent(AuditEvent):
    """The user of an AccessRequest logged in on rolevend's page, and confirmed or refused it. Written before the answer is recorded in the
    AccessRequest, which fails if the request ended meanwhile."""

    type = EventType.ACCESS_ANSWERED

    origin: AccessOrigin
    user: RequestUser
    offer: RequestedOffer
    verdict: str
    """The answer: `Confirm` or `Refuse`."""
    justification_digest: str | None = None
    identity_provider: str
    """Name of the IdentityProvider at which the user logged in."""
    token_digest: str
    """SHA-256 of the ID token of the login without its signature, in hexadecimal."""
    authenticated_at: datetime | None = None
    """When the user logged in, as the ID token states it."""
    acr: str | None = None
    """The class of the login, as the ID token states it."""
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessDecidedEvent(AuditEvent):
    """The state of an AccessRequest changes. An approval is written before the status that makes it usable. The end of an approval does
    not wait for its event. The deletion of an open AccessRequest has one, too, if the operator runs."""

    type = EventType.ACCESS_DECIDED

    origin: AccessOrigin
    user: RequestUser
    offer: RequestedOffer
    state: str
    """The new state, as `status.state` of the AccessRequest."""
    reason: str
    """The reason of the state."""
    message: str
    """Why the state changed."""
    rule: str | None = None
    """The rule of the offer that approved. Left out if people approved, or nobody."""
    approvers: tuple[AccessApprover, ...] | None = None
    """The people who approved."""
    approvers_left_out: int | None = None
    """How many more approvers there are."""
    approved_seconds: int | None = None
    """The longest lifetime of a role that was approved."""
    claim_until: datetime | None = None
    """The approval lapses if it is not used until then."""
    votes: tuple[AccessVote, ...] | None = None
    """The AccessDecisions on the request when its state changed."""
    votes_left_out: int | None = None
    """How many more votes there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScimChangedEvent(AuditEvent):
    """An identity provider creates, changes or deletes a user or a group by SCIM. Written before the object, whose write may still fail."""

    type = EventType.SCIM_CHANGED

    identity_provider: str
    change: str
    """`Created`, `Changed`, `Activated`, `Deactivated` or `Deleted`."""
    user: RequestUser | None = None
    members: tuple[str, ...] | None = None
    """Names of the SCIM attributes that change, without their values."""
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalReceivedEvent(AuditEvent):
    """An identity provider sent an event in a security event token. Written before its effect, whose write may still fail. An event that
    comes again and changes nothing has no other one."""

    type = EventType.SIGNAL_RECEIVED

    identity_provider: str
    event: str
    """The URI of the event's type."""
    change: str
    """`SessionRevoked`, `Suspended` or `Resumed`; `Unchanged`: an earlier event had the effect; `Ignored`: the type has none."""
    user: RequestUser | None = None
    happened_at: datetime
    """When it happened, as the identity provider says."""
    token_id: str
    """The `jti` of the token."""
    token_digest: str
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedEvent(AuditEvent):
    """The first event of a chain. `previoushash` is the hash of the last event that the file held before, or zeros."""

    type = EventType.STARTED

    version: str
    """The version of rolevend."""
    host: str
    """The pod or machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedEvent(StartedEvent):
    """The last event of a chain whose process was asked to stop. A killed process writes none."""

    type = EventType.STOPPED


EVENTS = (
    GrantedEvent,
    DeniedEvent,
    DroppedEvent,
    RefusedEvent,
    ReleaseRequestedEvent,
    AccessRequestedEvent,
    AccessAnsweredEvent,
    AccessDecidedEvent,
    ScimChangedEvent,
    SignalReceivedEvent,
    StartedEvent,
    StoppedEvent,
)
