"""The object of a call on the API server: create or find it, set it Ready, and undo it if the call fails.

If the call has a key, the name of its object depends only on key and agent, so that every replica finds the same object. The digest
identifies the request.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from rolevend.api.authenticator import AuthenticatedUser
from rolevend.api.index import VendedRoleIndex
from rolevend.api.problems import Problem, error_problem
from rolevend.api.schemas import VendRequest
from rolevend.decision.admission import Agent
from rolevend.decision.outcome import Decision, Delivery, Request
from rolevend.decision.snapshot import Snapshot
from rolevend.errors import PlatformDrifted, ProfileNotBuilt, RolevendError
from rolevend.kinds import API_VERSION, FINALIZER, REQUEST_ID, VendedRole, parse
from rolevend.kinds.shared import CALL, HANDLES
from rolevend.kube.client import Body, NotFound, ResourceConflict
from rolevend.model import ObjectName, PlatformName, Uid
from rolevend.model import Task as CoreTask
from rolevend.naming import length_prefixed
from rolevend.platforms.protocol import EndReason
from rolevend.roles.decision import PlatformGrant
from rolevend.roles.objects import VendedRoleWriter, is_ending
from rolevend.roles.quota import within_quota
from rolevend.roles.state import NOTHING_BEGUN, for_deletion, role_request
from rolevend.roles.status import build_progress, ended_status, needs_person

_LONGEST_PREFIX: Final = 60
MAX_BEGINNING_SECONDS: Final = 1.0
MAX_UNDO_SECONDS: Final = 5.0
_ASKED: Final = (
    *("agent", "user", "delivery", "requested_by", "purpose", "resources", "task", "allow_partial"),
    "expiration_seconds",
)
"""The fields that are equal in repeated requests of one call."""


def prefix(agent: Agent) -> str:
    """Return the prefix of the names of its objects."""
    return f"{agent.name.name[:_LONGEST_PREFIX]}-"


def name_of(agent: Agent, key: str) -> str:
    """Return the name for this agent and key, the same in every replica."""
    digest = hashlib.sha256(length_prefixed(agent.name.namespace, agent.name.name, key)).hexdigest()
    return f"{prefix(agent)}{digest[:32]}"


def digest_of(question: VendRequest) -> str:
    """Return the digest of all members. It does not reveal the token."""
    token = question.user_token.get_secret_value() if question.user_token else ""
    content = question.model_dump_json(exclude={"user_token"}) + hashlib.sha256(token.encode()).hexdigest()
    return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"


def _digest_of_intent(task: CoreTask) -> Body:
    return {"intentDigest": task.intent_digest} if task.intent_digest else {}


def body_of(grants: Sequence[PlatformGrant], name: ObjectName, digest: str) -> Body:
    """Return the object for these grants. `digest` is that of the request. The object's handles name its role from the start."""
    draft, granted = grants[0].request, grants[0].granted
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
    def __init__(self, objects: VendedRoleWriter, index: VendedRoleIndex, identifier: Callable[[], UUID]) -> None:
        self._objects = objects
        self._index = index
        self._identifier = identifier

    def drafts(self, agent: Agent, question: VendRequest, user: AuthenticatedUser, request_id: str) -> tuple[Request, ...]:
        """Return the requests of the future object, under a uid that no object has."""
        uid = self._identifier()
        first = Request(
            name=ObjectName(agent.name.namespace, f"{prefix(agent)}{uid.hex}"),
            uid=Uid(str(uid)),
            agent=agent.name,
            user=user.user,
            platform=PlatformName(question.platforms[0]),
            created_at=self._objects.now(),
            expiration_seconds=question.expiration_seconds,
            purpose=question.purpose,
            resources=question.tables,
            token=user.token,
            proof=user.proof,
            delivery=Delivery.RESPONSE,
            task=None if question.task is None else CoreTask(question.task.id, question.task.intent_digest),
            request_id=request_id,
            allow_partial=question.allow_partial,
        )
        return (first, *(replace(first, platform=PlatformName(each), further=True) for each in question.platforms[1:]))

    def name(self, agent: Agent, key: str | None) -> ObjectName:
        """Return the name of the call's object. With a key it is the same in every replica."""
        return ObjectName(agent.name.namespace, name_of(agent, key) if key else f"{prefix(agent)}{self._identifier().hex}")

    def decide(self, name: ObjectName, request: Request, snapshot: Snapshot) -> Decision:
        """Return the decision of `snapshot`, within the agent's quota. An object that exists counts already."""
        decision = snapshot.decide(request)
        if self._index.get(name) is not None:
            return decision
        return within_quota(request, decision, snapshot, self._index.count(request.agent))

    async def open(self, grants: Sequence[PlatformGrant], name: ObjectName, digest: str) -> tuple[VendedRole, bool]:
        """Return the object of this request, and True if this call created it. Raises Problem."""
        try:
            return parse(VendedRole, await self._objects.create(body_of(grants, name, digest), name.namespace)), True
        except ResourceConflict:
            pass
        try:
            there = await self._objects.read(name)
        except NotFound as error:
            raise role_ended(name.name) from error
        if there["metadata"].get("annotations", {}).get(CALL) != digest:
            raise _conflict("another request used the same key before; use a new key for each request")
        if not _is_of(there, grants[0].request):  # an account that may create VendedRoles chooses their names and annotations
            raise _conflict(
                "the name of this key belongs to an object that this API did not create for this agent and user; use another key"
            )
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

    async def ready(self, role: VendedRole, status: Body) -> None:
        """Write that the role is Ready. Raises Problem if the object ends: then no credential is returned."""
        try:
            body = await self._objects.write_status(_name(role), role.uid, status)
        except (NotFound, ResourceConflict) as error:
            raise role_ended(role.name) from error
        if is_ending(body):
            raise role_ended(role.name)

    async def undo(self, role: VendedRole, *, untouched: bool) -> None:
        """End a role that could not be completed. If that fails, the operator ends it in seconds.

        `untouched`: no platform can have a role, unless another process wrote to the object since it was created. That may be another
        call with its key, which then creates the role, or fails because of this write.
        """
        with contextlib.suppress(RolevendError, TimeoutError):
            async with asyncio.timeout(MAX_UNDO_SECONDS):
                if untouched:
                    status = ended_status(EndReason.REVOKED.value, NOTHING_BEGUN, "the call was refused before anything was created")
                    with contextlib.suppress(ResourceConflict):
                        await self._objects.write_status(_name(role), role.uid, status, version=role.metadata.resource_version)
                await self._objects.delete(_name(role), role.uid)


def _name(role: VendedRole) -> ObjectName:
    return ObjectName(role.namespace, role.name)


def _conflict(cause: str) -> Problem:
    return Problem(409, "IdempotencyConflict", cause, field="Idempotency-Key")


def _is_of(there: Body, draft: Request) -> bool:
    """True if the API created the object for the same request. Admission allows `delivery: Response` only to the API, and stamps the
    creator of every other object."""
    found = role_request(for_deletion(there))
    return all(getattr(found, name) == getattr(draft, name) for name in _ASKED)


def role_ended(name: str) -> Problem:
    return Problem(409, "Ended", f"the role {name} was ended, or created by another decision; try again")
