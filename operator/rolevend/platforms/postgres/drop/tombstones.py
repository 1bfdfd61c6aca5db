"""The platform's own record of a vended role: its owner, expiry, and reason of its end."""

from dataclasses import dataclass
from datetime import datetime

from rolevend.model import ClusterId, ObjectName, ProfileName, RoleName, Uid, User
from rolevend.platforms.postgres.connections import Connection
from rolevend.platforms.postgres.sql_files import query


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A lease, live or ended. A field is None if the role was closed before it was vended."""

    role: RoleName
    cluster: ClusterId
    uid: Uid
    agent: ObjectName | None
    user: User | None
    profile: ProfileName | None
    """Also None after the profile was collected."""
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
