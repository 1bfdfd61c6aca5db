"""The state of a platform as the API knows it: its own connection, and the operator's attestation."""

from dataclasses import replace
from typing import Final

from rolevend.platform_runtime.registry import ConnectedPlatform
from rolevend.platform_runtime.state import PlatformState

_OVERDUE: Final = "Overdue"


def as_attested(at_work: ConnectedPlatform) -> PlatformState:
    """Return the state with the attestation from the platform's status, because only the operator has the credential to attest."""
    status = at_work.platform.status
    attested = status.condition("Attested")
    return replace(at_work.state, attestation=status.attestation, attestation_overdue=attested is not None and attested.reason == _OVERDUE)
