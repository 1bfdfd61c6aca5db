"""All reads and writes of VendedRole objects, except those of kopf and of watches."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Final

from rolevend.decision.outcome import Request
from rolevend.kinds import VendedRole
from rolevend.kinds.shared import AGENT_LABEL, HANDLES, PLATFORM_LABELS, PURPOSE_LABEL, RECONSIDERED, USER_LABEL
from rolevend.kube.client import VENDED_ROLES, Body, KubeClient
from rolevend.model import ObjectName, PlatformName, RoleName, Uid
from rolevend.roles.state import is_let_go, recorded_uid
from rolevend.roles.status import StatusBuilder

_LABEL: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
"""A value of a label, and the part of a key after its prefix."""


class VendedRoleWriter:
    def __init__(self, cluster: KubeClient, now: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self.now = now

    def report(self, role: VendedRole) -> StatusBuilder:
        """Return the builder of the object's next status."""
        return StatusBuilder(role, self.now())

    async def create(self, body: Body, namespace: str) -> Body:
        """Create the object. Raises ResourceConflict."""
        return await self._cluster.create(VENDED_ROLES, body, namespace)

    async def read(self, name: ObjectName, uid: str = "") -> Body:  # noqa: ARG002
        """Return the object as the API server has it now. Raises NotFound. `uid` says which one, where several roles have one name."""
        return await self._cluster.get(VENDED_ROLES, name.name, name.namespace)

    async def list_claims(self) -> dict[Uid, bool]:
        """Return all objects, each with True if it claims a role: see `state.is_let_go`. One that only shows a recorded role is none."""
        pages = self._cluster.pages(VENDED_ROLES)
        return {uid_of(each): not is_let_go(each) async for page in pages for each in page["items"] if recorded_uid(each) is None}

    async def is_recorded(self, platform: PlatformName, role: RoleName, uid: Uid) -> bool:  # noqa: ARG002
        """True if the platform's database records the role, so that it is followed or dropped by its record."""
        return False

    async def sessions_ended(self, uid: Uid, count: int) -> int:  # noqa: ARG002
        """Return how many sessions the end of the role terminated. `count` are those of this process."""
        return count

    def knows(self, platform: PlatformName) -> bool:  # noqa: ARG002
        """True if `list_claims` includes all roles of the platform."""
        return True

    async def write_status(self, name: ObjectName, uid: str, status: Body, *, version: str | None = None) -> Body:
        """Merge `status` and return the object. Raises NotFound if the object is gone, and ResourceConflict if another object has its
        name now, or if its resource version is not `version`."""
        precondition = {"uid": uid} if version is None else {"uid": uid, "resourceVersion": version}
        patch = {"metadata": precondition, "status": status}
        return await self._cluster.merge(VENDED_ROLES, name.name, patch, name.namespace, "status")

    async def delete(self, name: ObjectName, uid: str) -> None:
        """Start the deletion of exactly this object. Succeeds if the object is gone."""
        await self._cluster.delete(VENDED_ROLES, name.name, uid, name.namespace)

    async def request_reconcile(self, request: Request, reason: str) -> None:
        """Make kopf reconcile the object again, by an update that a restarted operator also sees."""
        patch = {"metadata": {"uid": request.uid, "annotations": {RECONSIDERED: f"{self.now().isoformat()} {reason}"}}}
        await self._cluster.merge(VENDED_ROLES, request.name.name, patch, request.name.namespace)


def role_labels(body: Body) -> dict[str, str]:
    """Return the labels of a VendedRole of the API, which has the handles of agent and user as an annotation. A name that is too long for a
    label has none.

    They are for selectors of people and their tools. No decision reads them, because who may patch an object may write any; and none holds
    a subject, which may be an e-mail address.
    """
    spec, annotations = body["spec"], body["metadata"].get("annotations", {})
    _, _, user_handle = annotations.get(HANDLES, "").partition("_")
    labels = {AGENT_LABEL: spec["agentRef"]["name"], USER_LABEL: user_handle, PURPOSE_LABEL: spec.get("purpose") or ""}
    platforms = {f"{PLATFORM_LABELS}{name}": "" for each in spec["platformRefs"] if _LABEL.fullmatch(name := each["name"])}
    return {key: value for key, value in labels.items() if _LABEL.fullmatch(value)} | platforms


def is_ending(body: Body) -> bool:
    """True if the object is being deleted, or its status has the reason why its role ends."""
    return bool(body["metadata"].get("deletionTimestamp") or body.get("status", {}).get("ended"))


def uid_of(body: Body) -> Uid:
    return Uid(body["metadata"]["uid"])
