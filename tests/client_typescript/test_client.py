"""The TypeScript client, by its own tests: alone, and on a real PostgreSQL under TLS behind the contract of the API."""

from tests.client.warehouse import Warehouse
from tests.client_typescript.running import Vitest, site_of


def test_it_calls_and_reads_the_api_and_its_types_are_those_of_the_document(vitest: Vitest):
    vitest.run("test/unit", options=["--typecheck"])


def test_a_role_reads_the_persons_rows_and_is_released(vitest: Vitest, warehouse: Warehouse):
    vitest.run("test/live", site=site_of(warehouse))
