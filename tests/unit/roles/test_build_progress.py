"""An object says how far the profile of its role is, where that takes a while; a quick vend costs nothing, and nothing is taken back."""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from rolevend.errors import ClusterUnavailable, PlatformDrifted
from rolevend.kinds import VendedRole, parse
from rolevend.kube import client
from rolevend.kube.client import Body, NotFound, ResourceConflict
from rolevend.model import ProfileName
from rolevend.plan import Profile
from rolevend.platforms.progress import BuildProgress, Counting
from rolevend.roles.build_progress import BuildProgressReporter
from rolevend.roles.decision import RoleDecision
from rolevend.roles.objects import VendedRoleWriter
from rolevend.roles.protocols import AsyncPlatform
from rolevend.roles.status import StatusBuilder
from tests.support import registered
from tests.support.manifests import valid
from tests.support.registered import NOW, REQUEST

PATIENCE = 10.0
"""Seconds after which a test gives up."""
NEVER = 3600.0
PROFILE = Profile(ProfileName("rv_p_cold"), ())
DRIFTED = PlatformDrifted("table a.b was changed by hand")
WHOLE = RoleDecision(((REQUEST, registered.granted()),))


class Cluster:
    """One object, with the API server's preconditions."""

    def __init__(self, **metadata: Any) -> None:
        body = valid("VendedRole", "ask")
        self.body: Body | None = body | {
            "metadata": {**body["metadata"], "uid": REQUEST.uid, "creationTimestamp": NOW.isoformat(), "resourceVersion": "1", **metadata}
        }
        self.says(StatusBuilder(self.role, NOW).pending_status(WHOLE))
        self.reads = 0
        self.said: list[str] = []
        """By us, in the condition Ready."""
        self.under_way = 0
        self.most_under_way = 0
        self.meanwhile: Callable[[], None] = lambda: None
        """Between our look at the object and our word."""
        self.open = asyncio.Event()
        """Until then no word of ours arrives."""
        self.open.set()
        self.failures: list[Exception] = []

    @property
    def role(self) -> VendedRole:
        return parse(VendedRole, self.body)

    def says(self, status: Body) -> None:
        """Somebody writes the status."""
        assert self.body is not None
        version = int(self.body["metadata"]["resourceVersion"]) + 1
        self.body["metadata"]["resourceVersion"] = str(version)
        self.body["status"] = {**self.body.get("status", {}), **status}

    async def get(self, _resource: object, name: str, namespace: str) -> Body:
        self.reads += 1
        assert (namespace, name) == (REQUEST.name.namespace, REQUEST.name.name)
        if self.failures:
            raise self.failures.pop()
        if self.body is None:
            raise NotFound("GET: 404")
        return copy.deepcopy(self.body)

    async def merge(self, _resource: object, _name: str, patch: Body, _namespace: str, subresource: str) -> Body:
        assert subresource == "status"
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        self.meanwhile()
        await self.open.wait()
        self.under_way -= 1
        assert self.body is not None
        if patch["metadata"] != {key: self.body["metadata"][key] for key in ("uid", "resourceVersion")}:
            raise ResourceConflict("PATCH: 409")
        self.says(patch["status"])
        self.said += [message for type_, (*_, message) in self.conditions.items() if type_ == "Ready"]
        return self.body

    @property
    def conditions(self) -> dict[str, tuple[str, str, str]]:
        assert self.body is not None
        return {each["type"]: (each["status"], each["reason"], each["message"]) for each in self.body["status"]["conditions"]}

    async def so(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                await asyncio.sleep(0)


class Builds:
    """Of an executor what is asked here."""

    def __init__(self, *, built: bool = False) -> None:
        self.built = built
        self.far: BuildProgress | None = None

    def is_built(self, profile: Profile) -> bool:
        return self.built

    def progress(self, profile: Profile) -> BuildProgress | None:
        assert profile is PROFILE
        return self.far


@pytest.fixture
async def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def builds() -> Builds:
    return Builds()


def building(cluster: Cluster, pause: float = 0.0) -> BuildProgressReporter:
    return BuildProgressReporter(VendedRoleWriter(cast(client.KubeClient, cluster), lambda: NOW), pause)


@asynccontextmanager
async def told(by: BuildProgressReporter, builds: Builds, **changes: Any) -> AsyncIterator[None]:
    async with by.reporting(replace(REQUEST, **changes), cast(AsyncPlatform, builds), PROFILE):
        yield


async def test_a_build_that_is_quick_reads_and_writes_nothing(cluster: Cluster, builds: Builds):
    async with told(building(cluster, pause=NEVER), builds):
        await asyncio.sleep(0)
    assert (cluster.reads, cluster.said) == (0, [])


async def test_for_what_is_built_nothing_is_even_begun(cluster: Cluster):
    async with told(building(cluster), Builds(built=True)):
        assert asyncio.all_tasks() == {asyncio.current_task()}
    assert (cluster.reads, cluster.said) == (0, [])


async def test_the_object_says_how_far_it_is_as_often_as_that_changes_and_keeps_what_it_said_before(cluster: Cluster, builds: Builds):
    before = cluster.conditions
    async with told(building(cluster), builds):
        await cluster.so(lambda: len(cluster.said) == 1)
        for count, progress in enumerate((BuildProgress(340, 1000, "view"), BuildProgress(1000, 1000, "view")), 2):
            builds.far = progress
            await cluster.so(lambda count=count: len(cluster.said) == count)
        for _ in range(20):
            await asyncio.sleep(0)
    assert cluster.said == [
        "building its profile",
        "building its profile: 340 of 1,000 tables have their view",
        "building its profile: 1,000 of 1,000 tables have their view",
    ]
    assert cluster.conditions == before | {"Ready": ("False", "Building", cluster.said[-1])}


async def test_with_several_platforms_it_says_on_which(builds: Builds):
    cluster = Cluster()
    assert cluster.body is not None
    cluster.body["spec"]["platformRefs"] = [{"name": "warehouse"}, {"name": "annex"}]
    async with told(building(cluster), builds, platform="annex"):
        await cluster.so(lambda: bool(cluster.said))
    assert cluster.said == ["on annex: building its profile"]


async def test_that_a_role_is_ready_is_not_taken_back(cluster: Cluster, builds: Builds):
    """The API may say so between our look at the object and our word."""

    def ready() -> None:
        cluster.says(StatusBuilder(cluster.role, NOW).ready_status(WHOLE))

    cluster.meanwhile = ready
    async with told(building(cluster), builds):
        await cluster.so(lambda: cluster.reads == 2)  # the first word was refused, and with the second look it is over
        for _ in range(20):
            await asyncio.sleep(0)
    assert (cluster.reads, cluster.said) == (2, [])
    assert cluster.conditions["Ready"][:2] == ("True", "Live")


async def test_what_is_on_its_way_arrives_before_the_vend_goes_on(cluster: Cluster, builds: Builds):
    """Or it would stand over what the vend says at its end."""
    cluster.open.clear()
    over = asyncio.Event()

    async def vend() -> None:
        async with told(building(cluster), builds):
            await cluster.so(lambda: cluster.under_way == 1)
        over.set()

    vending = asyncio.create_task(vend())
    await cluster.so(lambda: cluster.under_way == 1)
    for _ in range(20):
        await asyncio.sleep(0)
    assert not over.is_set()
    cluster.open.set()
    await asyncio.wait_for(vending, PATIENCE)
    assert cluster.said == ["building its profile"]


@pytest.mark.parametrize("gone", ["deleted", "made anew", "ending", "ended"])
async def test_nobody_is_told_of_a_role_that_goes(gone: str, builds: Builds):
    cluster = Cluster(**{"made anew": {"uid": "another"}, "ending": {"deletionTimestamp": NOW.isoformat()}}.get(gone, {}))
    if gone == "ended":
        cluster.says({"ended": {"reason": "Revoked", "by": "Unanswered"}})
    if gone == "deleted":
        cluster.body = None
    async with told(building(cluster), builds):
        for _ in range(20):
            await asyncio.sleep(0)
    assert (cluster.reads, cluster.said) == (1, [])


async def test_however_many_wait_one_object_is_written_at_a_time(cluster: Cluster, builds: Builds):
    by = building(cluster)

    async def wait() -> None:
        async with told(by, builds):
            await cluster.so(lambda: len(cluster.said) >= 10)

    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(wait() for _ in range(10)))
    assert cluster.most_under_way == 1


