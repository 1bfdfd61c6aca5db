"""The body of a call, in the format of its receiver. Pure."""

import json
from typing import Any, Final, assert_never

from rolevend.kinds.text import timestamp_text
from rolevend.notifications.notice import Notice
from rolevend.notifications.receivers import Format, Occasion
from rolevend.notifications.slack import slack_message

TYPES: Final = {Occasion.PENDING: "dev.rolevend.access.pending", Occasion.DECIDED: "dev.rolevend.access.decided"}


def payload(notice: Notice, format_: Format, source: str) -> bytes:
    """Return the JSON, in ASCII. `source` names the cluster."""
    match format_:
        case Format.STANDARD_WEBHOOKS:
            found = _event(notice, source)
        case Format.SLACK:
            found = slack_message(notice)
        case _:
            assert_never(format_)
    return json.dumps(found, separators=(",", ":")).encode()


def _event(notice: Notice, source: str) -> dict[str, Any]:
    """Return a CloudEvent, with the member `timestamp` of Standard Webhooks."""
    at = timestamp_text(notice.at)
    return {
        "specversion": "1.0",
        "id": notice.id,
        "source": source,
        "type": TYPES[notice.occasion],
        "subject": notice.subject,
        "time": at,
        "timestamp": at,
        "datacontenttype": "application/json",
        "data": notice.data,
    }
