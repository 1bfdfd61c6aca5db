"""Read files of audit events: verify their chain, or return the events of one request or all of them."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rolevend.audit.chain import VerifiedChain
from rolevend.audit.chain import verify as verify_lines
from rolevend.audit.key_file import read_key
from rolevend.audit.line_reader import lines_of


def verify(files: Sequence[str], expect: str | None = None, keys: Sequence[str] = ()) -> VerifiedChain:
    """Verify files, older ones first. `keys` are files, too."""
    return verify_lines(lines_of(files), expect, [read_key(Path(key)) for key in keys])


def events(files: Sequence[str], containing: str = "") -> Iterator[dict[str, Any]]:
    """Yield every event, in the order of the lines, and skip other lines. Does not verify the chain.

    `containing` limits the events to lines with this text, before they are parsed.
    """
    for line in lines_of(files):
        if containing.encode() not in line.text:
            continue
        try:
            event = json.loads(line.text)
        except ValueError:
            continue
        if isinstance(event, dict) and isinstance(event.get("data"), dict) and "id" in event:
            yield event


def events_of(request_uid: str, files: Sequence[str]) -> list[dict[str, Any]]:
    """Return the events about one request, in order; an event that was written twice is returned once. Does not verify the chain."""
    found: dict[str, dict[str, Any]] = {}
    for event in events(files, request_uid):
        if event["data"].get("requestUid") == request_uid:
            found.setdefault(str(event["id"]), event)
    return list(found.values())
