"""The sweep goes the other way: from the roles on a platform to the objects that claim them. Pure; the edges fetch and drop."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from rolevend.model import RoleName, Uid
from rolevend.platforms.protocol import DropRequest, EndReason, LiveRole


@dataclass(frozen=True, slots=True)
class Sweep:
    orphans: tuple[DropRequest, ...]
    """On the platform, and no object claims it: drop."""
    vanished: tuple[Uid, ...]
    """An object says that its role lives, and the platform has none, or has locked it out by itself: end the object."""


class Orphans:
    """Remembers since when a role is unclaimed: an object's deletion and its role's drop are never seen in one instant."""

    def __init__(self, grace: timedelta) -> None:
        self._grace = grace
        self._since: dict[RoleName, datetime] = {}

    def sweep(self, on_platform: Iterable[LiveRole], claimed: Collection[Uid], ready: Collection[Uid], now: datetime) -> Sweep:
        """`claimed` and `ready` must have been listed *before* `on_platform` was: a role is made after its object."""
        roles = list(on_platform)
        unclaimed = {live.role: live for live in roles if live.uid not in claimed}
        self._since = {role: self._since.get(role, now) for role in unclaimed}
        ripe = [live for role, live in unclaimed.items() if now - self._since[role] >= self._grace or live.closed]
        there = {live.uid for live in roles if not live.closed}
        return Sweep(
            tuple(DropRequest(live.role, live.uid, EndReason.ORPHANED) for live in ripe),
            tuple(uid for uid in sorted(ready) if uid not in there),
        )
