"""Confirm behind the answer that the credential of a recorded role was sent. The operator ends what is not confirmed in seconds."""

import asyncio
import logging
from collections import defaultdict
from typing import Final

from rolevend.errors import RolevendError
from rolevend.model import PlatformName, Uid
from rolevend.platform_runtime.registry import PlatformRegistry

_GATHER_SECONDS: Final = 0.05
"""Confirmations of this time are one call of the database."""
_RETRY_SECONDS: Final = 1.0
_MOST: Final = 500

_log = logging.getLogger(__name__)


class Confirmations:
    def __init__(self, platforms: PlatformRegistry) -> None:
        self._platforms = platforms
        self._waiting: dict[PlatformName, list[Uid]] = defaultdict(list)
        self._any = asyncio.Event()

    def add(self, platform: PlatformName, uid: Uid) -> None:
        self._waiting[platform].append(uid)
        self._any.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._any.wait()
            await asyncio.sleep(_GATHER_SECONDS)
            self._any.clear()
            if not await self.write():
                self._any.set()
                await asyncio.sleep(_RETRY_SECONDS)

    async def write(self) -> bool:
        """Write all that wait, and return False if some must be written again."""
        waiting, self._waiting = self._waiting, defaultdict(list)
        results = await asyncio.gather(*(self._write(platform, uids) for platform, uids in waiting.items()))
        return all(results)

    async def _write(self, platform: PlatformName, uids: list[Uid]) -> bool:
        connected = self._platforms.get(platform)
        records = connected.executor.records if connected is not None and connected.executor is not None else None
        try:
            while uids and records is not None:
                await records.confirm(uids[:_MOST])
                del uids[:_MOST]
        except RolevendError as error:
            _log.warning("cannot confirm roles: %s", error, extra={"platform": platform, "count": len(uids)})
        except Exception:  # a bug, or a platform that is being closed: it must not end the process
            _log.exception("cannot confirm roles", extra={"platform": platform, "count": len(uids)})
        self._waiting[platform] += uids
        return not uids
