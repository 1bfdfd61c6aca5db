"""The client keeps to the OpenAPI document: in every request, and with every answer that the document allows."""

import json
import re
import subprocess
from typing import Any, cast

import pytest

from rolevend.api.routes import application
from testbed import node
from tests.client_typescript.contract import ContractServer

ANSWERS = {
    "vend": "201",
    "decide": "200",
    "get": "200",
    "list": "200",
    "listPlatforms": "200",
    "requestAccess": "201",
    "getAccessRequest": "200",
}
"""The operations that the client calls and whose answers it reads."""


@pytest.mark.thinned(2, "long")
@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("full", [True, False], ids=["every member", "the required members alone"])
def test_each_request_and_each_answer_is_one_of_the_document(full: bool):
    nothing = cast(Any, None)
    with ContractServer(application(nothing, nothing, nothing, nothing, nothing).openapi()) as contract:
        contract.answers = {
            name: (int(status), contract.sample(contract.schema(name, status), full=full)) for name, status in ANSWERS.items()
        }
        if not full:  # the document cannot say that a vend answers with a login
            schemas = contract.document["components"]["schemas"]
            login = contract.sample(schemas["Credential"], full=False)
            contract.answers["vend"][1]["platforms"] = [{"name": "warehouse", "credential": login}]
        answer = subprocess.run(
            [str(node.node()), "test/programs/calling.mjs"],
            cwd=node.PACKAGE,
            env=node.environment() | {"ROLEVEND_URL": contract.url},
            capture_output=True,
            text=True,
        )
        assert answer.returncode == 0, answer.stderr
        assert contract.problems == []
        assert contract.called == {*ANSWERS, "release", "withdrawAccessRequest"}
    said = json.loads(answer.stdout)
    assert [
        text for text in said.values() if isinstance(text, str) and re.match(r"\w*(Error|Unexpected|NotFound|InvalidInput)\b", text)
    ] == []
    assert said["release"] is True
    assert said["list"] == (2 if full else 0)
