"""A check on PostgreSQL, and the rules for PostgreSQL's errors."""

from collections.abc import Sequence

import psycopg

from rolevend.platforms.attestation import checks
from rolevend.platforms.postgres.attest.canaries import PostgresCanaries
from rolevend.platforms.postgres.attest.session import describe, is_transient
from rolevend.platforms.postgres.failures import translated
from rolevend.platforms.protocol import CheckResult, InstallMode

Check = checks.Check[PostgresCanaries]
_RULES = checks.ErrorRules(psycopg.Error, is_transient, describe, translated, leak=True)


def examine(chosen: Sequence[Check], canaries: PostgresCanaries, mode: InstallMode) -> tuple[CheckResult, ...]:
    return checks.run_checks(chosen, canaries, mode, _RULES, canaries.environment.wanted)
