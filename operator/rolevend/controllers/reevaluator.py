"""Decide every VendedRole again when policy, tags, attributes or agents change.

A live role is revoked if its grants are withdrawn or changed. A role that could only read more continues, and the next vend reads more.
A request that waits, or was denied, is reconciled as soon as its decision would differ. A live role that this process did not vend is
evaluated at its first watch event, because another process decided it by another snapshot.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from functools import partial

from rolevend.decision.outcome import Decision, Delivery, Granted, revocation_code
from rolevend.errors import RolevendError
from rolevend.model import ObjectName, PlatformName, Uid
from rolevend.platforms.protocol import Drift
from rolevend.roles.decision import RoleDecision
from rolevend.roles.ender import RoleEnder
from rolevend.roles.objects import VendedRoleWriter
from rolevend.roles.protocols import Snapshots
from rolevend.roles.quota import RoleQuota
from rolevend.roles.state import RoleState, revocation_reason
from rolevend.roles.status import granted_condition
from rolevend.roles.store import RoleStore

_YIELD_EVERY = 50
"""Decisions before other tasks of the event loop get their turn."""

_LONGEST_REST_SECONDS = 0.5
"""Between two revocations that are written, if the API server is slow."""

_log = logging.getLogger(__name__)


class Reevaluator:
    """Runs concurrently with the builds of snapshots: a long evaluation does not delay a newer snapshot."""

    def __init__(self, snapshots: Snapshots, roles: RoleStore, quota: RoleQuota, objects: VendedRoleWriter, ender: RoleEnder) -> None:
        self._snapshots = snapshots
        self._roles = roles
        self._quota = quota
        self._objects = objects
        self._ender = ender
        self._due = asyncio.Event()
        self._writing = asyncio.Lock()
        """Revocations are written one after the other, because they take the API server's time from vends of others: at most half of it.
        No role lives longer: all drops on the platform start at once."""
        self._failed = False
        self._actions: dict[tuple[str, Uid], asyncio.Task[None]] = {}
        """The actions that run or wait for their turn."""

    def wake(self) -> None:
        self._due.set()

    def retry(self) -> None:
        """Evaluate again if an action failed since the last evaluation began; otherwise no decision can differ."""
        if self._failed:
            self.wake()

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            await self._due.wait()
            self._due.clear()
            await self.evaluate_all()

    async def evaluate_all(self) -> None:
        """Evaluate every role once, each by the newest snapshot. Returns before the results are written, so that no newer snapshot waits
        for that."""
        self._failed = False
        for count, states in enumerate(self._roles, start=1):
            if states[0].ending_since is None:
                self._evaluate(states)
            if count % _YIELD_EVERY == 0:
                await asyncio.sleep(0)

    def on_states(self, states: Sequence[RoleState]) -> None:
        """Handle an event of an object that is not ending. Returns at once. The last evaluation may have ended before the role was
        listed."""
        if any(each.live and each.granted is None for each in states):
            self._evaluate(states)

    def on_approval(self, name: ObjectName) -> None:
        """Handle a change of an AccessRequest. Returns at once. Its roles are evaluated, and the requests that wait for it."""
        for states in self._roles:
            approval = states[0].request.approval
            if approval is not None and approval.name == name and states[0].ending_since is None:
                self._evaluate(states)

    def _begin(self, what: str, uid: Uid, action: Callable[[], Coroutine[None, None, None]]) -> None:
        """Run the action concurrently, unless the same one runs already."""
        key = what, uid
        if key not in self._actions:
            task = self._actions[key] = asyncio.get_running_loop().create_task(action())
            task.add_done_callback(lambda _: self._actions.pop(key))

    async def drifted(self, platform: PlatformName, drift: Iterable[Drift]) -> None:
        """Revoke the roles that read governed tables that were changed manually."""
        drifted = [(state, each) for each in drift for state in self._roles.named(each.roles, platform) if state.ending_since is None]
        for state, _ in drifted:  # no role waits until the end of another one is written
            self._ender.begin_drops(state)
        for state, each in drifted:
            await self._revoke(state, "Drift", f"{platform}: {each.table}: {each.finding}")

    def _evaluate(self, states: Sequence[RoleState]) -> None:
        """Evaluate one object. If a grant is withdrawn on one platform, the role ends on all."""
        live = [each for each in states if each.live or each.granted is not None]
        if not live:
            return self._evaluate_request(states)
        for state in live:
            decision = self._decide(state)
            if reason := revocation_reason(decision, state):
                self._ender.begin_drops(state)
                code, message = revocation_code(decision), _where(state, states) + reason
                self._begin("revoke", state.request.uid, partial(self._revoke, state, code, message))
                return None
            if isinstance(decision, Granted) and state.granted is None:  # vended before a restart, as the profile's name shows
                self._roles.record(state.request.uid).set_grant(state.request.platform, decision)
        return None

    def _evaluate_request(self, states: Sequence[RoleState]) -> None:
        first = states[0]
        if first.request.delivery is not Delivery.SECRET:  # the API vends the others
            return
        role_decision = RoleDecision(tuple((each.request, self._decide(each)) for each in states))
        if granted_condition(role_decision) != first.decision:
            self._begin("reconcile", first.request.uid, partial(self._reconcile, first))

    def _decide(self, state: RoleState) -> Decision:
        return self._quota.decide(state.request, self._snapshots.snapshot, role_exists=state.role is not None)

    async def _revoke(self, state: RoleState, by: str, message: str) -> None:
        async with self._writing:
            started = time.monotonic()
            await self._act(self._ender.revoke(state, by, message), "cannot revoke a role", state)
            await asyncio.sleep(min(time.monotonic() - started, _LONGEST_REST_SECONDS))

    async def _reconcile(self, state: RoleState) -> None:
        await self._act(self._objects.request_reconcile(state.request, "decision changed"), "cannot reconcile a request", state)

    async def _act(self, action: Awaitable[None], what: str, state: RoleState) -> None:
        try:
            await action
        except RolevendError as error:
            self._failed = True  # the next poll finds the drift again
            _log.warning("%s: %s", what, error, extra={"object": str(state.request.name), "role": state.role})


def _where(state: RoleState, states: Sequence[RoleState]) -> str:
    return f"on {state.request.platform}: " if len(states) > 1 else ""
