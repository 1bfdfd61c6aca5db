"""The decisions on all platforms of one VendedRole, and their combination. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from rolevend.decision.outcome import Decision, Denied, Granted, Pending, Request
from rolevend.decision.proof import Proof
from rolevend.model import Attributes, PlatformName, RoleName, Uid


@dataclass(frozen=True, slots=True)
class PlatformGrant:
    """The grant on one platform of a VendedRole."""

    request: Request
    granted: Granted

    @property
    def platform(self) -> PlatformName:
        return self.request.platform


@dataclass(frozen=True)
class RoleDecision:
    """The decision on each request of one object, in its order; at least one. Derived values are computed once."""

    decisions: tuple[tuple[Request, Decision], ...]

    @classmethod
    def for_platforms(cls, requests: Iterable[Request], decide: Callable[[Request], Decision]) -> "RoleDecision":
        return cls(tuple((request, decide(request)) for request in requests))

    @property
    def uid(self) -> Uid:
        return self.decisions[0][0].uid

    @property
    def allow_partial(self) -> bool:
        """True if the role may be created on some platforms and not on others."""
        return self.decisions[0][0].allow_partial

    @cached_property
    def blocking_decision(self) -> tuple[Request, Pending | Denied] | None:
        """Return the decision that blocks the role on every platform, or None.

        Without `allow_partial` that is the first one that is not granted. With it, a decision blocks only if no platform grants. A
        pending decision then precedes a denial, because it may still become a grant.
        """
        refused = [(request, decision) for request, decision in self.decisions if not isinstance(decision, Granted)]
        if not refused or (self.allow_partial and len(refused) < len(self.decisions)):
            return None
        unknown = [each for each in refused if isinstance(each[1], Pending)]
        return (unknown or refused)[0] if self.allow_partial else refused[0]

    @property
    def combined(self) -> Decision:
        """Return the blocking decision, or the grant on the first platform that grants."""
        blocking = self.blocking_decision
        return self.grants[0].granted if blocking is None else blocking[1]

    @cached_property
    def grants(self) -> tuple[PlatformGrant, ...]:
        """The platforms on which the role is to be created; empty if a decision blocks."""
        if self.blocking_decision is not None:
            return ()
        return tuple(PlatformGrant(request, decision) for request, decision in self.decisions if isinstance(decision, Granted))

    @cached_property
    def skipped(self) -> tuple[tuple[Request, Pending | Denied], ...]:
        """The platforms that do not grant, if another one does."""
        if self.blocking_decision is not None:
            return ()
        return tuple((request, decision) for request, decision in self.decisions if not isinstance(decision, Granted))

    @property
    def withdrawal(self) -> tuple[Request, Pending | Denied] | None:
        """Return the first decision that revokes an existing role, on all its platforms, or None."""
        refused = ((request, decision) for request, decision in self.decisions if not isinstance(decision, Granted))
        return next(((request, decision) for request, decision in refused if decision.withdrawn), None)

    @property
    def role(self) -> RoleName:
        """The role's name, which is the same on every platform."""
        return self.grants[0].granted.lease.role

    def where(self, request: Request) -> str:
        """Return the beginning of a message about one platform; empty if the object names only one."""
        return f"on {request.platform}: " if len(self.decisions) > 1 else ""

    @cached_property
    def proof(self) -> Proof | None:
        """The proof of the user, with the attributes that any of the platforms reads."""
        proofs = [each.granted.proof for each in self.grants if each.granted.proof is not None]
        if not proofs:
            return None
        known = {each.key: each for proof in proofs for each in proof.attributes}
        return replace(
            proofs[0],
            attributes=tuple(known.values()),
            unreadable=frozenset.intersection(*(proof.unreadable for proof in proofs)),  # the rest is in `known`
        )

    @cached_property
    def attributes(self) -> Attributes:
        """The user's attributes that the profiles on all platforms read."""
        return Attributes.of(item for each in self.grants for item in each.granted.lease.attributes)
