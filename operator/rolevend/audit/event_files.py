"""Read files of audit events, and the key that the events are sealed with: verify their chain, or return the events of one request or
all of them."""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rolevend.audit.chain import MIN_KEY_BYTES, Key, Line, VerifiedChain
from rolevend.audit.chain import verify as verify_lines
from rolevend.errors import InvalidInput

STANDARD_INPUT = "-"
_NAME = re.compile(r".*\.ndjson([.-]\d+)*")


def audit_paths(paths: Iterable[str]) -> Iterator[str]:
    """Yield the files among these files and folders. In a folder these are `*.ndjson`, `*.ndjson.1` and so on."""
    for name in paths:
        if Path(name).is_dir():
            yield from sorted(str(each) for each in Path(name).iterdir() if _NAME.fullmatch(each.name) and each.is_file())
        else:
            yield name


def lines_of(files: Iterable[str]) -> Iterator[Line]:
    """Read file after file; `-` is standard input. Raises InvalidInput."""
    for name in files:
        try:
            with sys.stdin.buffer if name == STANDARD_INPUT else Path(name).open("rb") as file:
                for number, text in enumerate(file, start=1):
                    yield Line(f"{name}:{number}", text)
        except OSError as error:
            raise InvalidInput(name, f"cannot be read: {error.strerror or error}") from error


def read_key(file: Path) -> Key:
    """Read a key from a file that holds only the key; surrounding white space is ignored. Raises InvalidInput."""
    try:
        secret = file.read_bytes().strip()
    except OSError as error:
        raise InvalidInput(str(file), f"the key of audit events cannot be read: {error.strerror or error}") from error
    if len(secret) < MIN_KEY_BYTES:
        raise InvalidInput(str(file), f"a key of audit events has {MIN_KEY_BYTES} bytes or more; make one with: openssl rand -hex 32")
    return Key(secret)


def verify(files: Sequence[str], expect: str | None = None, keys: Sequence[str] = ()) -> VerifiedChain:
    """Verify files, older ones first. `keys` are files, too."""
    return verify_lines(lines_of(files), expect, [read_key(Path(key)) for key in keys])


def events(files: Sequence[str], containing: str = "") -> Iterator[dict[str, Any]]:
    """Yield every event, in the order of the lines, and skip other lines. Does not verify the chain.

    `containing` limits the events to lines with this text, before they are parsed.
    """
    for line in lines_of(files):
        if containing.encode() in line.text and (event := event_of(line.text)) is not None:
            yield event


def event_of(line: bytes) -> dict[str, Any] | None:
    """Return the event of a line, or None if the line is none."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and isinstance(event.get("data"), dict) and "id" in event else None


def events_of(request_uid: str, files: Sequence[str]) -> list[dict[str, Any]]:
    """Return the events about one request, in order; an event that was written twice is returned once. Does not verify the chain."""
    found: dict[str, dict[str, Any]] = {}
    for event in events(files, request_uid):
        if event["data"].get("requestUid") == request_uid:
            found.setdefault(str(event["id"]), event)
    return list(found.values())
