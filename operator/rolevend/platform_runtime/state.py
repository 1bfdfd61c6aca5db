"""The state of a platform, from which snapshots are built. Pure."""

from dataclasses import dataclass

from rolevend import __version__
from rolevend.catalog import Catalog
from rolevend.kinds.data_platform import Attestation
from rolevend.platforms.protocol import Drift, ServerFacts

SERVER_CHANGED = "ServerChanged"


@dataclass(frozen=True, slots=True)
class PlatformState:
    """The state of one platform. It keeps the last catalog during an outage: an outage is no reason to revoke a role."""

    problem: tuple[str, str] | None = ("Connecting", "was not reached yet")
    """Reason and message, or None while the platform answers with both logins."""
    facts: ServerFacts | None = None
    catalog: Catalog | None = None
    catalog_digest: str | None = None
    drift: tuple[Drift, ...] = ()
    attestation: Attestation | None = None
    """The newest attestation, even if the server changed since."""
    attestation_overdue: bool = False
    """True if the attestation is too old to count."""
    attest_problem: tuple[str, str] | None = None
    """Reason and message if the last attestation could not run, or None."""


def is_about(attestation: Attestation, facts: ServerFacts) -> bool:
    """True if server, server version, install mode and rolevend's version are the same as when the platform was attested."""
    then = (attestation.server_identifier, attestation.server_version, attestation.install_mode, attestation.rolevend_version)
    return then == (facts.identifier, facts.version, facts.install_mode.value, __version__)
