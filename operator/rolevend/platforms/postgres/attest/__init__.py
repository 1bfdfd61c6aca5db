"""Attestation of a PostgreSQL server: try every promise and every attack with roles that are vended for it.

The driver calls only `attest`. `CHECKS` is the list; the suite in tests/conformance runs the same one, and proves that each check fails
when the thing that it checks is broken.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rolevend.platforms.attestation.checks import attested
from rolevend.platforms.postgres.attest import attacks, ending, logins, probing, reading
from rolevend.platforms.postgres.attest.canaries import Check, PostgresCanaries, deployed_canaries, examine
from rolevend.platforms.postgres.attest.environment import PostgresAttestEnvironment
from rolevend.platforms.postgres.failures import translating
from rolevend.platforms.protocol import CheckResult, InstallMode

__all__ = ["CHECKS", "Check", "PostgresAttestEnvironment", "attest", "deployed_canaries", "examine"]

CHECKS: tuple[Check, ...] = (*reading.CHECKS, *attacks.CHECKS, *probing.CHECKS, *logins.CHECKS, *ending.CHECKS)


def attest(environment: PostgresAttestEnvironment, mode: InstallMode, checks: Sequence[Check] = CHECKS) -> tuple[CheckResult, ...]:
    """See `Platform.attest` and `attested`."""
    return attested(_deployed(environment), lambda canaries: examine(checks, canaries, mode))


@contextmanager
def _deployed(environment: PostgresAttestEnvironment) -> Iterator[PostgresCanaries]:
    address = environment.address
    attempt = f"make canaries on {address.host}:{address.port}/{address.database}"
    with translating(attempt), deployed_canaries(environment) as canaries:
        yield canaries
