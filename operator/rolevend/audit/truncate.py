"""Shorten an audit event to a limit of bytes. Pure."""

import dataclasses
from typing import Any, Final, TypeVar

from rolevend.audit.events import AuditEvent
from rolevend.audit.evidence import AttributeRead
from rolevend.audit.json_size import Rendered, clipped, members_of, within

MAX_BYTES: Final = 48 * 1024
"""For the data of an event. With its receipt, its envelope, and the names and counts of what is left out, a line stays below the 64 KiB
that every consumer of CloudEvents must accept."""
_TEXTS: Final = {"requested_by": 2 * 1024, "message": 8 * 1024, "ended_by": 8 * 1024}
"""The texts that no schema limits, and their limits in bytes."""
_LISTS: Final = {
    "actors": "actors_left_out",
    "resources": "resources_left_out",
    "attributes": "attributes_left_out",
    "attributes_left_out": "keys_left_out",
    "objects": "objects_left_out",
    "agent_attributes": "agent_attributes_left_out",
    "agent_attributes_left_out": "agent_keys_left_out",
    "functions": "functions_left_out",
    "approvers": "approvers_left_out",
    "votes": "votes_left_out",
    "columns": "columns_left_out",
}
"""The lists, in the order in which they get room, each with the field that states what is left out of it."""

E = TypeVar("E", bound=AuditEvent)


def fit_event(event: E) -> E:
    """Shorten an event whose data exceeds MAX_BYTES: cut its texts, and give each list half of the remaining room in turn, so that no list
    takes the room of all others."""
    if len(event.data_text) <= MAX_BYTES:
        return event
    members = dict(members_of(event))
    members |= {name: clipped(members[name], limit) for name, limit in _TEXTS.items() if name in members}
    room = MAX_BYTES - len(_with(event, members | dict.fromkeys(_LISTS)).data_text)
    for name, left_out in _LISTS.items():
        values = members.get(name, ())
        shown, taken = within(room // 2, values)
        room -= taken
        if rest := values[len(shown) :]:
            members[name] = shown
            members[left_out] = tuple(each.key for each in rest) if isinstance(rest[0], AttributeRead) else len(rest)
    shortened: E = _with(event, members)
    return shortened


def _with(value: Any, members: dict[str, Any]) -> Any:
    """The same dataclass with other members, also in its groups."""
    fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    changes = {
        name: _with(field, members) if _is_group(field) else members[name]
        for name, field in fields.items()
        if name in members or _is_group(field)
    }
    return dataclasses.replace(value, **changes)


def _is_group(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, Rendered)
