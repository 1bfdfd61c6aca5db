"""rolevend-mcp and the official MCP client in TypeScript: over both transports, in the newest protocol and in the one before."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from testbed import node
from tests.client.identity import Believing
from tests.client.serving_mcp import local, served
from tests.client.test_mcp_over_http import WHO
from tests.client.test_mcp_over_stdio import token_of
from tests.client.warehouse import Warehouse
from tests.client_typescript.running import Vitest
from tests.support.waiting import DEADLINE

ERAS = {"legacy": "legacy", "auto": "modern"}


def answers(server: dict[str, Any], mode: str) -> dict[str, Any]:
    said = json.dumps({"server": server, "mode": mode, "statement": WHO})
    command = [str(node.node()), "test/programs/mcp.mjs"]
    environment = node.environment() | {"ROLEVEND_TEST_MCP": said}
    done = subprocess.run(command, cwd=node.PACKAGE, env=environment, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def expect(found: dict[str, Any], mode: str) -> None:
    assert found["era"] == ERAS[mode]
    assert {"query", "list_tables", "explain", "request_access", "release"} <= set(found["tools"])
    assert found["tables"] == ["people"]
    assert ",EU," in found["rows"]["text"]
    assert not found["rows"]["isError"]
    assert found["wrong"] == {"text": "statement: is missing, and must be a text.", "isError": True}
    assert found["released"] == {"text": "The role is released.", "isError": False}


@pytest.mark.long
def test_it_queries_over_http(vitest: Vitest, warehouse: Warehouse, tmp_path: Path):
    with served(tmp_path) as server:
        warehouse.believes = Believing(server.issuer)
        server.start(warehouse.api.url)
        for mode in ERAS:
            expect(answers({"url": server.url, "token": server.token("anna")}, mode), mode)
    warehouse.believes = str


@pytest.mark.long
@pytest.mark.parametrize("mode", ERAS)
def test_it_queries_over_stdio(vitest: Vitest, warehouse: Warehouse, tmp_path: Path, mode: str):
    token = tmp_path / "persons-token"
    token.write_text(token_of("anna"))
    warehouse.believes = lambda _: "anna"
    server = local(warehouse.api.url, tmp_path, token)
    expect(answers({"command": server.command, "args": server.args, "env": server.env}, mode), mode)
    warehouse.believes = str
