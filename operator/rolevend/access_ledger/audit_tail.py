"""The roles of audit files that grow: reads new events alone, and forgets roles that ended long ago."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from rolevend.access_ledger.grants import AuditedRole, AuditedRoles
from rolevend.access_ledger.positions import FIRST_LINE_BYTES, identity_of
from rolevend.audit.event_files import audit_paths, event_of
from rolevend.naming import PREFIX

KEPT: Final = timedelta(days=8)
"""How long a role is known after its end. A query history has statements of seven days."""
_FORGOTTEN_EVERY: Final = timedelta(hours=1)
_FORGOTTEN_AFTER: Final = 10_000
"""Events."""
_MAX_UNKNOWN: Final = 10_000
_ROLE: Final = PREFIX.encode()


class FollowedRoles:
    """Reads the new events when `refresh` is called, and when a role is not known yet. A file that is renamed keeps its position."""

    def __init__(self, paths: Sequence[str], platform: str | None, now: Callable[[], datetime]) -> None:
        """`paths` are files and folders; files may appear later."""
        self._paths = paths
        self._platform = platform
        self._now = now
        self._roles = AuditedRoles(platform)
        self._positions: dict[str, int] = {}
        """By the digest of the first line."""
        self._unknown: set[str] = set()
        """Roles that no event named at the last refresh."""
        self._learned = 0
        self._forgotten_at = datetime.min.replace(tzinfo=UTC)

    @property
    def malformed(self) -> int:
        return self._roles.malformed

    def __len__(self) -> int:
        return len(self._roles)

    def get(self, role: str) -> AuditedRole | None:
        found = self._roles.get(role)
        if found is None and role not in self._unknown:
            self._read_new()  # it was vended since: its event is written before anybody can log in
            found = self._roles.get(role)
            if found is None and len(self._unknown) < _MAX_UNKNOWN:
                self._unknown.add(role)
        return found

    def tables(self) -> set[str]:
        """Return the tables of all roles on the platform."""
        lists = {id(each.tables): each.tables for each in self._roles if each.tables is not None and each.platform == self._platform}
        return {name for each in lists.values() for name in each.names}

    def refresh(self) -> None:
        """Read the new events. Raises OSError if a file cannot be read."""
        self._unknown.clear()
        self._read_new()
        if self._now() - self._forgotten_at > _FORGOTTEN_EVERY:
            self._forget()

    def _read_new(self) -> None:
        positions = {}
        for name in audit_paths(self._paths):
            if (found := self._follow(Path(name))) is not None:
                identity, position = found
                positions[identity] = position
        self._positions = positions

    def _follow(self, path: Path) -> tuple[str, int] | None:
        """Return the file's identity and the position behind its last complete line; None without a line."""
        with path.open("rb") as file:
            first = file.readline(FIRST_LINE_BYTES)
            if len(first) < FIRST_LINE_BYTES and not first.endswith(b"\n"):
                return None
            identity = identity_of(first)
            position = self._positions.get(identity, 0)
            file.seek(position)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                position += len(line)
                self._take(line)
            return identity, position

    def _take(self, line: bytes) -> None:
        if _ROLE not in line or (event := event_of(line)) is None:
            return
        self._roles.learn(event)
        self._learned += 1
        if self._learned >= _FORGOTTEN_AFTER:
            self._forget()

    def _forget(self) -> None:
        self._learned = 0
        self._forgotten_at = self._now()
        self._roles.forget(self._forgotten_at - KEPT)
