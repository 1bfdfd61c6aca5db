"""List, get and release the roles of one agent. A role of another agent is answered as if it did not exist."""

import logging
from typing import Final

from rolevend.api.index import VendedRoleIndex
from rolevend.api.problems import Problem
from rolevend.decision.admission import Agent
from rolevend.errors import AuditUnavailable
from rolevend.kinds import VendedRole, parse
from rolevend.kube.client import Body, NotFound
from rolevend.model import ObjectName
from rolevend.roles.audit_recorder import AuditRecorder
from rolevend.roles.objects import VendedRoleWriter
from rolevend.roles.state import assigned_role_name, role_request

LONGEST_RELEASE_SECONDS: Final = 10.0

_log = logging.getLogger(__name__)


class RoleService:
    def __init__(self, objects: VendedRoleWriter, index: VendedRoleIndex, recorder: AuditRecorder) -> None:
        self._objects = objects
        self._index = index
        self._recorder = recorder

    async def release(self, agent: Agent, name: str, request_id: str) -> VendedRole | None:
        """Start the end of the role. Return None if it is gone, otherwise its object. Raises Problem if it is not the agent's."""
        seen = self._index.get(ObjectName(agent.name.namespace, name))  # owner and uid never change
        role = _own(seen, agent) or await self.own(agent, name)
        try:
            await self._recorder.release_requested(role_request(role), assigned_role_name(role), request_id)
        except AuditUnavailable as error:
            _log.error("cannot record a release: %s", error, extra={"object": name, "request_id": request_id})  # the role ends in any case
        await self._objects.delete(ObjectName(role.namespace, role.name), role.uid)
        if await self._index.gone(ObjectName(role.namespace, role.name), role.uid, LONGEST_RELEASE_SECONDS):
            return None
        return await self.own(agent, name)

    async def own(self, agent: Agent, name: str) -> VendedRole:
        """Return the agent's VendedRole of this name from the API server. Raises Problem."""
        try:
            body = await self._objects.read(ObjectName(agent.name.namespace, name))
        except NotFound:
            body = None
        if (role := _own(body, agent)) is None:
            raise Problem(404, "NotFound", f"this agent has no vended role {name}: it ended, or never was")
        return role

    def all_of(self, agent: Agent) -> list[VendedRole]:
        return [parse(VendedRole, body, unknown="ignore") for body in self._index.of(agent.name)]


def _own(body: Body | None, agent: Agent) -> VendedRole | None:
    """Return the object if it is the agent's. `body` is from the agent's namespace."""
    if body is None or body["spec"]["agentRef"]["name"] != agent.name.name:
        return None
    return parse(VendedRole, body, unknown="ignore")
