"""The JSON of values in an audit event, and its size in bytes. Pure."""

import dataclasses
import enum
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache, cached_property
from itertools import accumulate
from typing import Any, TypeVar

T = TypeVar("T")

_encode = json.JSONEncoder(separators=(",", ":")).encode
_CUT = "..."
_PLAIN = frozenset({str, int, float, bool})
"""Types of values that are JSON as they are. Not their subclasses, such as enums."""


class Rendered:
    """Base of a dataclass whose JSON is kept, because many events contain the same value. Nobody may change that JSON. As a field of an
    event it is a member with an object of its own, not a group."""

    @cached_property
    def as_json(self) -> dict[str, Any]:
        return _object(self)


def as_json(value: Any) -> Any:
    """Convert a value to JSON: names in camelCase, times in RFC 3339, without members that are None."""
    if type(value) in _PLAIN:
        return value
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case enum.Enum():
            return value.value
        case tuple() | list():
            return [as_json(each) for each in value]
        case Rendered():
            return value.as_json
        case _ if dataclasses.is_dataclass(value):
            return _object(value)
        case _:
            return value


def _object(value: Any) -> dict[str, Any]:
    return {json_name(name): as_json(member) for name, member in members_of(value)}


def members_of(value: Any) -> list[tuple[str, Any]]:
    """The fields of a dataclass that are not None. A field that is a dataclass, and not `Rendered`, is a group: its fields are members like
    all others."""
    members: list[tuple[str, Any]] = []
    kind: Any = type(value)
    for name in _fields(kind):
        member = getattr(value, name)
        if type(member) in _PLAIN:
            members.append((name, member))
        elif dataclasses.is_dataclass(member) and not isinstance(member, Rendered):
            members += members_of(member)
        elif member is not None:
            members.append((name, member))
    return members


@cache
def _fields(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


@cache
def json_name(field: str) -> str:
    first, *others = field.split("_")
    return first + "".join(word.capitalize() for word in others)


def text_of(value: Any) -> str:
    """The JSON of a value in an event. It is ASCII: another character takes six bytes or twelve."""
    return _encode(as_json(value))


def bytes_of(value: Any) -> int:
    """The size of a value in an event."""
    return len(text_of(value))


def within(room: int, values: Iterable[T]) -> tuple[tuple[T, ...], int]:
    """Return the first of `values` that fit as a list into `room` bytes, and their size."""
    shown, taken = [], 2
    for value in values:
        more = bytes_of(value) + 1
        if taken + more > room:
            break
        shown.append(value)
        taken += more
    return tuple(shown), taken


def clipped(text: str, room: int) -> str:
    """Cut a text that does not fit into `room` bytes, and end it in dots."""
    if bytes_of(text) <= room:
        return text
    taken = accumulate(bytes_of(character) - 2 for character in text)
    return text[: sum(size <= room - 2 - len(_CUT) for size in taken)] + _CUT
