"""The page docs/reference/audit.md, from the types and members of audit events and receipts."""

import dataclasses
import inspect
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, get_args

from tables import code, docstrings, table

from rolevend.audit.access import AccessApprover, AccessVote, RoleApproval
from rolevend.audit.chain import Chain, Key
from rolevend.audit.events import EVENTS, AuditEvent, StartedEvent
from rolevend.audit.evidence import AttributeRead, ColumnAccess, ObjectRead, TableAccess
from rolevend.audit.json_size import Rendered, json_name
from rolevend.audit.receipt import COPIED, MAX_NAME_BYTES
from rolevend.identity.signature import TYPE


def page() -> Iterator[str]:
    yield "# Audit events"
    yield ""
    yield "One line of JSON for each event, on the operator's standard output or in a file (the chart's value `audit.volume`), never among"
    yield "its logs, which go to standard error. Each line is a [CloudEvents 1.0](https://cloudevents.io) envelope around one flat object."
    yield "How to use them: [find out who](../how-to/find-out-who.md). A line is ASCII, and shorter than 64 KiB:"
    yield "what there is no room for is counted in a member `...LeftOut`, and a text that was cut ends in `...`."
    yield ""
    yield "An event is written for good before anything follows from it. While none can be written nothing is vended: the VendedRole has"
    yield "`Ready=False` with the reason `AuditUnavailable`. Drops go on; the VendedRole stays until its event is written. No AccessRequest"
    yield "is approved either; approvals end."
    yield "A step that runs again after a crash may write an event again: **the same `id` is the same event**."
    yield ""
    yield "## Types"
    yield ""
    yield from table(("Type", "Meaning"), ((code(each.type), inspect.cleandoc(each.__doc__ or "")) for each in EVENTS))
    yield ""
    yield "## Envelope"
    yield ""
    started = StartedEvent(id="", subject="", time=datetime.now(UTC), version="", host="")
    envelope = json.loads(Chain("", "", key=Key(b"")).append(started))
    yield from table(("Attribute", "Holds"), ((code(name), _ENVELOPE[name]) for name in envelope))
    yield ""
    yield "Without a key the hashes show what was altered by somebody who cannot write all that follows. With one (the chart's value"
    yield "`audit.keySecretRef`) they show it of everybody who does not have the key. Neither shows that the end was cut off: keep the"
    yield "last hash, which `rolevend audit verify` prints, elsewhere, and give it to the next one as `--expect`."
    yield ""
    yield from _receipt()
    yield "## `data`"
    yield ""
    yield "An event has the members that the table names for its type. A member that does not apply, or is not known, is left out."
    yield ""
    yield from table(("Type", "Members"), ((code(each.type), ", ".join(map(code, map(json_name, _data(each))))) for each in EVENTS))
    yield ""
    yield from table(("Member", "Type", "Meaning"), _data_members())
    for part in (AttributeRead, ObjectRead, TableAccess, ColumnAccess, RoleApproval, AccessApprover, AccessVote):
        yield ""
        yield f"### {part.__name__}"
        yield ""
        yield from table(("Member", "Type", "Meaning"), _members(part))


def _receipt() -> Iterator[str]:
    yield "## Receipts"
    yield ""
    yield "With a key for them (the chart's value `audit.receiptKeySecretRef`) each `granted` and each `dropped` has a member `receipt`:"
    yield f"a JWS in its compact form, EdDSA with Ed25519, whose header has `typ` `{TYPE}` and the `kid` of its key. That of `granted` is"
    yield "the first half of a role's receipt, that of `dropped` the second. How to check them:"
    yield "[prove it to somebody else](../how-to/find-out-who.md#prove-it-to-somebody-else)."
    yield "The payload is one object:"
    yield ""
    yield from table(("Member", "Holds"), ((code(name), text) for name, text in _RECEIPT.items()))
    yield ""
    yield "A digest is `sha256:` and the hash in hexadecimal; that of a value is taken of its JSON without white space, in ASCII, with"
    yield "sorted names."
    yield ""


