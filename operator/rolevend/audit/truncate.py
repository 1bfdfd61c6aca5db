"""The body of an audit event within its bytes. Pure."""

import dataclasses
from typing import TYPE_CHECKING, Any, Final, TypeVar

from rolevend.audit.evidence import AttributeRead
from rolevend.audit.json_size import bytes_of, clipped, within

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

MAX_BYTES: Final = 48 * 1024
"""Of a body. With its receipt, its envelope, and the names and counts of what is left out, a line stays below the 64 KiB that CloudEvents
asks everybody to carry."""
_TEXTS: Final = {"requested_by": 2 * 1024, "message": 8 * 1024, "ended_by": 8 * 1024}
"""Those whose length nothing else bounds, and how many bytes they have at most."""
_LISTS: Final = {
    "actors": "actors_left_out",
    "resources": "resources_left_out",
    "attributes": "attributes_left_out",
    "attributes_left_out": "keys_left_out",
    "objects": "objects_left_out",
    "agent_attributes": "agent_attributes_left_out",
    "agent_attributes_left_out": "agent_keys_left_out",
    "functions": "functions_left_out",
}
"""In the order in which they are given room, each with the member that says what is left out of it."""

Body = TypeVar("Body", bound="DataclassInstance")


def fit_event(room: int, body: Body) -> Body:
    """The same within so many bytes. Where it is longer its texts are cut, and of each list those are told that have room in half of what
    is left, so that none takes it from all others."""
    if bytes_of(body) <= room:
        return body
    texts: dict[str, Any] = {name: clipped(getattr(body, name), most) for name, most in _TEXTS.items()}
    no_lists: dict[str, Any] = dict.fromkeys(_LISTS)
    body = dataclasses.replace(body, **texts)
    room -= bytes_of(dataclasses.replace(body, **no_lists))
    for name, left_out in _LISTS.items():
        things = getattr(body, name) or ()
        told, taken = within(room // 2, things)
        room -= taken
        if rest := things[len(told) :]:
            cut: dict[str, Any] = {name: told}
            cut[left_out] = tuple(each.key for each in rest) if isinstance(rest[0], AttributeRead) else len(rest)
            body = dataclasses.replace(body, **cut)
    return body
