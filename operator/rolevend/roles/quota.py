"""The maximum number of roles of an agent at one time, for both doors.

At kubectl's door a request over the quota waits until another role is gone; the API refuses it. The operator counts every role that was
begun and is not gone, at either door. After a restart it counts the roles that are listed so far, so that a few waiting requests may
pass too early.
"""

import asyncio
import logging
from collections import defaultdict
from typing import Final

from rolevend.decision.outcome import Decision, Denied, Granted, Request
from rolevend.decision.snapshot import Snapshot
from rolevend.errors import RolevendError
from rolevend.model import ObjectName, Uid
from rolevend.roles.objects import VendedRoleWriter
from rolevend.roles.protocols import ApprovalUses
from rolevend.roles.state import RoleState
from rolevend.roles.store import RoleStore

TOO_MANY: Final = "TooManyRoles"
_RETRY_SECONDS: Final = 1.0

_log = logging.getLogger(__name__)


def within_quota(request: Request, decision: Decision, snapshot: Snapshot, count: int) -> Decision:
    """Return `decision`, or a denial if it is a grant and `count` reaches the agent's maximum."""
    if not isinstance(decision, Granted):
        return decision
    limit = snapshot.most_live(request)
    if limit is None or count < limit:
        return decision
    return Denied(TOO_MANY, f"spec.agentRef: Agent {request.agent.name} has its maximum of {limit} roles; release one")


class RoleQuota:
    """The roles that count, and the requests that wait, in order of arrival."""

    def __init__(self, roles: RoleStore, objects: VendedRoleWriter, approvals: ApprovalUses) -> None:
        self._roles = roles
        self._objects = objects
        self._approvals = approvals
        self._agents: dict[Uid, ObjectName] = {}
        """The agent of each uid that counts or waits."""
        self._held: dict[ObjectName, set[Uid]] = defaultdict(set)
        self._waiting: dict[ObjectName, dict[Uid, None]] = defaultdict(dict)
        self._tasks: set[asyncio.Task[None]] = set()

    def decide(self, request: Request, snapshot: Snapshot, *, role_exists: bool) -> Decision:
        """Return the decision of `snapshot`, within the quota. Reserves nothing."""
        decision = snapshot.decide(self._approvals.resolve(request), role_exists=role_exists)
        held = self._held[request.agent]
        if role_exists or request.uid in held:
            return decision
        return within_quota(request, decision, snapshot, len(held))

    def reserve(self, request: Request, decision: Decision) -> None:
        """Apply a decision: count the role, queue the request, or remove it."""
        if isinstance(decision, Granted):
            self._hold(request.agent, request.uid)
        elif isinstance(decision, Denied) and decision.reason == TOO_MANY:
            self._agents[request.uid] = request.agent
            self._waiting[request.agent].setdefault(request.uid)
        else:
            self.release(request.uid)

    def observe(self, state: RoleState) -> None:
        """Handle an event of the watch. A role counts until it is gone."""
        if state.role is not None:
            self._hold(state.request.agent, state.request.uid)

    def release(self, uid: Uid) -> None:
        """Release the place of the role, and admit the request that waits longest."""
        agent = self._agents.pop(uid, None)
        if agent is None:
            return
        self._waiting[agent].pop(uid, None)
        if uid not in self._held[agent]:
            return
        self._held[agent].discard(uid)
        if waiting := next(iter(self._waiting[agent]), None):
            task = asyncio.get_running_loop().create_task(self._call(agent, waiting))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _hold(self, agent: ObjectName, uid: Uid) -> None:
        self._agents[uid] = agent
        self._held[agent].add(uid)
        self._waiting[agent].pop(uid, None)

    async def _call(self, agent: ObjectName, uid: Uid) -> None:
        while uid in self._waiting[agent]:
            state = self._roles.get(uid)
            if state is None or state.ending_since is not None:
                return
            try:
                await self._objects.request_reconcile(state.request, "there is room")
            except RolevendError as error:
                _log.warning("cannot reconcile a request within the quota: %s", error, extra={"uid": uid})
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return
