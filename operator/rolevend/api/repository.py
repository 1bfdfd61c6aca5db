"""The role of a call, and its object on the API server: create or find it, set it Ready, and undo it if the call fails.

If the call has a key, the name of its object depends only on key and agent, so that every replica finds the same object. The digest
identifies the request.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol
from uuid import UUID

from rolevend.api.authenticator import AuthenticatedUser
from rolevend.api.index import VendedRoleIndex
from rolevend.api.problems import Problem, error_problem
from rolevend.api.schemas import VendRequest
from rolevend.decision.admission import Agent
from rolevend.decision.approval import ApprovalRef, UnusableApproval
from rolevend.decision.outcome import Decision, Delivery, Request
from rolevend.decision.snapshot import Snapshot
from rolevend.errors import PlatformDrifted, ProfileNotBuilt, RolevendError
from rolevend.kinds import API_VERSION, FINALIZER, REQUEST_ID, VendedRole, parse
from rolevend.kinds.shared import CALL, HANDLES
from rolevend.kube.client import Body, NotFound, ResourceConflict
from rolevend.model import ClusterId, ObjectName, PlatformName, Uid
from rolevend.model import Task as CoreTask
from rolevend.naming import length_prefixed
from rolevend.plan import TokenUse
from rolevend.platforms.protocol import EndReason
from rolevend.roles.decision import PlatformGrant, RoleDecision
from rolevend.roles.door import LeaseRecorder
from rolevend.roles.objects import VendedRoleWriter, is_ending, role_labels
from rolevend.roles.protocols import ApprovalUses
from rolevend.roles.quota import within_quota
from rolevend.roles.state import NOTHING_BEGUN, for_deletion, recorded_uid, role_request, role_requests
from rolevend.roles.status import build_progress, ended_status, needs_person

_LONGEST_PREFIX: Final = 60
MAX_BEGINNING_SECONDS: Final = 1.0
MAX_UNDO_SECONDS: Final = 5.0
_ASKED: Final = (
    *("agent", "user", "delivery", "requested_by", "purpose", "resources", "task", "allow_partial"),
    "expiration_seconds",
)
"""The fields that are equal in repeated requests of one call."""


@dataclass(frozen=True, slots=True)
class VendCall:
    """The facts of a call that the decision does not have."""

    digest: str
    """Of its body."""
    keyed: bool
    """True if the role's name comes from an Idempotency-Key."""
    token: TokenUse | None
    """The token that the platform is to redeem, or None."""
    most_live: int | None
    """How many roles of the agent its platform may record at most; None: no limit."""


@dataclass(frozen=True, slots=True)
class OpenedRole:
    role: VendedRole
    requests: tuple[Request, ...]
    """One for each platform of the role."""
    is_new: bool
    """True if this call opened it; otherwise an earlier call with its key did."""
    role_decision: RoleDecision | None = None
    """The decision on exactly these requests; None: they must be decided."""
    recorder: LeaseRecorder | None = None
    """None: the role is an object in Kubernetes."""


class OpenedRoles(Protocol):
    """Where the roles of calls are recorded."""

    async def open(self, grants: Sequence[PlatformGrant], call: VendCall) -> OpenedRole:
        """Return the role of the call: a new one, or that of an earlier call with its key. Raises Problem."""
        ...

    async def ready(self, opened: OpenedRole, status: Body) -> None:
        """Record that the role is Ready. Raises Problem if it ends: then no credential is returned."""
        ...

    def confirm(self, opened: OpenedRole) -> None:
        """Record soon that the answer with the credential was sent. Returns at once."""
        ...

    async def undo(self, opened: OpenedRole, *, untouched: bool) -> None:
        """End a role that could not be completed. If that fails, the operator ends it in seconds. `untouched`: it was not created."""
        ...


def prefix(agent: Agent) -> str:
    """Return the prefix of the names of its objects."""
    return f"{agent.name.name[:_LONGEST_PREFIX]}-"


def name_of(agent: Agent, key: str) -> str:
    """Return the name for this agent and key, the same in every replica."""
    digest = hashlib.sha256(length_prefixed(agent.name.namespace, agent.name.name, key)).hexdigest()
    return f"{prefix(agent)}{digest[:32]}"


