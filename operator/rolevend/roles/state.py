"""The content of a VendedRole object: its requests, one for each platform, and the state of its role on each. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from rolevend.decision.approval import ApprovalRef
from rolevend.decision.outcome import Decision, Delivery, Granted, Request, withdrawal_reason
from rolevend.decision.proof import Proof
from rolevend.errors import InvalidInput
from rolevend.kinds import FINALIZER, REQUEST_ID, REQUESTED_BY, VendedRole, parse, shell, values
from rolevend.kinds.shared import HANDLES, RECORD, REVOKED_BECAUSE, REVOKED_BY
from rolevend.kinds.vended_role import Ended, PlatformState, proof_of, user_token
from rolevend.kube.client import Body
from rolevend.model import AgentHandle, Attributes, ObjectName, PlatformName, RoleName, Task, Uid, UserHandle
from rolevend.naming import role_name
from rolevend.plan import attribute_keys

LONGEST_REQUEST_ID: Final = 128
_LONGEST_SENTENCE: Final = 1024
UNANSWERED: Final = "Unanswered"
"""The reason of Ready for a role that exists, and whose credential was not confirmed to be sent. Only a recorded role has it."""
NOTHING_BEGUN: Final = "NothingBegun"
"""The `status.ended.by` of an object whose call was refused before it created anything else."""


@dataclass(frozen=True, slots=True)
class RoleState:
    """One VendedRole on one of its platforms, as the watch reported it last."""

    request: Request
    ready: bool
    """True if the condition Ready is True, which is the same for all its platforms."""
    ending_since: datetime | None
    """When its deletion began, or None."""
    role: RoleName | None
    """See `assigned_role_name`; also None if nothing exists on this platform."""
    profile: str | None
    """None if the status has no profile yet."""
    attributes: Attributes
    """The user's attributes that the profile reads, from the status."""
    decision: tuple[str, str] | None
    """Status and message of the condition Granted that this process decided last; after a restart those of the object, or None."""
    granted: Granted | None = None
    """The grant by which this process created the role; None after a restart. See `store.RoleRecord`."""
    absent: bool = False
    """True if by its status no role lives on this platform: it was skipped, is gone, or is being dropped."""
    let_go: bool = False
    """See `is_let_go`."""
    unanswered_since: datetime | None = None
    """When the platform recorded the role, if the answer to its call is not confirmed; otherwise None. See `UNANSWERED`."""

    @property
    def unanswered(self) -> bool:
        return self.unanswered_since is not None

    @property
    def live(self) -> bool:
        """True if by its status the role can log in on this platform."""
        return (self.ready or self.unanswered) and not self.absent


def role_request(role: VendedRole) -> Request:
    """Return the request for the first platform, for the fields that all platforms share."""
    return role_requests(role)[0]


def role_requests(role: VendedRole) -> tuple[Request, ...]:
    """Return one request for each platform, in the object's order. They share uid, expiry and proof."""
    if role.metadata.creation_timestamp is None:
        raise InvalidInput("metadata.creationTimestamp", "is missing: the object was not read from a cluster")
    first = Request(
        name=values.object_name(role),
        uid=Uid(role.uid),
        agent=values.agent_of(role),
        user=values.user(role.spec.user),
        platform=PlatformName(role.spec.platform_refs[0].name),
        created_at=role.metadata.creation_timestamp,
        expiration_seconds=role.spec.expiration_seconds,
        purpose=role.spec.purpose,
        resources=values.resources(role),
        requested_by=role.metadata.annotations.get(REQUESTED_BY),
        token=user_token(role),
        proof=_proof(role),
        delivery=Delivery(role.spec.delivery),
        task=None if role.spec.task is None else Task(role.spec.task.id, role.spec.task.intent_digest),
        request_id=_request_id(role),
        allow_partial=role.spec.allow_partial,
        approval=_approval(role),
        ends_by=role.status.expiration_timestamp if role.status.role_name else None,
    )
    further = (replace(first, platform=PlatformName(each.name), further=True) for each in role.spec.platform_refs[1:])
    return (first, *further)


def _approval(role: VendedRole) -> ApprovalRef | None:
    """Return the AccessRequest that the role names, in its own namespace."""
    ref = role.spec.approval_ref
    begun_with = role.status.access_request_uid
    return None if ref is None else ApprovalRef(ObjectName(role.namespace, ref.name), None if begun_with is None else Uid(begun_with))


def _request_id(role: VendedRole) -> str | None:
    """Return the id in the annotation, or None if it is malformed: anybody who creates an object may set annotations."""
    text = role.metadata.annotations.get(REQUEST_ID, "")
    return text if text.isprintable() and 0 < len(text) <= LONGEST_REQUEST_ID else None


def _proof(role: VendedRole) -> Proof | None:
    """Return the proof that the operator wrote with the intent, because the token may be gone."""
    status = role.status
    if not status.role_name or status.user is None or status.expiration_timestamp is None:
        return None
    return proof_of(status.user, status.expiration_timestamp)


