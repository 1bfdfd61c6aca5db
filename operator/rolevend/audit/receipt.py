"""Receipts: what a role was given, and how it ended, in two halves that are each signed. Pure; who signs is above.

A half says the audit event that it is in: its envelope, those members that a person asks for first, and a digest of all of them. The second
half names the digest of the first, so that an end belongs to one beginning.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final

from rolevend.audit.events import AuditEvent, EventType
from rolevend.audit.evidence import TableAccess
from rolevend.audit.json_size import as_json, within

MOST_BYTES: Final = 12 * 1024
"""Of one half, signed; an event has room for as much beside all else (`bounds.MOST_BYTES`)."""
MEMBER: Final = "receipt"
"""Of an event's `data`."""
FIRST: Final = "first"
"""Of a second half: the digest of the first. None where the operator did not know it any more."""
HALVES: Final = (EventType.GRANTED, EventType.DROPPED)

MAX_NAME_BYTES: Final = 2048
_MOST_KNOWN: Final = 200
_TABLES: Final = "tables"
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
class TablesSaid:
    names: tuple[str, ...]
    """Those that have room."""
    digest: str
    """Of all that is told of them."""


class Receipts:
    """Gives events their receipts."""

    def __init__(self, source: str, sign: Callable[[bytes], str]) -> None:
        """`source` is as in the envelope of the events."""
        self._source = source
        self._sign = sign
        self._known: dict[int, tuple[tuple[TableAccess, ...], TablesSaid]] = {}
        """By the identity of what is told of tables: what many roles of one profile share takes longer to say than one role does."""

    def on(self, event: AuditEvent, first: str | None = None) -> AuditEvent:
        """The same with its half. `first` is, of an end, the digest of its beginning's."""
        envelope = {
            "id": event.id,
            "source": self._source,
            "type": event.type.value,
            "subject": event.subject,
            "time": as_json(event.time),
        }
        told = as_json(replace(event.body, tables=None, receipt=None))
        payload = _said(envelope, told, None if event.body.tables is None else self._tables(event.body.tables), first)
        text = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        return replace(event, body=replace(event.body, receipt=self._sign(text)))

    def _tables(self, tables: tuple[TableAccess, ...]) -> TablesSaid:
        if id(tables) not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[id(tables)] = tables, _tables_said(as_json(tables))
        return self._known[id(tables)][1]


def digest_of(receipt: str) -> str:
    """Of what is signed."""
    return _sha256(receipt.rpartition(".")[0])


def said_by(event: Mapping[str, Any], first: str | None = None) -> Payload:
    """What the receipt of `event`, as it stands in a file, says; the event may have it already."""
    told = {name: value for name, value in event["data"].items() if name not in (MEMBER, _TABLES)}
    tables = event["data"].get(_TABLES)
    return _said(event, told, None if tables is None else _tables_said(tables), first)


def _said(envelope: Mapping[str, Any], told: Mapping[str, Any], tables: TablesSaid | None, first: str | None) -> Payload:
    """`told` is the event's data without the receipt and the tables."""
    said = {name: envelope[name] for name in _ENVELOPE if name in envelope}
    said |= {name: told[name] for name in SAID if name in told}
    if tables is not None:
        said |= {"tables": list(tables.names), "tablesDigest": tables.digest}
    said["dataDigest"] = _digest(told)
    return said if first is None else {**said, FIRST: first}


def _tables_said(tables: Sequence[Mapping[str, Any]]) -> TablesSaid:
    names, _ = within(MAX_NAME_BYTES, (str(each["table"]) for each in tables))
    return TablesSaid(names, _digest(tables))


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
