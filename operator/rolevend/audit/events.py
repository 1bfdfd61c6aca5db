"""Audit events: what was decided and on what grounds, and how it ended. Pure; who writes them down is above.

An event's id follows from the request's uid, its platform and what the event says: a step that runs twice says the same event twice.
The docstrings of `Body` and of its parts are the reference of the format (docs/reference/audit.md).
"""

import enum
import json
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Protocol

from rolevend.audit.evidence import AccessSummary, AttributeRead, ObjectRead, TableAccess, evidence
from rolevend.audit.truncate import MAX_BYTES, fit_event
from rolevend.decision.outcome import Granted, Request
from rolevend.decision.proof import Proof, Unproven, UserProof
from rolevend.decision.snapshot import Snapshot
from rolevend.errors import InvalidInput
from rolevend.model import PlatformName, RoleName, Uid
from rolevend.naming import parse_role_name
from rolevend.platforms.protocol import EndReason


class EventType(enum.StrEnum):
    """What an event tells of."""

    STARTED = "dev.rolevend.audit.started"
    """The first event of a chain: `previoushash` is that of the last event which the file held before, or zeros."""
    STOPPED = "dev.rolevend.audit.stopped"
    """The last event of a chain whose process was told to stop. A process that is killed writes none."""
    GRANTED = "dev.rolevend.granted"
    """A request is granted, and its role is made. Written before the role exists, so there is no role without it; a vend that fails
    for good leaves it without a role. Of a role on several platforms there is one for each."""
    DENIED = "dev.rolevend.denied"
    """A request is refused. Tried again, it is told again only when the reason or the message is another one, or after a restart."""
    DROPPED = "dev.rolevend.dropped"
    """A role was looked for and is gone, with its sessions. Written before the VendedRole goes; of a role on several platforms one for
    each."""
    REFUSED = "dev.rolevend.refused"
    """A call of the API brought a token that proves nothing, or not what it should: nothing was done."""
    RELEASE_REQUESTED = "dev.rolevend.releaserequested"
    """A call of the API asks for the end of a role. Written before the VendedRole is deleted; `dropped` follows when the role is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The member `data` of every event: one flat object. What does not apply, or is not known, is left out."""

    role: RoleName | None = None
    """Name of the role on the platform."""
    request: str | None = None
    """The VendedRole: `namespace/name`. Left out for an orphan."""
    request_uid: Uid | None = None
    """Its uid, which is also the last part of the role's name."""
    requested_by: str | None = None
    """The Kubernetes user who created it, where the cluster writes that down (Kubernetes 1.36 and later)."""
    requested_at: datetime | None = None
    """When it was created."""
    platform: PlatformName | None = None
    """Name of the DataPlatform."""
    agent: str | None = None
    """The Agent: `namespace/name`. Of a refusal: the one that had proven itself, if any."""
    agent_handle: str | None = None
    """As in the role's name."""
    user_issuer: str | None = None
    """The identity provider that names the user."""
    user_subject: str | None = None
    """The user, as that provider names them."""
    user_handle: str | None = None
    """As in the role's name."""
    user_proof: str | None = None
    """What shows that it is this user. `Asserted`: the agent named the user, and is trusted to. `Token`: a token that the user let the
    agent have. `Exchanged`: a token in which its issuer says that the agent acts for the user. Left out where a token proves nothing."""
    identity_provider: str | None = None
    """Name of the IdentityProvider whose token proves the user."""
    token_type: str | None = None
    """Of that token, as in `spec.accepts` of the IdentityProvider."""
    token_digest: str | None = None
    """SHA-256 of that token, or of one that proves nothing, in hex: of all before its signature."""
    actors: tuple[str, ...] | None = None
    """Of an exchanged token: who acts for the user, `subject (issuer)`, the agent first, then whom it got that from."""
    actors_left_out: int | None = None
    """How many more there are."""
    purpose: str | None = None
    """What the agent said that it is for."""
    task_id: str | None = None
    """What the agent works on, by its own name for it. Said by the agent, and checked by nobody."""
    intent_digest: str | None = None
    """Digest of what the agent was told to do, as it says."""
    request_id: str | None = None
    """The id of the call of the API, as in its answer's `X-Request-Id`. Left out where the VendedRole was made in another way."""
    resources: tuple[str, ...] | None = None
    """The only tables that were asked for: `schema.table`."""
    resources_left_out: int | None = None
    """How many more there are."""
    expiration_seconds: int | None = None
    """For how long the role was asked for, counted from `requestedAt`."""
    expires_at: datetime | None = None
    """When the role stops working."""
    bearer: str | None = None
    """Of a refusal: whose token it was to be, `Agent` or `User`."""
    refusals_left_out: int | None = None
    """Of a refusal with the reason `LeftOut`: how many there were since the last one that is written, which are not written one by one. A
    replica of the API writes 120 in a minute, and 600 at once, of each agent and of all who are none."""
    reason: str | None = None
    """Of a denial: the reason of the condition `Granted`, or `Conflict` where a handle was somebody else's. Of a refusal: the code."""
    message: str | None = None
    """Of a denial or refusal: why, and the way out. Of an end: why, where it was revoked."""
    attributes: tuple[AttributeRead, ...] | None = None
    """What the decision read of the user: the attributes that the Agent, a policy or a guardrail of the platform asks for."""
    agent_attributes: tuple[AttributeRead, ...] | None = None
    """What the decision read of the agent, as the DataPlatform says it: the attributes that a policy of the platform asks for."""
    combination: str | None = None
    """How what the user is granted and what the agent itself is granted were combined: `Union`, `UserCeiling` or `Intersection`."""
    attributes_left_out: tuple[str, ...] | None = None
    """Keys of attributes of the user that were read, too, and for whose values there was no room."""
    keys_left_out: int | None = None
    """How many more there are, for whose keys there was no room, either."""
    agent_attributes_left_out: tuple[str, ...] | None = None
    """The same of the agent."""
    agent_keys_left_out: int | None = None
    """How many more there are, for whose keys there was no room, either."""
    objects: tuple[ObjectRead, ...] | None = None
    """The versions of the objects that the decision read: DataPlatform, Agent, UserAttributes, the policies that cover the user or,
    as far as they count, grant to the agent, the Guardrails that concern the user, and the TagBindings of the platform."""
    objects_left_out: int | None = None
    """How many more there are."""
    policy_digest: str | None = None
    """Digest of the versions of all AccessPolicies, Guardrails and TagBindings of the platform, also of those that are not in `objects`."""
    catalog_digest: str | None = None
    """Digest of the tables and columns that were read from the platform."""
    profile: str | None = None
    """The profile: its name is a digest of all tables, row filters, masks and functions that were given."""
    table_count: int | None = None
    """How many tables the role can read."""
    tables: tuple[TableAccess, ...] | None = None
    """What the role can read, table by table."""
    tables_left_out: int | None = None
    """How many more there are."""
    functions: tuple[str, ...] | None = None
    """The functions that the agent has as its tools, and that the role can call: `schema.name(arguments)`. Of a Snowflake account all its
    tools, each after its kind: `semantic view SEM.CLAIMS`."""
    functions_left_out: int | None = None
    """How many more there are."""
    ended: EndReason | None = None
    """What ended the role: `Released`, `Expired`, `Revoked` or `Orphaned`."""
    ended_by: str | None = None
    """Who, where the operator did it: as `status.ended.by`. For a release the audit log of the API server knows."""
    ended_at: datetime | None = None
    """When the role had been looked for and was gone; of an orphan when the platform dropped it, by its clock."""
    sessions_ended: int | None = None
    """How many sessions of the role were ended, by all tries since the operator began to drop it. One that was started meanwhile, or had
    to connect to the platform anew, counts from then on. In a crowd that expires at once, sessions whose roles wait for their turn are
    ended before, and are not counted."""
    drop_seconds: float | None = None
    """How long the drop took, from its first try to the last look, as `sessionsEnded` counts; of an orphan from the moment in which it
    was locked out."""
    late_seconds: float | None = None
    """From the moment in which the role was to end (its expiry, or the deletion of the VendedRole) to `endedAt`."""
    receipt: str | None = None
    """Of `granted` and `dropped`: this event, signed, where there is a key for that. A JWS in its compact form."""
    version: str | None = None
    """Of `started`: the version of rolevend."""
    host: str | None = None
    """Of `started`: the pod or machine."""