async def test_an_api_server_that_is_away_keeps_nothing_from_being_built_and_is_told_later(
    cluster: Cluster, builds: Builds, caplog: pytest.LogCaptureFixture
):
    cluster.failures = [ClusterUnavailable("GET: 503")]
    async with told(building(cluster), builds):
        await cluster.so(lambda: bool(cluster.said))
    assert cluster.said == ["building its profile"]
    assert [each.getMessage() for each in caplog.records] == ["cannot report the progress of a profile: GET: 503"]


async def test_what_a_build_raises_goes_to_whoever_waits(cluster: Cluster, builds: Builds):
    with pytest.raises(ClusterUnavailable, match="theirs"):
        async with told(building(cluster), builds):
            raise ClusterUnavailable("theirs")


def test_several_threads_count_together_and_the_last_word_is_the_whole():
    heard: list[BuildProgress] = []
    counting = Counting(heard.append, 1000, "template", done=25)
    for _ in range(3):
        counting.more(325)
    assert [str(each) for each in heard] == [f"{done:,} of 1,000 tables have their template" for done in (25, 350, 675, 1000)]


async def test_the_object_says_what_keeps_its_profile_from_being_built(cluster: Cluster):
    before = cluster.conditions
    await building(cluster).stopped(REQUEST, DRIFTED)
    assert cluster.conditions == before | {"Ready": ("False", "PlatformDrifted", str(DRIFTED))}


async def test_where_the_object_cannot_be_written_nothing_fails_and_it_may_be_said_again(cluster: Cluster):
    cluster.failures = [ClusterUnavailable("GET: 500")]
    await building(cluster).stopped(REQUEST, DRIFTED)
    assert cluster.said == []
    await building(cluster).stopped(REQUEST, DRIFTED)
    assert cluster.said == [str(DRIFTED)]


async def test_a_role_that_is_ready_meanwhile_is_not_said_to_be_kept_from_it(cluster: Cluster):
    cluster.meanwhile = lambda: cluster.says(StatusBuilder(cluster.role, NOW).ready_status(WHOLE))
    await building(cluster).stopped(REQUEST, DRIFTED)
    assert cluster.conditions["Ready"][:2] == ("True", "Live")
