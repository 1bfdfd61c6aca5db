"""Who of several replicas leads: what a Kubernetes Lease says, how long it has said so, and what follows for one of them. Pure.

No clock of another machine is believed. A Lease is stale when it did not change for as long as it promises to, on the reader's own
clock, and that clock only ever runs forward. A leader counts its time from *before* it asks for a renewal, and others count from
after they saw that renewal: so the leader's time is over first.
"""

import enum
from dataclasses import dataclass
from typing import Any

_SAFE = 2 / 3
"""The part of a promised time in which a leader acts. The rest is for it to be gone before anybody else begins."""


class LeaderAction(enum.Enum):
    CREATE = "make the Lease, with us in it"
    TAKE = "write us into it"
    RENEW = "say that we are still there"
    WAIT = "somebody else leads"


@dataclass(frozen=True, slots=True)
class LeaseView:
    """A Lease as it was read last."""

    holder: str | None
    """None if the last leader stepped down."""
    seconds: float
    """How long it holds without a renewal."""
    renewed: str | None
    """When the holder says that it was: compared for being the same, and for nothing else."""
    version: str
    changes: int
    """How often the holder changed."""
    since: float
    """The reader's moment in which holder and renewal were first seen to be these."""

    def is_stale(self, moment: float) -> bool:
        return moment - self.since >= self.seconds


def lease_view(lease: dict[str, Any], known: LeaseView | None, moment: float) -> LeaseView:
    """What a Lease says that was read at `moment`, when `known` was read before."""
    spec = lease.get("spec") or {}
    holder, renewed = spec.get("holderIdentity") or None, spec.get("renewTime") or None
    same = known is not None and (known.holder, known.renewed) == (holder, renewed)
    since = known.since if known is not None and same else moment
    return LeaseView(
        holder=holder,
        seconds=float(spec.get("leaseDurationSeconds") or 0),
        renewed=renewed,
        version=lease["metadata"]["resourceVersion"],
        changes=int(spec.get("leaseTransitions") or 0),
        since=since,
    )


def move(seen: LeaseView | None, *, there: bool, me: str, moment: float) -> LeaderAction:
    """`seen` is the last sight, and `there` whether the Lease was there when it was looked for at `moment`.

    A Lease that somebody deleted is honoured until it would have been stale: its holder may not know yet. One whose holder has our
    pod's name is the one of our own process before this: a pod runs one at a time.
    """
    if seen is None:
        return LeaderAction.CREATE
    if there and seen.holder == me:
        return LeaderAction.RENEW
    if seen.holder and pod_of(seen.holder) != pod_of(me) and not seen.is_stale(moment):
        return LeaderAction.WAIT
    return LeaderAction.TAKE if there else LeaderAction.CREATE


def identity(pod: str, token: str) -> str:
    """Who one process is. Without a pod's name it is like no other, not even the one before it on the same machine."""
    return f"{pod or token}_{token}"


def pod_of(holder: str) -> str:
    return holder.rpartition("_")[0]


def safe_until(asked_at: float, seconds: float) -> float:
    """The moment from which a leader whose last renewal was asked for at `asked_at` may do nothing any more."""
    return asked_at + seconds * _SAFE
