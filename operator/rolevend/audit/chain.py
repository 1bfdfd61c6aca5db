"""The hash chain of audit events: each line contains the hash of the line before it, so `verify` finds altered and missing lines. Pure.

A chain begins with an event `started` and belongs to one process and one file. Without a key, an attacker who can write the file can create
a whole new chain. With a key, an attacker who does not have it can only cut off the end: keep the last hash elsewhere, and let `verify`
expect it.
"""

import hmac
import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from rolevend.audit.events import AuditEvent, EventType
from rolevend.audit.json_size import text_of

BEGINNING = "0" * 64
"""The `previoushash` of the first event."""
_SEAL = re.compile(rb',"hash":"([0-9a-f]{64})"\}')
MIN_KEY_BYTES = 32
_MOST_DIGITS: Final = 18
"""Of a sequence: Python refuses to read a number of thousands."""
_MARKS = {"specversion", "chain", "previoushash", "hash"}
"""A JSON object with one of these members is, or was, an event."""
_SEAL_BYTES = len(',"hash":""}') + 64


@dataclass(frozen=True, slots=True, repr=False)
class Key:
    """The key of an HMAC. An attacker who can write the file, but has no key, cannot compute hashes."""

    secret: bytes

    @property
    def id(self) -> str:
        """Identifies the key. Reveals nothing of it."""
        return self.hash(b"rolevend audit key")[:16]

    def hash(self, text: bytes) -> str:
        return hmac.new(self.secret, text, sha256).hexdigest()


@dataclass(slots=True)
class Chain:
    """The state of a chain that is being written. `source` names the cluster, `name` the chain."""

    source: str
    name: str
    head: str = BEGINNING
    length: int = 0
    key: Key | None = None

    def append(self, event: AuditEvent) -> bytes:
        """Return the line of `event`: a CloudEvent in the JSON format, with the chain in extension attributes."""
        envelope = {"specversion": "1.0", **event.envelope(self.source), "datacontenttype": "application/json"}
        place = {"chain": self.name, "sequence": str(self.length + 1), "previoushash": self.head}
        if self.key is not None:
            place["hashkey"] = self.key.id
        before, after = text_of(envelope).removesuffix("}"), text_of(place).removeprefix("{").removesuffix("}")
        text = f'{before},"data":{event.data_text},{after}'.encode()
        self.head = _hash(text, self.key)
        self.length += 1
        return text + b',"hash":"' + self.head.encode() + b'"}\n'


def hash_at_end(line: bytes) -> str | None:
    """Return the hash at the end of a line, valid or not; None if the line is incomplete."""
    seal = _SEAL.fullmatch(line.rstrip(b"\r\n")[-_SEAL_BYTES:])
    return None if seal is None else seal[1].decode()


def _is_valid(line: bytes, key: Key | None) -> bool:
    found = hash_at_end(line)
    return found is not None and hmac.compare_digest(found, _hash(line.rstrip(b"\r\n")[:-_SEAL_BYTES], key))


def _hash(text: bytes, key: Key | None) -> str:
    return sha256(text).hexdigest() if key is None else key.hash(text)


@dataclass(frozen=True, slots=True)
class Line:
    where: str
    """Such as `audit.ndjson:7`."""
    text: bytes


