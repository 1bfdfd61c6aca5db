"""The record of a role that was vended over HTTP: what the API writes down, and its end by the operator, are one receipt."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rolevend.audit.event_files import verify as verify_chain
from rolevend.audit.receipt_files import VerifiedReceipts, new_private_key, public_key_set, read_signing_key, verify
from rolevend.identity.key_set import parse
from tests.support.calling import Caller, Doors
from tests.support.proving import Proven
from tests.support.site import Body
from tests.support.waiting import eventually


@dataclass
class Trails:
    """Of one replica of the API and of the operator, each with its own file, both with one key."""

    caller: Caller
    of_api: Path
    of_operator: Path
    key: Path

    def events(self, kind: str) -> list[Body]:
        lines = self.of_api.read_text().splitlines() if self.of_api.exists() else []
        return [event["data"] for event in map(json.loads, lines) if event["type"] == f"dev.rolevend.{kind}"]

    def verified(self, role: str) -> VerifiedReceipts:
        """When the operator has recorded the end of this role."""
        eventually(lambda: self.of_operator.exists() and any(_ends(line, role) for line in self.of_operator.read_text().splitlines()))
        for file in (self.of_api, self.of_operator):
            assert verify_chain([str(file)]).problems == []
        keys = parse(public_key_set([read_signing_key(self.key)]).encode())
        return verify([str(self.of_api), str(self.of_operator)], keys)


def _ends(line: str, role: str) -> bool:
    return '"type":"dev.rolevend.dropped"' in line and role in line and line.endswith("}")


@pytest.fixture
def trails(doors: Doors, proven: Proven, tmp_path: Path) -> Iterator[Trails]:
    """The operator, started again; afterwards as it was."""
    site, key = proven.site, tmp_path / "receipt.key"
    key.write_text(new_private_key())
    files = [tmp_path / f"{name}.ndjson" for name in ("api", "operator")]
    of_api, of_operator = ({"AUDIT_FILE": str(file), "RECEIPT_KEY_FILE": str(key)} for file in files)
    site.operator.stop()
    site.start_operator(of_operator)
    door = doors.open(of_api)
    door.wait_until_ready()
    yield Trails(Caller(proven.ready_to_ask(), door), *files, key)
    door.kill()
    site.operator.stop()
    site.start_operator()


def test_a_role_that_the_api_makes_and_the_operator_drops_has_one_receipt(trails: Trails):
    task = {"id": "chat-4711", "intentDigest": f"sha256:{'0a' * 32}"}
    role = trails.caller.vended(task=task)

    assert trails.caller.release(role).status_code == 204

    found = trails.verified(role["roleName"])
    assert found.problems == []
    (whole,) = [each for each in found.receipts if each.end is not None and each.end.said["role"] == role["roleName"]]
    assert whole.beginning is not None
    assert whole.beginning.said.items() >= {"userProof": "Token", "taskId": "chat-4711", "intentDigest": f"sha256:{'0a' * 32}"}.items()
    assert whole.beginning.said["tokenDigest"] == trails.events("granted")[-1]["tokenDigest"]
    assert whole.beginning.said["requestId"] == whole.end.said["requestId"] if whole.end else None
    (asked,) = trails.events("releaserequested")
    assert asked["role"] == role["roleName"]
    assert asked["requestId"] != whole.beginning.said["requestId"]


@pytest.mark.long
def test_a_call_that_is_made_twice_with_one_key_has_one_receipt(trails: Trails):
    question = eventually(lambda: trails.caller.question() if trails.caller.vended() else None)
    made = [trails.caller.call("POST", "/v1/vended-roles", question, **{"Idempotency-Key": "once"}) for _ in range(2)]
    assert [each.status_code for each in made] == [201, 201]
    first, again = (each.json() for each in made)
    assert first["roleName"] == again["roleName"]

    assert trails.caller.release(again).status_code == 204

    found = trails.verified(again["roleName"])
    assert found.problems == []
    receipts = [each for each in found.receipts if each.beginning and each.beginning.said["role"] == again["roleName"]]
    assert [each.end is not None for each in receipts] == [True]


@pytest.mark.long
def test_a_token_that_is_refused_is_on_record_by_its_digest_and_code(trails: Trails):
    trails.caller.vended()

    answer = trails.caller.vend(token="no.token.atall")

    assert answer.status_code == 401
    told = trails.events("refused")[-1]
    assert told.items() >= {"bearer": "Agent", "reason": answer.json()["code"], "requestId": answer.headers["x-request-id"]}.items()
    assert len(told["tokenDigest"]) == 64
    assert "no.token" not in json.dumps(told)
