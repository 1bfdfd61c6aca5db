"""What an informer tells of: what changed, and not that it looked again."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import cast

from rolevend.errors import ClusterUnavailable
from rolevend.kube.client import NAMESPACES, Body, KubeClient, ResourcePath
from rolevend.kube.informer import Informer


def namespace(name: str, version: int) -> Body:
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


class ApiServer:
    """Lists what the next of `listings` says, and ends each watch at once; after the last listing it answers no more."""

    def __init__(self, *listings: list[Body]) -> None:
        self._listings = iter(listings)
        self.is_over = asyncio.Event()

    async def list(self, resource: ResourcePath, *_: object, **__: object) -> tuple[list[Body], str]:
        listing = next(self._listings, None)
        if listing is None:
            self.is_over.set()
            raise ClusterUnavailable("that was all")
        return listing, "1"

    async def watch(self, resource: ResourcePath, version: str, seconds: int, *_: object, **__: object) -> AsyncIterator[tuple[str, Body]]:
        for event in ():
            yield event


async def told(*listings: list[Body]) -> list[list[str]]:
    """The names that were there each time that it was told of a change."""
    server, changes = ApiServer(*listings), []
    informer = Informer(
        cast(KubeClient, server), NAMESPACES, lambda: changes.append([name for _, name in informer.objects]), lambda: datetime.now(UTC)
    )
    running = asyncio.create_task(informer.run())
    async with asyncio.timeout(5):
        await server.is_over.wait()
    running.cancel()
    assert informer.synced
    return changes


async def test_that_nothing_was_there_at_first_is_told():
    assert await told([]) == [[]]


async def test_a_listing_that_shows_what_is_known_already_is_no_change():
    agents = [namespace("agents", 1), namespace("tools", 2)]

    assert await told(agents, list(agents), list(reversed(agents))) == [["agents", "tools"]]


async def test_what_came_went_or_changed_while_nobody_watched_is_told():
    first, second = namespace("agents", 1), namespace("tools", 2)
    listings = [first], [first, second], [second], [namespace("tools", 3)]

    assert await told(*listings) == [["agents"], ["agents", "tools"], ["tools"], ["tools"]]


async def test_the_keys_of_what_came_went_or_changed_are_collected():
    first, second, third = namespace("agents", 1), namespace("tools", 2), namespace("people", 3)
    server = ApiServer([first, second], [second, third])
    informer = Informer(cast(KubeClient, server), NAMESPACES, lambda: None, lambda: datetime.now(UTC))
    informer.on_upsert(first)
    keys = informer.changed_keys()
    assert keys == {("", "agents")}
    keys.clear()

    running = asyncio.create_task(informer.run())
    async with asyncio.timeout(5):
        await server.is_over.wait()
    running.cancel()

    assert keys == {("", "agents"), ("", "tools"), ("", "people")}
    keys.clear()
    informer.drop(second)
    informer.on_upsert(namespace("people", 4))
    assert keys == {("", "tools"), ("", "people")}
