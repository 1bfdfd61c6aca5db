"""What the platform itself knows of a vended role: who it was for, until when, and what ended it."""

from dataclasses import dataclass
from datetime import datetime

from rolevend.model import ClusterId, ObjectName, ProfileName, RoleName, Uid, User
from rolevend.platforms.postgres.connections import Connection
from rolevend.platforms.postgres.sql_files import query


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A lease, dead or alive. What is None was never known here: the role was closed before it was vended."""

    role: RoleName
    cluster: ClusterId
    uid: Uid
    agent: ObjectName | None
    user: User | None
    profile: ProfileName | None
    """None too once the profile was collected."""
    issued_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    reason: str | None
    dropped_at: datetime | None


def tombstone_of(connection: Connection, role: RoleName) -> Tombstone | None:
    row = connection.execute(query("who"), {"role": role}).fetchone()
    if row is None:
        return None
    cluster, uid, agent, issuer, subject, profile, *times = row
    namespace, _, name = (agent or "").partition("/")
    return Tombstone(
        role,
        cluster,
        uid,
        ObjectName(namespace, name) if agent else None,
        User(issuer, subject) if issuer else None,
        profile,
        *times,
    )
