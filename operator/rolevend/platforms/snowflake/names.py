"""Names of rolevend's objects in an account, except the parts of the control database (`control`), as SQL. Pure.

The ownership tag names the owner of a vended role, in its comment and its user's comment: readable without a warehouse and without the
lease table.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from rolevend.model import ClusterId, ProfileName, Uid
from rolevend.platforms.snowflake import control
from rolevend.platforms.snowflake.control import control as part
from rolevend.platforms.snowflake.sql import Sql, compose, join, name

DATABASE: Final = name(control.DATABASE)
CONTROL: Final = compose("{}.{}", DATABASE, name(control.SCHEMA))
LEASE: Final = part("LEASE")
PROFILE: Final = part("PROFILE")
FRAGMENT: Final = part("FRAGMENT")
SALT: Final = part("SALT")
OBSTACLE: Final = part("OBSTACLE")
TOOL: Final = part("TOOL")
SESSION_POLICY: Final = part("VENDED_SESSION")
REAPER: Final = part("REAPER")
REAP: Final = compose("{}()", part("REAP"))

MARKER: Final = name(control.MARKER)
PROGRAMMER: Final = name(control.OWNER)
VENDOR_ROLE: Final = "RV_VENDOR"
VENDOR: Final = name(VENDOR_ROLE)
QUARANTINE: Final = name("RV_QUARANTINE")
REAPER_ROLE: Final = name("RV_REAPER")


def database_role(spelled: str) -> Sql:
    """Return a database role of Snowflake, such as SNOWFLAKE.CORTEX_USER."""
    return join(".", map(name, spelled.split(".")))


def cortex_role(database_role: str) -> Sql:
    """Return the role that holds this database role of Snowflake, such as SNOWFLAKE.CORTEX_USER, for the programmer to grant to profiles:
    only an administrator can grant the database role itself.
    """
    return name("RV_" + database_role.removeprefix("SNOWFLAKE."))


def role_of(profile: ProfileName) -> Sql:
    return name(control.profile_role(profile))


def schema_of(profile: ProfileName) -> Sql:
    """Return the schema of its views."""
    return compose("{}.{}", DATABASE, role_of(profile))


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
