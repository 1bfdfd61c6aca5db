"""One VendedRole on all of its platforms: the verdict of each, and what follows from them together. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from rolevend.model import Attributes, PlatformName, RoleName, Uid
from rolevend.vending.proof import Proof
from rolevend.vending.verdict import Denied, Granted, Request, Undecided, Verdict


@dataclass(frozen=True, slots=True)
class Vend:
    """One platform's share of a VendedRole, and what is granted there."""

    request: Request
    granted: Granted

    @property
    def platform(self) -> PlatformName:
        return self.request.platform


@dataclass(frozen=True, slots=True)
class RoleDecision:
    """The verdicts on the requests of one object, in its order; at least one."""

    verdicts: tuple[tuple[Request, Verdict], ...]

    @classmethod
    def of(cls, requests: Iterable[Request], judge: Callable[[Request], Verdict]) -> "RoleDecision":
        return cls(tuple((request, judge(request)) for request in requests))

    @property
    def uid(self) -> Uid:
        return self.verdicts[0][0].uid

    @property
    def allow_partial(self) -> bool:
        """Whether what is granted is vended also where something else is not."""
        return self.verdicts[0][0].allow_partial

    @property
    def refusal(self) -> tuple[Request, Undecided | Denied] | None:
        """What stands for all; None: something is vended. Without `allow_partial` that is the first that is not granted. With it, where
        nothing is granted at all, what is not known yet comes before a denial: it may still become something."""
        refused = [(request, verdict) for request, verdict in self.verdicts if not isinstance(verdict, Granted)]
        if not refused or (self.allow_partial and len(refused) < len(self.verdicts)):
            return None
        unknown = [each for each in refused if isinstance(each[1], Undecided)]
        return (unknown or refused)[0] if self.allow_partial else refused[0]

    @property
    def verdict(self) -> Verdict:
        """Of all together: a refusal, or what is granted on the first platform of those that are vended."""
        refusal = self.refusal
        return self.vends[0].granted if refusal is None else refusal[1]

    @property
    def vends(self) -> tuple[Vend, ...]:
        """What is vended; nothing where there is a refusal."""
        if self.refusal is not None:
            return ()
        return tuple(Vend(request, verdict) for request, verdict in self.verdicts if isinstance(verdict, Granted))

    @property
    def left_out(self) -> tuple[tuple[Request, Undecided | Denied], ...]:
        """What is not granted beside what is vended."""
        if self.refusal is not None:
            return ()
        return tuple((request, verdict) for request, verdict in self.verdicts if not isinstance(verdict, Granted))

    @property
    def role(self) -> RoleName:
        """The one name on every platform, of what is vended."""
        return self.vends[0].granted.lease.role

    @property
    def proof(self) -> Proof | None:
        """What proved the user, with the attributes that somebody asks for on any platform."""
        proofs = [each.granted.proof for each in self.vends if each.granted.proof is not None]
        if not proofs:
            return None
        known = {each.key: each for proof in proofs for each in proof.attributes}
        return replace(
            proofs[0],
            attributes=tuple(known.values()),
            unreadable=frozenset.intersection(*(proof.unreadable for proof in proofs)),  # what one of them asks for is in `known`
        )

    @property
    def attributes(self) -> Attributes:
        """What the profiles on all platforms read of the user."""
        return Attributes.of(item for each in self.vends for item in each.granted.lease.attributes)
