"""Compare objects with roles every minute. A watch can be stale, and its state alone never causes a drop."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from rolevend.audit.role_events import End
from rolevend.errors import RolevendError
from rolevend.kube.client import PAGE
from rolevend.model import PlatformName, ProfileName, RoleName, Uid
from rolevend.platform_runtime.executor import PlatformExecutor
from rolevend.platform_runtime.registry import PlatformRegistry
from rolevend.platforms.protocol import DropRequest, EndedRole, EndReason, LiveRole
from rolevend.roles.audit_recorder import AuditRecorder
from rolevend.roles.ender import RoleEnder
from rolevend.roles.objects import VendedRoleWriter
from rolevend.settings import Settings
from rolevend.telemetry.metrics import Metrics

_LISTED_EVERY = 10
"""If one page does not hold all objects, only every tenth sweep lists them: ten thousand cost more than the rest of an idle operator."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sweep:
    orphans: tuple[DropRequest, ...]
    """Roles on the platform that no object claims: to drop."""
    vanished: tuple[Uid, ...]
    """Objects whose role is Ready by status, but missing or locked on the platform: to end."""


class Orphans:
    """Finds orphans, and remembers since when a role is unclaimed: an object and its role never vanish in one instant."""

    def __init__(self, grace: timedelta) -> None:
        self._grace = grace
        self._since: dict[RoleName, datetime] = {}

    def sweep(
        self,
        on_platform: Iterable[LiveRole],
        claimed: Collection[Uid],
        ready: Collection[Uid],
        now: datetime,
        names: Mapping[Uid, RoleName] = MappingProxyType({}),
    ) -> Sweep:
        """Compare once. `claimed` and `ready` must be listed *before* `on_platform`: an object is created before its role.

        `names`: the only role that an object claims, where it is known. The platform's login can create a role under the uid of another.
        """
        roles = list(on_platform)
        unclaimed = {live.role: live for live in roles if live.uid not in claimed or names.get(live.uid, live.role) != live.role}
        self._since = {role: self._since.get(role, now) for role in unclaimed}
        ripe = [live for role, live in unclaimed.items() if now - self._since[role] >= self._grace or live.closed]
        there = {live.uid for live in roles if not live.closed and names.get(live.uid, live.role) == live.role}
        return Sweep(
            tuple(DropRequest(live.role, live.uid, EndReason.ORPHANED) for live in ripe),
            tuple(uid for uid in sorted(ready) if uid not in there),
        )


