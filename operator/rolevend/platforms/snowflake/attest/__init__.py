"""Whether a Snowflake account keeps what is promised: every promise, every attack and every assumption, tried by using roles that are
vended for it.

`attest` is all that the driver calls. `TRIALS` is the list, and `UNTRIED` what cannot be tried; the suite in tests/snowflake runs the same
ones on the stand-in, and shows of each check of that model that one of these notices when it is broken.
"""

from collections.abc import Mapping, Sequence

from rolevend.errors import PlatformBusy, Unavailable
from rolevend.platforms.base import CheckResult, Outcome
from rolevend.platforms.snowflake.attest import assumed, attacks, ending, logins, policies, reading, walls
from rolevend.platforms.snowflake.attest.assumed import UNTRIED
from rolevend.platforms.snowflake.attest.check import Trial, Untried, examine
from rolevend.platforms.snowflake.attest.ground import Ground, account_of_canaries
from rolevend.platforms.snowflake.attest.hatching import hatched
from rolevend.platforms.snowflake.attest.session import now
from rolevend.platforms.snowflake.failures import translating

__all__ = [
    "PARTS",
    "TRIALS",
    "UNTRIED",
    "Ground",
    "Trial",
    "Untried",
    "account_of_canaries",
    "attest",
    "examine",
    "hatched",
]

PARTS: Mapping[str, tuple[Trial, ...]] = {
    "What a role reads": reading.TRIALS,
    "The wall on governed tables": walls.TRIALS,
    "What an agent could try": attacks.TRIALS,
    "Snowflake's policies": policies.TRIALS,
    "Logins": logins.TRIALS,
    "The end of a role": ending.TRIALS,
    "What else is assumed": assumed.TRIALS,
}
TRIALS: tuple[Trial, ...] = tuple(each for trials in PARTS.values() for each in trials)


def attest(ground: Ground, trials: Sequence[Trial] = TRIALS) -> tuple[CheckResult, ...]:
    """See `platforms.base.Platform.attest`. What failed is told also where the canaries cannot all be taken away again."""
    results: tuple[CheckResult, ...] = ()
    where = f"{ground.account.identifier}/{ground.account.database}"
    try:
        with translating(f"make canaries in {where}"), hatched(ground) as canaries:
            results = *examine(trials, canaries), *(each.result for each in UNTRIED)
            if now(canaries.programmer) > canaries.until:
                results = ()
                raise PlatformBusy(f"attesting {where} took so long that its canaries were over: nothing of it counts")
    except Unavailable:
        if not any(result.outcome is Outcome.FAILED for result in results):
            raise
    return results