def uid_of(cluster: ClusterId, agent: Agent, key: str, platforms: Sequence[str]) -> UUID:
    """Return the uid of a recorded role for this agent, key and platforms, the same in every replica.

    It is another one in each cluster, because their roles may be in one database under names that the uid distinguishes. It is another one
    for other platforms, because no transaction spans two databases: by one uid in both the operator would follow one of the roles alone.
    """
    content = length_prefixed("uid", cluster, agent.name.namespace, agent.name.name, key, *platforms)
    digest = hashlib.sha256(content).digest()
    return UUID(bytes=digest[:16], version=4)


def digest_of(question: VendRequest) -> str:
    """Return the digest of all members. It does not reveal the token."""
    token = question.user_token.get_secret_value() if question.user_token else ""
    content = question.model_dump_json(exclude={"user_token"}) + hashlib.sha256(token.encode()).hexdigest()
    return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"


def _digest_of_intent(task: CoreTask) -> Body:
    return {"intentDigest": task.intent_digest} if task.intent_digest else {}


def body_of(grants: Sequence[PlatformGrant], digest: str) -> Body:
    """Return the object for these grants. `digest` is that of the request. The object's handles name its role from the start."""
    draft, granted = grants[0].request, grants[0].granted
    name = draft.name
    narrowed = [{"schema": each.schema, "table": each.name} for each in draft.resources or ()]
    spec = {
        "agentRef": {"name": draft.agent.name},
        "user": {"issuer": draft.user.issuer, "subject": draft.user.subject},
        "delivery": draft.delivery.value,
        "platformRefs": [{"name": each.platform} for each in grants],
        "allowPartial": draft.allow_partial or None,
        "expirationSeconds": draft.expiration_seconds,
        "purpose": draft.purpose,
        "task": None if draft.task is None else {"id": draft.task.id, **_digest_of_intent(draft.task)},
        "resources": narrowed or None,
        "approvalRef": None if draft.approval is None else {"name": draft.approval.name.name},
    }
    handles = f"{granted.lease.agent_handle}_{granted.user_handle}"
    annotations = {CALL: digest, HANDLES: handles, **({REQUEST_ID: draft.request_id} if draft.request_id else {})}
    return {
        "apiVersion": API_VERSION,
        "kind": "VendedRole",
        # With the finalizer in it, kopf needs one write less.
        "metadata": {"name": name.name, "namespace": name.namespace, "finalizers": [FINALIZER], "annotations": annotations},
        "spec": {member: value for member, value in spec.items() if value is not None},
    }


