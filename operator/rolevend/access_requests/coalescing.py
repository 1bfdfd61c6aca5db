"""Find the request that an agent made already, or the name of a new one: the same request while it is open is the same object.

The name of an object is derived from the request, so that replicas that create it at once meet in one name, and the second gets a conflict.
A request that ended keeps its object, so the next one needs another name: it is derived from the uid of the last one, too.

* A counter of earlier requests would start again when old objects are collected, and could give the name of an object that exists.
* A bucket of time would split two equal requests at its border, and give a request after a denial the name of the denied one.

A replica that does not see the last object yet gets a conflict, reads that object, and derives the next name from it.
The cool-down needs no name: a request in a cool-down is an object of its own, which is denied.
"""

import json
from base64 import b32encode
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from rolevend.access_requests.request import OtherRequest, RequestedAccess, whole_second
from rolevend.model import ObjectName, Uid

PREFIX: Final = "ar-"
_LENGTH: Final = 26
"""Characters of base32: 130 bits."""


@dataclass(frozen=True, slots=True)
class RequestPlace:
    name: ObjectName
    exists: bool
    """True if this is an open request: nothing needs to be created."""


def ask_key(request: RequestedAccess) -> str:
    """Return a digest of what is asked for. It does not depend on the object, on the justification, or on the proof of the user."""
    return f"sha256:{sha256(json.dumps(_asked(request)).encode()).hexdigest()}"


def _asked(request: RequestedAccess) -> list[object]:
    return [
        *(request.agent.namespace, request.agent.name, request.user.issuer, request.user.subject, request.platform),
        *(request.offer.namespace, request.offer.name, request.expiration_seconds, request.purpose, request.ticket),
        None if request.task is None else request.task.id,
        None if request.tables is None else sorted([each.schema, each.name] for each in request.tables),
        None if request.columns is None else sorted(request.columns),
    ]


def same_ask(one: RequestedAccess, other: RequestedAccess) -> bool:
    """True if both ask for the same."""
    return one.offer == other.offer and _asked(one) == _asked(other)


def object_name(request: RequestedAccess, after: Uid | None) -> str:
    """Return the name of the request that follows the one with the uid `after`; None: it is the first."""
    digest = sha256(json.dumps([ask_key(request), after]).encode()).digest()
    return f"{PREFIX}{b32encode(digest).decode().lower()[:_LENGTH]}"


def place_of(request: RequestedAccess, others: Iterable[OtherRequest]) -> RequestPlace:
    """Return the open request that asks for the same, or the name of a new one. Of `request` only what is asked for is read."""
    asked = _asked(request)
    same = sorted((each for each in others if each.request.offer == request.offer and _asked(each.request) == asked), key=_by_age)
    for each in same:
        if each.recorded.is_open:
            return RequestPlace(each.request.name, exists=True)
    # Several may be of the youngest second: the last one is that whose next name is free.
    taken = {each.request.name.name for each in same}
    names = (object_name(request, each.request.uid) for each in reversed(same))
    free = next((each for each in names if each not in taken), None) or object_name(request, None)
    return RequestPlace(ObjectName(request.agent.namespace, free), exists=False)


def _by_age(other: OtherRequest) -> tuple[object, ...]:
    return whole_second(other.request.created_at), other.request.uid
