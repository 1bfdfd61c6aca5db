"""What a check is here, and what an error of PostgreSQL says of it."""

from collections.abc import Sequence

import psycopg

from rolevend.errors import RolevendError, Unavailable
from rolevend.platforms import run_checks
from rolevend.platforms.postgres.attest.canaries import PostgresCanaries
from rolevend.platforms.postgres.attest.session import passes, said
from rolevend.platforms.postgres.failures import translated
from rolevend.platforms.protocol import CheckResult, InstallMode

Check = run_checks.Check[PostgresCanaries]


def examine(checks: Sequence[Check], canaries: PostgresCanaries, mode: InstallMode) -> tuple[CheckResult, ...]:
    return run_checks.run_checks(checks, canaries, mode, _judge, canaries.ground.wanted)


def _judge(check: Check, error: Exception) -> tuple[str, bool]:
    match error:
        case psycopg.Error() if passes(error):
            raise _as_unavailable(check, translated(f"check that {check.name}", error)) from error
        case psycopg.Error():
            return f"failed with {said(error)}", check.leaks
        case RolevendError() if not isinstance(error, Unavailable):
            return str(error), check.leaks
    raise error


def _as_unavailable(check: Check, error: RolevendError) -> Unavailable:
    return error if isinstance(error, Unavailable) else Unavailable(f"cannot check that {check.name}: {error}")
