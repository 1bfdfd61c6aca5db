"""Attestation of a Snowflake account: try every promise, every attack and every assumption with roles that are vended for it.

The driver calls only `attest`. `TRIALS` is the list, and `UNTRIED` names the assumptions that cannot be tried. The suite in tests/snowflake
runs the same list on the stand-in, and proves that a check fails for each rule of that model that is broken.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from rolevend.errors import PlatformBusy
from rolevend.platforms.attestation.checks import attested
from rolevend.platforms.protocol import CheckResult
from rolevend.platforms.snowflake.attest import assumptions, attacks, deny_policies, ending, logins, policies, reading
from rolevend.platforms.snowflake.attest.assumptions import UNTRIED
from rolevend.platforms.snowflake.attest.canaries import SnowflakeCanaries
from rolevend.platforms.snowflake.attest.check import Trial, Untried, examine
from rolevend.platforms.snowflake.attest.deploy import deployed_canaries
from rolevend.platforms.snowflake.attest.environment import SnowflakeAttestEnvironment, account_of_canaries
from rolevend.platforms.snowflake.attest.session import now
from rolevend.platforms.snowflake.failures import translating

__all__ = [
    "PARTS",
    "TRIALS",
    "UNTRIED",
    "SnowflakeAttestEnvironment",
    "Trial",
    "Untried",
    "account_of_canaries",
    "attest",
    "deployed_canaries",
    "examine",
]

PARTS: Mapping[str, tuple[Trial, ...]] = {
    "Reads of a role": reading.TRIALS,
    "The wall on governed tables": deny_policies.TRIALS,
    "Attacks of an agent": attacks.TRIALS,
    "Snowflake's policies": policies.TRIALS,
    "Logins": logins.TRIALS,
    "The end of a role": ending.TRIALS,
    "Other assumptions": assumptions.TRIALS,
}
TRIALS: tuple[Trial, ...] = tuple(each for trials in PARTS.values() for each in trials)


def attest(environment: SnowflakeAttestEnvironment, trials: Sequence[Trial] = TRIALS) -> tuple[CheckResult, ...]:
    """See `Platform.attest` and `attested`."""
    return attested(_deployed(environment), lambda canaries: _examine(trials, canaries))


@contextmanager
def _deployed(environment: SnowflakeAttestEnvironment) -> Iterator[SnowflakeCanaries]:
    with translating(f"make canaries in {_where(environment)}"), deployed_canaries(environment) as canaries:
        yield canaries


def _examine(trials: Sequence[Trial], canaries: SnowflakeCanaries) -> tuple[CheckResult, ...]:
    """Raises `PlatformBusy` if the canaries expired meanwhile: a role that expired reads nothing, which proves no promise."""
    results = *examine(trials, canaries), *(each.result for each in UNTRIED)
    if now(canaries.programmer) > canaries.until:
        raise PlatformBusy(f"attesting {_where(canaries.environment)} took so long that its canaries expired: no result counts")
    return results


def _where(environment: SnowflakeAttestEnvironment) -> str:
    return f"{environment.account.identifier}/{environment.account.database}"
