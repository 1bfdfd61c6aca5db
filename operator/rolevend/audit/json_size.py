"""How values stand in an audit event, and how much room they take there. Pure."""

import dataclasses
import enum
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any, TypeVar

T = TypeVar("T")
Text = TypeVar("Text", str, str | None)

_encode = json.JSONEncoder(separators=(",", ":")).encode
_CUT = "..."


def as_json(value: Any) -> Any:
    """As it stands in an event: camelCase, times in RFC 3339, without what is None."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case enum.Enum():
            return value.value
        case tuple() | list():
            return [as_json(each) for each in value]
        case _ if dataclasses.is_dataclass(value):
            members = ((member.name, getattr(value, member.name)) for member in dataclasses.fields(value))
            return {json_name(name): as_json(each) for name, each in members if each is not None}
        case _:
            return value


def json_name(field: str) -> str:
    first, *others = field.split("_")
    return first + "".join(word.capitalize() for word in others)


def bytes_of(value: Any) -> int:
    """In an event, which is ASCII: what is not takes six bytes there, or twelve."""
    return len(_encode(as_json(value)))


def within(room: int, things: Iterable[T]) -> tuple[tuple[T, ...], int]:
    """The first of `things` that have room in so many bytes, as a list, and how many bytes they take."""
    told, taken = [], 2
    for thing in things:
        more = bytes_of(thing) + 1
        if taken + more > room:
            break
        told.append(thing)
        taken += more
    return tuple(told), taken


def clipped(text: Text, room: int) -> Text:
    """So much of it as has room in so many bytes; what was cut ends in dots."""
    if text is None or bytes_of(text) <= room:
        return text
    taken = accumulate(bytes_of(character) - 2 for character in text)
    return text[: sum(size <= room - 2 - len(_CUT) for size in taken)] + _CUT
