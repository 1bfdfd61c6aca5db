"""The TypeScript client beside the same warehouse as the Python client, and its own test runner."""

import shutil
from collections.abc import Iterator

import pytest

from testbed import node
from tests.client.warehouse import Warehouse, open_warehouse
from tests.client_typescript.running import Vitest


@pytest.fixture(scope="package")
def vitest() -> Vitest:
    node.install_modules()
    return Vitest()


@pytest.fixture(scope="package")
def built(vitest: Vitest) -> None:
    """The package as agents get it, which the programs of the tests import."""
    shutil.rmtree(node.PACKAGE / "dist", ignore_errors=True)
    node.npm("run", "build")


@pytest.fixture(scope="package")
def whole_warehouse() -> Iterator[Warehouse]:
    with open_warehouse() as made:
        yield made


@pytest.fixture
def warehouse(whole_warehouse: Warehouse) -> Iterator[Warehouse]:
    """No role is left after a test."""
    whole_warehouse.api.asked.clear()
    whole_warehouse.api.made.clear()
    yield whole_warehouse
    assert {lease.role for lease in whole_warehouse.leases.values() if whole_warehouse.exists(lease.role)} == set()
    assert whole_warehouse.api.live == set()