class OrphanSweeper:
    def __init__(
        self,
        ender: RoleEnder,
        platforms: PlatformRegistry,
        recorder: AuditRecorder,
        objects: VendedRoleWriter,
        settings: Settings,
        metrics: Metrics,
    ) -> None:
        self.stale_watch: str | None = None
        """The reason why the watch is stale, or None. Only a restart helps."""
        self._ender = ender
        self._platforms = platforms
        self._recorder = recorder
        self._objects = objects
        self._settings = settings
        self._metrics = metrics
        self._orphans: dict[PlatformName, Orphans] = {}
        self._dropping: dict[tuple[PlatformName, Uid], int | None] = {}
        """Orphans that this process drops or dropped, each with its number of sessions, if known."""
        self._reported: dict[PlatformName, set[Uid]] = defaultdict(set)
        self._missing_since: dict[Uid, datetime] = {}
        self._sweeps = 0

    async def run(self, on_swept: Callable[[], None]) -> None:
        """Sweep until cancelled, and call `on_swept` after each sweep."""
        while True:
            await asyncio.sleep(self._settings.sweep_seconds)
            try:
                await self.sweep()
                on_swept()
            except RolevendError as error:
                _log.warning("cannot sweep: %s", error)

    async def sweep(self) -> None:
        watched = self._watched()
        listed = None
        self._sweeps += 1
        if len(watched) <= PAGE or self._missing_since or self._sweeps % _LISTED_EVERY == 0:
            there = await self._objects.list_claims()
            self._check_watch(there.keys(), watched)
            listed = _claiming(there)
        await asyncio.gather(
            *(self._sweep_platform(name, at_work.executor, watched, listed) for name, at_work in self._platforms if at_work.executor)
        )

    def _watched(self) -> set[Uid]:
        """Return the objects that claim a role, by the watch."""
        return {each[0].request.uid for each in self._ender.roles if not each[0].let_go}

    def _check_watch(self, listed: Set[Uid], known_before: set[Uid]) -> None:
        """Detect a stale watch: an object that only the list or only the watch has, for longer than the limit."""
        differing = {uid for uid in listed if uid not in self._ender.roles} | {
            uid for uid in known_before - listed if uid in self._ender.roles
        }
        now = self._objects.now()
        self._missing_since = {uid: self._missing_since.get(uid, now) for uid in differing}
        longest = timedelta(seconds=self._settings.deaf_after_seconds)
        late = [uid for uid, since in self._missing_since.items() if now - since >= longest]
        self.stale_watch = (
            f"the watch is stale: it missed {len(late)} VendedRoles for over {self._settings.deaf_after_seconds:.0f} s" if late else None
        )

    async def _sweep_platform(self, name: PlatformName, executor: PlatformExecutor, watched: Set[Uid], listed: Set[Uid] | None) -> None:
        """Sweep one platform. `watched` and `listed` are the objects that claim a role, by the watch and by this sweep's list."""
        if not self._objects.knows(name):  # after a start
            return
        claimed = watched if listed is None else listed
        ready = {each.request.uid for each in self._ender.roles.on(name) if each.live and each.ending_since is None} & claimed
        grace = timedelta(seconds=self._settings.orphan_grace_seconds)
        orphans = self._orphans.setdefault(name, Orphans(grace))
        try:
            live = await executor.live()
            names = {each.request.uid: each.role for each in self._ender.roles.on(name) if each.role is not None}
            found = orphans.sweep(live, claimed, ready, self._objects.now(), names)
            if found.orphans:
                # An object that is newer than the list is known by the watch: this process created its role.
                there = _claiming(await self._objects.list_claims()) if listed is None else listed | (self._watched() - watched)
                await asyncio.gather(
                    *(
                        self._drop(name, executor, ending)
                        for ending in found.orphans
                        if ending.uid not in there or ending.role != names.get(ending.uid, ending.role)
                    )
                )
            for uid in found.vanished:
                standing = self._ender.roles.get(uid)
                if standing is not None and standing.ending_since is None and standing.request.expires_at > self._objects.now():
                    await self._ender.revoke(standing, "Sweep", f"role {standing.role} is gone or locked out on {name}, and not by us")
            await self._report_orphans(name, executor)
            kept = frozenset(ProfileName(each.profile) for each in self._ender.roles.on(name) if each.profile)
            await executor.collect(kept, self._objects.now() - timedelta(seconds=self._settings.profile_unused_seconds))
        except RolevendError as error:
            _log.warning("cannot sweep: %s", error, extra={"platform": name})

    async def _drop(self, name: PlatformName, executor: PlatformExecutor, ending: DropRequest) -> None:
        if await self._objects.is_recorded(name, ending.role, ending.uid):  # it was recorded after the last look at the records
            return
        dropped = await executor.drop(ending)  # the platform's queue retries
        self._dropping[name, ending.uid] = len(dropped.sessions) if dropped.error is None else None
        if dropped.error is not None:
            _log.warning("cannot drop an orphan: %s", dropped.error, extra={"platform": name, "role": ending.role})

    async def _report_orphans(self, name: PlatformName, executor: PlatformExecutor) -> None:
        """Report the orphans that the platform remembers, including those of a process that stopped before its report."""
        gone = await executor.ended(EndReason.ORPHANED)
        for each in gone:
            if each.uid not in self._reported[name]:
                await self._recorder.orphan_dropped(each.uid, name, _end_of(each, self._dropping.get((name, each.uid))))
                self._reported[name].add(each.uid)
                if (name, each.uid) in self._dropping:
                    del self._dropping[name, each.uid]
                    self._metrics.orphan_roles.labels(name).inc()
                    _log.warning("dropped an orphan: no object claims it", extra={"platform": name, "role": each.role})
        self._reported[name] &= {each.uid for each in gone}

    def measure(self) -> None:
        """Update the gauges of every platform."""
        for name, _ in self._platforms:
            standing = list(self._ender.roles.on(name))
            self._metrics.live_roles.labels(name).set(sum(each.live and each.ending_since is None for each in standing))
            oldest = min((each.ending_since for each in standing if each.ending_since and each.role), default=None)
            self._metrics.drop_overdue_seconds.labels(name).set((self._objects.now() - oldest).total_seconds() if oldest else 0)


def _claiming(listed: Mapping[Uid, bool]) -> set[Uid]:
    return {uid for uid, claims in listed.items() if claims}


def _end_of(orphan: EndedRole, sessions: int | None) -> End:
    """Return the end of an orphan, by the platform's clock."""
    seconds = (orphan.dropped_at - orphan.closed_at).total_seconds()
    closed_at, dropped_at = orphan.closed_at, orphan.dropped_at
    return End(orphan.role, EndReason.ORPHANED, closed_at, dropped_at, seconds, sessions, by="Sweep", message="no object claims it")
