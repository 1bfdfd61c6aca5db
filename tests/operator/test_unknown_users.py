"""Users that a trusted agent names, and that nobody else knows: it may be anybody, so what stays of them for ever is bounded."""

from collections.abc import Iterator

import pytest

from testbed.installation import NAMESPACE
from tests.support.installed import Body
from tests.support.site import Site
from tests.support.tenancy import Tenant

MOST = 2


@pytest.fixture
def few(site: Site) -> Iterator[None]:
    """An operator that lets an agent have few of them."""
    site.operator.stop()
    site.start_operator({"UNKNOWN_USERS_PER_AGENT": str(MOST)})
    yield
    site.operator.stop()


def records(tenant: Tenant) -> list[Body]:
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps?labelSelector=rolevend.dev%2Fnamed-by%3D{tenant.handle}"
    return list(tenant.site.cluster.call("GET", path).body["items"])


@pytest.mark.long
@pytest.mark.usefixtures("few")
def test_users_that_an_agent_makes_up_leave_a_bounded_number_of_records_and_known_ones_go_on(tenant: Tenant):
    site = tenant.site
    tenant.agent()
    site.told(tenant.grant_to_agent(), "Ready", "True")
    for number in range(MOST):
        tenant.ask(f"made-up-{number}").ready()
    refused = [tenant.ask(f"made-up-{number}") for number in range(MOST, MOST + 3)]

    messages = [each.refused("TooManyUnknownUsers") for each in refused]

    assert all("write UserAttributes for this user, prove the user by a token, or raise unknownUsersPerAgent" in each for each in messages)
    assert len(records(tenant)) == MOST
    assert tenant.ask("made-up-0").ready().has_role(), "who has a record goes on"
    tenant.person("anna")
    assert tenant.ask("anna").ready().has_role()
    tenant.person(f"made-up-{MOST}")
    refused[0].ready()
    assert len(records(tenant)) == MOST
