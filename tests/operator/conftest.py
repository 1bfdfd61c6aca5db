"""One installation with a running operator for all these tests. A test works under names of its own, and starts what it stops."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.binaries import Binaries
from testbed.controlplane import ControlPlane
from tests.support.audited import AuditTrail
from tests.support.forking import fork_server
from tests.support.site import Site
from tests.support.tenancy import Tenant


@pytest.fixture(scope="package")
def control_plane(binaries: Binaries) -> Iterator[ControlPlane]:
    """It is shared: a test works in namespaces of its own, and starts again what it stops."""
    with ControlPlane(binaries=binaries) as running:
        yield running


@pytest.fixture(scope="package")
def site(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(control_plane, tmp_path_factory.mktemp("site"), fork_server().start) as site:
        yield site


WITH_THEIR_OWN = {"trail", "shared_trail", "gateway", "world", "pair", "clocked", "few", "notified"}
"""Fixtures that start an operator of their own, and leave none running."""


@pytest.fixture(autouse=True)
def _an_operator_runs(request: pytest.FixtureRequest) -> None:
    """Before each test that uses the installation. A start costs seconds: not for tests that would end it first."""
    if "site" in request.fixturenames and not WITH_THEIR_OWN & set(request.fixturenames):
        request.getfixturevalue("site").ensure_operator()


@pytest.fixture
def tenant(site: Site) -> Iterator[Tenant]:
    tenant = Tenant(site)
    yield tenant
    tenant.leave()


@pytest.fixture
def trail(site: Site, tmp_path: Path) -> Iterator[AuditTrail]:
    """An operator with an audit file of its own."""
    site.operator.stop()
    trail = AuditTrail(site, tmp_path)
    trail.start()
    yield trail
    site.operator.stop()


@pytest.fixture(scope="module")
def _kept_trail(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuditTrail]:
    yield AuditTrail(site, tmp_path_factory.mktemp("trail"))
    site.operator.stop()


@pytest.fixture
def shared_trail(_kept_trail: AuditTrail) -> AuditTrail:
    """One for the tests of a file that neither spoil it nor end its operator, which begins with the first of them."""
    return _kept_trail.running()
