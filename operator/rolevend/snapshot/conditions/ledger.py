"""Find the DataPlatform that keeps the records of used tokens, and state it in the condition `Ledger`. Pure.

Of several that claim it, the one that is the ledger by its condition remains the ledger, and otherwise the oldest: another claim changes
nothing. A DataPlatform remains the ledger while it is being deleted, is not accepted, or cannot be read: another place would not know
which tokens were used.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rolevend.decision.snapshot_inputs import Ledger, LedgerMode
from rolevend.kinds import DataPlatform
from rolevend.kinds.status import Body, ConditionUpdate
from rolevend.model import PlatformName
from rolevend.snapshot.conditions.common import by_age

LEDGER: Final = "Ledger"
_DISABLED: Final = "Disabled"


@dataclass(frozen=True, slots=True)
class LedgerClaim:
    """A DataPlatform whose `spec.postgres.ledger` is not `Disabled`, or cannot be read."""

    platform: DataPlatform
    mode: LedgerMode

    @property
    def ledger(self) -> Ledger:
        return Ledger(PlatformName(self.platform.name), self.mode)

    @property
    def order(self) -> tuple[bool, tuple[datetime, str, str]]:
        """Sort key: the first claim is the ledger."""
        return not _is_ledger(self.platform), by_age(self.platform)


def _is_ledger(platform: DataPlatform) -> bool:
    """True if the DataPlatform is the ledger by its condition."""
    known = platform.status.condition(LEDGER)
    return known is not None and known.status == "True"


def is_or_was_ledger(raw: Body) -> bool:
    """True if the DataPlatform, which is not parsed, claims to be the ledger, or did so before. Only then databases may record roles."""
    claims = raw["spec"].get("postgres", {}).get("ledger", _DISABLED) != _DISABLED
    return claims or any(each["type"] == LEDGER for each in raw.get("status", {}).get("conditions", []))


def claim_of(platform: DataPlatform) -> LedgerClaim | None:
    """Return the claim of a readable DataPlatform, or None."""
    postgres = platform.spec.postgres
    return None if postgres is None or postgres.ledger == _DISABLED else LedgerClaim(platform, LedgerMode(postgres.ledger))


def unreadable_claim(platform: DataPlatform, raw: Body) -> LedgerClaim | None:
    """Return the claim of a DataPlatform that cannot be parsed, or None. `platform` has no spec."""
    spec = raw.get("spec")
    postgres = spec.get("postgres", {}) if isinstance(spec, dict) else None
    if not isinstance(postgres, dict):
        return LedgerClaim(platform, LedgerMode.UNKNOWN) if _is_ledger(platform) else None
    value = postgres.get("ledger", _DISABLED)
    if value == _DISABLED:
        return None
    known = value in (LedgerMode.JOINING.value, LedgerMode.ENABLED.value)
    return LedgerClaim(platform, LedgerMode(value) if known else LedgerMode.UNKNOWN)


def find_ledger(platforms: Iterable[DataPlatform], unreadable: Sequence[LedgerClaim] = ()) -> Ledger | None:
    claims = [claim for platform in platforms if (claim := claim_of(platform)) is not None]
    first = min((*claims, *unreadable), key=lambda claim: claim.order, default=None)
    return None if first is None else first.ledger


def ledger_conditions(platform: DataPlatform, ledger: Ledger | None) -> tuple[ConditionUpdate, ...]:
    """Return the condition of a DataPlatform that claims to be the ledger, or did so before."""
    claim = claim_of(platform)
    if claim is None:
        if platform.status.condition(LEDGER) is None:
            return ()
        return (ConditionUpdate("Ledger", "False", "Disabled", "used tokens are not recorded in this database"),)
    if ledger != claim.ledger:
        other = "another DataPlatform" if ledger is None else f"DataPlatform {ledger.platform}"
        cause = f"spec.postgres.ledger: {other} is the ledger already, so used tokens are not recorded here; set it back to Disabled"
        return (ConditionUpdate("Ledger", "False", "Conflict", cause),)
    if claim.mode is LedgerMode.JOINING:
        return (ConditionUpdate("Ledger", "True", "Joining", "used tokens are recorded in this database and in Kubernetes"),)
    alone = "used tokens are recorded in this database alone"
    if platform.metadata.deletion_timestamp is not None:
        alone += "; the deletion of this DataPlatform waits until spec.postgres.ledger is Joining"
    return (ConditionUpdate("Ledger", "True", "Enabled", alone),)
