"""Verify the seals of roles that databases record, and count live roles whose seal is not valid."""

from typing import Final

from rolevend.model import PlatformName, RoleName
from rolevend.platforms.protocol import RecordedLease
from rolevend.roles.seal import LeaseSeal
from rolevend.telemetry.metrics import Metrics

MOST_COUNTED: Final = 10_000


class RecordVerifier:
    def __init__(self, seal: LeaseSeal, metrics: Metrics) -> None:
        self._seal = seal
        self._metrics = metrics
        self._counted: dict[tuple[PlatformName, RoleName], None] = {}
        """Those that live, by role: a forged record may name the uid of another one. The oldest is left out beyond the maximum."""

    def is_valid(self, platform: PlatformName, recorded: RecordedLease) -> bool:
        """True if the API recorded exactly this. A role that lives without is counted once."""
        key = platform, recorded.lease.role
        if self._seal.is_valid(recorded.lease, platform):
            return True
        if recorded.dropped_at is not None:
            self._counted.pop(key, None)
        elif key not in self._counted:
            self._metrics.unsealed_records.labels(platform).inc()
            self._counted[key] = None
            if len(self._counted) > MOST_COUNTED:
                del self._counted[next(iter(self._counted))]
        return False