@dataclass(frozen=True, slots=True)
class AuditEvent:
    id: str
    type: EventType
    subject: str
    """The role's name; for a denial the VendedRole; for a refusal the agent that was proven, or `api`; for the chain's own the host."""
    time: datetime
    body: Body


class AuditSink(Protocol):
    async def record(self, event: AuditEvent) -> None:
        """Returns when the event is written for good. Raises AuditUnavailable, and may then have written it all the same."""
        ...


def granted(request: Request, verdict: Granted, snapshot: Snapshot, given: AccessSummary, now: datetime) -> AuditEvent:
    lease, profile = verdict.lease, verdict.profile
    shape = _digest(profile.name, [[key, list(values)] for key, values in lease.attributes])
    body = Body(
        **asked(request),
        **evidence(snapshot, request),
        role=lease.role,
        agent_handle=lease.agent_handle,
        user_handle=verdict.user_handle,
        expires_at=lease.expires_at,
        profile=profile.name,
        table_count=len(verdict.tables),
        tables_left_out=given.left_out or None,
        functions=tuple(map(str, (*profile.functions, *profile.tools))) or None,
    )
    return AuditEvent(
        f"{request.uid}/granted/{request.platform}/{shape}",
        EventType.GRANTED,
        lease.role,
        now,
        replace(fit_event(MAX_BYTES - given.bytes, body), tables=given.tables),
    )


