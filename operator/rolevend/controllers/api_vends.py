"""Supervise VendedRoles that the API vends (`delivery: Response`).

The operator never creates such a role, because nobody would get its password. It builds the profile, which takes a credential that the
API does not have, and ends a role that is not Ready in time. If the call and the operator write at the same moment, the API server
accepts only one write: no call answers with a role that the operator gave up.
"""

import asyncio
import itertools
import logging
from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import Final

from rolevend.decision.outcome import Delivery, Granted
from rolevend.errors import PlatformDrifted, RolevendError, Unavailable
from rolevend.kube.client import NotFound
from rolevend.model import Uid
from rolevend.platform_runtime.registry import PlatformRegistry
from rolevend.platforms.protocol import EndReason
from rolevend.roles.build_progress import BuildProgressReporter
from rolevend.roles.newest_decisions import NewestDecisions
from rolevend.roles.objects import VendedRoleWriter, uid_of
from rolevend.roles.state import RoleState, for_deletion, is_ready
from rolevend.roles.status import ended_status
from rolevend.roles.store import RoleStore

BY: Final = "Unanswered"
"""The value of `status.ended.by`."""
MESSAGE: Final = "the call that asked for it did not come to its end"
_PAUSE_SECONDS: Final = 0.1
_TRIES_PER_REPORT: Final = 20
"""Attempts between reports of the reason why a profile cannot be built. A repeated call overwrites the report in the status."""

_log = logging.getLogger(__name__)


def is_unanswered(state: RoleState) -> bool:
    """True if the call that created it is still running, or never completed."""
    return state.request.delivery is Delivery.RESPONSE and not state.ready


class ApiVendSupervisor:
    def __init__(
        self,
        roles: RoleStore,
        objects: VendedRoleWriter,
        platforms: PlatformRegistry,
        decisions: NewestDecisions,
        reporter: BuildProgressReporter,
        patience: timedelta,
    ) -> None:
        """`patience` is how long a call may take to make its role Ready."""
        self._roles = roles
        self._objects = objects
        self._platforms = platforms
        self._decisions = decisions
        self._reporter = reporter
        self._patience = patience
        self._tasks: set[asyncio.Task[None]] = set()

    def deadline(self, state: RoleState) -> datetime:
        """Return when the role is given up if it is not Ready."""
        expires_at = state.request.expires_at
        begun_at = state.unanswered_since or state.request.created_at
        return min(expires_at, begun_at + self._patience) if is_unanswered(state) else expires_at

    def is_abandoned(self, state: RoleState) -> bool:
        """True if the role is not Ready at its deadline, and has not expired."""
        return is_unanswered(state) and self._objects.now() < state.request.expires_at

    async def give_up(self, state: RoleState) -> bool:
        """Write to the object that its call did not complete. Return False if it is Ready now, or if the object is gone. Raises
        ResourceConflict if the call wrote meanwhile: the caller then reads the object again."""
        request = state.request
        try:
            body = await self._objects.read(request.name, request.uid)
        except NotFound:
            return False
        if uid_of(body) != request.uid or is_ready(for_deletion(body)):
            return False
        status, version = ended_status(EndReason.REVOKED.value, BY, MESSAGE), body["metadata"]["resourceVersion"]
        await self._objects.write_status(request.name, request.uid, status, version=version)
        return True

    def on_state(self, state: RoleState) -> None:
        """Handle an event of a role that is not ending, for each of its platforms. Returns at once."""
        record, platform = self._roles.record(state.request.uid), state.request.platform
        if state.request.delivery is not Delivery.RESPONSE:
            return
        if state.ready:
            record.building_on = frozenset()
        elif state.profile and not state.unanswered and platform not in record.building_on:
            # The call wrote the intent because it waits for the profile.
            record.building_on |= {platform}
            self._begin(self._build(state), state.request.uid)

    def forget(self, uid: Uid) -> None:
        """Cancel the build, because the role ends."""
        self._roles.record(uid).building_on = frozenset()

    def _begin(self, work: Awaitable[None], uid: Uid) -> None:
        task = asyncio.ensure_future(_carried_out(work, uid))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _build(self, state: RoleState) -> None:
        """Build the profile by this process's own decision: a build with the programmer's rights must not depend on another process.
        Retries until the call ends, because the snapshot may be older than the API's, or the platform unavailable for a moment."""
        for tries in itertools.count():
            if state.request.platform not in self._roles.record(state.request.uid).building_on:
                return
            at_work, granted = self._platforms.get(state.request.platform), self._granted(state)
            if at_work is not None and at_work.executor is not None and granted is not None:
                try:
                    await self._reporter.provide(state.request, at_work.executor, granted.profile)
                except Unavailable as error:
                    if tries % _TRIES_PER_REPORT == 0:
                        await self._report_failure(state, error)
                else:
                    return
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _report_failure(self, state: RoleState, error: Unavailable) -> None:
        _log.warning("cannot build a profile for a call: %s", error, extra={"uid": state.request.uid})
        if isinstance(error, PlatformDrifted):
            await self._reporter.stopped(state.request, error)

    def _granted(self, state: RoleState) -> Granted | None:
        decision = self._decisions.decide(state.request, role_exists=True)
        return decision if isinstance(decision, Granted) else None


async def _carried_out(work: Awaitable[None], uid: Uid) -> None:
    try:
        await work
    except RolevendError as error:
        _log.warning("cannot supervise a VendedRole of the API: %s", error, extra={"uid": uid})
