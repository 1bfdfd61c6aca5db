"""Build the profile of an approved request before its role is vended, so that the first row does not wait for it."""

import asyncio
import logging
from dataclasses import replace

from rolevend.decision.approval import ApprovalRef
from rolevend.decision.outcome import Granted, Request
from rolevend.errors import RolevendError
from rolevend.plan import Profile
from rolevend.platform_runtime.executor import PlatformExecutor
from rolevend.platform_runtime.registry import PlatformRegistry
from rolevend.roles.newest_decisions import NewestDecisions

_log = logging.getLogger(__name__)


class ApprovedProfiles:
    def __init__(self, decisions: NewestDecisions, platforms: PlatformRegistry) -> None:
        self._decisions = decisions
        self._platforms = platforms
        self._builds: set[asyncio.Task[None]] = set()

    def begin_build(self, request: Request) -> None:
        """Begin to build the profile of the role that may use the approval of this AccessRequest. Returns at once. A failure is reported
        by the vend, which tries again."""
        decision = self._decisions.decide(replace(request, approval=ApprovalRef(request.name)), role_exists=False)
        connected = self._platforms.get(request.platform)
        if isinstance(decision, Granted) and connected is not None and connected.executor is not None:
            build = asyncio.create_task(_build(connected.executor, decision.profile, request))
            self._builds.add(build)
            build.add_done_callback(self._builds.discard)


async def _build(executor: PlatformExecutor, profile: Profile, request: Request) -> None:
    try:
        await executor.ensure(profile)
    except RolevendError as error:
        _log.info("cannot build the profile of an approval yet: %s", error, extra={"object": str(request.name), "profile": profile.name})
