"""Read the catalogs that the operator publishes in its cluster."""

import asyncio
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from rolevend.errors import InvalidInput, NotPermitted, Rejected, RolevendError, Unavailable
from rolevend.kinds import DataPlatform
from rolevend.kinds.published_catalogs import PART_NAMES, PublishedCatalog, TornSet, count_of, published_in, text_of
from rolevend.kinds.text import timestamp_text
from rolevend.kube.client import CONFIG_MAPS, Body, KubeClient, NotFound, path_of
from rolevend.kube.election import LEASE, LEASES
from rolevend.model import PlatformName
from rolevend.policytools.folder import Catalogs
from rolevend.snapshot.controller import ready_condition

_PAUSES: Final = (0.2, 0.5, 1.0, 2.0)
"""Seconds between attempts to read a set that the operator is writing."""
CATALOG_READER: Final = "rolevend-catalog-reader"
"""The chart's Role for readers of catalogs, in a release called `rolevend`."""


@dataclass(frozen=True, slots=True)
class PublishedCatalogs:
    catalogs: Catalogs
    """As `read_catalogs` returns them, by platform."""
    notes: tuple[str, ...]
    """How old each is, and why one is missing."""


async def published_catalogs(
    cluster: KubeClient, namespace: str, now: datetime, platforms: Collection[PlatformName] | None = None
) -> PublishedCatalogs:
    """Return the catalogs that the operator in `namespace` publishes; with `platforms`, those of these platforms.

    Raises RolevendError with the reason and a way out if it can return none: nothing is published, the caller may not read it, or it is not
    readable.
    """
    every = await _published(cluster, namespace)
    published = [each for each in every if platforms is None or each.platform in platforms]
    catalogs = {each.platform: each.catalog for each in published if each.catalog is not None}
    if not catalogs:
        known = ", ".join(each.platform for each in every if each.catalog is not None) or "none"
        wanted = f"of DataPlatform {', '.join(sorted(platforms))} " if platforms else ""
        raise Rejected(f"no catalog {wanted}is published, of all DataPlatforms {known}; name a file with --catalog")
    conditions = await _ready_conditions(cluster)
    notes = (_note(each, conditions.get(each.platform), now) for each in published)
    return PublishedCatalogs(catalogs, (*notes, *await _silence(cluster, namespace, now)))


async def read_published_catalogs(
    kubeconfig: str, namespace: str, now: datetime, platforms: Collection[PlatformName] | None = None
) -> PublishedCatalogs:
    """As `published_catalogs`, with the credentials of a kubeconfig."""
    cluster = await KubeClient.connect(kubeconfig)
    try:
        return await published_catalogs(cluster, namespace, now, platforms)
    finally:
        await cluster.close()


async def _published(cluster: KubeClient, namespace: str) -> tuple[PublishedCatalog, ...]:
    """Read the whole set. While the operator writes it, try again."""
    where = f"(ConfigMaps {namespace}/{PART_NAMES[0]} and following)"
    for pause in (*_PAUSES, None):
        try:
            parts = await _parts(cluster, namespace)
            return await asyncio.to_thread(lambda parts: published_in(text_of(parts)), parts)
        except TornSet as error:
            if pause is None:
                raise Unavailable(f"{error}; or name a file with --catalog {where}") from error
            await asyncio.sleep(pause)
        except InvalidInput as error:
            raise InvalidInput(error.field, f"{error.message} {where}") from error
    raise AssertionError("the last attempt returns or raises")


async def _parts(cluster: KubeClient, namespace: str) -> list[Body]:
    try:
        first = await cluster.get(CONFIG_MAPS, PART_NAMES[0], namespace)
    except NotFound as error:
        raise Rejected(
            f"no catalog is published in namespace {namespace}: the operator publishes catalogs when it has read a platform; if it runs in "
            f"another namespace, name that with --operator-namespace; or name a file with --catalog"
        ) from error
    except NotPermitted as error:
        raise NotPermitted(
            f"{error}; the Role {CATALOG_READER} of namespace {namespace} permits it; or name a file with --catalog"
        ) from error
    try:
        return [first, *[await cluster.get(CONFIG_MAPS, name, namespace) for name in PART_NAMES[1 : count_of(first)]]]
    except NotFound as error:
        raise TornSet("", f"a part is missing: {error}") from error


async def _ready_conditions(cluster: KubeClient) -> dict[str, Body]:
    """Return the condition Ready by DataPlatform, as far as the caller may read it."""
    try:
        found, _ = await cluster.list(path_of(DataPlatform))
    except NotPermitted:
        return {}
    return {each["metadata"]["name"]: ready for each in found if (ready := ready_condition(each)) is not None}


def _note(published: PublishedCatalog, ready: Body | None, now: datetime) -> str:
    since = f"{timestamp_text(published.changed)} ({_age(now - published.changed)} ago)"
    if published.catalog is None:
        return f"catalog of {published.platform}: too large to be published, since {since}; name a file with --catalog"
    text = f"catalog of {published.platform}: as the operator reads it, unchanged since {since}"
    if published.left_out:
        text += f"; {published.left_out} objects are left out, because a catalog cannot hold their names or tags"
    if ready is not None and ready["status"] != "True":
        text += f"; DataPlatform {published.platform} is not Ready since {ready['lastTransitionTime']} ({ready['reason']})"
    return text


async def _silence(cluster: KubeClient, namespace: str, now: datetime) -> Iterator[str]:
    """Return a note if no operator leads, as far as the caller may see it."""
    try:
        spec = (await cluster.get(LEASES, LEASE, namespace))["spec"]
    except RolevendError:
        return iter(())
    renewed = datetime.fromisoformat(spec["renewTime"])
    if spec.get("holderIdentity") and now - renewed < timedelta(seconds=2 * spec["leaseDurationSeconds"]):
        return iter(())
    return iter([f"no operator runs: the last one was seen {_age(now - renewed)} ago, and catalogs may have changed since"])


def _age(passed: timedelta) -> str:
    seconds = max(0, int(passed.total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
