"""What a receiver is told, and what it is not."""

import json

from rolevend.notifications.notice import Notice, notice
from rolevend.notifications.payload import payload
from rolevend.notifications.receivers import Format, Occasion
from tests.support.noticed import DIGEST, USER, judged

APPROVAL = {
    "decidedAt": "2026-11-24T12:05:00Z",
    "claimUntil": "2026-11-24T13:05:00Z",
    "expirationSeconds": 300,
    "approvers": [
        {"by": "alice@example.org", "decision": {"name": "yes", "uid": "vote"}, "at": "2026-11-24T12:04:00Z", "comment": "in this case"}
    ],
}


def pending(status: dict[str, object] | None = None, **spec: object) -> Notice:
    return notice(judged(status, **spec), Occasion.PENDING, "oncall", 3600)


def test_it_has_what_an_approver_needs():
    found = json.loads(payload(pending({"user": USER}), Format.STANDARD_WEBHOOKS, "/rolevend/clusters/c"))

    assert found == {
        "specversion": "1.0",
        "id": found["id"],
        "source": "/rolevend/clusters/c",
        "type": "dev.rolevend.access.pending",
        "subject": "agents/ask",
        "time": "2026-11-24T12:00:00Z",
        "timestamp": "2026-11-24T12:00:00Z",
        "datacontenttype": "application/json",
        "data": {
            "request": {"namespace": "agents", "name": "ask", "uid": "request-uid", "createdAt": "2026-11-24T11:59:59Z"},
            "state": "Pending",
            "reason": "PeopleDecide",
            "message": "people decide, 0 of 1 needed approvals",
            "agent": {"namespace": "agents", "name": "finbot"},
            "user": {"issuer": "https://idp.example.org", "subject": "anna", "proof": "Token", "provider": "workforce"},
            "platform": "warehouse",
            "offer": {"namespace": "domain-claims", "name": "ssn-clear", "display": "SSNs of open claims in clear", "digest": DIGEST},
            "tables": [{"schema": "claims", "table": "people"}],
            "columns": ["ssn", "full_name"],
            "expirationSeconds": 600,
            "purpose": "fraud-review",
            "ticket": "FR-12",
            "task": "chat-4711",
            "justification": {"text": "The caller disputes a claim.", "writtenBy": "Agent", "verified": False},
            "expiresAt": "2026-11-24T12:59:59Z",
            "commands": {
                "show": "rolevend requests ask --namespace agents",
                "approve": "rolevend approve ask --namespace agents",
                "deny": "rolevend deny ask --namespace agents",
            },
        },
    }


def test_it_has_no_attribute_of_the_user_and_nothing_of_the_token():
    text = payload(pending({"user": USER}), Format.STANDARD_WEBHOOKS, "").decode()

    assert '"country"' not in text
    assert "b" * 64 not in text
    assert "anna-token" not in text  # the Secret with the token


def test_the_words_of_an_agent_are_one_line_without_links_secrets_and_invisible_characters():
    hostile = "ok\u202etfel\n\u0000<!channel> https://evil.example/x password=hunter2 " + "x" * 600

    words = pending(justification={"text": hostile[:500].replace("\u0000", "").replace("\u202e", "")})
    text = words.data["justification"]["text"]

    assert text.isprintable()
    assert "<" not in text
    assert "evil.example" not in text
    assert "hunter2" not in text
    assert len(text) <= 500


def test_a_message_is_ascii_so_that_no_program_on_the_way_changes_it():
    assert payload(pending(columns=["größe"]), Format.STANDARD_WEBHOOKS, "").isascii()


def test_the_id_is_the_same_for_the_same_message_and_another_for_any_other():
    one, again = pending(), pending({"message": "people decide, 1 of 2 needed approvals"})
    request = judged()
    others = {notice(request, Occasion.DECIDED, "oncall", 3600).id, notice(request, Occasion.PENDING, "chat", 3600).id}

    assert one.id == again.id
    assert one.id not in others
    assert "." not in one.id


def test_a_decision_names_who_decided_and_no_command():
    approved = judged({"state": "Approved", "reason": "ApprovedByPeople", "stateSince": "2026-11-24T12:05:00Z", "approval": APPROVAL})

    found = notice(approved, Occasion.DECIDED, "oncall", None).data

    assert found["state"] == "Approved"
    assert found["approval"]["approvers"] == ["alice@example.org"]
    assert "commands" not in found
    assert "expiresAt" not in found
