"""Roles whose ground is gone: dropped on their platform at once, before a word of it is written.

Of a crowd the last one would live on while the API server is told of all others. An object that goes finds its role gone; after a
crash the next review or sweep ends it.
"""

import asyncio
from collections import defaultdict

from rolevend.atwork.platforms import Platforms
from rolevend.errors import RolevendError
from rolevend.model import PlatformName, Uid
from rolevend.platforms.base import Dropped, Ending
from rolevend.vending.protocols import AsyncPlatform
from rolevend.vending.verdict import Request


class ImmediateDrops:
    def __init__(self, platforms: Platforms) -> None:
        self._platforms = platforms
        self._drops: dict[Uid, dict[PlatformName, asyncio.Task[Dropped]]] = defaultdict(dict)

    def begin(self, request: Request, ending: Ending) -> None:
        """Once for each request and platform. A platform that is not connected is left to the object's own end."""
        at_work, drops = self._platforms.get(request.platform), self._drops[request.uid]
        executor = at_work.executor if at_work else None
        if executor is not None and request.platform not in drops:
            drops[request.platform] = asyncio.create_task(_dropped(ending, executor))

    async def done(self, uid: Uid, platform: PlatformName) -> Dropped | None:
        """How it went. None where it was not begun, or failed: then the drop must be asked for again. Told once."""
        drop = self._drops[uid].pop(platform, None)
        dropped = await asyncio.shield(drop) if drop else None
        return dropped if dropped and dropped.error is None else None

    def forget(self, uid: Uid) -> None:
        self._drops.pop(uid, None)


async def _dropped(ending: Ending, executor: AsyncPlatform) -> Dropped:
    try:
        return await executor.drop(ending)
    except RolevendError as error:
        return Dropped(ending.role, error)
