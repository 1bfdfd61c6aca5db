"""Build the profiles of roles, and write the progress or the failure to each VendedRole.

A quick vend writes nothing. The statuses of waiting roles are written one after the other, so that a build of minutes does not load the
API server.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from rolevend.decision.outcome import Request
from rolevend.errors import RolevendError
from rolevend.kube.client import Body, NotFound, ResourceConflict
from rolevend.plan import Profile
from rolevend.platforms.progress import BuildProgress
from rolevend.roles.objects import VendedRoleWriter
from rolevend.roles.protocols import AsyncPlatform
from rolevend.roles.state import for_deletion, is_ready
from rolevend.roles.status import StatusBuilder, error_reason

PAUSE_SECONDS: Final = 3.0
"""Seconds before the first progress report of an object, and between reports. Less than an API call waits for a profile."""
_NOTHING: Final = object()

_log = logging.getLogger(__name__)


class BuildProgressReporter:
    """The `ProfileProvider` of the operator, which may build."""

    def __init__(self, objects: VendedRoleWriter, pause: float = PAUSE_SECONDS) -> None:
        self._objects = objects
        self._pause = pause
        self._turn = asyncio.Lock()

    async def provide(self, request: Request, platform: AsyncPlatform, profile: Profile) -> None:
        """Build the profile, and report the progress."""
        async with self.reporting(request, platform, profile):
            await platform.ensure(profile)

    @asynccontextmanager
    async def reporting(self, request: Request, platform: AsyncPlatform, profile: Profile) -> AsyncIterator[None]:
        """Report the progress of `profile` to the object while the role waits for it. Afterwards no report is in flight, so the next
        status write is not overwritten."""
        if platform.is_built(profile):
            yield
            return
        over = asyncio.Event()
        reports = asyncio.create_task(self._report(request, lambda: platform.progress(profile), over))
        try:
            yield
        finally:
            over.set()
            await reports

    async def stopped(self, request: Request, error: RolevendError) -> None:
        """Write the reason why the profile cannot be built. A failure to write is ignored."""
        async with self._turn:
            try:
                await self._write(request, lambda report: report.not_ready_status(*error_reason(error), request.platform))
            except RolevendError as failed:
                _log.warning("cannot report the failure of a build: %s", failed, extra={"object": str(request.name)})

    async def _report(self, request: Request, how_far: Callable[[], BuildProgress | None], over: asyncio.Event) -> None:
        reported: object = _NOTHING
        while not await _comes_within(over, self._pause):
            async with self._turn:
                if over.is_set():
                    return
                progress = how_far()
                if progress == reported:
                    continue
                try:
                    if not await self._write(request, partial(StatusBuilder.building_status, platform=request.platform, progress=progress)):
                        return
                except ResourceConflict:  # another process wrote to the object: report later
                    continue
                except RolevendError as error:
                    _log.warning("cannot report the progress of a profile: %s", error, extra={"object": str(request.name)})
                else:
                    reported = progress

    async def _write(self, request: Request, status: Callable[[StatusBuilder], Body]) -> bool:
        """Write the status. Return False if the role does not wait any more. Raises ResourceConflict if the object changed meanwhile:
        the API may have set it Ready, which must not be overwritten."""
        try:
            role = for_deletion(await self._objects.read(request.name, request.uid))
        except NotFound:
            return False
        ending = role.metadata.deletion_timestamp is not None or role.status.ended is not None
        if role.uid != request.uid or is_ready(role) or ending:
            return False
        built = status(self._objects.report(role))
        await self._objects.write_status(request.name, role.uid, built, version=role.metadata.resource_version)
        return True


async def _comes_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
