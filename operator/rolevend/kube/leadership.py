"""The next step of a replica in a leader election, from the Lease as it read it. Pure.

A replica compares no clocks of other machines. A Lease is stale if it did not change for the lease duration, by the reader's own monotonic
clock. The leader counts from *before* it sends a renewal, and the others count from after they read that renewal, so the leader's time is
over first.
"""

import enum
from dataclasses import dataclass
from typing import Any

_SAFE = 2 / 3
"""A leader that cannot renew stops after this part of the lease duration, so that it is gone before another replica begins."""


class LeaderAction(enum.Enum):
    CREATE = "create the Lease as its holder"
    TAKE = "become the holder"
    RENEW = "renew the Lease"
    WAIT = "another replica leads"


@dataclass(frozen=True, slots=True)
class LeaseView:
    """A Lease as of the last read."""

    holder: str | None
    """None if the last leader stepped down."""
    seconds: float
    """The lease duration."""
    renewed: str | None
    """The holder's time of the last renewal. Only compared for equality."""
    version: str
    changes: int
    """The number of times that the holder changed."""
    since: float
    """The reader's time at which it first read this holder and renewal."""

    def is_stale(self, moment: float) -> bool:
        return moment - self.since >= self.seconds


def lease_view(lease: dict[str, Any], known: LeaseView | None, moment: float) -> LeaseView:
    """Return the view of a Lease that was read at `moment`, after `known`."""
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
    """Return the next action. `seen` is the last view, and `there` says whether the Lease existed when it was read at `moment`.

    A deleted Lease counts until it would be stale, because its holder may not know yet. A holder with this pod's name is an earlier process
    of this pod, which runs one process at a time.
    """
    if seen is None:
        return LeaderAction.CREATE
    if there and seen.holder == me:
        return LeaderAction.RENEW
    if seen.holder and pod_of(seen.holder) != pod_of(me) and not seen.is_stale(moment):
        return LeaderAction.WAIT
    return LeaderAction.TAKE if there else LeaderAction.CREATE


def identity(pod: str, token: str) -> str:
    """Return the holder identity of one process. Without a pod's name no two processes share one."""
    return f"{pod or token}_{token}"


def pod_of(holder: str) -> str:
    return holder.rpartition("_")[0]


def safe_until(asked_at: float, seconds: float) -> float:
    """Return when a leader must stop that sent its last renewal at `asked_at`."""
    return asked_at + seconds * _SAFE
