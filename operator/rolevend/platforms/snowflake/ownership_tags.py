"""Whose a vended role is, written into its comment and that of its user: it is told without a warehouse, and when all else is lost."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from rolevend.model import ClusterId, Uid


@dataclass(frozen=True, slots=True)
class OwnershipTag:
    cluster: ClusterId
    uid: Uid
    expires_at: datetime

    @property
    def expiry(self) -> str:
        return self.expires_at.astimezone(UTC).isoformat(timespec="microseconds")

    def text(self) -> str:
        """What a person reads in SHOW ROLES, too."""
        return json.dumps({"rolevend": {"cluster": self.cluster, "uid": self.uid, "expires": self.expiry}}, separators=(",", ":"))

    def is_of(self, cluster: ClusterId, uid: Uid) -> bool:
        return (self.cluster, self.uid) == (cluster, uid)


def mark_of(comment: str | None) -> OwnershipTag | None:
    """The mark in a comment; None where somebody else wrote it."""
    try:
        found = json.loads(comment or "")["rolevend"]
        expires_at = datetime.fromisoformat(found["expires"])
        return OwnershipTag(ClusterId(str(found["cluster"])), Uid(str(found["uid"])), expires_at) if expires_at.tzinfo else None
    except (ValueError, TypeError, KeyError):
        return None


def cluster_of(comment: str | None) -> ClusterId | None:
    """Whose a part of a profile is; None where somebody else made it."""
    try:
        return ClusterId(str(json.loads(comment or "")["rolevend"]["cluster"]))
    except (ValueError, TypeError, KeyError):
        return None