def denied(request: Request, reason: str, message: str, snapshot: Snapshot, now: datetime) -> AuditEvent:
    body = Body(**asked(request), **evidence(snapshot, request), reason=reason, message=message)
    id_ = f"{request.uid}/denied/{request.platform}/{_digest(reason, message)}"
    return AuditEvent(id_, EventType.DENIED, str(request.name), now, fit_event(MAX_BYTES, body))


@dataclass(frozen=True, slots=True)
class End:
    """A role that was looked for and is gone."""

    role: RoleName
    reason: EndReason
    due_at: datetime
    """When it was to end."""
    ended_at: datetime
    seconds: float
    sessions: int | None = None
    """None where nobody knows any more."""
    by: str | None = None
    message: str | None = None
    profile: str | None = None
    receipt_digest: str | None = None
    """Of the receipt of its beginning; None: it has none, or nobody knows any more."""


def dropped(request: Request, end: End, now: datetime) -> AuditEvent:
    return _dropped(request.uid, end, now, {**asked(request), "expires_at": request.expires_at})


def orphan_dropped(uid: Uid, platform: PlatformName, end: End, now: datetime) -> AuditEvent:
    return _dropped(uid, end, now, {"request_uid": uid, "platform": platform})


def _dropped(uid: Uid, end: End, now: datetime, about: dict[str, Any]) -> AuditEvent:
    body = Body(
        **about,
        **_handles(end.role),
        role=end.role,
        profile=end.profile,
        message=end.message,
        ended=end.reason,
        ended_by=end.by,
        ended_at=end.ended_at,
        sessions_ended=end.sessions,
        drop_seconds=round(end.seconds, 6),
        late_seconds=round(max(0.0, (end.ended_at - end.due_at).total_seconds()), 3),
    )
    return AuditEvent(f"{uid}/dropped/{about['platform']}/{end.reason.value}", EventType.DROPPED, end.role, now, fit_event(MAX_BYTES, body))


def asked(request: Request) -> dict[str, Any]:
    """Fields of a body: what was asked for, by whom and for whom, and what shows that."""
    return {
        "request": str(request.name),
        "request_uid": request.uid,
        "requested_by": request.requested_by,
        "requested_at": request.created_at,
        "platform": request.platform,
        "agent": str(request.agent),
        "purpose": request.purpose,
        "task_id": request.task.id if request.task else None,
        "intent_digest": request.task.intent_digest if request.task else None,
        "request_id": request.request_id,
        "resources": None if request.resources is None else tuple(map(str, request.resources)),
        "expiration_seconds": request.expiration_seconds,
        "user_issuer": request.user.issuer,
        "user_subject": request.user.subject,
        **_proof(request),
    }


def _proof(request: Request) -> dict[str, Any]:
    match request.proof:
        case Proof() as proof:
            return {
                "user_proof": proof.kind.value,
                "identity_provider": proof.provider,
                "token_type": proof.token_type,
                "token_digest": proof.digest,
                "actors": tuple(map(str, proof.actors)) or None,
            }
        case Unproven(digest=digest):
            return {"token_digest": digest}
        case None:
            return {} if request.token is not None else {"user_proof": UserProof.ASSERTED.value}


def _handles(role: RoleName) -> dict[str, Any]:
    try:
        parts = parse_role_name(role)
    except InvalidInput:  # an orphan may have any name
        return {}
    return {"agent_handle": parts.agent, "user_handle": parts.user}


def _digest(*parts: Any) -> str:
    return sha256(json.dumps(parts).encode()).hexdigest()[:16]
