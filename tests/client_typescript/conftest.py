"""The TypeScript client beside the same warehouse as the Python client, and its own test runner."""

import shutil
from collections.abc import Iterator

import pytest

from testbed import node
from tests.client.warehouse import Warehouse, no_role_left, open_warehouse
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
    with no_role_left(whole_warehouse):
        yield whole_warehouse
