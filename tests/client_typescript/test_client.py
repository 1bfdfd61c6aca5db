"""The TypeScript client, by its own tests: alone, and on a real PostgreSQL under TLS behind the contract of the API."""

import pytest

from tests.client.warehouse import Warehouse
from tests.client_typescript.running import Vitest, site_of

pytestmark = pytest.mark.long


def test_it_calls_the_api_and_reads_its_answers(vitest: Vitest):
    """`make check` compiles test/unit/types.test-d.ts."""
    vitest.run("test/unit")


def test_a_role_reads_the_persons_rows_and_is_released(vitest: Vitest, warehouse: Warehouse):
    vitest.run("test/live", site=site_of(warehouse))
