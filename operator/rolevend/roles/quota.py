"""How many roles an agent may have at once.

One rule for every door. At kubectl's door a request beyond the limit waits until another role is gone; the API refuses it. The operator
counts every role that was begun and is not gone, at either door. After a start it counts what was listed by then: a few of the
requests that waited already may pass too early.
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
from rolevend.roles.state import RoleState
from rolevend.roles.store import RoleStore

TOO_MANY: Final = "TooManyRoles"
_RETRY_SECONDS: Final = 1.0

_log = logging.getLogger(__name__)


def within_quota(request: Request, verdict: Decision, snapshot: Snapshot, count: int) -> Decision:
    """Return `verdict`, or a denial if it is a grant and the request's agent has as many roles as it may. `count` is how many it has."""
    if not isinstance(verdict, Granted):
        return verdict
    limit = snapshot.most_live(request)
    if limit is None or count < limit:
        return verdict
    return Denied(TOO_MANY, f"spec.agentRef: Agent {request.agent.name} may have {limit} roles at once, and has them; release one")


class RoleQuota:
    """The places of the roles that the operator knows, and the requests that wait for one, in the order in which they came."""

    def __init__(self, roles: RoleStore, objects: VendedRoleWriter) -> None:
        self._roles = roles
        self._objects = objects
        self._agents: dict[Uid, ObjectName] = {}
        """Of all that hold a place, or wait for one."""
        self._held: dict[ObjectName, set[Uid]] = defaultdict(set)
        self._waiting: dict[ObjectName, dict[Uid, None]] = defaultdict(dict)
        self._tasks: set[asyncio.Task[None]] = set()

    def decide(self, request: Request, snapshot: Snapshot, *, role_exists: bool) -> Decision:
        """Return what `snapshot` decides, within the quota. Reserves nothing."""
        verdict, held = snapshot.decide(request, role_exists=role_exists), self._held[request.agent]
        if role_exists or request.uid in held:
            return verdict
        return within_quota(request, verdict, snapshot, len(held))

    def reserve(self, request: Request, verdict: Decision) -> None:
        """Act on a decision: the request has its place from now on, or waits for one, or needs none."""
        if isinstance(verdict, Granted):
            self._hold(request.agent, request.uid)
        elif isinstance(verdict, Denied) and verdict.reason == TOO_MANY:
            self._agents[request.uid] = request.agent
            self._waiting[request.agent].setdefault(request.uid)
        else:
            self.release(request.uid)

    def observe(self, state: RoleState) -> None:
        """Handle an event. A role holds its place until it is gone."""
        if state.role is not None:
            self._hold(state.request.agent, state.request.uid)

    def release(self, uid: Uid) -> None:
        """The place is free for the request that waits longest."""
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
                _log.warning("cannot reconcile a request for which there is room: %s", error, extra={"uid": uid})
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return
