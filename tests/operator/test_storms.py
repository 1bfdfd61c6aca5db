"""Many ends at once: vends go on, and nothing is lost."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from functools import partial

import psycopg
import pytest

from rolevend.policytools.embedded.connection import logged_in
from testbed.brief import in_time
from tests.support.obstacles import OBSTACLES, Obstacle
from tests.support.site import AGENTS, ANNEX, Site
from tests.support.tenancy import Asked, Tenant
from tests.support.tiers import by_tier
from tests.support.waiting import DEADLINE, eventually

CROWD, BUSY = by_tier((40, 20), (200, 40))


def all_ready(crowd: Sequence[Asked]) -> None:
    for asked in crowd:
        asked.ready(within=300)


def names_left(site: Site, crowd: Sequence[Asked]) -> set[str]:
    listed = site.cluster.call("GET", f"/apis/rolevend.dev/v1alpha1/namespaces/{AGENTS}/vendedroles").body["items"]
    return {each["metadata"]["name"] for each in listed} & {asked.name for asked in crowd}


def all_gone(site: Site, crowd: Sequence[Asked]) -> None:
    eventually(lambda: not names_left(site, crowd))
    assert not site.database(crowd[0].platform).roles() & {asked.role for asked in crowd}


def patience(tenant: Tenant) -> float:
    """Seconds in which nobody is held up by a crowd: ten, or a hundred times as many as a vend takes here when nothing else goes on."""
    tenant.ask().ready()  # the first one of a policy takes longer
    start = time.monotonic()
    tenant.ask().ready()
    return max(10.0, 100 * (time.monotonic() - start))


@pytest.mark.long
def test_many_roles_that_expire_in_one_second_are_all_ended_while_vends_go_on(site: Site, tenant: Tenant):
    soon = patience(tenant.ready_to_ask())

    def all_live(seconds: int) -> tuple[list[Asked], float]:
        counted = site.metric("rolevend_expiry_lateness_seconds_count")
        over_at = time.time() + seconds
        crowd = [tenant.ask(seconds=max(5, round(over_at - time.time()))) for _ in range(CROWD)]
        try:
            all_ready(crowd)
        except AssertionError:
            for asked in crowd:
                asked.delete()
            all_gone(site, crowd)
            raise
        return crowd, counted

    crowd, counted = in_time(all_live, 20)

    asked_meanwhile = []
    eventually(lambda: min(asked.seconds_left for asked in crowd) < 1, within=max(asked.seconds_left for asked in crowd) + DEADLINE)
    while names_left(site, crowd) or not asked_meanwhile:
        one = tenant.ask().ready(within=soon)
        assert one.rows("SELECT count(*) FROM people") == [(2,)]
        asked_meanwhile.append(one)

    all_gone(site, crowd)
    assert all(one.has_role() for one in asked_meanwhile)
    assert {site.warehouse.ended(asked.role) for asked in crowd} == {"Expired"}
    # Once each; a role that another test left may have ended with them.
    eventually(lambda: CROWD <= site.metric("rolevend_expiry_lateness_seconds_count") - counted < 1.2 * CROWD)


@pytest.fixture
def _annex(site: Site) -> Iterator[None]:
    """The platform for faults is in order before the test and after it."""
    site.wait_for_platform(ANNEX)
    yield
    site.wait_for_platform(ANNEX)


@contextlib.contextmanager
def endless(crowd: Sequence[Asked]) -> Iterator[None]:
    """Each of them has a statement that would not end by itself, and runs already."""
    with contextlib.ExitStack() as sessions:
        for asked in crowd:
            session = sessions.enter_context(asked.database.session(asked.login()))
            session.pgconn.send_query(b"SELECT count(*) FROM people, pg_sleep(600)")
        eventually(lambda: len(at_work(crowd)) == len(crowd))
        yield


def at_work(crowd: Sequence[Asked]) -> set[str]:
    query = "SELECT usename FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND usename = ANY (%s)"
    return {role for (role,) in crowd[0].database.ask(query, [asked.role for asked in crowd])}


@contextlib.contextmanager
def no_turn(crowd: Sequence[Asked]) -> Iterator[None]:
    """None of them can be closed, as if the turn of none had come."""
    with psycopg.connect(crowd[0].database.superuser.dsn) as holder:
        holder.execute("SELECT FROM rolevend.lease WHERE role = ANY (%s) FOR UPDATE", [[asked.role for asked in crowd]])
        yield


@pytest.mark.full
@pytest.mark.usefixtures("_annex")
def test_what_a_crowd_runs_at_its_expiry_ends_within_seconds_though_no_drop_has_had_its_turn(site: Site, tenant: Tenant):
    tenant.ready_to_ask(ANNEX)
    ended = partial(site.metric, "rolevend_curbed_total", platform=ANNEX, act="Expired")
    with contextlib.ExitStack() as held:

        def at_its_work(seconds: int) -> tuple[list[Asked], float]:
            before, over_at = ended(), time.time() + seconds
            crowd = [tenant.ask(platform=ANNEX, seconds=max(5, round(over_at - time.time()))) for _ in range(BUSY)]
            try:
                all_ready(crowd)
                held.enter_context(endless(crowd))
                held.enter_context(no_turn(crowd))
                assert len(at_work(crowd)) == BUSY
            except (AssertionError, psycopg.Error):
                held.close()
                for asked in crowd:
                    asked.delete()
                all_gone(site, crowd)
                raise
            return crowd, before

        crowd, before = in_time(at_its_work, 60)
        eventually(lambda: not at_work(crowd), within=max(asked.seconds_left for asked in crowd) + 30)
        eventually(lambda: ended() - before == BUSY)
        assert site.annex.roles() >= {asked.role for asked in crowd}

    all_gone(site, crowd)
    assert {site.annex.ended(asked.role) for asked in crowd} == {"Expired"}
    assert not any("SessionEnded" in reason for asked in crowd for reason, _ in asked.events())


@pytest.mark.thinned(3, "full")
@pytest.mark.long
@pytest.mark.usefixtures("_annex")
@pytest.mark.parametrize("obstacle", OBSTACLES.values(), ids=OBSTACLES)
def test_many_roles_that_cannot_be_dropped_are_locked_out_delay_none_elsewhere_and_go_when_they_can(
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
            eventually(lambda asked=asked: said in asked.refused("Dropping"))
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
    eventually(lambda: site.annex.roles() == set())
