"""One warehouse for all tests of the client that need a database."""

from collections.abc import Iterator

import pytest

from tests.client.warehouse import Warehouse, no_role_left, open_warehouse
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
    with no_role_left(whole_warehouse):
        yield whole_warehouse
