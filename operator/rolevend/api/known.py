"""What the API knows of a platform: what it has read there itself, and what the operator has found out by attesting it."""

from dataclasses import replace
from typing import Final

from rolevend.platform_runtime.registry import ConnectedPlatform
from rolevend.platform_runtime.state import PlatformState

_OVERDUE: Final = "Overdue"


def as_attested(at_work: ConnectedPlatform) -> PlatformState:
    """Only the operator has the credential to attest a platform: its status says what came of it."""
    status = at_work.platform.status
    attested = status.condition("Attested")
    return replace(at_work.state, attestation=status.attestation, attestation_overdue=attested is not None and attested.reason == _OVERDUE)
