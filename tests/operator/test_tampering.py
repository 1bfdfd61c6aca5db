"""DataPlatforms that people rename, or whose notes they take away by hand, while roles live there: no role is lost, and none is left."""

from collections.abc import Iterator

import pytest

from tests.support.installed import Body
from tests.support.site import ANNEX, Site, data_platform
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually

pytestmark = pytest.mark.long

RENAMED = "annex-renamed"


@pytest.fixture
def annex(site: Site) -> Iterator[Body]:
    """The platform for faults, there before the test, and there again after it under its own name."""
    site.wait_for_platform(ANNEX)
    yield {"kind": "DataPlatform", "metadata": {"name": ANNEX}}
    if site.cluster.read({"kind": "DataPlatform", "metadata": {"name": ANNEX}}).status == 404:
        site.apply(data_platform(ANNEX, site.annex))
    site.wait_for_platform(ANNEX)


def renamed(site: Site) -> Body:
    """The same server and the same credentials under another name."""
    body = data_platform(ANNEX, site.annex)
    body["metadata"]["name"] = RENAMED
    return body


def test_a_platform_that_is_renamed_takes_over_when_the_last_role_of_its_old_name_is_gone(site: Site, annex: Body, tenant: Tenant):
    tenant.ready_to_ask(ANNEX)
    staying, leaving = tenant.ask(platform=ANNEX).ready(), tenant.ask(platform=ANNEX).ready()
    tenant.policy(f"{tenant.name}-renamed", platform=RENAMED)

    site.remove(annex)
    other = site.apply(renamed(site))
    try:
        message = site.told(other, "Accepted", "False", "Conflict")

        assert f"this is the server of DataPlatform {ANNEX}" in message
        assert staying.rows("SELECT count(*) FROM people") == [(2,)]
        leaving.delete()
        leaving.gone()
        eventually(lambda: site.annex.roles() == {staying.role})
        waiting = tenant.ask(platform=RENAMED)
        waiting.refused("PlatformClosed", granted="Unknown")
        staying.delete()
        staying.gone()
        eventually(lambda: site.cluster.read(annex).status == 404)
        site.told(other, "Ready", "True")
        role = waiting.ready().role
        eventually(lambda: site.annex.roles() == {role})
        waiting.delete()
        waiting.gone()
    finally:
        site.remove(other)
        eventually(lambda: site.cluster.read(other).status == 404)
    eventually(lambda: site.annex.roles() == set())


def test_a_server_identifier_that_was_taken_away_by_hand_is_noted_again_and_no_role_is_touched(site: Site, annex: Body, tenant: Tenant):
    tenant.ready_to_ask(ANNEX)
    staying, leaving = tenant.ask(platform=ANNEX).ready(), tenant.ask(platform=ANNEX).ready()
    known = site.cluster.read(annex).body["status"]["serverIdentifier"]

    assert site.cluster.patch(annex, {"status": {"serverIdentifier": None}}, subresource="status").ok

    eventually(lambda: site.cluster.read(annex).body["status"].get("serverIdentifier") == known)
    site.wait_for_platform(ANNEX)
    leaving.delete()
    leaving.gone()
    assert staying.rows("SELECT count(*) FROM people") == [(2,)]
    eventually(lambda: site.annex.roles() == {staying.role})


def test_a_finalizer_that_is_taken_off_a_platform_is_put_on_again(site: Site, annex: Body, tenant: Tenant):
    tenant.ready_to_ask(ANNEX)
    live = tenant.ask(platform=ANNEX).ready()

    assert site.cluster.patch(annex, {"metadata": {"finalizers": None}}).ok

    eventually(lambda: "rolevend.dev/drop" in site.cluster.read(annex).body["metadata"].get("finalizers", []))
    assert live.is_ready()


def test_roles_of_a_platform_whose_finalizer_was_taken_off_end_when_it_is_made_again(site: Site, annex: Body, tenant: Tenant):
    """Breaking the glass: until then nobody can reach the server, and each object says how that is mended."""
    tenant.ready_to_ask(ANNEX)
    leaving, expiring = tenant.ask(platform=ANNEX).ready(), tenant.ask(platform=ANNEX, seconds=30).ready()
    login = expiring.login()

    site.remove(annex)
    assert site.cluster.patch(annex, {"metadata": {"finalizers": None}}).ok

    # One that is asked before the operator has heard of it is granted still.
    eventually(lambda: "no DataPlatform is named" in tenant.ask(platform=ANNEX).refused("PlatformUnknown", granted="Unknown", within=20))
    leaving.delete()
    for asked in (leaving, expiring):
        assert f"there is no DataPlatform {ANNEX}" in asked.refused("Dropping")
    assert site.annex.refuses(login)
    assert {leaving.role, expiring.role} <= site.annex.roles()
    site.apply(data_platform(ANNEX, site.annex))
    leaving.gone()
    expiring.gone()
    eventually(lambda: not {leaving.role, expiring.role} & site.annex.roles())
