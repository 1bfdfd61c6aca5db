"""Verify the seals of roles that databases record, and count live roles whose seal is not valid."""

from rolevend.model import PlatformName, Uid
from rolevend.platforms.protocol import RecordedLease
from rolevend.roles.seal import LeaseSeal
from rolevend.telemetry.metrics import Metrics


class RecordVerifier:
    def __init__(self, seal: LeaseSeal, metrics: Metrics) -> None:
        self._seal = seal
        self._metrics = metrics
        self._counted: set[Uid] = set()

    def is_valid(self, platform: PlatformName, recorded: RecordedLease) -> bool:
        """True if the API recorded exactly this. A role that lives without is counted once."""
        uid = recorded.lease.uid
        is_valid = self._seal.is_valid(recorded.lease, platform)
        if not is_valid and recorded.dropped_at is None and uid not in self._counted:
            self._counted.add(uid)
            self._metrics.unsealed_records.labels(platform).inc()
        return is_valid
