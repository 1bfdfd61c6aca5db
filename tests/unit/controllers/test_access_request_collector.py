"""The deletion of ended AccessRequests goes on after an error that nobody expects."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from rolevend.access_objects.store import AccessRequestStore
from rolevend.access_objects.votes import Votes
from rolevend.access_requests.retention import Retention
from rolevend.controllers.access_request_collector import AccessRequestCollector
from rolevend.errors import ClusterUnavailable
from rolevend.kube.client import KubeClient
from tests.support.registered import a_snapshot

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class Newest:
    snapshot = a_snapshot()


@pytest.mark.parametrize("error", [ClusterUnavailable("away"), KeyError("a fault in rolevend")], ids=str)
async def test_it_goes_on_after_any_error(error: Exception):
    passes = asyncio.Queue[None]()

    class Failing(AccessRequestStore):
        def everything(self) -> tuple[()]:
            passes.put_nowait(None)
            raise error

    store = Failing(cast(KubeClient, None), lambda: NOW)
    votes = Votes(cast(KubeClient, None), lambda: NOW, lambda _: None)
    store.informer.synced = votes.informer.synced = True
    collector = AccessRequestCollector(store, votes, Newest(), Retention(timedelta(days=30)), lambda: NOW)
    running = asyncio.create_task(collector.run(0))
    try:
        async with asyncio.timeout(5):
            for _ in range(2):
                await passes.get()
    finally:
        running.cancel()
