"""One writer for all roles of the operator: objects in Kubernetes, and roles that databases record."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime

from rolevend.errors import PlatformUnavailable, RolevendError
from rolevend.kube.client import Body, KubeClient, NotFound, ResourceConflict
from rolevend.model import ObjectName, PlatformName, RoleName, Uid
from rolevend.platform_runtime.records import RecordsExecutor
from rolevend.platform_runtime.registry import PlatformRegistry
from rolevend.platforms.protocol import EndReason, RecordedLease
from rolevend.roles.objects import VendedRoleWriter
from rolevend.roles.recorded import vended_role_body


class RecordDirectory:
    """The recorded roles that this process read and whose end is not reported yet."""

    def __init__(self) -> None:
        self.listed: set[PlatformName] = set()
        """The platforms whose records were read at least once."""
        self.to_end: asyncio.Queue[Uid] = asyncio.Queue()
        """Roles that are to be dropped now."""
        self._known: dict[Uid, tuple[PlatformName, RecordedLease]] = {}

    def put(self, platform: PlatformName, recorded: RecordedLease) -> None:
        self._known[recorded.lease.uid] = platform, recorded

    def get(self, uid: str) -> tuple[PlatformName, RecordedLease] | None:
        return self._known.get(Uid(uid))

    def remove(self, uid: Uid) -> None:
        self._known.pop(uid, None)

    def holds_any(self, platform: PlatformName) -> bool:
        return any(each == platform for each, _ in self._known.values())

    def claims(self) -> dict[Uid, bool]:
        """Return all roles, each with True if it is not known to be gone."""
        return {uid: recorded.dropped_at is None for uid, (_, recorded) in self._known.items()}


class RecordWriter(VendedRoleWriter):
    """Writes to the place where a role is recorded. A recorded role has no status of its own but the reason of its end."""

    def __init__(self, cluster: KubeClient, now: Callable[[], datetime], platforms: PlatformRegistry, directory: RecordDirectory) -> None:
        super().__init__(cluster, now)
        self._platforms = platforms
        self._directory = directory

    async def read(self, name: ObjectName, uid: str = "") -> Body:
        """An object may have the name of a recorded role."""
        if (found := self._directory.get(uid)) is None:
            return await super().read(name, uid)
        platform, recorded = found
        if (newest := await self._records(platform).find(recorded.lease.uid)) is None:
            raise NotFound(f"DataPlatform {platform} has no record of {name} any more")
        return vended_role_body(newest)

    async def write_status(self, name: ObjectName, uid: str, status: Body, *, version: str | None = None) -> Body:
        if (found := self._directory.get(uid)) is None:
            return await super().write_status(name, uid, status, version=version)
        platform, recorded = found
        if (ended := status.get("ended")) is not None:
            reason, by, message = EndReason(ended["reason"]), ended.get("by", ""), ended.get("message", "")
            if not await self._records(platform).end(recorded.lease.uid, reason, by, message, version):
                raise ResourceConflict(f"the record of {name} changed, or is gone")
        return vended_role_body(recorded)

    async def delete(self, name: ObjectName, uid: str) -> None:
        if self._directory.get(uid) is None:
            await super().delete(name, uid)
        else:
            self._directory.to_end.put_nowait(Uid(uid))

    async def list_claims(self) -> dict[Uid, bool]:
        return {**await super().list_claims(), **self._directory.claims()}

    async def is_recorded(self, platform: PlatformName, role: RoleName, uid: Uid) -> bool:
        """The directory may not know it yet. Raises PlatformUnavailable."""
        records = self._platforms.records(platform)
        found = None if records is None else await records.find(uid)
        if found is None or found.lease.role != role or found.reported:
            return False
        if self._directory.get(uid) is None:
            self._directory.listed.discard(platform)  # the follower reads it, and drops it if its seal is not valid
        return True

    async def sessions_ended(self, uid: Uid, count: int) -> int:
        """The API may have ended the role at the same moment: the record counts the sessions of both."""
        if (found := self._directory.get(uid)) is None or found[1].dropped_at is not None:  # then they are in `count` already
            return count
        with contextlib.suppress(RolevendError):  # the role is gone, and its event says so in any case
            newest = await self._records(found[0]).find(uid)
            return count if newest is None else max(count, newest.sessions)
        return count

    def knows(self, platform: PlatformName) -> bool:
        connected = self._platforms.get(platform)
        executor = connected.executor if connected else None
        return executor is None or executor.records is None or platform in self._directory.listed

    def knows_all(self, platform: PlatformName) -> bool:
        """True if every record of the platform was read, or if there is no such platform."""
        connected = self._platforms.get(platform)
        if connected is None or platform in self._directory.listed:
            return True
        return connected.executor is not None and connected.executor.records is None

    def _records(self, platform: PlatformName) -> RecordsExecutor:
        records = self._platforms.records(platform)
        if records is None:
            raise PlatformUnavailable(f"DataPlatform {platform} is not connected, and records the role")
        return records
