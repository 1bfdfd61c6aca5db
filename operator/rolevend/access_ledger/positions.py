"""The position in each log file up to which an earlier run read. Pure.

A file is known by the digest of its first line, so that it keeps its position when it is renamed or compressed.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from rolevend.errors import InvalidInput

FIRST_LINE_BYTES: Final = 4096
_VERSION: Final = 1
_MAX_FILES: Final = 10_000
"""The oldest ones are forgotten."""


def identity_of(first_line: bytes) -> str:
    return sha256(first_line[:FIRST_LINE_BYTES]).hexdigest()[:32]


@dataclass(slots=True)
class Positions:
    """`pending` are the statements without an outcome, as `SessionStatements.saved` returns them."""

    files: dict[str, int] = field(default_factory=dict)
    pending: dict[str, Any] | None = None

    def of(self, identity: str) -> int:
        return self.files.get(identity, 0)

    def advance(self, identity: str, position: int) -> None:
        self.files[identity] = max(position, self.files.pop(identity, 0))
        while len(self.files) > _MAX_FILES:
            del self.files[next(iter(self.files))]

    def as_json(self) -> dict[str, Any]:
        return {"version": _VERSION, "files": self.files, "pending": self.pending}


def positions_of(value: Any, name: str) -> Positions:
    """Parse what `as_json` returned; None is a new state. Raises InvalidInput."""
    if value is None:
        return Positions()
    if not isinstance(value, dict) or value.get("version") != _VERSION or not isinstance(value.get("files"), dict):
        raise InvalidInput(
            name, "is not a state of rolevend ledger, or of another version; name another file to read the logs from their start"
        )
    files = {str(identity): position for identity, position in value["files"].items() if isinstance(position, int) and position >= 0}
    if len(files) < len(value["files"]):
        raise InvalidInput(name, "has positions that are not numbers; name another file to read the logs from their start")
    return Positions(files, value.get("pending"))
