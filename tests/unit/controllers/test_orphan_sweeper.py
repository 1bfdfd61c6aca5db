"""A sweep drops what no object claims. It lists the objects once for that, and drops nothing of an object that came meanwhile."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from rolevend.controllers.orphan_sweeper import OrphanSweeper
from rolevend.kube.client import PAGE, Body, KubeClient, ResourcePath
from rolevend.model import Attributes, PlatformName, ProfileName, RoleName, Uid
from rolevend.platform_runtime.registry import PlatformRegistry
from rolevend.platforms.protocol import DropRequest, DropResult, EndedRole, EndReason, LiveRole
from rolevend.roles.ender import RoleEnder
from rolevend.roles.objects import VendedRoleWriter
from rolevend.roles.state import RoleState
from rolevend.roles.store import RoleStore
from rolevend.settings import Settings
from rolevend.telemetry.metrics import Metrics
from tests.support.painted import NOW, REQUEST, WAREHOUSE


class World:
    """An API server with so many objects, which the watch told of, and one platform with so many roles that nobody claims. The platform
    locked them out already, so no grace is waited for."""

    def __init__(self, objects: int, strays: Sequence[str], arriving: Sequence[str] = (), let_go: Sequence[str] = ()) -> None:
        """`arriving`: objects that come while the platform is asked for its roles. `let_go`: objects that are being deleted and have lost
        our finalizer, while somebody else's keeps them."""
        self.roles = RoleStore()
        self.executor = self
        self.listings = 0
        self.dropped: list[str] = []
        self._arriving = arriving
        self._strays = strays
        self._let_go = let_go
        self._listed = [f"object-{number}" for number in range(objects)] + [*let_go]
        for uid in self._listed:
            self._arrives(uid)

    def _arrives(self, uid: str) -> None:
        request = replace(REQUEST, uid=Uid(uid))
        self.roles.upsert(RoleState(request, False, None, None, "", Attributes(), ("", ""), let_go=uid in self._let_go))

    async def pages(self, resource: ResourcePath) -> AsyncIterator[Body]:
        self.listings += 1
        ending = {"deletionTimestamp": "2026-11-24T12:00:00Z", "finalizers": ["example.org/hold"]}
        yield {"items": [{"metadata": {"uid": uid, **(ending if uid in self._let_go else {})}} for uid in self._listed]}

    async def live(self) -> Sequence[LiveRole]:
        for uid in self._arriving:
            self._arrives(uid)
        return [LiveRole(RoleName(uid), Uid(uid), NOW + timedelta(hours=1), closed=True) for uid in self._strays]

    async def drop(self, ending: DropRequest) -> DropResult:
        self.dropped.append(ending.uid)
        return DropResult(ending.role)

    async def ended(self, reason: EndReason) -> Sequence[EndedRole]:
        return ()

    async def collect(self, keep: frozenset[ProfileName], unused_since: datetime) -> int:
        return 0

    def __iter__(self) -> Iterator[tuple[PlatformName, "World"]]:
        yield WAREHOUSE, self

    async def sweep(self) -> None:
        nothing: Any = None
        here: Any = self
        objects = VendedRoleWriter(cast(KubeClient, here), lambda: NOW)
        sweeper = OrphanSweeper(cast(RoleEnder, here), cast(PlatformRegistry, here), nothing, objects, Settings(), Metrics())
        await sweeper.sweep()


@pytest.mark.parametrize("objects", [0, 3, PAGE, PAGE + 1])
async def test_a_sweep_that_finds_what_nobody_claims_lists_the_objects_once(objects: int):
    world = World(objects, ["stray"])

    await world.sweep()

    assert (world.listings, world.dropped) == (1, ["stray"])


async def test_a_sweep_over_many_objects_that_finds_nothing_lists_none():
    world = World(PAGE + 1, [])

    await world.sweep()

    assert world.listings == 0


@pytest.mark.parametrize("objects", [3, PAGE + 1])
async def test_an_object_that_only_somebody_elses_finalizer_keeps_claims_no_role(objects: int):
    world = World(objects, ["kept"], let_go=["kept"])

    await world.sweep()

    assert world.dropped == ["kept"]


async def test_the_role_of_an_object_that_came_after_the_listing_is_not_dropped():
    world = World(3, ["stray", "new"], arriving=["new"])

    await world.sweep()

    assert world.dropped == ["stray"]
