"""Which receivers must still be notified of a request."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rolevend.notifications.due import due_notifications
from rolevend.notifications.receivers import Format, Receiver, Receivers
from tests.support.asking import TERMS, terms
from tests.support.noticed import judged

NOW = datetime.fromisoformat("2026-11-24T12:10:00+00:00")
RECEIVERS = Receivers(
    {
        "oncall": Receiver("oncall", Format.STANDARD_WEBHOOKS, True, Path()),
        "chat": Receiver("chat", Format.SLACK, False, Path()),
    },
    default=("chat",),
)
DENIED = {"state": "Denied", "reason": "DeniedByPerson", "stateSince": "2026-11-24T12:05:00Z"}


def due(status: dict[str, Any] | None = None, offer: Any = TERMS, now: datetime = NOW) -> list[tuple[str, str]]:
    found = due_notifications(judged(status), offer, RECEIVERS, now)
    return [(each.receiver, each.occasion.value) for each in found]


def told(*entries: tuple[str, str, str]) -> list[dict[str, Any]]:
    return [
        {"receiver": receiver, "event": event, "state": state, "attempts": 1, "at": "2026-11-24T12:00:01Z"}
        for receiver, event, state in entries
    ]


def test_the_receivers_of_the_offer_or_else_the_default_ones():
    assert due() == [("chat", "Pending")]
    assert due(offer=terms(notify=("oncall", "chat"))) == [("oncall", "Pending"), ("chat", "Pending")]


def test_an_unknown_name_is_due_so_that_its_failure_is_recorded():
    assert due(offer=terms(notify=("nobody",))) == [("nobody", "Pending")]


def test_nobody_is_told_twice_delivered_or_given_up():
    notified = told(("oncall", "Pending", "Delivered"), ("chat", "Pending", "Failed"))

    assert due({"notifications": notified}, terms(notify=("oncall", "chat"))) == []


def test_nobody_is_told_of_a_request_that_people_need_not_decide():
    assert due({"reason": "OfferNotRead"}) == []
    assert due({"state": "Approved", "reason": "ApprovedByRule"}) == []
    assert due(offer=None) == []


def test_a_decision_is_told_to_those_that_heard_of_the_request_and_want_to_know():
    heard = {"notifications": told(("oncall", "Pending", "Delivered"), ("chat", "Pending", "Delivered"))}
    failed = {"notifications": told(("oncall", "Pending", "Failed"))}
    again = {"notifications": told(("oncall", "Pending", "Delivered"), ("oncall", "Decided", "Delivered"))}

    assert due(DENIED | heard) == [("oncall", "Decided")]
    assert due(DENIED | heard, None) == [("oncall", "Decided")]
    assert due(DENIED | failed) == []
    assert due(DENIED | again) == []
    assert due(DENIED) == []


def test_an_old_decision_is_no_news():
    heard = {"notifications": told(("oncall", "Pending", "Delivered"))}

    assert due(DENIED | heard, now=NOW + timedelta(hours=2)) == []
