"""Messages for Slack, against a recorded model of its rules."""

import json
from dataclasses import replace
from typing import Any

import pytest

from rolevend.notifications.notice import notice
from rolevend.notifications.payload import payload
from rolevend.notifications.receivers import Format, Occasion
from tests.support.noticed import USER, judged
from tests.support.slack_model import accept, texts

HOSTILE = "<!channel> <https://evil.example|click> *bold* :tada: &lt; `code`"


def message(occasion: Occasion = Occasion.PENDING, status: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return dict(json.loads(payload(notice(judged(status, **spec), occasion, "chat", 3600), Format.SLACK, "")))


def test_slack_accepts_it_and_people_see_the_request():
    found = message(status={"user": USER})

    accept(found)
    shown = "\n".join(texts(found))
    for word in ("agents/ask", "agents/finbot", "anna (Token by workforce)", "warehouse", "claims.people", "FR-12", "2026-11-24T12:59:59Z"):
        assert word in shown
    assert 'the agent says (not verified): "The caller disputes a claim' in shown
    assert "rolevend approve ask --namespace agents" in shown


def test_a_decision_is_told_without_commands():
    found = message(Occasion.DECIDED, {"state": "Denied", "reason": "DeniedByPerson", "message": "denied by alice@example.org"})

    accept(found)
    shown = "\n".join(texts(found))
    assert "is Denied" in shown
    assert "denied by alice@example.org" in shown
    assert "rolevend approve" not in shown


@pytest.mark.parametrize("status", [{}, {"user": USER}])
def test_slack_accepts_the_longest_request_with_hostile_words(status: dict[str, Any]):
    found = message(
        status=status,
        user={"issuer": "https://" + "i" * 500, "subject": (HOSTILE * 9)[:255]},
        ticket=HOSTILE,
        tables=[{"schema": f"{number}" + "s" * 60, "table": "t" * 63} for number in range(64)],
        columns=[f"{number}" + "c" * 59 for number in range(256)],
        justification={"text": (HOSTILE * 20)[:500].strip()},
    )

    accept(found)
    assert len(json.dumps(found)) < 20_000


def test_invisible_characters_of_a_name_are_seen():
    found = message(columns=["a\u2060b"])

    assert "a\\u{2060}b" in "\n".join(texts(found))


def test_nothing_in_it_can_be_clicked():
    assert {block["type"] for block in message()["blocks"]} <= {"header", "section", "context"}
    assert not any("accessory" in block for block in message()["blocks"])


def test_the_text_of_a_notification_on_a_phone_is_escaped():
    hostile = replace(notice(judged(), Occasion.PENDING, "chat", 3600), subject="agents/<!channel> & <@U1>")

    found = json.loads(payload(hostile, Format.SLACK, ""))

    accept(found)
    assert "&lt;!channel&gt; &amp; &lt;@U1&gt;" in found["text"]
