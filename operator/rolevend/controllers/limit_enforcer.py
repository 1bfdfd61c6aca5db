"""Enforce the limits and the expiry of sessions of vended roles every few seconds.

The platform finds and stops violations; this module reports them, and releases idle roles.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from rolevend.errors import RolevendError
from rolevend.kube.client import KubeClient
from rolevend.kube.events import emit_event
from rolevend.model import PlatformName
from rolevend.platform_runtime.executor import PlatformExecutor
from rolevend.platform_runtime.registry import PlatformRegistry
from rolevend.platforms.protocol import EndReason, LimitAction, LimitViolation
from rolevend.roles.ender import RoleEnder
from rolevend.telemetry.metrics import Metrics

_log = logging.getLogger(__name__)


class LimitEnforcer:
    def __init__(
        self,
        cluster: KubeClient,
        ender: RoleEnder,
        platforms: PlatformRegistry,
        metrics: Metrics,
        now: Callable[[], datetime],
        pause_seconds: float,
    ) -> None:
        self._cluster = cluster
        self._ender = ender
        self._platforms = platforms
        self._metrics = metrics
        self._now = now
        self._pause_seconds = pause_seconds
        self._under_way: set[PlatformName] = set()

    async def run(self) -> None:
        """Run until cancelled. A slow platform is checked less often, and delays no other."""
        async with asyncio.TaskGroup() as looks:
            while True:
                for name, at_work in self._platforms:
                    if at_work.executor is not None and name not in self._under_way:
                        self._under_way.add(name)
                        looks.create_task(self._look(name, at_work.executor))
                await asyncio.sleep(self._pause_seconds)

    async def _look(self, name: PlatformName, executor: PlatformExecutor) -> None:
        try:
            for curbed in await executor.curb():
                await self._follow(name, curbed)
        except RolevendError as error:
            _log.warning("cannot check the limits of sessions: %s", error, extra={"platform": name})
        except Exception:  # a bug must not end the loop
            _log.exception("cannot check the limits of sessions", extra={"platform": name})
        finally:
            self._under_way.discard(name)

    async def _follow(self, name: PlatformName, curbed: LimitViolation) -> None:
        standing = self._ender.roles.get(curbed.uid)
        if curbed.act is LimitAction.IDLE:
            if standing is not None and standing.ending_since is None:
                await self._ender.revoke(standing, "IdleRelease", curbed.why, EndReason.RELEASED)
            return
        self._metrics.curbed.labels(name, curbed.act.value).inc()
        if curbed.act is LimitAction.EXPIRED:  # expected: the object states the expiry
            _log.info("expired session ended: %s", curbed.why, extra={"role": curbed.role, "platform": name})
            return
        _log.warning("limit enforced: %s", curbed.why, extra={"role": curbed.role, "platform": name, "act": curbed.act.value})
        if standing is not None:
            reason = "StatementCancelled" if curbed.act is LimitAction.CANCELLED else "SessionEnded"
            message = f"{curbed.role} on {name}: {curbed.why}"
            if problem := await emit_event(self._cluster, standing.request.name, curbed.uid, "Warning", reason, message, self._now()):
                _log.info("cannot write an Event: %s", problem, extra={"role": curbed.role})
