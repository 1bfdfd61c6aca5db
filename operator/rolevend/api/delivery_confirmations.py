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

_log = logging.getLogger(__name__)


class DeliveryConfirmations:
    """Each platform has a writer of its own: one that hangs delays no other."""

    def __init__(self, platforms: PlatformRegistry, retry_seconds: float = 1.0) -> None:
        self._platforms = platforms
        self._retry_seconds = retry_seconds
        self._waiting: dict[PlatformName, list[Uid]] = defaultdict(list)
        self._writing: dict[PlatformName, asyncio.Task[None]] = {}

    def add(self, platform: PlatformName, uid: Uid) -> None:
        """Confirm soon. Call it in the event loop."""
        self._waiting[platform].append(uid)
        if platform not in self._writing:
            self._writing[platform] = asyncio.get_running_loop().create_task(self._write_all(platform))

    async def close(self) -> None:
        """Write once more what waits."""
        for task in self._writing.values():
            task.cancel()
        await asyncio.gather(*self._writing.values(), return_exceptions=True)
        await asyncio.gather(*map(self._write, list(self._waiting)))

    async def _write_all(self, platform: PlatformName) -> None:
        try:
            while self._waiting[platform]:
                await asyncio.sleep(_GATHER_SECONDS)
                if not await self._write(platform):
                    await asyncio.sleep(self._retry_seconds)
        finally:
            del self._writing[platform]

    async def _write(self, platform: PlatformName) -> bool:
        """Write what waits, and return False if it must be written again."""
        uids, records = self._waiting.pop(platform, []), self._platforms.records(platform)
        if self._platforms.get(platform) is None:
            return True  # nobody can confirm them any more
        try:
            if records is None:
                return False
            await records.confirm(uids)
            uids = []
        except RolevendError as error:
            _log.warning("cannot confirm roles: %s", error, extra={"platform": platform, "count": len(uids)})
        except Exception:  # a bug, or a platform that is being closed
            _log.exception("cannot confirm roles", extra={"platform": platform, "count": len(uids)})
        finally:
            if uids:
                self._waiting[platform] += uids
        return not uids
