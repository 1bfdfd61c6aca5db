"""Whoever looks at a VendedRole sees how far its profile is, where building that takes longer than a moment, or why it cannot be built.

A quick vend writes nothing for it. However many roles wait, their objects are written one after the other: a build of minutes is no reason
to keep the API server from everybody else.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Final

from rolevend.atwork.executor import Executor
from rolevend.errors import RolevendError
from rolevend.kube.client import AlreadyExists, Body, Cluster, NotFound
from rolevend.kube.paths import VENDED_ROLES
from rolevend.plan import Profile
from rolevend.platforms.progress import Progress
from rolevend.resources import VendedRole, parse
from rolevend.roles.state import is_ready
from rolevend.roles.status import StatusBuilder, building, error_reason, unready
from rolevend.vending.verdict import Request

PAUSE_SECONDS: Final = 3.0
"""Before an object says how far its profile is, and before it says so anew. Less than a call of the API waits for a profile."""
_NOTHING: Final = object()

_log = logging.getLogger(__name__)


class BuildProgressReporter:
    def __init__(self, cluster: Cluster, now: Callable[[], datetime], pause: float = PAUSE_SECONDS) -> None:
        self._cluster = cluster
        self._now = now
        self._pause = pause
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def told(self, request: Request, executor: Executor, profile: Profile) -> AsyncIterator[None]:
        """While the role waits for `profile`, its object says how far that is. Afterwards nothing of that is on its way any more, so what
        is written next stays."""
        if executor.is_built(profile):
            yield
            return
        over = asyncio.Event()
        telling = asyncio.create_task(self._tell(request, lambda: executor.progress(profile), over))
        try:
            yield
        finally:
            over.set()
            await telling

    async def stopped(self, request: Request, error: RolevendError) -> None:
        """The object says what keeps its profile from being built, unless it cannot be written now."""
        async with self._turn:
            try:
                await self._write(request, lambda report: unready(report, *error_reason(error), request.platform))
            except RolevendError as failed:
                _log.warning("telling why a profile is not built: %s", failed, extra={"object": str(request.name)})

    async def _tell(self, request: Request, how_far: Callable[[], Progress | None], over: asyncio.Event) -> None:
        said: object = _NOTHING
        while not await _comes_within(over, self._pause):
            async with self._turn:
                if over.is_set():
                    return
                progress = how_far()
                if progress == said:
                    continue
                try:
                    if not await self._write(request, partial(building, platform=request.platform, progress=progress)):
                        return
                except AlreadyExists:  # somebody else wrote to it: next time
                    continue
                except RolevendError as error:
                    _log.warning("telling how far a profile is: %s", error, extra={"object": str(request.name)})
                else:
                    said = progress

    async def _write(self, request: Request, status: Callable[[StatusBuilder], Body]) -> bool:
        """False where nobody waits for this role any more. Raises AlreadyExists where the object was written meanwhile: the API may have
        said that its role is Ready, and that must not be taken back."""
        name = request.name
        try:
            body = await self._cluster.get(VENDED_ROLES, name.name, name.namespace)
        except NotFound:
            return False
        role = parse(VendedRole, body, unknown="ignore")
        ending = role.metadata.deletion_timestamp is not None or role.status.ended is not None
        if role.uid != request.uid or is_ready(role) or ending:
            return False
        there = {"uid": role.uid, "resourceVersion": role.metadata.resource_version}
        patch = {"metadata": there, "status": status(StatusBuilder(role, self._now()))}
        await self._cluster.merge(VENDED_ROLES, name.name, patch, name.namespace, "status")
        return True


async def _comes_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
