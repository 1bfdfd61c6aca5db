"""Decide a request by the newest snapshot, with the approval that it names."""

from rolevend.decision.outcome import Decision, Request
from rolevend.roles.protocols import ApprovalUses, Snapshots


class NewestDecisions:
    def __init__(self, snapshots: Snapshots, approvals: ApprovalUses) -> None:
        self._snapshots = snapshots
        self._approvals = approvals

    def decide(self, request: Request, *, role_exists: bool) -> Decision:
        """Return the decision now. `role_exists` as in `Snapshot.decide`."""
        return self._snapshots.snapshot.decide(self._approvals.resolve(request), role_exists=role_exists)
