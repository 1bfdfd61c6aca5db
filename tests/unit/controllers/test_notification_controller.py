"""Which requests the controller notifies of, and when."""

import asyncio
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from rolevend.access_objects.store import AccessRequestStore
from rolevend.controllers.notification_controller import NotificationController
from rolevend.kube.client import Body, KubeClient
from rolevend.model import ObjectName
from rolevend.notifications.deliverer import NotificationDeliverer
from rolevend.notifications.due import DueNotification
from rolevend.notifications.receivers import Format, Receiver, Receivers
from rolevend.roles.protocols import Snapshots
from tests.support.asking import terms
from tests.support.manifests import valid
from tests.support.noticed import WAITING

NOW = datetime.fromisoformat("2026-11-24T12:10:00+00:00")
RECEIVERS = Receivers({"oncall": Receiver("oncall", Format.SLACK, False, Path())}, ("oncall",))
OFFERS = {ObjectName("domain-claims", "ssn-clear"): terms()}


class Deliveries:
    """A deliverer that delivers nothing, and may fail."""

    def __init__(self, problem: Exception | None = None) -> None:
        self.begun: list[DueNotification] = []
        self._problem = problem

    async def deliver(self, _name: ObjectName, due: DueNotification, _pending_seconds: int | None) -> None:
        self.begun.append(due)
        if self._problem is not None:
            raise self._problem


def body(uid: str, version: int, status: Body) -> Body:
    found = valid("AccessRequest", uid)
    found["metadata"] |= {"uid": uid, "resourceVersion": str(version), "creationTimestamp": "2026-11-24T12:00:00Z"}
    return {**found, "status": status}


async def seen_by(deliveries: Deliveries, steps: Any) -> list[str]:
    """Run the controller, and `steps`, a coroutine function of the store; the uids of the requests whose notification was begun."""
    store = AccessRequestStore(cast(KubeClient, None), lambda: NOW)
    store.informer.synced = True
    snapshots = cast(Snapshots, SimpleNamespace(snapshot=SimpleNamespace(pending=None, offers=OFFERS)))
    controller = NotificationController(store, snapshots, RECEIVERS, cast(NotificationDeliverer, deliveries), lambda: NOW)
    running = asyncio.create_task(controller.run())
    try:
        await steps(store)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return [each.uid for each in deliveries.begun]


def put(store: AccessRequestStore, *bodies: Body) -> None:
    for each in bodies:
        store.informer.on_upsert(each)
    store.wake()


async def until(deliveries: Deliveries, count: int) -> None:
    async with asyncio.timeout(10):
        while len(deliveries.begun) < count:
            await asyncio.sleep(0.01)


async def test_a_change_in_the_pause_between_two_passes_is_not_missed():
    deliveries = Deliveries()

    async def steps(store: AccessRequestStore) -> None:
        put(store, body("one", 1, WAITING))
        await until(deliveries, 1)
        put(store, body("two", 2, WAITING))  # long before the pause is over
        await until(deliveries, 2)

    assert await seen_by(deliveries, steps) == ["one", "two"]


async def test_none_begins_twice_and_an_error_about_one_stops_no_other():
    deliveries = Deliveries(ValueError("ours"))

    async def steps(store: AccessRequestStore) -> None:
        put(store, body("one", 1, WAITING))
        await until(deliveries, 1)
        put(store, body("one", 2, {**WAITING, "message": "people decide, 1 of 2 needed approvals"}), body("two", 3, WAITING))
        await until(deliveries, 2)

    assert await seen_by(deliveries, steps) == ["one", "two"]


async def test_one_that_is_being_deleted_is_left_out():
    deliveries = Deliveries()
    leaving = body("one", 1, WAITING)
    leaving["metadata"]["deletionTimestamp"] = "2026-11-24T12:09:00Z"

    async def steps(store: AccessRequestStore) -> None:
        put(store, leaving, body("two", 2, WAITING))
        await until(deliveries, 1)

    assert await seen_by(deliveries, steps) == ["two"]


async def test_an_agent_that_asks_and_withdraws_again_and_again_floods_no_receiver():
    notified = {"receiver": "oncall", "event": "Pending", "state": "Delivered", "attempts": 1}
    withdrawn = {"state": "Cancelled", "reason": "Withdrawn", "message": "withdrawn by agent agents/bot"}

    async def seen(count: int, at: str) -> list[str]:
        deliveries = Deliveries()

        async def steps(store: AccessRequestStore) -> None:
            before = [body(f"gone{each}", each, {**withdrawn, "notifications": [{**notified, "at": at}]}) for each in range(1, count + 1)]
            other = body("other", 98, WAITING)
            other["spec"]["agentRef"]["name"] = "another-agent"
            put(store, *before, body("one", 97, WAITING), other)
            await until(deliveries, 1)
            await asyncio.sleep(0)

        return await seen_by(deliveries, steps)

    assert await seen(10, "2026-11-24T12:09:00Z") == ["other"]
    assert await seen(9, "2026-11-24T12:09:00Z") == ["one", "other"]
    assert await seen(10, "2026-11-24T12:00:00Z") == ["one", "other"]
