"""The object of a call: name, digest and body. Pure.

If the call has a key, the name depends only on key and agent, so that every replica finds the same object. The digest identifies the
request.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

from rolevend.api.schemas import VendRequest
from rolevend.decision.admission import Agent
from rolevend.kinds import API_VERSION, FINALIZER, REQUEST_ID
from rolevend.kinds.shared import CALL, HANDLES
from rolevend.kube.client import Body
from rolevend.model import ObjectName
from rolevend.model import Task as CoreTask
from rolevend.naming import length_prefixed
from rolevend.roles.decision import PlatformGrant

_LONGEST_PREFIX: Final = 60


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
