"""`rolevend receipt`: the key that receipts are signed with, and the check of receipts with its public half, offline."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rolevend.audit.chain import Line
from rolevend.audit.line_reader import lines_of
from rolevend.audit.receipt import FIRST, HALVES, MEMBER, Payload, Receipts, cluster_of, differences, digest_of, said_by, strange_to
from rolevend.errors import InvalidInput, Rejected
from rolevend.identity import key_set
from rolevend.identity.key_set import KeySet
from rolevend.identity.signature import SigningKey, checked, parse_signing_key
from rolevend.identity.strict_json import DuplicateMember, NotJson, read_object

BEGINNING, END = HALVES
_About = tuple[object, object, object]
"""Cluster, request and platform."""


def read_signing_key(file: Path) -> SigningKey:
    """Raises InvalidInput where it cannot be read, or holds no such key."""
    return parse_signing_key(_bytes_of(file, "the key of receipts"), str(file))


def receipts_by(file: Path | None, source: str) -> Receipts | None:
    """Those that the key in `file` signs, for events of `source`; none where no file is named. Raises InvalidInput."""
    return None if file is None else Receipts(source, read_signing_key(file).sign)


def read_public_keys(files: Iterable[str]) -> KeySet:
    """Of all files together: a key that was another one once still checks what it signed."""
    sets = [key_set.parse(_bytes_of(Path(file), "the key set"), file) for file in files]
    by_id = {key.key_id: key for keys in sets for key in keys.keys}
    return KeySet(tuple(by_id.values()))


def new_private_key() -> str:
    """PEM. A secret."""
    return SigningKey.new().private_text


def public_key_set(keys: Iterable[SigningKey]) -> str:
    return json.dumps({"keys": [key.public for key in keys]}, indent=2)


@dataclass(frozen=True, slots=True)
class Half:
    where: str
    key_id: str
    said: Payload
    digest: str

    @property
    def request(self) -> _About:
        """What both halves are about."""
        return cluster_of(self.said), self.said.get("requestUid"), self.said.get("platform")


@dataclass(frozen=True, slots=True)
class Receipt:
    """Of one role on one platform. One of the halves may not be there."""

    beginning: Half | None
    end: Half | None


@dataclass(slots=True)
class VerifiedReceipts:
    receipts: list[Receipt] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What need not be wrong, and what a person should know."""


def verify(files: Sequence[str], keys: KeySet) -> VerifiedReceipts:
    """Of files of audit events, or of receipts alone, one a line. Without `problems` each receipt was signed with one of `keys`, says what
    its event says, and each end belongs to its beginning."""
    reader = _Reader(keys)
    for line in lines_of(files):
        reader.take(line)
    return reader.end()


class _Reader:
    def __init__(self, keys: KeySet) -> None:
        self._keys = keys
        self._found = VerifiedReceipts()
        self._beginnings: dict[str, Half] = {}
        """By digest."""
        self._ends: dict[str, Half] = {}
        self._without: dict[_About, dict[str, str]] = {}
        """Request -> type -> where there is an event that has no receipt."""

    def take(self, line: Line) -> None:
        text = line.text.strip()
        if text.startswith(b"{"):
            self._take_event(line.where, text)
        elif text:
            self._take_receipt(line.where, text.decode("ascii", "replace"), None)

    def _take_event(self, where: str, text: bytes) -> None:
        try:
            event = read_object(text)
        except DuplicateMember:
            self._problem(where, "a name stands twice in this event: two readers could read two events")
            return
        except NotJson:
            self._found.notes.append(f"{where}: is not whole; whether it may be so is what rolevend audit verify says")
            return
        told = event.get("data")
        if not isinstance(told, dict):
            return
        receipt = told.get(MEMBER)
        if receipt is None and event.get("type") not in HALVES:
            return
        if receipt is None:
            about = cluster_of(event), told.get("requestUid"), told.get("platform")
            self._without.setdefault(about, {})[str(event["type"])] = where
        elif isinstance(receipt, str):
            self._take_receipt(where, receipt, event)
        else:
            self._problem(where, "its receipt is no text")

    def _take_receipt(self, where: str, text: str, event: Mapping[str, Any] | None) -> None:
        try:
            signed = checked(text, self._keys)
        except Rejected as error:
            self._problem(where, str(error))
            return
        half = Half(where, signed.key_id, signed.payload, digest_of(text))
        if half.said.get("type") not in HALVES:
            self._problem(where, "it is signed, and is neither the beginning nor the end of a role")
            return
        for problem in () if event is None else _unlike(event, half.said):
            self._problem(where, problem)
        (self._beginnings if half.said["type"] == BEGINNING else self._ends).setdefault(half.digest, half)

    def end(self) -> VerifiedReceipts:
        ended = {end.request for end in self._ends.values()}
        named = [self._ended(end) for end in self._ends.values()]
        closed = {half.digest for half in named if half is not None}
        for end, beginning in zip(self._ends.values(), named, strict=True):
            self._found.receipts.append(Receipt(beginning, end))
        for beginning in self._beginnings.values():
            if beginning.digest in closed:
                continue
            if beginning.request in ended:  # a step that ran again told it again, and the end names the other one
                continue
            self._found.receipts.append(Receipt(beginning, None))
            if end_without := self._without.get(beginning.request, {}).get(END):
                self._problem(end_without, f"the end of the role that began at {beginning.where} has no receipt: it may have been altered")
        self._tell_of_events_without()
        return self._found

    def _ended(self, end: Half) -> Half | None:
        """The beginning that belongs to an end, if it is here."""
        first = end.said.get(FIRST)
        if first is None:
            return self._guessed(end)
        beginning = self._beginnings.get(str(first))
        if beginning is None:
            self._problem(end.where, "the first half, which it names, is not here: give the file that it is in, too, or it was taken away")
        elif strange := strange_to(end.said, beginning.said):
            self._problem(
                end.where, f"it ends another role than the beginning that it names ({beginning.where}): {', '.join(strange)} differ"
            )
        return beginning

    def _guessed(self, end: Half) -> Half | None:
        candidates = [each for each in self._beginnings.values() if each.request == end.request and not strange_to(end.said, each.said)]
        if not candidates:
            self._found.notes.append(f"{end.where}: names no first half, and none is here: whoever ended it knew of none")
            return None
        self._found.notes.append(f"{end.where}: names no first half; that of {candidates[-1].where} is of the same role")
        return candidates[-1]

    def _tell_of_events_without(self) -> None:
        if not self._beginnings and not self._ends and not self._found.problems:
            self._found.problems.append("there is no receipt: the operator has no key for them, or these are other files")
        elif count := sum(map(len, self._without.values())):
            self._found.notes.append(f"{count} events that could have a receipt have none: there was no key, or it was taken away")

    def _problem(self, where: str, problem: str) -> None:
        self._found.problems.append(f"{where}: {problem}")


def _unlike(event: Mapping[str, Any], said: Payload) -> Iterator[str]:
    """Why an event is not what its receipt says."""
    try:
        expected = said_by(event, said.get(FIRST))
    except (KeyError, TypeError, AttributeError):
        yield "the event is none that could have been signed"
        return
    if names := differences(expected, said):
        yield f"the event is not what was signed: {', '.join(names)} differ"


def _bytes_of(file: Path, what: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidInput(str(file), f"{what} cannot be read: {error.strerror or error}") from error
