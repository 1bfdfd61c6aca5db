"""Receipts: what a role was given, and how it ended, in two halves, each signed. Pure; the caller passes the function that signs.

A half belongs to an audit event, `granted` or `dropped`. It contains the envelope of the event, copies of its most important members, and
a digest of all members. The second half contains the digest of the first, so that an end belongs to one beginning.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final, TypeVar

from rolevend.audit.events import DroppedEvent, EventType, GrantedEvent
from rolevend.audit.evidence import TableAccess
from rolevend.audit.json_size import as_json, within

MAX_BYTES: Final = 12 * 1024
"""The limit of one signed half. An event has room for it beside its other data (`truncate.MAX_BYTES`)."""
MEMBER: Final = "receipt"
"""The member of an event's `data` that holds its receipt."""
FIRST: Final = "first"
"""The member of a second half that holds the digest of the first. Left out if the operator does not know it any more."""
HALVES: Final = (EventType.GRANTED, EventType.DROPPED)

MAX_NAME_BYTES: Final = 2048
_CACHE_SIZE: Final = 200
_TABLES: Final = "tables"
_CLUSTER_STEPS: Final = 4
"""How many steps of `/rolevend/clusters/UID/api` the processes of one cluster share."""
_ENVELOPE: Final = ("id", "source", "type", "subject", "time")
_SHARED: Final = ("role", "request", "requestUid", "platform", "agent", "userIssuer", "userSubject", "userHandle")
"""The members that both halves have and that must be equal."""
_PROOF: Final = ("userProof", "identityProvider", "tokenType", "tokenDigest")
_ASKED: Final = ("purpose", "taskId", "intentDigest", "requestId", "requestedAt", "expiresAt", "profile")
_GIVEN: Final = ("policyDigest", "catalogDigest", "tableCount")
_APPROVED: Final = ("approval",)
_ENDED: Final = ("ended", "endedBy", "endedAt", "sessionsEnded", "dropSeconds", "lateSeconds")
COPIED: Final = (*_SHARED, *_PROOF, *_ASKED, *_APPROVED, *_GIVEN, *_ENDED)
"""The members of `data` that a receipt copies."""

Payload = dict[str, Any]
SignedEvent = TypeVar("SignedEvent", GrantedEvent, DroppedEvent)


@dataclass(frozen=True, slots=True)
class TableSummary:
    names: tuple[str, ...]
    """The first names, as many as fit."""
    digest: str
    """Of the whole member `tables`."""


class Receipts:
    """Adds receipts to events."""

    def __init__(self, source: str, sign: Callable[[bytes], str]) -> None:
        """`source` is as in the envelope of the events."""
        self._source = source
        self._sign = sign
        self._summaries: dict[int, tuple[tuple[TableAccess, ...], TableSummary]] = {}
        """A cache by the identity of the tables, which many roles of one profile share."""

    def on(self, event: SignedEvent, first: str | None = None) -> SignedEvent:
        """Return the event with its receipt. `first` is, for `dropped`, the digest of the receipt of `granted`."""
        tables = event.tables if isinstance(event, GrantedEvent) else None
        bare = replace(event, tables=None, receipt=None) if isinstance(event, GrantedEvent) else replace(event, receipt=None)
        payload = _payload(event.envelope(self._source), bare.data, None if tables is None else self._summary(tables), first)
        text = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        return replace(event, receipt=self._sign(text))

    def _summary(self, tables: tuple[TableAccess, ...]) -> TableSummary:
        if id(tables) not in self._summaries:
            if len(self._summaries) >= _CACHE_SIZE:
                self._summaries.clear()
            self._summaries[id(tables)] = tables, _summary(as_json(tables))
        return self._summaries[id(tables)][1]


def digest_of(receipt: str) -> str:
    """The digest of the signed part."""
    return _sha256(receipt.rpartition(".")[0])


def payload_of(event: Mapping[str, Any], first: str | None = None) -> Payload:
    """The payload that the receipt of an event must have. `event` is JSON, as in a file, with or without its receipt."""
    data = {name: value for name, value in event["data"].items() if name not in (MEMBER, _TABLES)}
    tables = event["data"].get(_TABLES)
    return _payload(event, data, None if tables is None else _summary(tables), first)


def _payload(envelope: Mapping[str, Any], data: Mapping[str, Any], tables: TableSummary | None, first: str | None) -> Payload:
    """`data` is the event's data without the receipt and the tables."""
    payload = {name: envelope[name] for name in _ENVELOPE if name in envelope}
    payload |= {name: data[name] for name in COPIED if name in data}
    if tables is not None:
        payload |= {"tables": list(tables.names), "tablesDigest": tables.digest}
    payload["dataDigest"] = _digest(data)
    return payload if first is None else {**payload, FIRST: first}


def _summary(tables: Sequence[Mapping[str, Any]]) -> TableSummary:
    names, _ = within(MAX_NAME_BYTES, (str(each["table"]) for each in tables))
    return TableSummary(names, _digest(tables))


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the sorted names of the members that differ."""
    return sorted(name for name in one.keys() | other.keys() if name not in one or name not in other or one[name] != other[name])


def cluster_of(payload: Mapping[str, Any]) -> str:
    """The cluster of an event or a receipt. Different processes of a cluster may grant and drop a role."""
    return "/".join(str(payload.get("source")).split("/")[:_CLUSTER_STEPS])


def mismatches(end: Payload, beginning: Payload) -> Iterator[str]:
    """Yield the members that show that `end` is the end of another role than `beginning`."""
    if cluster_of(end) != cluster_of(beginning):
        yield "source"
    for name in _SHARED:
        # The end of an orphan has fewer members than its beginning.
        if name in end and end[name] != beginning.get(name):
            yield name


def _digest(value: Any) -> str:
    return _sha256(json.dumps(value, sort_keys=True, separators=(",", ":")))


def _sha256(text: str) -> str:
    return f"sha256:{sha256(text.encode()).hexdigest()}"