class VendedRoleRepository:
    def __init__(
        self,
        objects: VendedRoleWriter,
        index: VendedRoleIndex,
        approvals: ApprovalUses,
        identifier: Callable[[], UUID],
        cluster: ClusterId,
    ) -> None:
        self.approvals = approvals
        self._objects = objects
        self._index = index
        self._identifier = identifier
        self._cluster = cluster

    async def drafts(
        self, agent: Agent, question: VendRequest, user: AuthenticatedUser, request_id: str, key: str | None = None
    ) -> tuple[Request, ...]:
        """Return the requests of the call. With a key, name and uid are the same in every replica. An object has another uid."""
        uid = uid_of(self._cluster, agent, key, question.platforms) if key else self._identifier()
        first = Request(
            name=ObjectName(agent.name.namespace, name_of(agent, key) if key else f"{prefix(agent)}{uid.hex}"),
            uid=Uid(str(uid)),
            agent=agent.name,
            user=user.user,
            platform=PlatformName(question.platforms[0]),
            created_at=self._objects.now().replace(microsecond=0),  # as Kubernetes states it
            expiration_seconds=question.expiration_seconds,
            purpose=question.purpose,
            resources=question.tables,
            token=user.token,
            proof=user.proof,
            delivery=Delivery.RESPONSE,
            task=None if question.task is None else CoreTask(question.task.id, question.task.intent_digest),
            request_id=request_id,
            allow_partial=question.allow_partial,
            approval=None if question.approval is None else ApprovalRef(ObjectName(agent.name.namespace, question.approval.id)),
        )
        if first.approval is not None:
            there = self._index.get(first.name)  # an earlier call with the key may have recorded the use, for the uid of the object
            made = first if there is None else replace(first, uid=Uid(there["metadata"]["uid"]))
            resolved = self.approvals.resolve(made)
            if isinstance(resolved.approval, UnusableApproval):  # another replica may have seen more of it
                await self.approvals.refresh(first.approval.name)
                resolved = self.approvals.resolve(made)
            first = replace(first, approval=resolved.approval)
        return (first, *(replace(first, platform=PlatformName(each), further=True) for each in question.platforms[1:]))

    def has(self, name: ObjectName) -> bool:
        """True if the watch has seen an object of this name."""
        return self._index.get(name) is not None

    def count(self, agent: ObjectName) -> int:
        """Return how many objects of the agent have a role, or will have one."""
        return self._index.count(agent)

    def decide(self, request: Request, snapshot: Snapshot) -> Decision:
        """Return the decision of `snapshot`, within the agent's quota. An object that exists counts already."""
        decision = snapshot.decide(request)
        return decision if self.has(request.name) else within_quota(request, decision, snapshot, self.count(request.agent))

    async def open(self, grants: Sequence[PlatformGrant], call: VendCall) -> OpenedRole:
        """See OpenedRoles."""
        role, is_new = await self._create_or_find(grants, call.digest)
        return OpenedRole(role, role_requests(role), is_new)

    async def _create_or_find(self, grants: Sequence[PlatformGrant], digest: str) -> tuple[VendedRole, bool]:
        name = grants[0].request.name
        body = body_of(grants, digest)
        body["metadata"]["labels"] = role_labels(body)
        try:
            return parse(VendedRole, await self._objects.create(body, name.namespace)), True
        except ResourceConflict:
            pass
        try:
            there = await self._objects.read(name)
        except NotFound as error:
            raise role_ended(name.name) from error
        if recorded_uid(there) is not None:  # it only shows a role, of whose database the caller asked before
            raise role_ended(name.name)
        if there["metadata"].get("annotations", {}).get(CALL) != digest:
            raise key_conflict(ANOTHER_BODY)
        if not is_of(
            role_request(for_deletion(there)), grants[0].request
        ):  # an account that may create VendedRoles chooses their names and annotations
            raise key_conflict(ANOTHER_OWNER)
        if is_ending(there):
            raise role_ended(name.name)
        # The first call may still run: this one must not write Pending over Ready.
        begun = await self._index.begun(name, there["metadata"]["uid"], MAX_BEGINNING_SECONDS)
        return parse(VendedRole, begun or there), False

    def not_built(self, name: ObjectName, error: ProfileNotBuilt) -> Problem:
        """Return the problem of a call that stops waiting for its profile, with the operator's last report from the object."""
        there = self._index.get(name)
        role = None if there is None else for_deletion(there)
        if role is not None and needs_person(role):
            return error_problem(PlatformDrifted())
        problem, progress = error_problem(error), None if role is None else build_progress(role)
        return replace(problem, detail=f"{problem.detail} ({progress})") if progress else problem

    def confirm(self, opened: OpenedRole) -> None:
        """An object that is Ready needs no confirmation."""

    async def ready(self, opened: OpenedRole, status: Body) -> None:
        """See OpenedRoles."""
        role = opened.role
        try:
            body = await self._objects.write_status(_name(role), role.uid, status)
        except (NotFound, ResourceConflict) as error:
            raise role_ended(role.name) from error
        if is_ending(body):
            raise role_ended(role.name)

    async def undo(self, opened: OpenedRole, *, untouched: bool) -> None:
        """See OpenedRoles. If `untouched`, another process may have written to the object since it was created: another call with
        its key, which then creates the role, or fails because of this write."""
        role = opened.role
        with contextlib.suppress(RolevendError, TimeoutError):
            async with asyncio.timeout(MAX_UNDO_SECONDS):
                if untouched:
                    status = ended_status(EndReason.REVOKED.value, NOTHING_BEGUN, "the call was refused before anything was created")
                    with contextlib.suppress(ResourceConflict):
                        await self._objects.write_status(_name(role), role.uid, status, version=role.metadata.resource_version)
                await self._objects.delete(_name(role), role.uid)


def _name(role: VendedRole) -> ObjectName:
    return ObjectName(role.namespace, role.name)


ANOTHER_BODY: Final = "another request used the same key before; use a new key for each request"
ANOTHER_OWNER: Final = "the name of this key belongs to a role that this API did not create for this agent and user; use another key"


def key_conflict(cause: str) -> Problem:
    return Problem(409, "IdempotencyConflict", cause, field="Idempotency-Key")


def is_of(found: Request, draft: Request) -> bool:
    """True if the API created the role for the same request. Admission allows `delivery: Response` only to the API, and stamps the creator
    of every other object."""
    is_same_approval = (found.approval and found.approval.name) == (draft.approval and draft.approval.name)
    return is_same_approval and all(getattr(found, name) == getattr(draft, name) for name in _ASKED)


def role_ended(name: str) -> Problem:
    return Problem(409, "Ended", f"the role {name} was ended, or created by another decision; try again")
