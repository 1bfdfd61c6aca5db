"""The state that this process keeps of each VendedRole, in one record by uid. To forget a VendedRole is to drop its record."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from rolevend.decision.outcome import Granted, Request
from rolevend.decision.proof import Proof, Unproven
from rolevend.model import PlatformName, RoleName, Uid
from rolevend.platforms.protocol import DropResult
from rolevend.roles.audit_recorder import AuditMemory
from rolevend.roles.state import RoleState


@dataclass(eq=False, slots=True)
class RoleRecord:
    """One VendedRole. An object that is deleted and created again under its name has another uid, and another record."""

    states: tuple[RoleState, ...] = ()
    """The states that the watch reported last, in the order of the object's platforms. Empty if it reported none, or the object cannot
    be parsed."""
    proof: Proof | Unproven | None = None
    """The result of the check of its user's token, if this process checked it."""
    decision: tuple[str, str] | None = None
    """Status and message of the condition Granted that this process decided last. The watch may report older ones."""
    blocked_on: PlatformName | None = None
    """The platform on which the last attempt to vend failed."""
    is_revoked: bool = False
    """True if this process began to revoke the role."""
    drops: dict[PlatformName, asyncio.Future[DropResult]] = field(default_factory=dict)
    """Drops that began before the object's deletion, or that another process did."""
    ended_sessions: dict[PlatformName, int] = field(default_factory=dict)
    """How many sessions the drop ended, by platform, for platforms from which the role is gone."""
    drop_failures: dict[PlatformName, Exception] = field(default_factory=dict)
    """Failures of the last attempt to drop."""
    building_on: frozenset[PlatformName] = frozenset()
    """Platforms on which this process builds the profile for a call of the API."""
    audit: AuditMemory = field(default_factory=AuditMemory)

    @property
    def first(self) -> RoleState | None:
        """The state on the first platform, for the fields that all platforms share."""
        return next(iter(self.states), None)

    def upsert(self, states: Iterable[RoleState]) -> tuple[RoleState, ...]:
        """Replace the reported states, and keep the state of this process."""
        granted = {each.request.platform: each.granted for each in self.states}
        self.states = tuple(
            replace(
                each,
                request=self.with_proof(each.request),
                granted=granted.get(each.request.platform),
                decision=self.decision or each.decision,
            )
            for each in states
        )
        return self.states

    def set_decision(self, decision: tuple[str, str]) -> None:
        """Set status and message of the condition Granted, before they are written."""
        self.decision = decision
        self.states = tuple(replace(each, decision=decision) for each in self.states)

    def set_proof(self, proof: Proof | Unproven) -> None:
        self.proof = proof
        self.states = tuple(replace(each, request=self.with_proof(each.request)) for each in self.states)

    def with_proof(self, request: Request) -> Request:
        """Return the request with this process's token check, which is more complete than the status."""
        return request if self.proof is None else replace(request, proof=self.proof)

    def set_grant(self, platform: PlatformName, granted: Granted | None) -> None:
        """Set the grant by which the role on `platform` was created; None when the role there is being dropped."""
        self.states = tuple(replace(each, granted=granted) if each.request.platform == platform else each for each in self.states)


class RoleStore:
    """The records of all VendedRoles that the watch reported."""

    def __init__(self) -> None:
        self._records: dict[Uid, RoleRecord] = {}

    def upsert(self, *states: RoleState) -> RoleRecord:
        """Replace one object's states, in the order of its platforms."""
        record = self._records.setdefault(states[0].request.uid, RoleRecord())
        record.upsert(states)
        return record

    def mark_unreadable(self, uid: Uid) -> None:
        """Mark an object that exists and cannot be parsed."""
        self._records.setdefault(uid, RoleRecord()).states = ()

    def remove(self, uid: Uid) -> None:
        self._records.pop(uid, None)

    def record(self, uid: Uid) -> RoleRecord:
        """Return the record of the object. If the watch does not know the object, return an empty record that is not kept."""
        return self._records.get(uid) or RoleRecord()

    def get(self, uid: Uid) -> RoleState | None:
        """Return the state on the object's first platform."""
        return self.record(uid).first

    def on(self, platform: PlatformName) -> Iterator[RoleState]:
        return (each for states in self for each in states if each.request.platform == platform)

    def named(self, names: Iterable[RoleName], platform: PlatformName) -> list[RoleState]:
        wanted = frozenset(names)
        return [each for each in self.on(platform) if each.role in wanted]

    def __iter__(self) -> Iterator[tuple[RoleState, ...]]:
        """Iterate over the states of each object that could be parsed."""
        return iter([record.states for record in self._records.values() if record.states])

    def __contains__(self, uid: Uid) -> bool:
        return uid in self._records
