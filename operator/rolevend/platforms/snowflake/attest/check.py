"""A check on Snowflake, the assumptions that it tests, and the rules for Snowflake's errors.

An assumption is a property of Snowflake that the driver relies on. E8 is the eighth in tests/support/snowflake/ARGUMENT.md; others are
those of ASSUMPTIONS.md beside it. The name of a check contains them, so that every report has a result for each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import LiteralString

from snowflake.connector import errors as vendor

from rolevend.platforms.attestation import checks
from rolevend.platforms.protocol import CheckResult, InstallMode, Outcome
from rolevend.platforms.snowflake.attest.canaries import SnowflakeCanaries
from rolevend.platforms.snowflake.attest.session import attempted, describe, is_transient, refused
from rolevend.platforms.snowflake.failures import translated

Test = Callable[[SnowflakeCanaries], str]
Check = checks.Check[SnowflakeCanaries]
_RULES = checks.ErrorRules(vendor.Error, is_transient, describe, translated, leak=False)
"""A check that ended with an error showed nothing: it fails, and does not leak."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A check and its assumptions."""

    what: str
    test: Test
    assumptions: tuple[str, ...] = ()
    leaks: bool = True
    on_accounts_alone: bool = False
    """True if a stand-in lacks the feature that is tried."""
    ahead: Callable[[SnowflakeCanaries], object] | None = None

    @property
    def name(self) -> str:
        return named(self.what, self.assumptions)

    @property
    def check(self) -> Check:
        return Check(self.name, self.test, self.leaks, ahead=self.ahead)


@dataclass(frozen=True, slots=True)
class Untried:
    """Assumptions that an attestation cannot test."""

    what: str
    assumptions: tuple[str, ...]
    why: str

    @property
    def result(self) -> CheckResult:
        return CheckResult(named(self.what, self.assumptions), Outcome.NOT_TRIED, self.why)


ON_ACCOUNTS_ALONE = "a stand-in does not have it"


def named(what: str, assumptions: Sequence[str]) -> str:
    return f"{what} [{', '.join(assumptions)}]" if assumptions else what


def trial(what: str, test: Test, *assumptions: str, leaks: bool = True, on_accounts_alone: bool = False) -> Trial:
    return Trial(what, test, assumptions, leaks, on_accounts_alone)


def attack(what: str, statement: LiteralString, *assumptions: str, leaks: bool = True, on_accounts_alone: bool = False) -> Trial:
    """Return a trial of a statement of eve that must be refused for lack of a right."""
    return Trial(what, lambda canaries: refused(canaries.session, canaries.filled(statement)), assumptions, leaks, on_accounts_alone)


def shows_nothing(what: str, *statements: LiteralString, assumptions: Sequence[str] = (), on_accounts_alone: bool = False) -> Trial:
    """Return a trial of statements that eve runs in a new session. The last one must be refused, or have no row."""

    def test(canaries: SnowflakeCanaries) -> str:
        session = canaries.log_in(canaries.eve)
        found = attempted(session, *(canaries.filled(each) for each in statements))
        return f"shows {len(found)} rows" if found else ""

    return Trial(what, test, tuple(assumptions), on_accounts_alone=on_accounts_alone)


def examine(trials: Sequence[Trial], canaries: SnowflakeCanaries) -> tuple[CheckResult, ...]:
    """Return the results in the order of the trials, and then those that cannot be tried on a stand-in."""
    possible = [each for each in trials if canaries.environment.is_account or not each.on_accounts_alone]
    left = [CheckResult(each.name, Outcome.NOT_TRIED, ON_ACCOUNTS_ALONE) for each in trials if each not in possible]
    chosen = [each.check for each in possible]
    return *checks.run_checks(chosen, canaries, InstallMode.SUPERUSER, _RULES, canaries.environment.wanted), *left
