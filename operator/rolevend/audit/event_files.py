"""`rolevend audit verify`, and the events of one role for `rolevend who`: from files of audit events."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rolevend.audit.chain import VerifiedChain
from rolevend.audit.chain import verify as verify_lines
from rolevend.audit.key_file import read_key
from rolevend.audit.line_reader import lines_of


def verify(files: Sequence[str], expect: str = "", keys: Sequence[str] = ()) -> VerifiedChain:
    """Older files first. `keys` are files, too."""
    return verify_lines(lines_of(files), expect, [read_key(Path(key)) for key in keys])


def events_of(request_uid: str, files: Sequence[str]) -> list[dict[str, Any]]:
    """The events about one request, in order; one that was written twice is here once. Their chain is not verified."""
    found: dict[str, dict[str, Any]] = {}
    for line in lines_of(files):
        if request_uid.encode() not in line.text:
            continue
        try:
            event = json.loads(line.text)
        except ValueError:
            continue
        if isinstance(event, dict) and event.get("data", {}).get("requestUid") == request_uid:
            found.setdefault(str(event["id"]), event)
    return list(found.values())


def events(files: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Every event, in the order of the lines; what is none is passed over. Their chain is not verified."""
    for line in lines_of(files):
        try:
            event = json.loads(line.text)
        except ValueError:
            continue
        if isinstance(event, dict) and isinstance(event.get("data"), dict) and "id" in event:
            yield event
