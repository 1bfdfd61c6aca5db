"""How many roles an agent may have at once, for those that the operator makes: a request beyond that waits until another role is gone.

Counts every role that was begun and is not gone, whoever made it. After a start it counts what was listed by then: of requests that
waited already a few may get through too early.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Final

from rolevend.errors import RolevendError
from rolevend.model import ObjectName, Uid
from rolevend.roles.state import RoleState
from rolevend.vending.directory import Directory
from rolevend.vending.verdict import Denied, Granted, Request, Verdict

REASON: Final = "TooManyRoles"
_RETRY_SECONDS: Final = 1.0

_log = logging.getLogger(__name__)


class RoleQuota:
    def __init__(self, reconsider: Callable[[Uid], Awaitable[None]]) -> None:
        """`reconsider` has a request that waits decided again; one that is gone is fine."""
        self._reconsider = reconsider
        self._agents: dict[Uid, ObjectName] = {}
        """Of all that hold a place, or wait for one."""
        self._held: dict[ObjectName, set[Uid]] = defaultdict(set)
        self._waiting: dict[ObjectName, dict[Uid, None]] = defaultdict(dict)
        """In the order in which they came."""
        self._tasks: set[asyncio.Task[None]] = set()

    def judged(self, request: Request, directory: Directory, *, begun: bool) -> Verdict:
        """What the directory says, but for an agent that has as many roles as it may. Nothing is counted."""
        verdict, held = directory.verdict(request, begun=begun), self._held[request.agent]
        if begun or not isinstance(verdict, Granted) or request.uid in held:
            return verdict
        most = directory.most_live(request)
        if most is None or len(held) < most:
            return verdict
        return Denied(REASON, f"spec.agentRef: Agent {request.agent.name} may have {most} roles at once, and has them; release one")

    def taken(self, request: Request, verdict: Verdict) -> None:
        """What was judged is done: the request has its place from now on, or waits for one, or needs none."""
        if isinstance(verdict, Granted):
            self._hold(request.agent, request.uid)
        elif isinstance(verdict, Denied) and verdict.reason == REASON:
            self._agents[request.uid] = request.agent
            self._waiting[request.agent].setdefault(request.uid)
        else:
            self._leave(request.uid)

    def saw(self, standing: RoleState) -> None:
        """Every event. What has a role holds its place until it is gone."""
        if standing.role is not None:
            self._hold(standing.request.agent, standing.request.uid)

    def gone(self, uid: Uid) -> None:
        """Its place is for the one that waits longest."""
        self._leave(uid)

    def _hold(self, agent: ObjectName, uid: Uid) -> None:
        self._agents[uid] = agent
        self._held[agent].add(uid)
        self._waiting[agent].pop(uid, None)

    def _leave(self, uid: Uid) -> None:
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

    async def _call(self, agent: ObjectName, uid: Uid) -> None:
        while uid in self._waiting[agent]:
            try:
                return await self._reconsider(uid)
            except RolevendError as error:
                _log.warning("reconsidering a request for which there is room: %s", error, extra={"uid": uid})
                await asyncio.sleep(_RETRY_SECONDS)
        return None
