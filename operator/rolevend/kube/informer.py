"""An in-memory copy of all objects of one kind, or of one object, by list and watch.

Handlers must not rely on the order of events of different kinds.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from datetime import datetime

from rolevend.errors import RolevendError
from rolevend.kube.client import Body, KubeClient, ResourcePath, WatchExpired
from rolevend.model import ObjectName

_WATCH_SECONDS = 240
_LONGEST_PAUSE_SECONDS = 10.0

_log = logging.getLogger(__name__)


class Informer:
    """`objects` by (namespace, name). `changed` is called after every change, in the event loop, and must not block."""

    def __init__(
        self,
        cluster: KubeClient,
        resource: ResourcePath,
        changed: Callable[[], None],
        clock: Callable[[], datetime],
        only: ObjectName | None = None,
        selector: str | None = None,
    ) -> None:
        """With `only`, the one object of this name, if it exists. With `selector` those that this label selector selects."""
        self.resource = resource
        self.objects: dict[tuple[str, str], Body] = {}
        self.synced = False
        """True after the first list."""
        self.heard_at: datetime | None = None
        """When the last event or bookmark arrived."""
        self._cluster = cluster
        self._changed = changed
        self._clock = clock
        self._selected: dict[str, str] = {} if selector is None else {"selector": selector}
        if only is not None:
            self._selected |= {"namespace": only.namespace, "name": only.name}
        self._followers: list[set[tuple[str, str]]] = []

    def changed_keys(self) -> set[tuple[str, str]]:
        """Return a set of all keys, to which the key of each object is added that changes or is deleted. The caller empties it."""
        keys = set(self.objects)
        self._followers.append(keys)
        return keys

    async def run(self) -> None:
        """Until cancelled."""
        pause = 0.1
        while True:
            try:
                # List after every watch: a watch shows objects by the definition at its start, even if that changed since.
                await self._follow(await self._relist())
                pause = 0.1
            except RolevendError as error:
                # An expired watch needs no attention of a person.
                _log.log(
                    logging.INFO if isinstance(error, WatchExpired) else logging.WARNING, "cannot watch %s: %s", self.resource.plural, error
                )
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - jitter, not a secret
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    async def _relist(self) -> str:
        items, version = await self._cluster.list(self.resource, **self._selected)
        before = self._versions() if self.synced else None
        for keys in self._followers:
            keys.update(self.objects)
        self.objects = {}
        self.on_reset()
        for item in items:
            self.on_upsert(item)
        self.synced = True
        self._heard()
        if self._versions() != before:  # otherwise the end of each watch would evaluate every role again
            self._changed()
        return version

    def _versions(self) -> dict[tuple[str, str], str]:
        return {key: item["metadata"]["resourceVersion"] for key, item in self.objects.items()}

    async def _follow(self, version: str) -> None:
        async for kind, item in self._cluster.watch(self.resource, version, _WATCH_SECONDS, **self._selected):
            self._heard()
            if kind == "BOOKMARK":
                continue
            if kind == "DELETED":
                self.drop(item)
            else:
                self.on_upsert(item)
            self._changed()

    def on_upsert(self, item: Body) -> None:
        """Handle an object that was created or changed, or that a list returned."""
        self.objects[key_of(item)] = item
        self._tell(key_of(item))

    def drop(self, item: Body) -> None:
        self.objects.pop(key_of(item), None)
        self._tell(key_of(item))

    def on_reset(self) -> None:
        """Handle the start of a new list: `on_upsert` follows for every object."""

    def _tell(self, key: tuple[str, str]) -> None:
        for keys in self._followers:
            keys.add(key)

    def _heard(self) -> None:
        self.heard_at = self._clock()


def key_of(item: Body) -> tuple[str, str]:
    """Return (namespace, name). The namespace of a cluster-scoped object is empty."""
    metadata = item["metadata"]
    return metadata.get("namespace", ""), metadata["name"]
