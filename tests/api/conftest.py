"""An installation like that of the operator's tests, on a control plane of its own, with replicas of the API and agents that call them."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from testbed.binaries import Binaries
from testbed.controlplane import ControlPlane
from tests.support.browsing import Windows, started_browser
from tests.support.calling import Caller, Doors
from tests.support.confirming import Installed
from tests.support.console import ConsoleSite
from tests.support.forking import fork_server
from tests.support.proving import Proven
from tests.support.recorded import Trail, ledger_on, recording
from tests.support.site import Site
from tests.support.tenancy import Tenant


@pytest.fixture(scope="package")
def site(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with (
        ControlPlane(binaries=binaries) as control_plane,
        Site(control_plane, tmp_path_factory.mktemp("site"), fork_server().start) as site,
    ):
        yield site


@pytest.fixture(scope="package")
def doors(site: Site) -> Iterator[Doors]:
    with Doors(site) as doors:
        yield doors


@pytest.fixture(scope="package")
def installed(site: Site, doors: Doors, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """An agent, and people with browsers who confirm what it asks for."""
    tenant = Tenant(site)
    with Installed(tenant, doors, tmp_path_factory.mktemp("page")).running() as running:
        yield running
    tenant.leave()


@pytest.fixture(scope="package")
def console(site: Site, doors: Doors, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleSite]:
    """Two replicas of the console, and people who log in there."""
    with ConsoleSite(site, tmp_path_factory.mktemp("console"), doors.first.url).running() as console:
        yield console


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started_browser() as browser:
        yield browser


@pytest.fixture
def windows(console: ConsoleSite, browser: Browser) -> Iterator[Windows]:
    """Whatever a test does: no page asks another host, fails in its script, opens a dialog, or needs its policy to stop something."""
    windows = Windows(console, browser)
    yield windows
    windows.close()
    assert windows.wrongs == []


@pytest.fixture
def tenant(site: Site) -> Iterator[Tenant]:
    tenant = Tenant(site)
    yield tenant
    tenant.leave()


@pytest.fixture
def proven(tenant: Tenant) -> Proven:
    return Proven(tenant)


@pytest.fixture(scope="module")
def on_record(site: Site) -> Iterator[None]:
    """The warehouse is the ledger for the tests of one file."""
    with ledger_on(site):
        yield


@pytest.fixture
def recorder(on_record: None, proven: Proven, doors: Doors) -> Caller:
    """An agent whose roles the warehouse records, at both replicas."""
    doors.site.ensure_operator()
    first = recording(Caller(proven.ready_to_ask(), doors.first))
    recording(Caller(proven, doors.second))
    return first


@pytest.fixture
def trail(doors: Doors) -> Trail:
    return Trail(doors)
