"""The TypeScript client, by its own tests: alone, and on a real PostgreSQL under TLS behind the contract of the API."""

from tests.client.warehouse import Warehouse
from tests.client_typescript.running import Vitest


def test_a_role_reads_the_persons_rows_and_is_released(vitest: Vitest, warehouse: Warehouse):
    site = {"url": warehouse.api.url, "agentToken": "agents-own", "platform": "warehouse", "anna": ["anna"] * 20, "bob": ["bob"] * 20}
    vitest.run("test/live", site=site)
