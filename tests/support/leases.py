"""A lease that a record describes, without a platform."""

from datetime import timedelta

from rolevend.model import AgentHandle, Attributes, ClusterId, ObjectName, ProfileName, RoleName, Uid, User
from rolevend.plan import Lease, LeaseRecord, RoleLimits
from tests.support.tokens import NOW


def lease_of(name: str, uid: Uid, record: LeaseRecord) -> Lease:
    return Lease(
        role=RoleName(f"R_{name}"),
        cluster=ClusterId("c"),
        uid=uid,
        profile=ProfileName("p"),
        agent=ObjectName("agents", "finbot"),
        agent_handle=AgentHandle("FINBOT"),
        user=User("issuer", "anna"),
        attributes=Attributes.of([]),
        expires_at=NOW + timedelta(hours=1),
        limits=RoleLimits(1, 1, 1, 1, None),
        resources=None,
        record=record,
    )
