"""Many ends at once: vends go on, and nothing is lost."""

import time
from collections.abc import Iterator, Sequence

import psycopg
import pytest

from rolevend.demo.parts.brief import in_time
from rolevend.demo.parts.connection import logged_in
from tests.support.obstacles import OBSTACLES, Obstacle
from tests.support.site import AGENTS, ANNEX, Site
from tests.support.tenancy import Asked, Tenant
from tests.support.waiting import eventually

CROWD = 200


def all_ready(crowd: Sequence[Asked]) -> None:
    for asked in crowd:
        asked.ready(within=120)


def names_left(site: Site, crowd: Sequence[Asked]) -> set[str]:
    listed = site.cluster.call("GET", f"/apis/rolevend.dev/v1alpha1/namespaces/{AGENTS}/vendedroles").body["items"]
    return {each["metadata"]["name"] for each in listed} & {asked.name for asked in crowd}


def all_gone(site: Site, crowd: Sequence[Asked]) -> None:
    eventually(lambda: not names_left(site, crowd), within=60)
    assert not site.database(crowd[0].platform).roles() & {asked.role for asked in crowd}


def patience(tenant: Tenant) -> float:
    """Seconds in which nobody is held up by a crowd: ten, or a hundred times as many as a vend takes here when nothing else goes on."""
    tenant.ask().ready()  # the first one of a policy takes longer
    start = time.monotonic()
    tenant.ask().ready()
    return max(10.0, 100 * (time.monotonic() - start))


def test_two_hundred_roles_that_expire_in_one_second_are_all_ended_while_vends_go_on(site: Site, tenant: Tenant):
    soon = patience(tenant.ready_to_ask())

    def all_live(seconds: int) -> list[Asked]:
        over_at = time.time() + seconds
        crowd = [tenant.ask(seconds=max(5, round(over_at - time.time()))) for _ in range(CROWD)]
        try:
            all_ready(crowd)
        except AssertionError:
            for asked in crowd:
                asked.delete()
            all_gone(site, crowd)
            raise
        return crowd

    crowd = in_time(all_live, 60)
    counted = site.metric("rolevend_expiry_lateness_seconds_count")

    asked_meanwhile = []
    eventually(lambda: len(names_left(site, crowd)) < CROWD, within=max(asked.seconds_left for asked in crowd) + 60)
    while names_left(site, crowd):
        one = tenant.ask().ready(within=soon)
        assert one.rows("SELECT count(*) FROM people") == [(2,)]
        asked_meanwhile.append(one)

    all_gone(site, crowd)
    assert asked_meanwhile
    assert all(one.has_role() for one in asked_meanwhile)
    assert {site.warehouse.ended(asked.role) for asked in crowd} == {"Expired"}
    # Once each; a role that another test left may have ended with them.
    assert CROWD <= site.metric("rolevend_expiry_lateness_seconds_count") - counted < 1.2 * CROWD


@pytest.fixture
def _annex(site: Site) -> Iterator[None]:
    """The platform for faults is in order before the test and after it."""
    site.wait_for_platform(ANNEX)
    yield
    site.wait_for_platform(ANNEX)


@pytest.mark.usefixtures("_annex")
@pytest.mark.parametrize("obstacle", OBSTACLES.values(), ids=OBSTACLES)
def test_two_hundred_roles_that_cannot_be_dropped_are_locked_out_delay_none_elsewhere_and_go_when_they_can(
    site: Site, tenant: Tenant, obstacle: Obstacle
):
    tenant.ready_to_ask(ANNEX)
    tenant.policy(f"{tenant.name}-here")
    soon = patience(tenant)
    stuck = [tenant.ask(platform=ANNEX) for _ in range(CROWD)]
    all_ready(stuck)
    elsewhere = [tenant.ask().ready() for _ in range(3)]
    login = stuck[0].login()

    # What waits for a locked catalog reads nothing, either.
    impatient = logged_in(login, options="-c lock_timeout=2s")
    with impatient as session, obstacle(site.annex, [asked.role for asked in stuck]) as said:
        for asked in stuck:
            asked.delete()
        for asked in (stuck[0], stuck[-1]):
            eventually(lambda asked=asked: said in asked.refused("Dropping"), within=90)
        for asked in elsewhere:
            asked.delete()
            asked.gone(within=soon)
            assert not asked.has_role()
        tenant.ask().ready(within=soon)

        with pytest.raises(psycopg.Error):
            session.execute("SELECT count(*) FROM people")
        assert site.annex.refuses(login)
        assert not any(asked.is_gone() for asked in stuck)

    all_gone(site, stuck)
    assert site.annex.roles() == set()
