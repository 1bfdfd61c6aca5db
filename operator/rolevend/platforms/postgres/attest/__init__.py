"""Whether a PostgreSQL keeps what is promised: every promise and every attack, tried by using roles that are vended for it.

`attest` is all that the driver calls. `CHECKS` is the list; the suite in tests/conformance runs the same one, and shows of each check
that it fails when what it looks at is broken.
"""

from collections.abc import Sequence

from rolevend.errors import Unavailable
from rolevend.platforms.postgres.attest import attacks, ending, hidden, logins, reading
from rolevend.platforms.postgres.attest.canaries import hatched
from rolevend.platforms.postgres.attest.check import Check, examine
from rolevend.platforms.postgres.attest.environment import PostgresAttestEnvironment
from rolevend.platforms.postgres.failures import translating
from rolevend.platforms.protocol import CheckResult, InstallMode, Outcome

__all__ = ["CHECKS", "Check", "PostgresAttestEnvironment", "attest", "examine", "hatched"]

CHECKS: tuple[Check, ...] = (*reading.CHECKS, *attacks.CHECKS, *hidden.CHECKS, *logins.CHECKS, *ending.CHECKS)


def attest(ground: PostgresAttestEnvironment, mode: InstallMode, checks: Sequence[Check] = CHECKS) -> tuple[CheckResult, ...]:
    """See `platforms.base.Platform.attest`. What failed is told also where the canaries cannot all be taken away again."""
    results: tuple[CheckResult, ...] = ()
    where = f"{ground.address.host}:{ground.address.port}/{ground.address.database}"
    try:
        with translating(f"make canaries on {where}"), hatched(ground) as canaries:
            results = examine(checks, canaries, mode)
    except Unavailable:
        if not any(result.outcome is Outcome.FAILED for result in results):
            raise
    return results