_RECEIPT = {
    "id": "and `source`, `type`, `subject`, `time`: as in the envelope of the event",
    "role": f"and {', '.join(map(code, COPIED[1:]))}: as in its `data`",
    "tables": f"names of the tables in its `data`, as far as they have room in {MAX_NAME_BYTES} bytes",
    "tablesDigest": "digest of the member `tables` of its `data`: all row filters and masks",
    "dataDigest": "digest of its `data` without `receipt` and `tables`",
    "first": "of a second half: digest of the first, of all before its signature. Left out where the operator knew of none",
}

_ENVELOPE = {
    "specversion": "`1.0`",
    "id": "the request's uid, what is told, and a digest of it; for `started` and `stopped` the name of the chain. Unique with `source`",
    "source": "`/rolevend/clusters/` and the uid of the namespace `kube-system`",
    "type": "one of the types above",
    "subject": "the role's name; of a denial the VendedRole; of `access-…` the AccessRequest; of `started` and `stopped` the pod",
    "time": "when it was said, in UTC",
    "datacontenttype": "`application/json`",
    "data": "the flat object",
    "chain": "name of the chain: random, another one for each process and each file",
    "sequence": "place in the chain, from 1",
    "previoushash": "the `hash` of the event before it in the file, or 64 zeros",
    "hashkey": "which key the hash was made with; only where there is one",
    "hash": 'SHA-256, or with a key HMAC-SHA-256, in lower-case hexadecimal, of the bytes of the line before `,"hash":`',
}


def _data_members() -> Iterator[tuple[str, str, str]]:
    """The members of all events, each once, in an order that agrees with that of each event."""
    order: list[str] = []
    types: dict[str, Any] = {}
    texts: dict[str, dict[type, str]] = defaultdict(dict)
    for event in EVENTS:
        place = len(order)
        for name, (owner, kind, text) in reversed(_data(event).items()):
            if name in types:
                place = order.index(name)
            else:
                order.insert(place, name)
                types[name] = kind
            if text is not None:
                texts[name][owner] = text
    for name in order:
        yield code(json_name(name)), _json_type(types[name]), " ".join(_meanings(texts[name]))


def _meanings(texts: Mapping[type, str]) -> Iterator[str]:
    for owner, text in texts.items():
        of_one_type = len(texts) > 1 and issubclass(owner, AuditEvent)
        yield f"{code(owner.type.rpartition('.')[2])}: {text}" if of_one_type else text


def _data(kind: type) -> dict[str, tuple[type, Any, str | None]]:
    """Member -> the class that has it, its type, its docstring if it has one. The members of a group stand in its place."""
    texts, found = docstrings(kind), {}
    for field in dataclasses.fields(kind):
        options = get_args(field.type)
        group = options[0] if type(None) in options else field.type
        if dataclasses.is_dataclass(group) and not issubclass(group, Rendered):
            found |= _data(group)
        elif field.name not in {each.name for each in dataclasses.fields(AuditEvent)}:
            found[field.name] = (kind, field.type, texts.get(field.name))
    return found


def _members(kind: type) -> Iterator[tuple[str, str, str]]:
    texts = docstrings(kind)
    for member in dataclasses.fields(kind):
        yield code(json_name(member.name)), _json_type(member.type), texts.get(member.name, "")


def _json_type(annotation: Any) -> str:
    match get_args(annotation):
        case (kind, *_) if type(None) in get_args(annotation):
            return _json_type(kind)
        case (kind, _):
            name = _json_type(kind)
            return f"list of {name}"
    kind = getattr(annotation, "__supertype__", annotation)
    names = {str: "string", int: "integer", float: "number", bool: "boolean", datetime: "time"}
    return names.get(kind, "string" if issubclass(kind, str) else f"[{kind.__name__}](#{kind.__name__.lower()})")
