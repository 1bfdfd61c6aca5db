"""Whether a Snowflake account keeps what is promised: every promise, every attack and every assumption, tried by using roles that are
vended for it.

`attest` is all that the driver calls. `TRIALS` is the list, and `UNTRIED` what cannot be tried; the suite in tests/snowflake runs the same
ones on the stand-in, and shows of each check of that model that one of these notices when it is broken.
"""

from collections.abc import Mapping, Sequence

from rolevend.errors import PlatformBusy, Unavailable
from rolevend.platforms.protocol import CheckResult, Outcome
from rolevend.platforms.snowflake.attest import assumptions, attacks, deny_policies, ending, logins, policies, reading
from rolevend.platforms.snowflake.attest.assumptions import UNTRIED
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
    "What a role reads": reading.TRIALS,
    "The wall on governed tables": deny_policies.TRIALS,
    "What an agent could try": attacks.TRIALS,
    "Snowflake's policies": policies.TRIALS,
    "Logins": logins.TRIALS,
    "The end of a role": ending.TRIALS,
    "What else is assumed": assumptions.TRIALS,
}
TRIALS: tuple[Trial, ...] = tuple(each for trials in PARTS.values() for each in trials)


def attest(ground: SnowflakeAttestEnvironment, trials: Sequence[Trial] = TRIALS) -> tuple[CheckResult, ...]:
    """See `platforms.base.Platform.attest`. What failed is told also where the canaries cannot all be taken away again."""
    results: tuple[CheckResult, ...] = ()
    where = f"{ground.account.identifier}/{ground.account.database}"
    try:
        with translating(f"make canaries in {where}"), deployed_canaries(ground) as canaries:
            results = *examine(trials, canaries), *(each.result for each in UNTRIED)
            if now(canaries.programmer) > canaries.until:
                results = ()
                raise PlatformBusy(f"attesting {where} took so long that its canaries were over: nothing of it counts")
    except Unavailable:
        if not any(result.outcome is Outcome.FAILED for result in results):
            raise
    return results
