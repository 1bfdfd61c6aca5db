"""An API server that answers 429 or 500, or has forgotten what was watched: all that was asked is done after it, nothing is left."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.site import SETTINGS, Site
from tests.support.tenancy import Tenant
from tests.support.tiers import by_tier
from tests.support.troubled import Troubled
from tests.support.waiting import DEADLINE, eventually

pytestmark = pytest.mark.long


@pytest.fixture
def gateway(site: Site, tmp_path: Path) -> Iterator[Troubled]:
    """The operator's only way to the API server; the test's own way is another one."""
    site.operator.stop()
    with Troubled(site.control_plane.server, tmp_path) as gateway:
        site.operator = gateway.operator(site.control_plane, tmp_path, SETTINGS)
        try:
            site.operator.wait_until_ready()
            yield gateway
        finally:
            site.operator.kill()


@pytest.mark.parametrize("status", by_tier([500], [429, 500]))
def test_what_was_asked_and_given_back_meanwhile_is_done_when_it_answers_again(gateway: Troubled, tenant: Tenant, status: int):
    tenant.ready_to_ask()
    staying, leaving = tenant.ask().ready(), tenant.ask().ready()
    expiring, login = tenant.ask_briefly(lambda asked: asked.ready().login(), seconds=6)

    gateway.begin(status)
    waiting = tenant.ask()
    leaving.delete()
    eventually(lambda: gateway.refused >= 20)
    eventually(lambda: tenant.site.warehouse.refuses(login), within=expiring.seconds_left + DEADLINE)
    assert tenant.site.operator.process.running
    gateway.end()

    assert waiting.ready().rows("SELECT count(*) FROM people") == [(2,)]
    leaving.gone()
    expiring.expired()
    assert staying.is_ready()
    assert tenant.roles() == {staying.role, waiting.role}
    eventually(tenant.site.is_healthy)


@pytest.mark.full
@pytest.mark.parametrize("status", by_tier([500], [429, 500]))
def test_trouble_that_outlasts_a_leadership_and_every_patience_loses_nothing_either(
    gateway: Troubled, tenant: Tenant, tmp_path: Path, status: int
):
    """A leader that cannot renew its Lease ends, and is started again as the kubelet does. Minutes of it are measured by `bench.soak`."""
    site = tenant.site
    short = {**SETTINGS, "LEADERSHIP_SECONDS": "15", "DEAF_AFTER_SECONDS": "1", "REQUEST_SECONDS": "1"}

    def start() -> None:
        site.operator.kill()
        site.operator = gateway.operator(site.control_plane, tmp_path, short)

    start()
    tenant.ready_to_ask()
    staying, leaving = tenant.ask().ready(), tenant.ask().ready()
    expiring, login = tenant.ask_briefly(lambda asked: asked.ready().login(), seconds=6)

    gateway.begin(status)
    waiting = tenant.ask()
    leaving.delete()
    for _ in range(2):
        eventually(lambda: not site.operator.process.running)
        start()
        gateway.end()
        site.operator.wait_until_ready()
        gateway.begin(status)
    eventually(lambda: not site.operator.process.running)
    start()
    refused = gateway.refused
    eventually(lambda: gateway.refused >= refused + 10)
    assert site.operator.process.running, "it waits for its first answer"
    eventually(lambda: site.warehouse.refuses(login), within=expiring.seconds_left + DEADLINE)
    gateway.end()

    assert waiting.ready().rows("SELECT count(*) FROM people") == [(2,)]
    leaving.gone()
    expiring.expired()
    assert staying.is_ready()
    assert tenant.roles() == {staying.role, waiting.role}
    eventually(site.is_healthy)


def test_a_history_that_was_compacted_is_listed_anew(gateway: Troubled, tenant: Tenant):
    tenant.ready_to_ask()
    staying = tenant.ask().ready()

    gateway.begin(compacted=True)
    eventually(lambda: gateway.refused >= 20)
    gateway.end()

    asked = tenant.ask().ready()
    asked.delete()
    asked.gone()
    assert staying.is_ready()
    assert not asked.has_role()


def test_one_that_has_just_started_and_refuses_everybody_is_waited_for(gateway: Troubled, tenant: Tenant, tmp_path: Path):
    """It answers 403 until it has read its roles and bindings; the kubelet would start an operator that ends ever later."""
    site = tenant.site
    site.operator.kill()
    gateway.begin(403)
    site.operator = gateway.operator(site.control_plane, tmp_path, SETTINGS)
    refused = gateway.refused
    eventually(lambda: gateway.refused >= refused + 3)
    assert site.operator.process.running

    gateway.end()

    site.operator.wait_until_ready()
    tenant.ready_to_ask().ask().ready()


def test_a_running_one_goes_on_after_an_api_server_that_started_again_and_refuses_everybody(gateway: Troubled, tenant: Tenant):
    tenant.ready_to_ask()
    leaving = tenant.ask().ready()

    gateway.begin(403)
    leaving.delete()
    waiting = tenant.ask()
    refused = gateway.refused
    eventually(lambda: gateway.refused >= refused + 20)
    assert tenant.site.operator.process.running
    gateway.end()

    waiting.ready()
    leaving.gone()
