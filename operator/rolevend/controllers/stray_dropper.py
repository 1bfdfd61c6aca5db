"""Drop roles that no process of this cluster vended, such as those of a stolen vendor's login. The sweep reports them as orphans.

Such a role has no record with a valid seal, and no object. An object is created before its role and goes after it, so a role that is live
before a listing, and whose object is not in the listing, has none. The watch alone never causes a drop, because it may be stale.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Final

from rolevend.errors import RolevendError
from rolevend.model import PlatformName, RoleName, Uid
from rolevend.platform_runtime.executor import PlatformExecutor
from rolevend.platform_runtime.records import RecordsExecutor
from rolevend.platforms.protocol import DropRequest, DropResult, EndReason, LiveRole
from rolevend.roles.objects import VendedRoleWriter
from rolevend.roles.store import RoleStore
from rolevend.telemetry.metrics import Metrics

_LONGEST_DROP_SECONDS: Final = 30.0
MOST_SUSPECTS: Final = 10_000
"""Of each platform. The sweep drops the others."""
_SHARE_OF_LISTINGS: Final = 0.1
"""A listing of all objects is expensive: at most this part of the time is spent on them."""

_log = logging.getLogger(__name__)


class StrayDropper:
    def __init__(
        self, roles: RoleStore, objects: VendedRoleWriter, metrics: Metrics, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._roles = roles
        self._objects = objects
        self._metrics = metrics
        self._monotonic = monotonic
        self._dropping: dict[tuple[PlatformName, RoleName], asyncio.Task[None]] = {}
        """By role: a stray may name the uid of another one."""
        self._suspects: dict[PlatformName, dict[RoleName, LiveRole]] = defaultdict(dict)
        """Roles without a record that no object claimed at the last look."""
        self._cursors: dict[PlatformName, tuple[PlatformExecutor, str]] = {}
        self._next_listing = 0.0

    def drop_unsealed(self, platform: PlatformName, executor: PlatformExecutor, role: RoleName, uid: Uid) -> None:
        """Start the drop of a role whose record has no valid seal. The caller repeats it until the role is gone."""
        self._start(platform, executor, DropRequest(role, uid, EndReason.ORPHANED), "a recorded role has no valid seal: it is dropped")

    async def look(self, platform: PlatformName, executor: PlatformExecutor, records: RecordsExecutor, cursor: str) -> None:
        """Drop roles without a record that no object claimed at the last look, nor claims now. `cursor` is the newest of the records.

        Raises an error of `rolevend.errors` if the roles or the objects cannot be listed; the next look repeats that.
        """
        last, since = self._cursors.get(platform, (None, None))
        new = await records.unrecorded(since if last is executor else None)
        self._cursors[platform] = executor, cursor
        earlier = self._suspects[platform]
        suspects = {role: each for role, each in earlier.items() if not self._is_claimed(platform, each)}
        self._suspects[platform] = suspects
        ripe = list(suspects.values())  # the others wait for the watch, which is a moment late
        for each in new:
            if len(suspects) < MOST_SUSPECTS and not self._is_claimed(platform, each):
                suspects.setdefault(each.role, each)
        if ripe and self._monotonic() >= self._next_listing:
            claimed = await self._listed()
            unclaimed = [each for each in ripe if each.uid not in claimed or self._is_another(platform, each)]
            live = {each.role for each in await records.unrecorded(None)} if unclaimed else set()
            for each in ripe:
                suspects.pop(each.role, None)
            for each in unclaimed:
                if each.role in live:  # else it ended, and its object went
                    ending = DropRequest(each.role, each.uid, EndReason.ORPHANED)
                    if self._start(platform, executor, ending, "a role has neither a record nor an object: it is dropped"):
                        self._metrics.orphan_roles.labels(platform).inc()

    async def _listed(self) -> frozenset[Uid]:
        started = self._monotonic()
        try:
            return frozenset(await self._objects.list_claims())
        finally:
            now = self._monotonic()
            self._next_listing = now + (now - started) / _SHARE_OF_LISTINGS

    def _is_claimed(self, platform: PlatformName, live: LiveRole) -> bool:
        """True if by the watch the role has an object, in any state: the sweep compares these."""
        return live.uid in self._roles and not self._is_another(platform, live)

    def _is_another(self, platform: PlatformName, live: LiveRole) -> bool:
        """True if the uid is that of another role on the platform. The role of an object has one name for ever."""
        names = (each.role for each in self._roles.record(live.uid).states if each.request.platform == platform)
        return any(name is not None and name != live.role for name in names)

    def _start(self, platform: PlatformName, executor: PlatformExecutor, ending: DropRequest, message: str) -> bool:
        """Return False if the drop runs already."""
        key = platform, ending.role
        if key in self._dropping:
            return False
        _log.error(message, extra={"role": ending.role, "platform": platform})
        task = self._dropping[key] = asyncio.create_task(self._drop(executor, ending))
        task.add_done_callback(lambda _: self._dropping.pop(key, None))
        return True

    async def _drop(self, executor: PlatformExecutor, ending: DropRequest) -> None:
        try:
            dropped = await executor.drop(ending, _LONGEST_DROP_SECONDS)
        except RolevendError as error:
            dropped = DropResult(ending.role, error)
        if dropped.error is not None:
            _log.warning("cannot drop a role that nobody vended: %s", dropped.error, extra={"role": ending.role})
