"""One installation with a running operator for all these tests. A test works under names of its own, and starts what it stops."""

from collections.abc import Iterator

import pytest

from testbed.binaries import Binaries
from testbed.controlplane import ControlPlane
from tests.support.site import Site
from tests.support.tenancy import Tenant


@pytest.fixture(scope="package")
def control_plane(binaries: Binaries) -> Iterator[ControlPlane]:
    """It is shared: a test works in namespaces of its own, and starts again what it stops."""
    with ControlPlane(binaries=binaries) as running:
        yield running


@pytest.fixture(scope="package")
def site(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(control_plane, tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture
def tenant(site: Site) -> Iterator[Tenant]:
    tenant = Tenant(site)
    yield tenant
    tenant.leave()