@dataclass(slots=True)
class VerifiedChain:
    """The result of `verify`. Without `problems` every event that was written between the first and the last one is there, unaltered."""

    events: int = 0
    passed_over: int = 0
    """Lines of JSON that are not events, such as log lines in the output of a pod."""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Findings that a person should know and that may be harmless."""
    head: str | None = None
    """Hash of the last event."""


@dataclass(frozen=True, slots=True)
class _Link:
    where: str
    sequence: int
    hash: str
    type: str
    key: str | None
    """The id of the key that it was sealed with."""


def verify(lines: Iterable[Line], expect: str | None = None, keys: Collection[Key] = (), *, order_alone: bool = False) -> VerifiedChain:
    """Verify lines in the order in which they were written, older files first.

    `expect` is a hash that must be there. With `keys`, every event must be sealed with one of them; without, none may be sealed with a key.
    With `order_alone` an event that is sealed with another key is a note: it may have been altered, unless the next one shows it.
    """
    verifier = _Verifier(expect, keys, order_alone=order_alone)
    for line in lines:
        verifier.take(line)
    return verifier.end()


class _Verifier:
    def __init__(self, expect: str | None, keys: Collection[Key], *, order_alone: bool) -> None:
        self._order_alone = order_alone
        self._keys = {key.id: key for key in keys}
        self._sealed_with: set[str] = set()
        """Ids of keys in the file that were not given. Each is reported once."""
        self._found = VerifiedChain()
        self._chains: dict[str, _Link] = {}
        self._torn: Line | None = None
        self._expected = expect

    def take(self, line: Line) -> None:
        event = _json(line.text)
        if event is not None and event.keys().isdisjoint(_MARKS):
            self._found.passed_over += 1
            return
        if event is None:
            self._tear()
            self._torn = line
            return
        sequence = str(event.get("sequence"))
        has_place = sequence.isdecimal() and len(sequence) <= _MOST_DIGITS
        problem = self._seal(line, event)
        if problem or not has_place:
            self._tear()
            self._problem(line, problem or f"event {event.get('id')} was altered: it has no place in its chain")
            sequence = sequence if has_place else "0"
        key = None if event.get("hashkey") is None else str(event["hashkey"])
        self._link(line, event, _Link(line.where, int(sequence), str(event.get("hash")), str(event.get("type")), key))

    def _seal(self, line: Line, event: dict[str, object]) -> str | None:
        """Return what is wrong with the event's hash, if anything."""
        id_, name = event.get("id"), event.get("hashkey")
        if name is None and self._keys:
            return f"event {id_} was sealed without a key: any writer of the file may have made it"
        if name is not None and name not in self._keys:
            if str(name) in self._sealed_with:
                return None
            self._sealed_with.add(str(name))
            unknown = (
                f"event {id_} was sealed with the key {name}, which was not given, and maybe more: nothing says that they were not altered"
            )
            if self._order_alone:
                self._found.notes.append(f"{line.where}: {unknown}")
                return None
            return unknown
        key = None if name is None else self._keys[str(name)]
        return None if _is_valid(line.text, key) else f"event {id_} was altered: it is not what its hash was made of"

    def _link(self, line: Line, event: dict[str, object], link: _Link) -> None:
        chain, previous = str(event.get("chain")), str(event.get("previoushash"))
        before = self._chains.get(chain)
        if self._torn is not None and link.sequence == 1 and previous == (self._found.head or BEGINNING):
            self._found.notes.append(f"{self._torn.where}: is cut short, as a process leaves it that is killed while it writes")
            self._torn = None
        self._tear()
        if before is not None:
            for problem in _follows(before, link, previous):
                self._problem(line, problem)
        elif link.sequence == 1:
            if previous not in (BEGINNING, self._found.head) and self._found.events:
                self._problem(line, f"a process began here after event {previous[:12]}…, which is not there: the end before it was cut off")
            elif previous != BEGINNING and not self._found.events:
                self._found.notes.append(f"{line.where}: what went before is in an older file, which ends with hash {previous}")
        elif not self._found.events:
            self._found.notes.append(f"{line.where}: begins with event {link.sequence} of its chain; what went before is in an older file")
        else:
            self._problem(line, f"events 1 to {link.sequence - 1} of chain {chain} are missing before it")
        self._chains[chain] = link
        self._found.events += 1
        self._found.head = link.hash
        if link.hash == self._expected:
            self._expected = None

    def end(self) -> VerifiedChain:
        self._tear()
        found = self._found
        for link in self._chains.values():
            if link.type != EventType.STOPPED:
                found.notes.append(
                    f"{link.where}: no event says that the process which wrote this stopped: it runs, it was killed, or what "
                    "followed was cut off"
                )
        if self._expected:
            found.problems.append(f"no event has the expected hash {self._expected}: it was cut off, or its file is not among these")
        return found

    def _problem(self, line: Line, problem: str) -> None:
        self._found.problems.append(f"{line.where}: {problem}")

    def _tear(self) -> None:
        if self._torn is not None:
            self._problem(self._torn, "cannot be read as an event: it was altered, or cut off")
            self._torn = None


def _follows(before: _Link, link: _Link, previous: str) -> Iterator[str]:
    if link.key != before.key:
        yield f"was not sealed with the key of {before.where}, which is of the same chain: one of the two was altered"
    missing = link.sequence - before.sequence - 1
    if missing > 0:
        yield f"{missing} {'event is' if missing == 1 else 'events are'} missing between {before.where} and here"
    elif missing < 0:
        yield f"is event {link.sequence} of its chain, and comes after event {before.sequence} ({before.where}): a copy, or out of order"
    elif previous != before.hash:
        yield f"does not follow from {before.where}: one of the two was altered"


def _json(text: bytes) -> dict[str, object] | None:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None
