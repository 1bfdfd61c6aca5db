"""Slack's rules of a message with blocks, as its documentation of Block Kit had them in November 2026. A recorded model: there is no Slack
here. `slack_sdk` checks a part of the same rules by its own models.
"""

import re
from typing import Any

from slack_sdk.models.blocks import Block

MOST_BLOCKS = 50
LONGEST = {"header": 150, "section": 3000, "context": 3000}
MOST_FIELDS, LONGEST_FIELD = 10, 2000
MOST_ELEMENTS = 10
LONGEST_MESSAGE = 40_000
_MARKUP = re.compile(r"<[^>]*>|&(?!(amp|lt|gt);)")


def accept(message: dict[str, Any]) -> None:
    """Raise AssertionError where Slack would refuse the message, or read markup in it."""
    assert set(message) <= {"text", "blocks", "unfurl_links", "unfurl_media"}, message.keys()
    assert 0 < len(message["text"]) <= LONGEST_MESSAGE
    assert not _MARKUP.search(message["text"]), message["text"]
    assert 0 < len(message["blocks"]) <= MOST_BLOCKS
    for block in message["blocks"]:
        _accept(block)
        parsed = Block.parse(block)
        assert parsed is not None
        assert parsed.to_dict() == block  # it raises where a rule is broken, and drops what it does not know


def _accept(block: dict[str, Any]) -> None:
    kind = block["type"]
    assert kind in LONGEST, f"{kind} is not a block that only shows text"
    if "text" in block:
        _text(block["text"], LONGEST[kind])
    if kind == "section":
        assert "text" in block or block["fields"]
        assert len(block.get("fields", [])) <= MOST_FIELDS
        for each in block.get("fields", []):
            _text(each, LONGEST_FIELD)
    if kind == "context":
        assert 0 < len(block["elements"]) <= MOST_ELEMENTS
        for each in block["elements"]:
            _text(each, LONGEST[kind])


def _text(text: dict[str, Any], longest: int) -> None:
    assert text["type"] == "plain_text", "only plain text is shown as it is"
    assert text["emoji"] is False, "an emoji could pass for a sign of ours"
    assert 0 < len(text["text"]) <= longest


def texts(message: dict[str, Any]) -> list[str]:
    """All texts that people see."""
    parts = [part for block in message["blocks"] for part in [block.get("text"), *block.get("fields", []), *block.get("elements", [])]]
    return [message["text"], *(part["text"] for part in parts if part is not None)]
