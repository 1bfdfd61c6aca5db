"""Read the keys of receipts, and verify receipts in files with the public keys, offline."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rolevend.audit.chain import Line
from rolevend.audit.event_files import lines_of
from rolevend.audit.receipt import FIRST, HALVES, MEMBER, Payload, Receipts, cluster_of, differences, digest_of, mismatches, payload_of
from rolevend.errors import InvalidInput, Rejected
from rolevend.identity import key_set
from rolevend.identity.key_set import KeySet
from rolevend.identity.signature import SigningKey, checked, parse_signing_key
from rolevend.identity.strict_json import DuplicateMember, NotJson, read_object

BEGINNING, END = HALVES
_RequestKey = tuple[object, object, object]
"""Cluster, request and platform."""


def read_signing_key(file: Path) -> SigningKey:
    """Raises InvalidInput if the file cannot be read or contains no such key."""
    return parse_signing_key(_bytes_of(file, "the key of receipts"), str(file))


def receipts_by(file: Path | None, source: str) -> Receipts | None:
    """Return receipts for events of `source`, signed with the key in `file`; None without a file. Raises InvalidInput."""
    return None if file is None else Receipts(source, read_signing_key(file).sign)


def read_public_keys(files: Iterable[str]) -> KeySet:
    """Read the keys of all files into one set, so that receipts verify after their key was replaced."""
    sets = [key_set.parse(_bytes_of(Path(file), "the key set"), file) for file in files]
    by_id = {key.key_id: key for keys in sets for key in keys.keys}
    return KeySet(tuple(by_id.values()))


def new_private_key() -> str:
    """Return a new key as PEM. It is a secret."""
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
    def request(self) -> _RequestKey:
        """Equal in both halves of a receipt."""
        return cluster_of(self.said), self.said.get("requestUid"), self.said.get("platform")


@dataclass(frozen=True, slots=True)
class Receipt:
    """The halves for one role on one platform. One of them may be missing."""

    beginning: Half | None
    end: Half | None


@dataclass(slots=True)
class VerifiedReceipts:
    receipts: list[Receipt] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Findings that a person should know and that may be harmless."""


def verify(files: Sequence[str], keys: KeySet) -> VerifiedReceipts:
    """Verify files of audit events, or of receipts alone, one in a line."""
    return verify_lines(lines_of(files), keys)


def verify_lines(lines: Iterable[Line], keys: KeySet) -> VerifiedReceipts:
    """Verify lines of audit events, or of receipts alone.

    Without `problems` each receipt was signed with one of `keys` and agrees with its event, and each end belongs to its beginning.
    """
    reader = _Reader(keys)
    for line in lines:
        reader.take(line)
    return reader.end()


class _Reader:
    def __init__(self, keys: KeySet) -> None:
        self._keys = keys
        self._found = VerifiedReceipts()
        self._beginnings: dict[str, Half] = {}
        """By digest."""
        self._ends: dict[str, Half] = {}
        self._without: dict[_RequestKey, dict[str, str]] = {}
        """Request -> type -> place of an event without a receipt."""

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
        data = event.get("data")
        if not isinstance(data, dict):
            return
        receipt = data.get(MEMBER)
        if receipt is None and event.get("type") not in HALVES:
            return
        if receipt is None:
            about = cluster_of(event), data.get("requestUid"), data.get("platform")
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
            if beginning.request in ended:  # written again by a repeated step; the end names the other one
                continue
            self._found.receipts.append(Receipt(beginning, None))
            if end_without := self._without.get(beginning.request, {}).get(END):
                self._problem(end_without, f"the end of the role that began at {beginning.where} has no receipt: it may have been altered")
        self._report_missing_receipts()
        return self._found

    def _ended(self, end: Half) -> Half | None:
        """Return the beginning of an end, if it is in the files."""
        first = end.said.get(FIRST)
        if first is None:
            return self._guessed(end)
        beginning = self._beginnings.get(str(first))
        if beginning is None:
            self._problem(end.where, "the first half, which it names, is not here: give the file that it is in, too, or it was taken away")
        elif different := [*mismatches(end.said, beginning.said)]:
            self._problem(
                end.where, f"it ends another role than the beginning that it names ({beginning.where}): {', '.join(different)} differ"
            )
        return beginning

    def _guessed(self, end: Half) -> Half | None:
        same_request = (each for each in self._beginnings.values() if each.request == end.request)
        candidates = [each for each in same_request if not any(mismatches(end.said, each.said))]
        if not candidates:
            self._found.notes.append(f"{end.where}: names no first half, and none is here: the operator that ended the role knew of none")
            return None
        self._found.notes.append(f"{end.where}: names no first half; that of {candidates[-1].where} is of the same role")
        return candidates[-1]

    def _report_missing_receipts(self) -> None:
        if not self._beginnings and not self._ends and not self._found.problems:
            self._found.problems.append("there is no receipt: the operator has no key for them, or these are other files")
        elif count := sum(map(len, self._without.values())):
            self._found.notes.append(f"{count} events that could have a receipt have none: there was no key, or it was taken away")

    def _problem(self, where: str, problem: str) -> None:
        self._found.problems.append(f"{where}: {problem}")


def _unlike(event: Mapping[str, Any], payload: Payload) -> Iterator[str]:
    """Yield how an event differs from its receipt."""
    try:
        expected = payload_of(event, payload.get(FIRST))
    except (KeyError, TypeError, AttributeError):
        yield "the event is none that could have been signed"
        return
    if names := differences(expected, payload):
        yield f"the event is not what was signed: {', '.join(names)} differ"


def _bytes_of(file: Path, what: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidInput(str(file), f"{what} cannot be read: {error.strerror or error}") from error
