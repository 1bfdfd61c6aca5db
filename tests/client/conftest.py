"""One warehouse for all tests of the client that need a database."""

from collections.abc import Iterator

import pytest

from tests.client.warehouse import Warehouse, open_warehouse
from tests.support.waiting import DEADLINE


@pytest.fixture
def patient_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library of MCP gives a server that it started time to end. After two seconds it would kill a slow one, whose role would stay."""
    for name in ("PROCESS_TERMINATION_TIMEOUT", "FORCE_KILL_TIMEOUT"):
        monkeypatch.setattr(f"mcp.client.stdio.{name}", DEADLINE)


@pytest.fixture(scope="package")
def whole_warehouse() -> Iterator[Warehouse]:
    with open_warehouse() as made:
        yield made


@pytest.fixture
def warehouse(whole_warehouse: Warehouse) -> Iterator[Warehouse]:
    """No role is left after a test: that is what all of them are about."""
    whole_warehouse.api.asked.clear()
    whole_warehouse.api.bodies.clear()
    whole_warehouse.api.made.clear()
    yield whole_warehouse
    left = {lease.role for lease in whole_warehouse.leases.values() if whole_warehouse.exists(lease.role)}
    assert not left
    assert whole_warehouse.api.live == set()
