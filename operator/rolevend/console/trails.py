"""The trails that a person may see: what they search, and the trail of one role. I/O."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from rolevend.audit.role_chain import ACCESS_UID, ROLE_UID, used_requests
from rolevend.console import trail_objects, trail_text
from rolevend.console.failures import Busy
from rolevend.console.inbox import Requests, RequestView
from rolevend.console.live import ROLES, RoleView, VisibleRoles
from rolevend.console.objects import WatchedObjects
from rolevend.console.person import Person
from rolevend.console.rights import TRAIL, Act, Rights
from rolevend.console.trail_files import FoundRows, RoleTrail, TrailFiles
from rolevend.console.trail_query import TrailQuery, TrailRow
from rolevend.console.trail_text import TrailEntry
from rolevend.kinds import AccessRequest, VendedRole
from rolevend.model import ObjectName, Uid
from rolevend.naming import encode_uid

MOST_SHOWN: Final = 200
_AT_ONCE: Final = 2
_MOST_WAITING: Final = 6
"""Each holds up to 80 MB."""
_MOST_OF_ONE: Final = 3

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FoundTrails:
    rows: Sequence[TrailRow]
    left_out: int
    """How many more match."""
    found: FoundRows


@dataclass(frozen=True, slots=True)
class VisibleTrail:
    """The part of the trail of one uid that a person may see."""

    entries: Sequence[TrailEntry]
    record: RoleTrail
    sees_everything: bool
    """True with the right in all namespaces."""
    role: RoleView | None
    requests: Sequence[RequestView]

    @property
    def title(self) -> str:
        """The name of the role, or of the request that no role used."""
        names = [each.content["data"].get("accessRequest") for each in self.record.events]
        names += [f"{each.found.request.namespace}/{each.found.request.name}" for each in self.requests]
        request = next((f"AccessRequest {each}" for each in names if isinstance(each, str)), "Trail")
        return trail_text.shown(self.role_name or request)

    @property
    def role_name(self) -> str | None:
        names = [each.content["data"].get("role") for each in self.record.events]
        names += [each.content.get("role") for each in self.record.statements]
        names.append(self.role.role.status.role_name if self.role else None)
        return next((each for each in names if isinstance(each, str)), None)


class Trails:
    def __init__(self, files: TrailFiles, objects: WatchedObjects, rights: Rights, requests: Requests, roles: VisibleRoles) -> None:
        self.files = files
        self._objects = objects
        self._rights = rights
        self._requests = requests
        self._roles = roles
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="trail")
        self._reading: Counter[str] = Counter()

    async def search(self, person: Person, query: TrailQuery) -> FoundTrails:
        """Return the newest rows. Raises ClusterUnavailable, and Busy."""
        found = await self._read(person, lambda: self.files.search(query))
        known = {each.key for each in found.rows}
        in_cluster = [row for row in await self._in_cluster(person, query) if row.key not in known]
        rows = [*found.rows, *in_cluster]
        may = await self._allowed(person, {each.namespace for each in rows})
        visible = sorted(
            (each for each in rows if may(each.namespace if each.is_certain else None)), key=lambda each: each.last, reverse=True
        )
        return FoundTrails(visible[:MOST_SHOWN], max(0, len(visible) - MOST_SHOWN), found)

    async def trail(self, person: Person, uid: Uid, now: datetime) -> VisibleTrail | None:
        """Return what the person may see, or None: the same for a uid of nothing. Raises ClusterUnavailable, InvalidInput and Busy."""
        first = await self._read(person, lambda: self.files.trail(uid, whole=False))
        handle = encode_uid(uid)
        role = next((each for each in self._objects.roles() if each.uid == uid or (each.status.role_name or "").endswith(handle)), None)
        asked = {uid, *used_requests(each.content for each in first.events)}
        if role is not None and role.status.access_request_uid is not None:
            asked.add(role.status.access_request_uid)
        requests = [each for each in self._objects.requests() if each.uid in asked]
        in_cluster: set[str | None] = {each.namespace for each in requests}
        if role is not None:
            in_cluster.add(role.namespace)
        may = await self._allowed(person, in_cluster | first.namespaces)
        seen = first.seen_by(may)
        if seen.events or seen.statements:  # only then: others learn nothing by the time it takes
            record = await self._read(person, lambda: self.files.trail(uid))
            may = await self._allowed(person, in_cluster | record.namespaces)
            seen = record.seen_by(may)
        role_view = None if role is None or not may(role.namespace) else await self._roles.view(person, _name(role))
        views = [await self._requests.view(person, _name(each), now) for each in requests if may(each.namespace)]
        request_views = [each for each in views if each is not None]
        if not seen.events and not seen.statements and role_view is None and not request_views:
            return None
        entries = await self._read(person, lambda: trail_text.in_order(self._entries(seen, role_view, request_views)))
        return VisibleTrail(entries, seen, may(None), role_view, request_views)

    def _entries(self, record: RoleTrail, role: RoleView | None, requests: Sequence[RequestView]) -> Iterator[TrailEntry]:
        told = {str(each.content["data"].get(name)) for each in record.events for name in (ROLE_UID, ACCESS_UID)}
        yield from (trail_text.of_event(each.content) for each in record.events)
        room = trail_text.Room()
        yield from (trail_text.of_statement(each.content, room) for each in record.statements)
        if role is not None and trail_objects.uid_of_role(role.role) not in told:
            yield from trail_objects.of_role(role)
        for each in requests:
            if each.found.request.uid not in told:
                yield from trail_objects.of_request(each)

    async def _in_cluster(self, person: Person, query: TrailQuery) -> list[TrailRow]:
        roles, requests = list(self._objects.roles()), list(self._objects.requests())
        may_roles = await self._rights.namespaces(person, "list", ROLES, {each.namespace for each in roles})
        may_requests = await self._rights.namespaces(person, "list", "accessrequests", {each.namespace for each in requests})
        shown: list[VendedRole | AccessRequest] = [each for each in roles if each.namespace in may_roles]
        shown += [each for each in requests if each.namespace in may_requests]
        return await self._read(person, lambda: [TrailRow.of(each) for each in map(trail_objects.as_event, shown) if query.matches(each)])

    async def _allowed(self, person: Person, namespaces: set[str | None]) -> Callable[[str | None], bool]:
        """Return a function that says if the person may read the trails of a namespace; None is for what no namespace is known of."""
        everything = await self._rights.may(person, Act("get", TRAIL))
        named = {each for each in namespaces if each is not None}
        allowed = named if everything else await self._rights.namespaces(person, "get", TRAIL, named)
        return lambda namespace: everything or namespace in allowed

    async def _read(self, person: Person, work: Callable[[], T]) -> T:
        """Read files in a thread. Raises Busy."""
        if self._reading.total() >= _MOST_WAITING or self._reading[person.username] >= _MOST_OF_ONE:
            raise Busy
        self._reading[person.username] += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._reading[person.username] -= 1
            if not self._reading[person.username]:
                del self._reading[person.username]


def _name(found: VendedRole | AccessRequest) -> ObjectName:
    return ObjectName(found.namespace, found.name)
