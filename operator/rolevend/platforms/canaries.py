"""Canaries, which an attestation vends for itself: who they are, and what their profiles are for, is the same on every platform."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from rolevend.model import AgentHandle, Attributes, ClusterId, ObjectName, Uid, User, UserHandle
from rolevend.naming import role_name
from rolevend.plan import Lease, Profile
from rolevend.platforms.protocol import Randomness


@dataclass(frozen=True, slots=True)
class Profiles:
    shared: Profile
    """Rows of the user's regions, of two tables, and every mask."""
    mixed: Profile
    """Two grants: one shows person 0 with the e-mail address, the other one person 2 with the number. The code takes both sides, and one
    of them shows it of person 2 alone."""
    other: Profile
    """Everything of everybody."""
    brief: Profile
    """Every row of one small table: for those whose end is looked at."""
    dated: Profile
    """Rows of the user's days and, where a platform tells them apart from days, of the user's times."""

    def __iter__(self) -> Iterator[Profile]:
        return iter((self.shared, self.mixed, self.other, self.brief, self.dated))


def cluster_of_canaries(cluster: ClusterId) -> ClusterId:
    """So that no sweep, no listing and no search for drift of the real one meets them."""
    return ClusterId(f"{cluster}/canary")


def lease_of_canary(
    user: str,
    profile: Profile,
    attributes: Mapping[str, Sequence[str]],
    *,
    cluster: ClusterId,
    expires_at: datetime,
    randomness: Randomness,
) -> Lease:
    uid = Uid(str(UUID(bytes=randomness(16))))
    handle = AgentHandle("CANARY")
    return Lease(
        role=role_name(handle, UserHandle(user), uid),
        cluster=cluster,
        uid=uid,
        profile=profile.name,
        agent=ObjectName("rolevend", "canary"),
        agent_handle=handle,
        user=User("rolevend:attestation", user.lower()),
        attributes=Attributes.of(attributes.items()),
        expires_at=expires_at,
    )
