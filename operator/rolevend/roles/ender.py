"""End roles before their expiry: drop on the platform, write the reason, delete the object."""

import logging
from collections.abc import Sequence

from rolevend.decision.outcome import Request
from rolevend.errors import RolevendError
from rolevend.model import RoleName
from rolevend.platforms.protocol import DropRequest, EndReason
from rolevend.roles.dropper import ImmediateDrops
from rolevend.roles.objects import VendedRoleWriter
from rolevend.roles.state import RoleState
from rolevend.roles.status import ended_status
from rolevend.roles.store import RoleRecord, RoleStore
from rolevend.telemetry.metrics import Metrics

_log = logging.getLogger(__name__)


class RoleEnder:
    def __init__(self, roles: RoleStore, objects: VendedRoleWriter, drops: ImmediateDrops, metrics: Metrics) -> None:
        self.roles = roles
        self._objects = objects
        self._drops = drops
        self._metrics = metrics

    def begin_drop(self, state: RoleState) -> None:
        """Start the drop of the role on one platform whose status says that it was abandoned."""
        self._begin_drop(self.roles.record(state.request.uid), state.request, state.role, EndReason.REVOKED)

    def begin_drops(self, state: RoleState) -> None:
        """Start the drops of a live role on all of its platforms. The caller then calls `revoke`."""
        for each in self.roles.record(state.request.uid).states:
            self.begin_drop(each)

    async def revoke(self, state: RoleState, by: str, message: str, reason: EndReason = EndReason.REVOKED) -> None:
        """End a live role on all of its platforms: write the reason and delete the object."""
        there = [each for each in self.roles.record(state.request.uid).states if each.role is not None] or [state]
        await self.revoke_requests([each.request for each in there], state.role or there[0].role, by, message, reason)

    async def revoke_requests(
        self, requests: Sequence[Request], role: RoleName | None, by: str, message: str, reason: EndReason = EndReason.REVOKED
    ) -> None:
        """The same for a role that the watch has not reported yet."""
        first = requests[0]
        record = self.roles.record(first.uid)
        if record.is_revoked:
            return
        record.is_revoked = True
        for request in requests:
            self._begin_drop(record, request, role, reason)
        _log.warning("revoking a role: %s", message, extra={"by": by, "role": role, "platform": first.platform, "object": str(first.name)})
        try:
            await self._objects.write_status(first.name, first.uid, ended_status(reason.value, by, message))
        except RolevendError as error:
            _log.warning("cannot write the revocation reason: %s", error, extra={"role": role})  # the role ends in any case
        try:
            await self.delete(first)
        except RolevendError:
            record.is_revoked = False
            raise
        self._metrics.revoked_roles.labels(first.platform, by).inc()

    async def delete(self, request: Request) -> None:
        """Start the deletion of the object, whose finalizer drops the role."""
        await self._objects.delete(request.name, request.uid)

    def _begin_drop(self, record: RoleRecord, request: Request, role: RoleName | None, reason: EndReason) -> None:
        if role:
            self._drops.begin(record, request, DropRequest(role, request.uid, reason))
