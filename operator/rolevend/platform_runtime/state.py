"""What is known of a platform, as a value: what pictures are painted from, wherever the knowledge is from. Pure."""

from dataclasses import dataclass

from rolevend import __version__
from rolevend.catalog import Catalog
from rolevend.kinds.data_platform import Attestation
from rolevend.platforms.protocol import Drift, ServerFacts

SERVER_CHANGED = "ServerChanged"


@dataclass(frozen=True, slots=True)
class PlatformState:
    """What is known of one platform. The last good catalog outlives an outage: an outage is no reason to end a role."""

    problem: tuple[str, str] | None = ("Connecting", "was not reached yet")
    """Reason and message, or None while it answers with both credentials."""
    facts: ServerFacts | None = None
    catalog: Catalog | None = None
    catalog_digest: str | None = None
    drift: tuple[Drift, ...] = ()
    attestation: Attestation | None = None
    """The newest, also if what it is about has changed since."""
    attestation_overdue: bool = False
    """It is so old that it does not stand for today."""
    attest_problem: tuple[str, str] | None = None
    """Reason and message where the last try could not be carried out."""


def is_about(attestation: Attestation, facts: ServerFacts) -> bool:
    """Whether nothing changed since that the promises rest on: the server, its version, how we were installed, and ourselves."""
    then = (attestation.server_identifier, attestation.server_version, attestation.install_mode, attestation.rolevend_version)
    return then == (facts.identifier, facts.version, facts.install_mode.value, __version__)
