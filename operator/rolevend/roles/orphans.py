"""Compare the roles on a platform with the objects that claim them. Pure; the caller lists and drops."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from rolevend.model import RoleName, Uid
from rolevend.platforms.protocol import DropRequest, EndReason, LiveRole


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

    def sweep(self, on_platform: Iterable[LiveRole], claimed: Collection[Uid], ready: Collection[Uid], now: datetime) -> Sweep:
        """Compare once. `claimed` and `ready` must be listed *before* `on_platform`: an object is created before its role."""
        roles = list(on_platform)
        unclaimed = {live.role: live for live in roles if live.uid not in claimed}
        self._since = {role: self._since.get(role, now) for role in unclaimed}
        ripe = [live for role, live in unclaimed.items() if now - self._since[role] >= self._grace or live.closed]
        there = {live.uid for live in roles if not live.closed}
        return Sweep(
            tuple(DropRequest(live.role, live.uid, EndReason.ORPHANED) for live in ripe),
            tuple(uid for uid in sorted(ready) if uid not in there),
        )
