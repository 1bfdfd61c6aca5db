"""The calls that look at an agent's roles, and end them. Whoever asks for another agent's is told that there is none."""

import logging
from typing import Final

from rolevend.api.problems import Problem
from rolevend.api.vended_roles import VendedRoles
from rolevend.errors import AuditUnavailable
from rolevend.kube.client import Body, Cluster, NotFound
from rolevend.kube.paths import VENDED_ROLES
from rolevend.model import ObjectName
from rolevend.resources import VendedRole, parse
from rolevend.roles.audit_recorder import AuditRecorder
from rolevend.roles.state import assigned_role_name, role_request
from rolevend.vending.terms import Agent

LONGEST_RELEASE_SECONDS: Final = 10.0

_log = logging.getLogger(__name__)


class Held:
    def __init__(self, cluster: Cluster, vended_roles: VendedRoles, record: AuditRecorder) -> None:
        self._cluster = cluster
        self._vended_roles = vended_roles
        self._record = record

    async def release(self, agent: Agent, name: str, request_id: str) -> VendedRole | None:
        """None: looked for, and gone. Otherwise the object, whose end was begun and goes on. Raises Problem where it is not the agent's."""
        seen = self._vended_roles.get(ObjectName(agent.name.namespace, name))  # whose it is and its uid never change
        role = _own(seen, agent) or await self.own(agent, name)
        try:
            await self._record.release_requested(role_request(role), assigned_role_name(role), request_id)
        except AuditUnavailable as error:
            _log.error("a release: %s", error, extra={"object": name, "request_id": request_id})  # no reason to let it live
        await self._cluster.delete(VENDED_ROLES, role.name, role.uid, role.namespace)
        if await self._vended_roles.gone(ObjectName(role.namespace, role.name), role.uid, LONGEST_RELEASE_SECONDS):
            return None
        return await self.own(agent, name)

    async def own(self, agent: Agent, name: str) -> VendedRole:
        """The agent's VendedRole of this name, as the API server says it now."""
        try:
            body = await self._cluster.get(VENDED_ROLES, name, agent.name.namespace)
        except NotFound:
            body = None
        if (role := _own(body, agent)) is None:
            raise Problem(404, "NotFound", f"this agent has no vended role {name}: it ended, or never was")
        return role

    def all_of(self, agent: Agent) -> list[VendedRole]:
        return [parse(VendedRole, body, unknown="ignore") for body in self._vended_roles.of(agent.name)]


def _own(body: Body | None, agent: Agent) -> VendedRole | None:
    """`body` is of the agent's namespace."""
    if body is None or body["spec"]["agentRef"]["name"] != agent.name.name:
        return None
    return parse(VendedRole, body, unknown="ignore")
