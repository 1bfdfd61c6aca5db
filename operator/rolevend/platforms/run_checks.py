"""What a check of a promise is, and how a list of them is tried. A driver brings the checks, and says what its errors mean."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from rolevend.errors import Unavailable
from rolevend.platforms.protocol import CheckResult, InstallMode, Outcome

Step = TypeVar("Step")
Canaries = TypeVar("Canaries")
"""What a driver's checks are tried with."""


@dataclass(frozen=True)  # with slots, a generic class of Python 3.11 makes no values of its parametrized forms
class Check(Generic[Canaries]):
    """One promise or one attack."""

    name: str
    test: Callable[[Canaries], str]
    """Empty where the promise holds, else what was seen instead, in one line that follows the check's name."""
    leaks: bool = True
    """A failure shows, changes or keeps what no policy grants. False: it lets a role do something that it has no need of, or something
    that the promises rest on is not so."""
    only_superuser: str = ""
    """Why it cannot be prevented where no superuser installed us; empty where it always can."""
    ahead: Callable[[Canaries], object] | None = None
    """What must happen a while before, so that the test need not wait."""

    def unpreventable(self, mode: InstallMode) -> str:
        return self.only_superuser if mode is InstallMode.MANAGED else ""


Judge = Callable[[Check[Canaries], Exception], tuple[str, bool]]
"""What an error that ended a check says, and whether something leaks. Raises `Unavailable` where it says nothing of a promise, since the
platform was busy or went away, and the error itself where it is a bug."""


def run_checks(
    checks: Sequence[Check[Canaries]], canaries: Canaries, mode: InstallMode, judge: Judge[Canaries], wanted: Callable[[], bool]
) -> tuple[CheckResult, ...]:
    """One result for each check, in their order. `Unavailable` where they are not `wanted` any more.

    A check that could not be tried is raised as that, unless another one failed: then what failed stands, and those that could not be
    tried are left out.
    """
    for ahead in dict.fromkeys(check.ahead for check in checks if check.ahead is not None):
        ahead(canaries)
    untried: list[Unavailable] = []
    results = tuple(_results(expected(checks, wanted), canaries, mode, judge, untried))
    if untried and not any(result.outcome is Outcome.FAILED for result in results):
        raise untried[0]
    return results


def expected(steps: Iterable[Step], wanted: Callable[[], bool]) -> Iterator[Step]:
    """The same, as long as the attestation is wanted."""
    for step in steps:
        if not wanted():
            raise Unavailable("the attestation was cut short, since its process ends")
        yield step


def _results(
    checks: Iterable[Check[Canaries]], canaries: Canaries, mode: InstallMode, judge: Judge[Canaries], untried: list[Unavailable]
) -> Iterator[CheckResult]:
    for check in checks:
        leaks = check.leaks
        try:
            seen = check.test(canaries)
        except Exception as error:
            try:
                seen, leaks = judge(check, error)
            except Unavailable as passing:
                untried.append(passing)
                continue
        yield _result(check, seen, mode, leaks=leaks)


def _result(check: Check[Canaries], seen: str, mode: InstallMode, *, leaks: bool) -> CheckResult:
    if not seen:
        return CheckResult(check.name, Outcome.PASSED)
    if reason := check.unpreventable(mode):
        return CheckResult(check.name, Outcome.NOT_PREVENTABLE, reason)
    return CheckResult(check.name, Outcome.FAILED, seen, leaks)
