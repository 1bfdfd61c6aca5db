"""A message for an incoming webhook of Slack, in Block Kit. Pure.

All text is `plain_text`: Slack reads no markup, mentions, links or emoji in it. The one text that it does read, of a notification on a
phone, is escaped. There are no buttons: a click in a channel is not the vote of an approver.
"""

from collections.abc import Iterator
from typing import Any, Final

from rolevend.access_requests.text import Speaker
from rolevend.notifications.notice import Notice
from rolevend.notifications.receivers import Occasion

_LONGEST_HEADER: Final = 150
_LONGEST_FIELD: Final = 500
_LONGEST_TEXT: Final = 3000
_ESCAPED: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
Block = dict[str, Any]


def slack_message(notice: Notice) -> Block:
    title = _title(notice)
    return {"text": title.translate(_ESCAPED), "blocks": list(_blocks(notice, title)), "unfurl_links": False, "unfurl_media": False}


def _title(notice: Notice) -> str:
    if notice.occasion is Occasion.PENDING:
        return f"An agent asks for access: {notice.subject}"
    return f"No decision is needed any more: {notice.subject} is {notice.data['state']}"


def _blocks(notice: Notice, title: str) -> Iterator[Block]:
    data = notice.data
    yield {"type": "header", "text": _plain(title, _LONGEST_HEADER)}
    if display := data["offer"].get("display"):
        yield {"type": "section", "text": _plain(display, _LONGEST_TEXT)}
    yield {"type": "section", "fields": [_plain(f"{name}\n{_visible(value)}", _LONGEST_FIELD) for name, value in _fields(data)]}
    if justification := data.get("justification"):
        yield {"type": "context", "elements": [_plain(f'{Speaker.AGENT.value}: "{justification["text"]}"', _LONGEST_TEXT)]}
    if commands := data.get("commands"):
        yield {"type": "section", "text": _plain("\n".join(commands.values()), _LONGEST_TEXT)}
    elif message := data.get("message"):
        yield {"type": "section", "text": _plain(_visible(message), _LONGEST_TEXT)}


def _fields(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield at most ten, the most that a section has."""
    user, offer = data["user"], data["offer"]
    proof = f"{user.get('proof', 'not proven yet')}{' by ' + user['provider'] if 'provider' in user else ''}"
    yield "Agent", f"{data['agent']['namespace']}/{data['agent']['name']}"
    yield "User", f"{user['subject']} ({proof})"
    yield "Platform", data["platform"]
    yield "Offer", f"{offer['namespace']}/{offer['name']}"
    if "tables" in data:
        yield "Tables", ", ".join(f"{each['schema']}.{each['table']}" for each in data["tables"])
    if "columns" in data:
        yield "Columns", ", ".join(data["columns"])
    yield "For", f"{data['expirationSeconds']} seconds"
    for member, name in (("purpose", "Purpose"), ("ticket", "Ticket (not verified)"), ("expiresAt", "Decide before")):
        if member in data:
            yield name, data[member]


def _visible(text: str) -> str:
    """Return the text with escapes for characters that are invisible, or change the order of others."""
    return "".join(each if each.isprintable() else f"\\u{{{ord(each):x}}}" for each in text)


def _plain(text: str, longest: int) -> Block:
    shown = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return {"type": "plain_text", "text": shown, "emoji": False}
