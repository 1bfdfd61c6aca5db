"""VendedRoles that somebody else's finalizer keeps when their role is gone: they say so, and nothing waits for them."""

import contextlib
from collections.abc import Iterator

import pytest

from tests.support.site import AGENTS, ANNEX, WAREHOUSE, Body, Site, data_platform
from tests.support.tenancy import Asked, Tenant
from tests.support.waiting import eventually

OURS, THEIRS = "rolevend.dev/drop", "example.org/hold"


@pytest.fixture
def kept() -> Iterator[list[Asked]]:
    """Those that a test has somebody else's finalizer on: it is taken off when the test is over."""
    there: list[Asked] = []
    yield there
    for each in there:
        each.site.cluster.patch(each.body, {"metadata": {"finalizers": None}})
        eventually(each.is_gone)


def ask(tenant: Tenant, kept: list[Asked], platform: str = WAREHOUSE) -> Asked:
    kept.append(tenant.ask(platform=platform, finalizers=[OURS, THEIRS]))
    return kept[-1].ready()


def finalizers(asked: Asked) -> list[str]:
    return list((asked.now() or {"metadata": {}})["metadata"].get("finalizers", []))


def test_it_says_that_its_role_is_gone_and_has_no_credential(tenant: Tenant, kept: list[Asked]):
    asked = ask(tenant.ready_to_ask(), kept)
    login = asked.login()

    asked.delete()

    told = asked.refused("Gone")
    assert f"{asked.role} is gone from {WAREHOUSE}: Released" in told
    assert f"finalizers of others keep this object: {THEIRS}" in told
    eventually(lambda: finalizers(asked) == [THEIRS])
    assert [each["state"] for each in asked.status["platforms"]] == ["Gone"]
    assert not asked.has_role()
    assert tenant.site.warehouse.refuses(login)
    assert not tenant.site.secret(AGENTS, asked.name).ok


def test_it_holds_no_place_among_the_roles_that_its_agent_may_have(tenant: Tenant, kept: list[Asked]):
    tenant.agent(limits={"maxLiveRoles": 1})
    tenant.person()
    tenant.site.told(tenant.policy(), "Ready", "True")
    asked = ask(tenant, kept)
    waiting = tenant.ask()
    waiting.refused("TooManyRoles")

    asked.delete()

    waiting.ready()


@pytest.mark.long
def test_its_platform_goes_all_the_same(site: Site, tenant: Tenant, kept: list[Asked]):
    site.wait_for_platform(ANNEX)
    asked = ask(tenant.ready_to_ask(ANNEX), kept, ANNEX)
    annex: Body = {"kind": "DataPlatform", "metadata": {"name": ANNEX}}
    asked.delete()
    eventually(lambda: finalizers(asked) == [THEIRS])

    site.remove(annex)

    try:
        eventually(lambda: site.cluster.read(annex).status == 404)
    finally:
        with contextlib.suppress(AssertionError):
            site.apply(data_platform(ANNEX, site.annex))
        site.wait_for_platform(ANNEX)


@pytest.mark.long
def test_its_role_is_dropped_by_the_sweep_where_somebody_took_our_finalizer_off(site: Site, tenant: Tenant, kept: list[Asked]):
    site.cluster.bind("firefighter", "rolevend-breakglass", AGENTS)
    asked = ask(tenant.ready_to_ask(), kept)
    site.operator.kill()
    asked.delete()
    assert site.cluster.patch(asked.body, {"metadata": {"finalizers": [THEIRS]}}, user="firefighter").ok

    site.start_operator()

    eventually(lambda: not asked.has_role())
    assert site.warehouse.ended(asked.role) == "Orphaned"
