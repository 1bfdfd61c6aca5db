"""Publish the catalogs that the operator reads, so that people explain and judge access without a login on the platforms.

The catalogs are in ConfigMaps of the operator's namespace. Nothing is written while no catalog changes. Only the leader publishes.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from rolevend.catalog import Catalog
from rolevend.errors import NotPermitted, RolevendError
from rolevend.kinds.published_catalogs import (
    PART_NAMES,
    PublishedCatalog,
    by_platform,
    count_of,
    encoded,
    fitting,
    parts_of,
    publishable,
    published_in,
    same_content,
    text_of,
)
from rolevend.kube.client import CONFIG_MAPS, Body, KubeClient, NotFound
from rolevend.model import PlatformName
from rolevend.platform_runtime.registry import PlatformRegistry

_LOOK_SECONDS: Final = 5.0
"""Between two looks at the catalogs in memory, and so at least between two writes of the set."""
_REPAIR_SECONDS: Final = 600.0
"""Between two comparisons with the ConfigMaps, which somebody else may have changed."""
_log = logging.getLogger(__name__)


class CatalogPublisher:
    def __init__(self, cluster: KubeClient, namespace: str, platforms: PlatformRegistry, now: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._platforms = platforms
        self._now = now
        self._lines: dict[PlatformName, tuple[PublishedCatalog, bytes]] = {}
        """The published catalog of each platform, with its line in the text."""
        self._read: dict[PlatformName, Catalog] = {}
        """The catalogs of the platforms that these lines hold."""
        self._compared_at: datetime | None = None
        """When the ConfigMaps were last as they must be, or None if a write failed since."""

    async def run(self) -> None:
        """Run until cancelled. Start it when all DataPlatforms are listed: the catalogs of others are removed."""
        while True:
            try:
                await self.publish()
            except NotPermitted as error:
                _log.warning("cannot publish catalogs: upgrade the chart: %s", error)
            except RolevendError as error:
                _log.warning("cannot publish catalogs: %s", error)
            except Exception:  # no decision needs what is published
                _log.exception("cannot publish catalogs")
            await asyncio.sleep(_LOOK_SECONDS)

    async def publish(self) -> None:
        """Write the catalogs of all platforms, if one changed or if the last comparison is too old. Idempotent."""
        known = {name: platform.state.catalog for name, platform in self._platforms}
        if not self._is_due(known):
            return
        self._compared_at = None
        there = await asyncio.gather(*map(self._get, PART_NAMES))
        published = by_platform(await asyncio.to_thread(_readable, there)) if known.keys() - self._lines.keys() else {}
        for gone in (self._lines.keys() | self._read.keys()) - known.keys():
            self._lines.pop(gone, None)
            self._read.pop(gone, None)
        for name, catalog in known.items():
            await self._update(name, catalog, published.get(name))
        await self._write(there)
        self._compared_at = self._now()

    def _is_due(self, known: dict[PlatformName, Catalog | None]) -> bool:
        if self._compared_at is None or not 0 <= (self._now() - self._compared_at).total_seconds() < _REPAIR_SECONDS:
            return True
        # A platform that was not reached since the start has no catalog, and keeps the published one.
        changed = (name for name, catalog in known.items() if catalog is not None and self._read.get(name) is not catalog)
        return bool(self._lines.keys() - known.keys()) or any(True for _ in changed)

    async def _update(self, name: PlatformName, catalog: Catalog | None, published: PublishedCatalog | None) -> None:
        """Bring the line of a platform up to date. An unchanged catalog keeps its time."""
        known = self._lines[name][0] if name in self._lines else published
        if catalog is not None and self._read.get(name) is not catalog:
            held, left_out = await asyncio.to_thread(publishable, name, catalog)
            changed = known.changed if known is not None and known.catalog == held else self._now()
            known = PublishedCatalog(name, changed, held, left_out)
            self._read[name] = catalog
            self._lines.pop(name, None)
        if known is not None and name not in self._lines:
            self._lines[name] = known, await asyncio.to_thread(encoded, known)

    async def _write(self, there: list[Body | None]) -> None:
        text, left_out = fitting(self._lines)
        for platform in left_out:
            _log.warning("the catalog is too large to be published", extra={"platform": platform})
        parts = parts_of(text)
        written = 0
        for name, old, content in zip(PART_NAMES, there, (*parts, *[None] * (len(PART_NAMES) - len(parts))), strict=True):
            if content is None:
                if old is not None:
                    await self._cluster.delete(CONFIG_MAPS, name, old["metadata"]["uid"], self._namespace)
                    written += 1
            elif old is None:
                body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **content}
                await self._cluster.create(CONFIG_MAPS, body, self._namespace)
                written += 1
            elif not same_content(old, content):
                await self._cluster.merge(CONFIG_MAPS, name, _replacing(old, content), self._namespace)
                written += 1
        if written:
            _log.info("published catalogs", extra={"platforms": len(self._lines), "bytes": len(text), "written": written})

    async def _get(self, name: str) -> Body | None:
        try:
            return await self._cluster.get(CONFIG_MAPS, name, self._namespace)
        except NotFound:
            return None


def _readable(there: list[Body | None]) -> tuple[PublishedCatalog, ...]:
    """Return the published catalogs. None, if somebody else changed them or an operator ended while it wrote them."""
    try:
        first = there[0]
        parts = [] if first is None else [each for each in there[: count_of(first)] if each is not None]
        return published_in(text_of(parts)) if parts else ()
    except RolevendError as error:
        _log.warning("cannot read the published catalogs, which are written again: %s", error)
        return ()


def _replacing(old: Body, content: Mapping[str, Any]) -> Body:
    """Return the merge patch that leaves nothing but `content`."""
    gone = {key: dict.fromkeys(old.get(key) or {}) for key in ("data", "binaryData")}
    return {"metadata": {"uid": old["metadata"]["uid"]}, **{key: gone[key] | dict(content[key]) for key in gone}}
