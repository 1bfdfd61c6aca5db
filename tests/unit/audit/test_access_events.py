"""The events of an AccessRequest: who asked for which offer, who decided, by which votes; the same event when a judgement is repeated."""

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

from rolevend.access_requests.counted import CountedVote, counted_votes
from rolevend.access_requests.judgement import judge
from rolevend.access_requests.request import Approver, Recorded
from rolevend.access_requests.states import RequestReason, RequestState
from rolevend.audit.access_events import StatedAccess, access_decided, access_requested, withdrawn_by_deletion
from rolevend.audit.events import AccessDecidedEvent
from rolevend.catalog import TableId
from rolevend.decision.outcome import Request
from rolevend.model import Task, Uid
from rolevend.policy.mask import Partial
from rolevend.policy.statement import ColumnSelector, MaskRule
from tests.support.asking import ANNA, DIGEST, NOW, OFFERED, PEOPLE, REQUEST, WAITING, after, here, no, rule, terms, vote

ASKED = replace(REQUEST, is_justified=True, ticket="FR-12", task=Task("chat-4711", f"sha256:{'a' * 64}"))
ROLE = Request(
    name=ASKED.name,
    uid=ASKED.uid,
    agent=ASKED.agent,
    user=ANNA,
    platform=ASKED.platform,
    created_at=NOW,
    expiration_seconds=900,
    requested_by="system:serviceaccount:agents:finbot",
)
STATED = StatedAccess(ASKED, ROLE, "the customer asked")
HIDDEN = MaskRule("last", ColumnSelector(names=("ssn",)), Partial(4))


def decided(life: Recorded = WAITING, **changes: Any) -> AccessDecidedEvent:
    now = here(now=after(20), **changes)
    judgement = judge(ASKED, life, now)
    return access_decided(STATED, judgement.recorded(life, now.now), counted_votes(ASKED, life, now, judgement), now.now)


def test_a_request_is_told_with_its_offer_its_user_and_a_digest_of_its_reason():
    event = access_requested(STATED, OFFERED, NOW)

    assert (event.type, event.id, event.subject) == ("dev.rolevend.access-requested", "request-1/access/requested", "agents/ar-1")
    assert event.data == {
        "accessRequest": "agents/ar-1",
        "accessRequestUid": "request-1",
        "requestedBy": "system:serviceaccount:agents:finbot",
        "requestedAt": "2026-11-30T12:00:00.000Z",
        "platform": "warehouse",
        "agent": "agents/finbot",
        "userIssuer": "https://idp.example.org",
        "userSubject": "anna",
        "userProof": "Asserted",
        "offer": "domain-claims/fraud-ssn-clear",
        "offerUid": "offer-1",
        "offerGeneration": 3,
        "offerDigest": DIGEST,
        "purpose": "fraud-review",
        "taskId": "chat-4711",
        "intentDigest": f"sha256:{'a' * 64}",
        "expirationSeconds": 900,
        "ticket": "FR-12",
        "justificationDigest": sha256(b"the customer asked").hexdigest(),
    }


def test_a_request_for_no_offer_is_told_without_a_version_of_it():
    told = access_requested(replace(STATED, justification=None), None, NOW).data

    assert told["offer"] == "domain-claims/fraud-ssn-clear"
    assert not {"offerUid", "offerDigest", "justificationDigest"} & told.keys()


def test_an_approval_tells_who_approved_what_and_which_votes_counted():
    told = decided(votes=(vote(expiration_seconds=60, tables=frozenset({PEOPLE}), masks=(HIDDEN,)), vote("eve", may=False))).data

    assert (told["state"], told["reason"]) == ("Approved", "ApprovedByPeople")
    assert told["approvers"] == [
        {
            "by": "alice",
            "decision": "alice-yes-10",
            "decisionUid": "uid-alice-yes-10",
            "at": "2026-11-30T12:00:10.000Z",
            "expirationSeconds": 60,
            "tables": ["claims.people"],
            "masks": ["last: Partial(4)"],
        }
    ]
    assert (told["approvedSeconds"], told["claimUntil"]) == (60, "2026-11-30T13:00:20.000Z")
    assert [(each["by"], each["verdict"], each["counted"]) for each in told["votes"]] == [
        ("alice", "Approve", True),
        ("eve", "Approve", False),
    ]
    assert "may not approve" in told["votes"][1]["message"]


def test_a_rule_and_a_denial_are_told_by_name():
    by_rule = decided(Recorded(), terms=terms(automatic=(rule(),))).data
    denied = decided(votes=(vote(), no())).data

    assert (by_rule["state"], by_rule["rule"]) == ("Approved", "small")
    assert "approvers" not in by_rule
    assert (denied["state"], denied["message"]) == ("Denied", "denied by bob")
    assert [each["counted"] for each in denied["votes"]] == [False, True]
    assert "approvers" not in denied


def test_a_judgement_that_is_repeated_is_the_same_event_and_one_by_others_is_another():
    alice, bob = (decided(votes=(vote(by),)) for by in ("alice", "bob"))
    later = access_decided(STATED, replace(WAITING, state=RequestState.EXPIRED, reason=RequestReason.NOT_DECIDED), (), after(99))

    assert alice.id == decided(votes=(vote("alice"), vote("eve", may=False))).id != bob.id
    assert alice.id.startswith("request-1/access/Approved/")
    assert later.id.startswith("request-1/access/Expired/")


def test_the_deletion_of_an_open_request_is_its_end():
    ends = [withdrawn_by_deletion(life) for life in (WAITING, judge(ASKED, WAITING, here(votes=(vote(),))).recorded(WAITING, NOW))]

    assert [each.state for each in ends] == [RequestState.CANCELLED, RequestState.REVOKED]
    assert ends[0].reason is RequestReason.WITHDRAWN


def test_the_longest_approvals_votes_and_columns_fit_into_one_line():
    tables = frozenset(TableId("s" * 63, f"{number:063}") for number in range(64))
    masks = tuple(replace(HIDDEN, name=f"{number:063}") for number in range(16))
    people = tuple(Approver("é" * 500, "d" * 253, Uid("u" * 36), NOW, 60, tables, masks) for _ in range(8))
    life = judge(ASKED, WAITING, here(votes=(vote(),))).recorded(WAITING, NOW)
    assert life.approval is not None
    life = replace(life, approval=replace(life.approval, approvers=people), message="é" * 1024)
    votes = [CountedVote(vote("é" * 500, at=number).vote, counted=False, message="m" * 1000) for number in range(500)]
    asked = replace(ASKED, tables=tables, columns=frozenset(f"{number:063}" for number in range(256)), ticket="é" * 128)

    event = access_decided(STATED, life, votes, NOW)
    request = access_requested(replace(STATED, asked=asked), OFFERED, NOW)

    told = event.data
    assert len(json.dumps(told)) < 65_536
    assert told["approvers"]
    assert len(told["votes"]) + told["votesLeftOut"] == 500
    assert len(told["approvers"][0]["tables"]) + told["approvers"][0]["tablesLeftOut"] == 64
    assert len(json.dumps(request.data)) < 65_536
    assert request.data.get("columnsLeftOut", 0) + len(request.data["columns"]) == 256
