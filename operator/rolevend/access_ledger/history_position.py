"""The position in the query history of an account: statements appear there late, and in no fixed order. Pure.

All statements that ended before `floor` are settled. Of those that ended later, `told` are those that were printed, as 8 bytes of a digest:
a million take 8 MB.
"""

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final

from rolevend.errors import InvalidInput

MAX_TOLD: Final = 1_000_000
"""Beyond, a run stops and a later one continues: it repeats nothing, loses nothing, and falls behind."""
_VERSION: Final = 1
_BYTES: Final = 8
_MINUTE: Final = 60


@dataclass(slots=True)
class HistoryPosition:
    floor: datetime
    told: dict[int, bytearray] = field(default_factory=dict)
    """Digests of ids, by the minute of the end."""
    _minute: int | None = None
    _ids: set[bytes] = field(default_factory=set)
    """Those of `_minute`, as a set: statements come in the order of their ends."""

    def has(self, ended: datetime, query_id: str) -> bool:
        return _digest(query_id) in self._of(_minute(ended))

    def add(self, ended: datetime, query_id: str) -> None:
        minute, digest = _minute(ended), _digest(query_id)
        self._of(minute).add(digest)
        self.told.setdefault(minute, bytearray()).extend(digest)

    def settle(self, before: datetime) -> None:
        """Move the floor, and forget what ended before it. Never moves back."""
        self.floor = max(self.floor, before)
        first = _minute(self.floor)
        self.told = {minute: ids for minute, ids in self.told.items() if minute >= first}

    @property
    def is_full(self) -> bool:
        return sum(map(len, self.told.values())) >= MAX_TOLD * _BYTES

    def as_json(self) -> dict[str, Any]:
        told = {str(minute): b64encode(ids).decode() for minute, ids in self.told.items()}
        return {"version": _VERSION, "queryHistory": {"floor": self.floor.isoformat(), "told": told}}

    def _of(self, minute: int) -> set[bytes]:
        if minute != self._minute:
            ids = bytes(self.told.get(minute, b""))
            self._minute, self._ids = minute, {ids[start : start + _BYTES] for start in range(0, len(ids), _BYTES)}
        return self._ids


def history_position_of(value: Any, name: str, since: datetime) -> HistoryPosition:
    """Parse what `as_json` returned; None is a new state, from `since` on. Raises InvalidInput."""
    if value is None:
        return HistoryPosition(since)
    try:
        if value["version"] != _VERSION:
            raise ValueError(value["version"])
        known = value["queryHistory"]
        floor = datetime.fromisoformat(known["floor"]).astimezone(UTC)
        told = {int(minute): bytearray(b64decode(ids, validate=True)) for minute, ids in known["told"].items()}
    except (KeyError, TypeError, ValueError, AttributeError, NotBase64) as error:
        problem = "is not a state of a query history, or of another version; name another file, and the time to begin at with --since"
        raise InvalidInput(name, problem) from error
    return HistoryPosition(floor, told)


def _minute(time: datetime) -> int:
    return int(time.timestamp()) // _MINUTE


def _digest(query_id: str) -> bytes:
    return blake2b(query_id.encode(), digest_size=_BYTES).digest()
