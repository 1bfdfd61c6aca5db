"""Receipts: what a role was given, and how it ended, in two halves that are each signed. Pure; who signs is above.

A half says the audit event that it is in: its envelope, those members that a person asks for first, and a digest of all of them. The second
half names the digest of the first, so that an end belongs to one beginning.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final

from rolevend.vending.audit import Event, EventType
from rolevend.vending.room import as_json, within

MOST_BYTES: Final = 12 * 1024
"""Of one half, signed; an event has room for as much beside all else (`bounds.MOST_BYTES`)."""
MEMBER: Final = "receipt"
"""Of an event's `data`."""
FIRST: Final = "first"
"""Of a second half: the digest of the first. None where the operator did not know it any more."""
HALVES: Final = (EventType.GRANTED, EventType.DROPPED)

MOST_NAME_BYTES: Final = 2048
_CLUSTER_STEPS: Final = 4
"""Of `/rolevend/clusters/UID/api`, those that the processes of one cluster share."""
_ENVELOPE: Final = ("id", "source", "type", "subject", "time")
_SHARED: Final = ("role", "request", "requestUid", "platform", "agent", "userIssuer", "userSubject", "userHandle")
"""Those that both halves have, and that must not differ."""
_PROOF: Final = ("userProof", "identityProvider", "tokenType", "tokenDigest")
_ASKED: Final = ("purpose", "taskId", "intentDigest", "requestId", "requestedAt", "expiresAt", "profile")
_GIVEN: Final = ("policyDigest", "catalogDigest", "tableCount")
_ENDED: Final = ("ended", "endedBy", "endedAt", "sessionsEnded", "dropSeconds", "lateSeconds")
SAID: Final = (*_SHARED, *_PROOF, *_ASKED, *_GIVEN, *_ENDED)
"""Members of `data` that a receipt says as they are."""

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Receipts:
    """Gives events their receipts."""

    source: str
    """As in the envelope of the events."""
    sign: Callable[[bytes], str]

    def on(self, event: Event, first: str | None = None) -> Event:
        """The same with its half. `first` is, of an end, the digest of its beginning's."""
        payload = said_by(envelope_of(event, self.source), first)
        text = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        return replace(event, body=replace(event.body, receipt=self.sign(text)))


def envelope_of(event: Event, source: str) -> Payload:
    """As it stands in a file, as far as it is said here."""
    return {"source": source, **as_json(event), "data": as_json(event.body)}


def digest_of(receipt: str) -> str:
    """Of what is signed."""
    return _sha256(receipt.rpartition(".")[0])


def said_by(event: Mapping[str, Any], first: str | None = None) -> Payload:
    """What the receipt of `event` says; the event may have it already."""
    told = {name: value for name, value in event["data"].items() if name != MEMBER}
    said = {name: event[name] for name in _ENVELOPE if name in event}
    said |= {name: told[name] for name in SAID if name in told}
    if tables := told.get("tables"):
        said["tables"], _ = within(MOST_NAME_BYTES, [each["table"] for each in tables])
        said["tables"] = list(said["tables"])
        said["tablesDigest"] = _digest(tables)
    said["dataDigest"] = _digest(told)
    if first is not None:
        said[FIRST] = first
    return said


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Names of the members in which they differ, sorted."""
    return sorted(name for name in one.keys() | other.keys() if name not in one or name not in other or one[name] != other[name])


def cluster_of(said: Mapping[str, Any]) -> str:
    """Of an event or a receipt: one process of a cluster begins a role, and another one may end it."""
    return "/".join(str(said.get("source")).split("/")[:_CLUSTER_STEPS])


def strange_to(end: Payload, beginning: Payload) -> list[str]:
    """The members by which an end is of another role than the beginning that it names; empty where it belongs to it."""
    return list(_strange(end, beginning))


def _strange(end: Payload, beginning: Payload) -> Iterator[str]:
    if cluster_of(end) != cluster_of(beginning):
        yield "source"
    for name in _SHARED:
        # An orphan's end does not know all that its beginning says.
        if name in end and end[name] != beginning.get(name):
            yield name


def _digest(value: Any) -> str:
    return _sha256(json.dumps(value, sort_keys=True, separators=(",", ":")))


def _sha256(text: str) -> str:
    return f"sha256:{sha256(text.encode()).hexdigest()}"
