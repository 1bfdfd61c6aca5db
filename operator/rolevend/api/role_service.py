"""List, get and release the roles of one agent. A role of another agent is answered as if it did not exist."""

import asyncio
import logging
import time
from typing import Final

from rolevend.api.index import VendedRoleIndex
from rolevend.api.problems import RETRY_SECONDS, Problem
from rolevend.api.recorded_roles import LONGEST_RELEASE_SECONDS, RecordedRoles
from rolevend.decision.admission import Agent
from rolevend.errors import AuditUnavailable, NotPermitted
from rolevend.kinds import VendedRole, parse
from rolevend.kube.client import Body, NotFound
from rolevend.model import ObjectName
from rolevend.platforms.protocol import RecordedLease
from rolevend.roles.audit_recorder import AuditRecorder
from rolevend.roles.objects import VendedRoleWriter
from rolevend.roles.recorded import answered_body
from rolevend.roles.state import assigned_role_name, role_request

_POLL_SECONDS: Final = 0.05

_log = logging.getLogger(__name__)


class RoleService:
    def __init__(self, objects: VendedRoleWriter, index: VendedRoleIndex, recorded: RecordedRoles, recorder: AuditRecorder) -> None:
        self._objects = objects
        self._recorded = recorded
        self._index = index
        self._recorder = recorder

    async def release(self, agent: Agent, name: str, request_id: str) -> VendedRole | None:
        """End the role. Return None if it is gone, otherwise the role. Raises Problem if it is not the agent's."""
        place = ObjectName(agent.name.namespace, name)
        # The watch may lag: the name may have another role by now, whose uid the API server alone knows.
        seen = self._index.get(place)
        role = None if seen is None else await self._stored(agent, place)
        if role is None and (recorded := await self._recorded.named(place)) is not None:
            platform, found = recorded
            await self._record_release(self._shown(found, agent, name), request_id)
            return None if await self._recorded.release(platform, found) else await self.own(agent, name)
        if seen is None:
            role = await self._stored(agent, place)
        if role is None:
            if seen is not None and _own(seen, agent) is not None:  # it ended a moment ago
                return None
            raise _no_role(name)
        await self._record_release(role, request_id)
        try:
            await self._objects.delete(place, role.uid)
        except NotPermitted as error:
            raise _not_ended(role) from error
        return await self._remaining(agent, role)

    async def _remaining(self, agent: Agent, role: VendedRole) -> VendedRole | None:
        """Return None as soon as the API server has no such object, and the role after LONGEST_RELEASE_SECONDS."""
        place, deadline = ObjectName(role.namespace, role.name), time.monotonic() + LONGEST_RELEASE_SECONDS
        while True:
            await self._index.gone(place, role.uid, deadline - time.monotonic())  # at once for an object that the watch has not seen yet
            there = await self._stored(agent, place)
            if there is None or there.uid != role.uid:
                return None
            if time.monotonic() >= deadline:
                return there
            await asyncio.sleep(_POLL_SECONDS)

    async def _record_release(self, role: VendedRole, request_id: str) -> None:
        try:
            await self._recorder.release_requested(role_request(role), assigned_role_name(role), request_id)
        except AuditUnavailable as error:  # the role ends in any case
            _log.error("cannot record a release: %s", error, extra={"object": role.name, "request_id": request_id})

    async def own(self, agent: Agent, name: str) -> VendedRole:
        """Return the agent's VendedRole of this name as it is recorded now. Raises Problem."""
        place = ObjectName(agent.name.namespace, name)
        seen = self._index.get(place)
        if seen is None and (recorded := await self._recorded.named(place)) is not None:
            return self._shown(recorded[1], agent, name)
        if (role := await self._stored(agent, place)) is None:
            raise _no_role(name)
        return role

    async def _stored(self, agent: Agent, place: ObjectName) -> VendedRole | None:
        """Return the agent's VendedRole of this name as the API server has it now, or None."""
        try:
            body = await self._objects.read(place)
        except NotFound:
            return None
        return _own(body, agent)

    def _shown(self, recorded: RecordedLease, agent: Agent, name: str) -> VendedRole:
        """Return the recorded role. Raises Problem if it is not the agent's, or gone."""
        if recorded.dropped_at is not None or (role := _own(answered_body(recorded), agent)) is None:
            raise _no_role(name)
        return role

    async def all_of(self, agent: Agent) -> list[VendedRole]:
        objects = [parse(VendedRole, body, unknown="ignore") for body in self._index.of(agent.name)]
        return sorted([*objects, *await self._recorded.of(agent.name)], key=lambda role: role.name)


def _no_role(name: str) -> Problem:
    return Problem(404, "NotFound", f"this agent has no vended role {name}: it ended, or never was")


def _not_ended(role: VendedRole) -> Problem:
    """Return the problem of a release after the owner of the namespace withdrew the rights of the API."""
    expiry = role.status.expiration_timestamp
    until = "" if expiry is None else f" it ends at {expiry:%Y-%m-%dT%H:%M:%SZ}, or"
    detail = f"the role {role.name} is not ended: the agent's namespace is not served;{until} when an administrator ends it"
    return Problem(503, "NotServed", detail, retry_after=RETRY_SECONDS)


def _own(body: Body, agent: Agent) -> VendedRole | None:
    """Return the object if it is the agent's. `body` is from the agent's namespace."""
    if body["spec"]["agentRef"]["name"] != agent.name.name:
        return None
    return parse(VendedRole, body, unknown="ignore")
