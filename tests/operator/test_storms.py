"""Many ends at once: vends go on, and nothing is lost."""

import time
from collections.abc import Sequence

from tests.support.site import AGENTS, Site
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


def test_two_hundred_roles_that_expire_in_one_second_are_all_ended_while_vends_go_on(site: Site, tenant: Tenant):
    tenant.ready_to_ask()
    over_at = time.time() + 60
    crowd = [tenant.ask(seconds=max(5, round(over_at - time.time()))) for _ in range(CROWD)]
    all_ready(crowd)
    counted = site.metric("rolevend_expiry_lateness_seconds_count")

    asked_meanwhile = []
    eventually(lambda: len(names_left(site, crowd)) < CROWD, within=60)
    while names_left(site, crowd):
        one = tenant.ask().ready(within=10)
        assert one.rows("SELECT count(*) FROM people") == [(2,)]
        asked_meanwhile.append(one)

    all_gone(site, crowd)
    assert asked_meanwhile
    assert all(one.has_role() for one in asked_meanwhile)
    assert {site.warehouse.ended(asked.role) for asked in crowd} == {"Expired"}
    # Once each; a role that another test left may have ended with them.
    assert CROWD <= site.metric("rolevend_expiry_lateness_seconds_count") - counted < 1.2 * CROWD
