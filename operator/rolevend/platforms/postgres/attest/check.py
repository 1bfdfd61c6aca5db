"""What a check is, and how a list of them is run."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import psycopg

from rolevend.errors import RolevendError, Unavailable
from rolevend.platforms.base import CheckResult, InstallMode, Outcome
from rolevend.platforms.postgres.attest.canaries import Canaries
from rolevend.platforms.postgres.attest.session import passes, said
from rolevend.platforms.postgres.failures import translated

Test = Callable[[Canaries], str]
"""Empty where the promise holds, else what was seen instead, in one line that follows the check's name."""


@dataclass(frozen=True, slots=True)
class Check:
    """One promise or one attack."""

    name: str
    test: Test
    leaks: bool = True
    """A failure shows, changes or keeps what no policy grants. False: it lets a role do something that it has no need of."""
    only_superuser: str = ""
    """Why it cannot be prevented where no superuser installed us; empty where it always can."""
    ahead: Callable[[Canaries], object] | None = None
    """What must happen a while before, so that the test need not wait."""

    def unpreventable(self, mode: InstallMode) -> str:
        return self.only_superuser if mode is InstallMode.MANAGED else ""


def examine(checks: Sequence[Check], canaries: Canaries, mode: InstallMode) -> tuple[CheckResult, ...]:
    """One result for each check, in their order.

    A check that could not be tried, since the server was busy or went away, is raised as that, unless another one failed: then what
    failed stands, and those that could not be tried are left out.
    """
    for ahead in dict.fromkeys(check.ahead for check in checks if check.ahead is not None):
        ahead(canaries)
    untried: list[Unavailable] = []
    results = tuple(_results(checks, canaries, mode, untried))
    if untried and not any(result.outcome is Outcome.FAILED for result in results):
        raise untried[0]
    return results


def _results(checks: Sequence[Check], canaries: Canaries, mode: InstallMode, untried: list[Unavailable]) -> Iterator[CheckResult]:
    for check in checks:
        try:
            seen = check.test(canaries)
        except psycopg.Error as error:
            if passes(error):
                untried.append(_as_unavailable(check, translated(f"check that {check.name}", error)))
                continue
            seen = f"failed with {said(error)}"
        except Unavailable as error:
            untried.append(error)
            continue
        except RolevendError as error:
            seen = str(error)
        yield _result(check, seen, mode)


def _result(check: Check, seen: str, mode: InstallMode) -> CheckResult:
    if not seen:
        return CheckResult(check.name, Outcome.PASSED)
    if reason := check.unpreventable(mode):
        return CheckResult(check.name, Outcome.NOT_PREVENTABLE, reason)
    return CheckResult(check.name, Outcome.FAILED, seen, check.leaks)


def _as_unavailable(check: Check, error: RolevendError) -> Unavailable:
    return error if isinstance(error, Unavailable) else Unavailable(f"cannot check that {check.name}: {error}")
