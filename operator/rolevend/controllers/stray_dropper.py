"""Drop roles that no process of this cluster vended, such as those of a stolen vendor's login. The sweep reports them as orphans."""

import asyncio
import logging
from typing import Final

from rolevend.errors import RolevendError
from rolevend.model import PlatformName, RoleName, Uid
from rolevend.platform_runtime.executor import PlatformExecutor
from rolevend.platforms.protocol import DropRequest, DropResult, EndReason

_LONGEST_DROP_SECONDS: Final = 30.0

_log = logging.getLogger(__name__)


class StrayDropper:
    def __init__(self) -> None:
        self._dropping: dict[tuple[PlatformName, RoleName], asyncio.Task[None]] = {}
        """By role: a stray may name the uid of another one."""

    def drop(self, platform: PlatformName, executor: PlatformExecutor, role: RoleName, uid: Uid) -> None:
        """Start the drop, unless it runs. The caller repeats it until the role is gone."""
        if (platform, role) not in self._dropping:
            _log.error("a recorded role has no valid seal: it is dropped", extra={"role": role, "platform": platform})
            task = asyncio.create_task(self._drop(executor, DropRequest(role, uid, EndReason.ORPHANED)))
            self._dropping[platform, role] = task
            task.add_done_callback(lambda _: self._dropping.pop((platform, role), None))

    async def _drop(self, executor: PlatformExecutor, ending: DropRequest) -> None:
        try:
            dropped = await executor.drop(ending, _LONGEST_DROP_SECONDS)
        except RolevendError as error:
            dropped = DropResult(ending.role, error)
        if dropped.error is not None:
            _log.warning("cannot drop a role without a valid seal: %s", dropped.error, extra={"role": ending.role})
