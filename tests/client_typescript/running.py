"""Run the tests of clients/typescript, and its programs."""

import json
import subprocess
from collections.abc import Mapping
from typing import Any

from testbed import node
from tests.client.warehouse import Warehouse
from tests.support.waiting import DEADLINE


class Vitest:
    """Runs `vitest` in clients/typescript. A test that fails there fails here, with its report."""

    def run(self, *files: str, site: Mapping[str, Any] | None = None) -> None:
        environment = node.environment() | {"NO_COLOR": "1"} | ({} if site is None else {"ROLEVEND_TEST_SITE": json.dumps(site)})
        command = [*node.program("vitest"), "run", *files]
        answer = subprocess.run(command, cwd=node.PACKAGE, env=environment, capture_output=True, text=True, timeout=10 * DEADLINE)
        assert answer.returncode == 0, answer.stdout + answer.stderr


def site_of(warehouse: Warehouse) -> dict[str, Any]:
    """Return test/site.ts' `Site`. A token there is the name of its person."""
    names = {"anna": ["anna"] * 20, "bob": ["bob"] * 20, "eve": "eve", "expired": "expired"}
    return {"url": warehouse.api.url, "agentToken": "agents-own", "platform": "warehouse", **names}
