"""A role with neither a record nor an object is dropped after two looks. What has an object, or may have one, stays."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from rolevend.controllers.stray_dropper import MOST_SUSPECTS, StrayDropper
from rolevend.errors import ClusterUnavailable
from rolevend.model import Attributes, RoleName, Uid
from rolevend.platform_runtime.executor import PlatformExecutor
from rolevend.platform_runtime.records import RecordsExecutor
from rolevend.platforms.protocol import DropRequest, DropResult, EndReason, LiveRole
from rolevend.roles.objects import VendedRoleWriter
from rolevend.roles.state import RoleState
from rolevend.roles.store import RoleStore
from rolevend.telemetry.metrics import Metrics
from tests.support.registered import REQUEST, WAREHOUSE

STRAY = LiveRole(RoleName("R_STRAY"), Uid("stray"), None, False)


@dataclass
class Platform:
    """The records of a database, and its drops."""

    new: list[LiveRole] = field(default_factory=list)
    live: dict[RoleName, LiveRole] = field(default_factory=dict)
    asked: list[str | None] = field(default_factory=list)
    dropped: list[DropRequest] = field(default_factory=list)

    def vend(self, role: LiveRole) -> None:
        self.new.append(role)
        self.live[role.role] = role

    async def unrecorded(self, since: str | None) -> Sequence[LiveRole]:
        self.asked.append(since)
        new, self.new = self.new, []
        return new if since is not None else list(self.live.values())

    async def drop(self, ending: DropRequest, _patience: float) -> DropResult:
        self.dropped.append(ending)
        self.live.pop(ending.role, None)
        return DropResult(ending.role)


@dataclass
class Objects:
    claims: dict[Uid, bool] = field(default_factory=dict)
    lists: int = 0
    away: bool = False
    seconds: float = 0.0
    now: float = 0.0

    async def list_claims(self) -> dict[Uid, bool]:
        self.lists += 1
        self.now += self.seconds
        if self.away:
            raise ClusterUnavailable("the API server is away")
        return self.claims


class Cluster:
    def __init__(self) -> None:
        self.platform, self.objects, self.roles, self.metrics = Platform(), Objects(), RoleStore(), Metrics()
        objects = cast(VendedRoleWriter, self.objects)
        self.strays = StrayDropper(self.roles, objects, self.metrics, lambda: self.objects.now)
        self.looks = 0

    async def look(self) -> list[RoleName]:
        """Return the roles that were dropped until then."""
        self.looks += 1
        platform = self.platform
        executor, records = cast(PlatformExecutor, platform), cast(RecordsExecutor, platform)
        await self.strays.look(WAREHOUSE, executor, records, str(self.looks))
        await asyncio.sleep(0)
        return [each.role for each in platform.dropped]

    def watch(self, uid: Uid, role: RoleName | None) -> None:
        """The watch reports the object."""
        request = replace(REQUEST, uid=uid)
        self.roles.upsert(RoleState(request, False, None, role, None, Attributes(), None))

    @property
    def counted(self) -> float:
        return self.metrics.registry.get_sample_value("rolevend_orphan_roles_total", {"platform": WAREHOUSE}) or 0.0


@pytest.fixture
async def cluster() -> Cluster:
    cluster = Cluster()
    await cluster.look()
    return cluster


async def test_a_role_that_nobody_claims_is_dropped_at_the_second_look_and_counted(cluster: Cluster):
    cluster.platform.vend(STRAY)

    assert await cluster.look() == []
    assert await cluster.look() == [STRAY.role]
    assert await cluster.look() == [STRAY.role]
    assert cluster.platform.dropped == [DropRequest(STRAY.role, STRAY.uid, EndReason.ORPHANED)]
    assert (cluster.counted, cluster.objects.lists) == (1, 1)


async def test_one_of_the_time_before_the_start_is_dropped_too():
    cluster = Cluster()
    cluster.platform.vend(STRAY)

    await cluster.look()

    assert await cluster.look() == [STRAY.role]


async def test_each_look_reads_on_from_the_last_one_that_was_answered(cluster: Cluster):
    await cluster.look()
    await cluster.look()

    assert cluster.platform.asked == [None, "1", "2"]


@pytest.mark.parametrize("role", [None, STRAY.role])
async def test_a_role_whose_object_the_watch_knows_stays_and_nothing_is_listed(cluster: Cluster, role: RoleName | None):
    """Also before the object has the name of its role."""
    cluster.watch(STRAY.uid, role)
    cluster.platform.vend(STRAY)

    await cluster.look()

    assert (await cluster.look(), cluster.objects.lists) == ([], 0)


async def test_a_role_whose_object_the_watch_reports_late_stays(cluster: Cluster):
    cluster.platform.vend(STRAY)
    await cluster.look()
    cluster.watch(STRAY.uid, STRAY.role)

    assert (await cluster.look(), cluster.objects.lists) == ([], 0)


@pytest.mark.parametrize("claims", [True, False])
async def test_a_role_whose_object_only_the_list_has_is_left_to_the_sweep(cluster: Cluster, *, claims: bool):
    cluster.objects.claims = {STRAY.uid: claims}
    cluster.platform.vend(STRAY)

    for _ in range(3):
        assert await cluster.look() == []
    assert cluster.objects.lists == 1


async def test_a_role_under_the_uid_of_another_is_dropped_and_the_other_stays(cluster: Cluster):
    real = LiveRole(RoleName("R_REAL"), STRAY.uid, None, False)
    cluster.watch(real.uid, real.role)
    cluster.objects.claims = {real.uid: True}
    cluster.platform.vend(real)
    cluster.platform.vend(STRAY)

    await cluster.look()

    assert await cluster.look() == [STRAY.role]


async def test_a_role_that_ended_with_its_object_is_not_dropped_again(cluster: Cluster):
    cluster.platform.vend(STRAY)
    await cluster.look()
    cluster.platform.live.clear()

    assert (await cluster.look(), cluster.counted) == ([], 0)


async def test_while_objects_cannot_be_listed_nothing_is_dropped_and_later_it_is(cluster: Cluster):
    cluster.platform.vend(STRAY)
    await cluster.look()
    cluster.objects.away = True
    for _ in range(2):
        with pytest.raises(ClusterUnavailable):
            await cluster.look()
    assert cluster.platform.dropped == []

    cluster.objects.away = False

    assert await cluster.look() == [STRAY.role]


async def test_forged_roles_cause_no_listing_after_the_other(cluster: Cluster):
    cluster.objects.seconds = 2.0
    for number in range(10):
        cluster.platform.vend(LiveRole(RoleName(f"R_{number}"), Uid(f"stray-{number}"), None, False))
        await cluster.look()
        cluster.objects.now += 0.5
    assert cluster.objects.lists == 1

    cluster.objects.now += 20

    assert len(await cluster.look()) == 10
    assert cluster.objects.lists == 2


async def test_no_more_than_a_maximum_is_remembered(cluster: Cluster):
    for number in range(MOST_SUSPECTS + 5):
        cluster.platform.vend(LiveRole(RoleName(f"R_{number}"), Uid(f"stray-{number}"), None, False))

    await cluster.look()

    assert len(await cluster.look()) == MOST_SUSPECTS
