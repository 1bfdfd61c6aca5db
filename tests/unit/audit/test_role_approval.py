"""A role that uses an approval says so in its events and in its receipt, and `rolevend who` names who approved."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rolevend.access_requests.counted import counted_votes
from rolevend.app.who import Sources, describe
from rolevend.audit.access_events import StatedAccess, access_decided, access_requested
from rolevend.audit.chain import Chain
from rolevend.audit.events import AuditEvent, GrantedEvent
from rolevend.audit.evidence import access_summary
from rolevend.audit.receipt import payload_of
from rolevend.audit.role_events import denied, dropped, granted
from rolevend.cli import cli
from rolevend.decision.approval import ActiveApproval, Approval, ApprovalRef, UnusableApproval
from rolevend.decision.outcome import Granted, Request
from rolevend.model import ObjectName, Uid
from rolevend.policy.offer import Activation
from rolevend.roles.audit_recorder import AuditMemory, AuditRecorder
from tests.support.asking import OFFERED, WAITING, here, judged, vote
from tests.support.asking import REQUEST as ASKED
from tests.support.events import SOURCES, Free, Trail, a_snapshot, end, version
from tests.support.registered import NOW, REQUEST, WAREHOUSE

NAME, OFFER = ObjectName("agents", "ar-1"), ObjectName("domain-claims", "fraud-ssn-clear")
ACTIVE = ActiveApproval(
    name=NAME,
    uid=Uid("request-1"),
    asked=Activation(OFFER),
    granted=Activation(OFFER),
    digest=f"sha256:{'1' * 64}",
    ends_by=NOW + timedelta(days=1),
    approved_by=("alice@example.org", "bob@example.org"),
)
TOLD = {
    "request": "agents/ar-1",
    "requestUid": "request-1",
    "offer": "domain-claims/fraud-ssn-clear",
    "approvedBy": ["alice@example.org", "bob@example.org"],
}


def asked(approval: Approval | None = ACTIVE) -> Request:
    return replace(REQUEST, approval=approval)


def a_grant(approval: Approval = ACTIVE, **changes: Any) -> GrantedEvent:
    known = a_snapshot(**changes)
    decision = known.decide(REQUEST)
    assert isinstance(decision, Granted)
    return granted(asked(approval), decision, known, access_summary(decision.tables), NOW)


def test_a_grant_names_the_approval_and_the_version_of_its_offer():
    sources = replace(SOURCES, policies={**SOURCES.policies, OFFER: version("AccessPolicy", str(OFFER), 4)})

    told = a_grant(sources={WAREHOUSE: sources}).data

    assert told["approval"] == TOLD
    assert {"kind": "AccessPolicy", "name": str(OFFER), "uid": f"uid of {OFFER}", "generation": 4} in told["objects"]


def test_its_receipt_has_the_approval():
    event = a_grant()

    assert payload_of({**event.envelope("/here"), "data": event.data})["approval"] == TOLD


@pytest.mark.parametrize("approval", [ApprovalRef(NAME), UnusableApproval(NAME, "NotApproved", "not approved")])
def test_a_denial_names_the_request_alone_if_the_role_may_not_use_it(approval: Approval):
    told = denied(asked(approval), "NotApproved", "m", a_snapshot(), NOW).data

    assert told["approval"] == {"request": "agents/ar-1"}


def test_many_approvers_with_long_names_fit():
    told = a_grant(replace(ACTIVE, approved_by=tuple("é" * 500 for _ in range(8)))).data

    assert len(json.dumps(told["approval"]["approvedBy"])) < 4096


async def test_an_end_names_the_approval_by_which_this_process_granted_the_role():
    trail, known, memory = Trail(), a_snapshot(), AuditMemory()
    recorder, decision = AuditRecorder(trail, Free(), lambda: NOW), known.decide(REQUEST)
    assert isinstance(decision, Granted)
    await recorder.granted(asked(), decision, known, memory)

    await recorder.dropped(asked(ApprovalRef(NAME)), end(), memory)

    assert trail.events[-1].data["approval"] == TOLD
    assert dropped(asked(ApprovalRef(NAME)), end(), NOW).data["approval"] == {"request": "agents/ar-1"}
    assert "approval" not in dropped(REQUEST, end(), NOW).data


@pytest.mark.parametrize(
    ("by", "sentence"),
    [
        (("alice@example.org",), "approved by alice@example.org (fraud-ssn-clear)"),
        (("rule small",), "approved by rule small (fraud-ssn-clear)"),
    ],
)
async def test_who_names_the_approver_from_the_audit_file(tmp_path: Path, by: tuple[str, ...], sentence: str):
    event: AuditEvent = a_grant(replace(ACTIVE, approved_by=by))
    end_of_it = dropped(asked(ApprovalRef(NAME)), end(role=event.subject), NOW)
    chain, file = Chain("/here", "chain"), tmp_path / "audit.ndjson"
    file.write_bytes(b"".join(map(chain.append, (event, end_of_it))))

    found = await describe(event.subject, Sources("rolevend-system", audit_files=[str(file)]))

    assert found.text["approval"] == sentence
    assert found.notes == []


def test_trace_shows_the_chain_from_the_request_to_the_end_and_nothing_of_others(tmp_path: Path):
    event, waiting = a_grant(), judged(votes=(vote(), vote("eve", may=False)))
    life = waiting.recorded(WAITING, NOW)
    stated, other = StatedAccess(ASKED, REQUEST), StatedAccess(replace(ASKED, uid=Uid("request-2")), REQUEST)
    counted = counted_votes(ASKED, WAITING, here(votes=(vote(), vote("eve", may=False))), waiting)
    ended = dropped(asked(), end(role=event.subject), NOW)
    events = [access_requested(each, OFFERED, NOW) for each in (stated, other)]
    chain, file = Chain("/here", "chain"), tmp_path / "audit.ndjson"
    file.write_bytes(b"".join(map(chain.append, (*events, access_decided(stated, life, counted, NOW), event, ended, ended))))

    done = CliRunner().invoke(cli, ["trace", event.subject, "--audit", str(file)])

    assert done.exit_code == 0, done.output
    lines = [line.split("  ", 1)[1].strip() for line in done.output.splitlines()]
    assert [line.split()[0] for line in lines] == ["access-requested", "access-decided", "granted", "dropped"]
    assert "agents/finbot asks for domain-claims/fraud-ssn-clear, for anna (https://idp.example.org)" in lines[0]
    assert "approved by alice for 900 seconds; not counted: eve (eve may not approve this offer)" in lines[1]
    assert lines[2].endswith("approved by alice@example.org, bob@example.org (fraud-ssn-clear)")
