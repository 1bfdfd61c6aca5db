"""The seal of a denial: only the installation that denied makes it, and it binds one access, for some minutes."""

import base64
import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rolevend.api.authzen.denial_binding import DeniedAccess, sealed, unsealed
from rolevend.api.authzen.tasks import TaskSubmission, aggregate
from rolevend.api.problems import Problem
from rolevend.model import ObjectName, User

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
NOW = datetime(2026, 11, 24, 13, 15, tzinfo=UTC)
AGENT, ISSUER = ObjectName("agents", "finbot"), "https://idp.example.org"
UNTIL = NOW + timedelta(seconds=600)
DENIED = DeniedAccess(
    str(AGENT), ISSUER, "anna", "warehouse", "claims", "people", "ssn", "fraud-review", "domain-claims/clear", int(UNTIL.timestamp())
)
INVALID = "urn:openid:authzen:access-request:error:invalid_denial_binding"


def item(token: str, table: str = "people", **changes: Any) -> dict[str, Any]:
    properties = {"platform": "warehouse", "schema": "claims", "table": table, "column": "ssn"}
    return {
        "resource": {"type": "column", "id": "x", "properties": properties},
        "action": {"name": "read"},
        "denial": {"binding_token": token, "expires_at": "2026-11-24T13:25:00Z", "reason": "NoPolicy"},
        **changes,
    }


def submission(*items: dict[str, Any], subject: str = "anna", issuer: str = ISSUER, **changes: Any) -> TaskSubmission:
    who = {"type": "user", "id": subject, "properties": {"issuer": issuer}}
    return TaskSubmission.model_validate({"subject": who, "context": {"purpose": "fraud-review"}, "items": items, **changes})


def test_a_submission_with_its_denial_is_a_request_for_the_denied_column_alone():
    one = submission(item(sealed(DENIED, KEY)), context={"purpose": "fraud-review", "business_justification": "asked", "ticket": "FR-1"})

    user, (question,) = one.questions(AGENT, KEY, NOW)

    assert user == User(ISSUER, "anna")
    assert (question.offer, question.platform, question.purpose, question.expiration_seconds) == (
        DENIED.offer,
        "warehouse",
        "fraud-review",
        900,
    )
    assert [(each.schema_name, each.table) for each in question.tables or ()] == [("claims", "people")]
    assert (question.columns, question.justification, question.ticket) == (("ssn",), "asked", "FR-1")


@pytest.mark.parametrize(("until", "seconds"), [(60, 60), (-5, 5), (9_999_999, 86_400)])
def test_the_wanted_end_is_a_lifetime_within_the_bounds(until: int, seconds: int):
    wanted = {"requested_until": (NOW + timedelta(seconds=until)).isoformat()}
    for given in (
        submission(item(sealed(DENIED, KEY)), requested_access=wanted),
        submission(item(sealed(DENIED, KEY), requested_access=wanted)),
    ):
        assert given.questions(AGENT, KEY, NOW)[1][0].expiration_seconds == seconds


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"agent": "agents/other"}, 400),
        ({"subject": "bert"}, 400),
        ({"issuer": "https://evil.example.org"}, 400),
        ({"platform": "crm"}, 400),
        ({"schema": "other"}, 400),
        ({"table": "payments"}, 400),
        ({"column": None}, 400),
        ({"column": "iban"}, 400),
        ({"purpose": None}, 400),
        ({"expires_at": DENIED.expires_at + 1}, 400),
        ({"expires_at": int(NOW.timestamp())}, 410),
    ],
)
def test_a_denial_of_another_access_binds_nothing_and_the_item_is_named(changes: dict[str, Any], status: int):
    given = submission(item(sealed(DENIED, KEY)), item(sealed(replace(DENIED, **changes), KEY)))

    with pytest.raises(Problem) as refused:
        given.questions(AGENT, KEY, NOW)

    assert (refused.value.status, str(refused.value.field)[:14]) == (status, "items.1.denial")


def test_a_seal_of_another_key_and_a_changed_text_are_refused():
    text, _, seal = sealed(DENIED, KEY).partition(".")
    forged = base64.urlsafe_b64encode(json.dumps(asdict(replace(DENIED, offer="domain-claims/all"))).encode()).decode()

    for token in (sealed(DENIED, OTHER_KEY), f"{forged}.{seal}", text, f"{text}.", f".{seal}", "é.é", "a.a", f"{text}.{seal}x"):
        with pytest.raises(Problem) as refused:
            unsealed(token, KEY, NOW, "denial.binding_token")
        assert refused.value.document("1")["type"] == INVALID


def test_items_and_a_single_access_exclude_each_other():
    one = item(sealed(DENIED, KEY))
    for body in ({"items": [one], **one}, {"items": None}, {"items": []}, {"items": [one] * 11}):
        with pytest.raises(ValueError, match="items"):
            submission(**body)


def test_a_task_is_what_its_items_are():
    assert aggregate(["approved", "approved"]) == "approved"
    assert aggregate(["approved", "denied"]) == "partial"
    assert aggregate(["denied", "pending"]) == "pending"
