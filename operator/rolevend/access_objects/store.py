"""All AccessRequests, from one watch, and the writes of their status."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

from rolevend.access_requests.request import OtherRequest, RequestedAccess
from rolevend.errors import InvalidInput
from rolevend.kinds import AccessRequest, parse
from rolevend.kinds.access_request_facts import recorded, requested_access
from rolevend.kinds.shared import WITHDRAWN_BY
from rolevend.kube.client import Body, KubeClient, NotFound, path_of
from rolevend.kube.informer import Informer, key_of
from rolevend.model import ObjectName, Uid

ACCESS_REQUESTS: Final = path_of(AccessRequest)

_log = logging.getLogger(__name__)


class AccessRequestStore:
    def __init__(self, cluster: KubeClient, now: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._news = asyncio.Event()
        self.changes = 0
        """Grows with each event: nothing changed while it stays the same."""
        self.informer = _Requests(cluster, self.wake, now)

    def get(self, name: ObjectName) -> AccessRequest | None:
        """Return the object, or None if there is none that this version can read, or if it is being deleted."""
        found = self.informer.parsed.get((name.namespace, name.name))
        return None if found is None or found.metadata.deletion_timestamp is not None else found

    def exists(self, name: ObjectName) -> bool:
        """True if there is an object of this name, also one that this version cannot read, unless it is being deleted."""
        found = self.informer.objects.get((name.namespace, name.name))
        return found is not None and "deletionTimestamp" not in found["metadata"]

    def all(self) -> Iterable[AccessRequest]:
        return list(self.informer.parsed.values())

    def of(self, agent: ObjectName) -> list[tuple[AccessRequest, OtherRequest]]:
        """Return the requests of the agent, each with the facts that were read from it when it changed: an agent may have thousands."""
        parsed = self.informer.parsed
        return [(parsed[key], known) for key, known in self.informer.by_agent.get(agent, {}).items()]

    def everything(self) -> tuple[OtherRequest, ...]:
        """Return every request, and what its status records."""
        return tuple(each for found in self.informer.by_offer.values() for each in found.values())

    def others(self, request: RequestedAccess) -> tuple[OtherRequest, ...]:
        """Return the other requests for the same offer, and those of the same agent."""
        found = {**self.informer.by_offer.get(request.offer, {}), **self.informer.by_agent.get(request.agent, {})}
        return tuple(each for each in found.values() if each.request.uid != request.uid)

    async def read(self, name: ObjectName) -> AccessRequest | None:
        """Return the object as the API server has it now."""
        try:
            body = await self._cluster.get(ACCESS_REQUESTS, name.name, name.namespace)
        except NotFound:
            return None
        return self._seen(body)

    async def create(self, body: Body, namespace: str) -> AccessRequest | None:
        """Create the object. Raises ResourceConflict if one of its name exists."""
        return self._seen(await self._cluster.create(ACCESS_REQUESTS, body, namespace))

    async def write_status(self, request: AccessRequest, status: Body) -> AccessRequest | None:
        """Merge `status`. Raises NotFound if the object is gone, and ResourceConflict if it is not the version of `request` any more."""
        patch = {"metadata": {"uid": request.uid, "resourceVersion": request.metadata.resource_version}, "status": status}
        return self._seen(await self._cluster.merge(ACCESS_REQUESTS, request.name, patch, request.namespace, "status"))

    async def delete(self, name: ObjectName, uid: Uid) -> None:
        """Delete the object. Idempotent."""
        await self._cluster.delete(ACCESS_REQUESTS, name.name, uid, name.namespace)

    async def withdraw(self, request: AccessRequest, by: str) -> None:
        """Record who withdrew it, for the judge. Raises NotFound if it is gone, and NotPermitted if another withdrew it before."""
        patch = {"metadata": {"uid": request.uid, "annotations": {WITHDRAWN_BY: by}}}
        self._seen(await self._cluster.merge(ACCESS_REQUESTS, request.name, patch, request.namespace))

    def touch(self, name: ObjectName) -> None:
        """Handle a change of something that the object depends on, as a change of the object."""
        self.informer.dirty.add((name.namespace, name.name))
        self.wake()

    def take_changed(self) -> list[ObjectName]:
        """Return the names of objects that changed, were deleted or touched since the last call."""
        changed = [ObjectName(*key) for key in self.informer.dirty]
        self.informer.dirty.clear()
        return changed

    def wake(self) -> None:
        """Make `changed` return."""
        self.changes += 1
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def changed(self, seconds: float) -> None:
        """Return after the next event of the watch, or after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return

    def _seen(self, body: Body) -> AccessRequest | None:
        """Take over a newer version than the watch has reported yet."""
        self.informer.on_upsert(body)
        return self.informer.parsed.get(key_of(body))


class _Requests(Informer):
    def __init__(self, cluster: KubeClient, changed: Callable[[], None], now: Callable[[], datetime]) -> None:
        super().__init__(cluster, ACCESS_REQUESTS, changed, now)
        self.parsed: dict[tuple[str, str], AccessRequest] = {}
        self.by_offer: dict[ObjectName, dict[tuple[str, str], OtherRequest]] = defaultdict(dict)
        self.by_agent: dict[ObjectName, dict[tuple[str, str], OtherRequest]] = defaultdict(dict)
        self.dirty = self.changed_keys()
        """The keys of objects that changed since `take_changed`."""

    def on_upsert(self, item: Body) -> None:
        key = key_of(item)
        if self._is_known(item, key):
            return
        super().on_upsert(item)
        self._forget(key)
        try:
            found = parse(AccessRequest, item)
            known = OtherRequest(requested_access(found), recorded(found))
        except InvalidInput as error:
            _log.error("cannot read an AccessRequest: %s", error, extra={"object": "/".join(key)})
        else:
            self.parsed[key] = found
            self.by_offer[known.request.offer][key] = self.by_agent[known.request.agent][key] = known
        item["metadata"].pop("managedFields", None)

    def drop(self, item: Body) -> None:
        super().drop(item)
        self._forget(key_of(item))

    def on_reset(self) -> None:
        for known in (self.parsed, self.by_offer, self.by_agent):
            known.clear()

    def _forget(self, key: tuple[str, str]) -> None:
        """Forget the version that was read before. Its agent and its offer are immutable, for one uid."""
        before = self.parsed.pop(key, None)
        if before is not None:
            asked = requested_access(before)
            self.by_offer[asked.offer].pop(key, None)
            self.by_agent[asked.agent].pop(key, None)

    def _is_known(self, item: Body, key: tuple[str, str]) -> bool:
        """True if this version or a newer one was read or written here before the watch reported it."""
        known = self.objects.get(key)
        if known is None or known["metadata"]["uid"] != item["metadata"]["uid"]:
            return False
        return int(item["metadata"]["resourceVersion"]) <= int(known["metadata"]["resourceVersion"])
