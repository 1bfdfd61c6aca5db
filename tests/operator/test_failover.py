"""The server dies under the operator, and a standby takes its place: what lived lives on, what waited is done, nothing is left."""

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest

from rolevend.policytools.embedded.database import PostgresServer
from tests.support.governed import DATABASE, Governed
from tests.support.installed import Body
from tests.support.proxy import Proxy
from tests.support.site import Site
from tests.support.standby import has_caught_up
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually

pytestmark = pytest.mark.long

PLATFORM = "moving"
PEOPLE = "SELECT count(*) FROM people"


@dataclass
class Moving:
    """A platform with a standby, and a name that leads to one of them."""

    primary: Governed
    standby: PostgresServer
    name: Proxy
    body: Body

    def has_caught_up(self) -> bool:
        return has_caught_up(self.standby, self.primary.server)

    def left(self) -> list[str]:
        """Vended roles on the standby; those of an attestation come and go."""
        vended = "SELECT rolname::text FROM pg_roles WHERE rolname ~ '^IMMUTA_VENDED_' AND rolname !~ '^IMMUTA_VENDED_CANARY_'"
        with psycopg.connect(self.standby.superuser.to_database(DATABASE).dsn) as connection:
            return [name for (name,) in connection.execute(vended)]


@pytest.fixture
def moving(site: Site) -> Iterator[Moving]:
    with Governed() as primary, Proxy(primary.superuser) as name:
        site.add_platform(PLATFORM, primary, name.port)
        site.wait_for_platform(PLATFORM)
        body = {"kind": "DataPlatform", "metadata": {"name": PLATFORM}}
        with PostgresServer.standby_of(primary.server) as standby:
            yield Moving(primary, standby, name, body)
            site.remove(body)
            eventually(lambda: site.cluster.read(body).status == 404)


def test_what_lives_lives_on_and_what_waits_for_the_promotion_is_done_then(site: Site, moving: Moving, tenant: Tenant):
    tenant.ready_to_ask(PLATFORM)
    staying, leaving = tenant.ask(platform=PLATFORM).ready(), tenant.ask(platform=PLATFORM).ready()
    expiring, passing = tenant.ask_briefly(lambda asked: asked.ready().login(), seconds=10, platform=PLATFORM)
    eventually(moving.has_caught_up)

    moving.primary.server.kill()
    moving.name.lead_to(moving.standby.superuser)

    assert "a standby answers" in site.wait_for_platform(PLATFORM, "False", "ReadOnlyServer")
    waiting = tenant.ask(platform=PLATFORM)
    leaving.delete()
    waiting.refused("ReadOnlyServer")
    eventually(lambda: "ReadOnlyServer" in leaving.refused("Dropping"))
    assert staying.rows(PEOPLE) == [(2,)], "a standby answers who may only read"
    eventually(lambda: moving.primary.refuses(passing))
    assert staying.is_ready()

    moving.standby.promote()

    site.wait_for_platform(PLATFORM)
    leaving.gone()
    expiring.gone()
    assert waiting.ready().rows(PEOPLE) == [(2,)]
    assert set(moving.left()) == {staying.role, waiting.role}
    for asked in (staying, waiting):
        with moving.primary.session(asked.login()) as session:
            asked.delete()
            asked.gone()
            with pytest.raises(psycopg.OperationalError):
                session.execute("SELECT 1")
    assert not moving.left()


def test_the_address_of_the_promoted_standby_is_one_of_the_same_platform(site: Site, moving: Moving, tenant: Tenant):
    tenant.ready_to_ask(PLATFORM)
    before = tenant.ask(platform=PLATFORM).ready()
    eventually(moving.has_caught_up)
    moving.primary.server.kill()
    site.wait_for_platform(PLATFORM, "False", "PlatformUnavailable")
    moving.standby.promote()

    site.patch(moving.body, {"postgres": {"port": moving.standby.superuser.port}})

    site.wait_for_platform(PLATFORM)
    after = tenant.ask(platform=PLATFORM).ready()
    assert after.login()["port"] == str(moving.standby.superuser.port)
    assert after.rows(PEOPLE) == [(2,)]
    assert set(moving.left()) == {before.role, after.role}
    for asked in (before, after):
        asked.delete()
        asked.gone()
    assert not moving.left()
