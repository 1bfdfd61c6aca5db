"""The owner of a vended role, in its comment and its user's comment: readable without a warehouse and without the lease table."""

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
        """Return the comment's text, also for readers of SHOW ROLES."""
        return json.dumps({"rolevend": {"cluster": self.cluster, "uid": self.uid, "expires": self.expiry}}, separators=(",", ":"))

    def is_of(self, cluster: ClusterId, uid: Uid) -> bool:
        return (self.cluster, self.uid) == (cluster, uid)


def mark_of(comment: str | None) -> OwnershipTag | None:
    """Return the mark in a comment, or None if there is none."""
    try:
        found = json.loads(comment or "")["rolevend"]
        expires_at = datetime.fromisoformat(found["expires"])
        return OwnershipTag(ClusterId(str(found["cluster"])), Uid(str(found["uid"])), expires_at) if expires_at.tzinfo else None
    except (ValueError, TypeError, KeyError):
        return None


def cluster_of(comment: str | None) -> ClusterId | None:
    """Return the cluster of a part of a profile, or None if another account created it."""
    try:
        return ClusterId(str(json.loads(comment or "")["rolevend"]["cluster"]))
    except (ValueError, TypeError, KeyError):
        return None