def assigned_role_name(role: VendedRole) -> RoleName | None:
    """Return the name of the role that may exist, or None if no vend was begun. The name comes from the status, or for a role of the API
    from the object itself, so it is known before anything exists on a platform."""
    status = role.status
    if status.role_name:
        return RoleName(status.role_name)
    handles = role.metadata.annotations.get(HANDLES)
    if handles is None or role.spec.delivery != "Response" or (status.ended and status.ended.by == NOTHING_BEGUN):
        return None
    agent, _, user = handles.partition("_")
    try:
        return role_name(AgentHandle(agent), UserHandle(user), Uid(role.uid))
    except InvalidInput:
        return None  # another process wrote it


def is_ready(role: VendedRole) -> bool:
    condition = role.status.condition("Ready")
    return condition is not None and condition.status == "True"


def is_let_go(item: Body) -> bool:
    """True if the object is being deleted and our finalizer is gone. Finalizers of others may keep it.

    Such an object claims no role. Either the operator found no role, or somebody removed our finalizer, and the sweep drops the role.
    """
    metadata = item["metadata"]
    return bool(metadata.get("deletionTimestamp")) and FINALIZER not in metadata.get("finalizers", ())


def recorded_uid(item: Body) -> str | None:
    """Return the uid of the recorded role that the object only shows, or None if it is a VendedRole of its own."""
    uid: str | None = item["metadata"].get("labels", {}).get(RECORD)
    return uid


def lease_uid(role: VendedRole) -> Uid:
    """Return the uid of the role in its databases. An object that shows a recorded role has another one."""
    return Uid(role.metadata.labels.get(RECORD, role.uid))


def state_on(role: VendedRole, platform: PlatformName) -> PlatformState | None:
    """Return the status of one platform."""
    return next((each for each in role.status.platforms if each.name == platform), None)


def is_platform_active(role: VendedRole, platform: PlatformName) -> bool:
    """True unless the status says that the platform was skipped, or that the role is gone from it."""
    state = state_on(role, platform)
    return state is None or state.state not in ("LeftOut", "Gone")


def may_exist_on(role: VendedRole, platform: PlatformName) -> bool:
    """True if an earlier attempt may have created something on this platform."""
    return assigned_role_name(role) is not None and is_platform_active(role, platform)


def role_states(role: VendedRole) -> tuple[RoleState, ...]:
    """Return the state on each platform, in the object's order."""
    return tuple(_state_on_platform(role, request) for request in role_requests(role))


def _state_on_platform(role: VendedRole, request: Request) -> RoleState:
    status, state = role.status, state_on(role, request.platform)
    condition = status.condition("Granted")
    let_go = role.metadata.deletion_timestamp is not None and FINALIZER not in role.metadata.finalizers
    return RoleState(
        request=request,
        ready=is_ready(role),
        ending_since=role.metadata.deletion_timestamp,
        role=assigned_role_name(role) if may_exist_on(role, request.platform) and not let_go else None,
        profile=state.profile if state else None,
        attributes=values.attributes(status.user.attributes) if status.user else Attributes(),
        decision=(condition.status, condition.message) if condition else None,
        absent=state is not None and state.state in ("LeftOut", "Gone", "Dropping"),
        let_go=let_go,
        unanswered_since=next(
            (each.last_transition_time for each in status.conditions if each.type == "Ready" and each.reason == UNANSWERED), None
        ),
    )


def revocation_reason(decision: Decision, state: RoleState) -> str | None:
    """Return the reason to revoke a live role, or None."""
    if state.granted is not None:
        return withdrawal_reason(decision, state.granted)
    if isinstance(decision, Granted):
        # After a restart only the name of the profile is known, a digest of its grants: another name revokes the role.
        now, then = decision.lease.attributes, state.attributes
        same = decision.profile.name == state.profile and (
            now == then or now == then.only(attribute_keys(decision.profile))  # other platforms may read more
        )
        return None if same else "policy, tags or attributes changed while the operator was down"
    return decision.message if decision.withdrawn else None


def for_deletion(body: Body) -> VendedRole:
    """Parse only the fields that the end of the object needs. An unknown field of a newer version must not keep a role alive.

    If a person revoked the role, `status.ended` has them and their reason, also before the operator wrote it.
    """
    role = parse(VendedRole, body, unknown="ignore")
    ended = _revocation(role)
    return role if ended is None else role.model_copy(update={"status": role.status.model_copy(update={"ended": ended})})


def _revocation(role: VendedRole) -> Ended | None:
    """Return the end by a person who annotated and then deleted the object, or None if it ended otherwise."""
    metadata, status = role.metadata, role.status
    by, because = metadata.annotations.get(REVOKED_BY), metadata.annotations.get(REVOKED_BECAUSE)
    deleted_at, expires_at = metadata.deletion_timestamp, status.expiration_timestamp
    if status.ended is not None or deleted_at is None or not by or not because:
        return None
    if expires_at is not None and deleted_at >= expires_at:  # the person annotated it, and did not delete it
        return None
    return Ended(reason="Revoked", by=_on_one_line(f"User {by}"), message=_on_one_line(because))


def _on_one_line(text: str) -> str:
    """Return the text of an annotation. Admission refuses invisible characters; a cluster without it does not."""
    return "".join(each if each.isprintable() else " " for each in text)[:_LONGEST_SENTENCE]


def for_report(body: Body) -> VendedRole:
    """Parse only the fields that its conditions need, so that an object that cannot be parsed gets conditions, too."""
    try:
        return for_deletion(body)
    except InvalidInput:
        return shell(VendedRole, body)
