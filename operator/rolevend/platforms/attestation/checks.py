"""A runner for checks. Each check tries one promise or one attack. A driver provides its checks, and the rules for its errors."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rolevend.errors import PlatformBusy, RolevendError, Unavailable
from rolevend.platforms.protocol import CheckResult, InstallMode, Outcome

_log = logging.getLogger(__name__)
Step = TypeVar("Step")
CanariesT = TypeVar("CanariesT")
"""The canaries of one kind of platform."""


class LeftOpen(Exception):
    """The attack succeeded, because the options of the installation leave this open. The message names the option."""


class NotAsExpected(Exception):
    """A promise rests on something that is not so. Nothing was shown that should be hidden."""


@dataclass(frozen=True)  # with slots, a generic class of Python 3.11 makes no values of its parametrized forms
class Check(Generic[CanariesT]):
    """One promise or one attack."""

    name: str
    test: Callable[[CanariesT], str]
    """Returns "" if the promise holds, else the observation, in one line that follows the check's name."""
    leaks: bool = True
    """True if a failure shows, changes or keeps data that no policy grants. False if a failure gives a role an ability that it does not
    need, or shows that an assumption does not hold."""
    only_superuser: str = ""
    """Why the attack cannot be prevented without a superuser; empty if it can always be prevented."""
    ahead: Callable[[CanariesT], object] | None = None
    """Called before the first check, so that the test does not have to wait. The test repeats it if it failed."""

    def unpreventable(self, mode: InstallMode) -> str:
        return self.only_superuser if mode is InstallMode.MANAGED else ""


@dataclass(frozen=True, slots=True)
class ErrorRules:
    """How the errors of a platform's client library are evaluated."""

    errors: type[Exception]
    """The base class of the library's errors."""
    is_transient: Callable[[Any], bool]
    """True if the error says nothing about a promise: the platform was busy or unreachable."""
    describe: Callable[[Any], str]
    """One line, which contains nothing but what the canaries made."""
    translate: Callable[[str, Any], RolevendError]
    """The error with the attempt, as in "cannot <attempt>"."""
    leak: bool
    """True if an error fails a check as a leak, where the check leaks. False if a check that ends with an error never leaks."""


def run_checks(
    checks: Sequence[Check[CanariesT]],
    canaries: CanariesT,
    mode: InstallMode,
    rules: ErrorRules,
    wanted: Callable[[], bool],
    alive: Callable[[], bool] = lambda: True,
) -> tuple[CheckResult, ...]:
    """Return one result for each check, in order.

    If a check could not be tried and another one failed, the results leave out the check that could not be tried. The same holds for a
    check that raises an internal error, and for all checks that end when the canaries are not `alive` any more: an expired role is refused
    everything, which proves no promise.

    Raises:
        Unavailable: the attestation is not `wanted` any more; or a check could not be tried and none failed.
        Exception: an internal error of a check, and no check failed.
    """
    for ahead in dict.fromkeys(check.ahead for check in checks if check.ahead is not None):
        try:
            ahead(canaries)
        except Exception as error:
            if isinstance(error, Unavailable) or (isinstance(error, rules.errors) and rules.is_transient(error)):
                raise
            _log.warning("work ahead of attestation checks failed: each of them tries it again", exc_info=True)
    untried: list[Exception] = []
    results = tuple(_results(while_wanted(checks, wanted), canaries, mode, rules, alive, untried))
    if untried and not any(result.outcome is Outcome.FAILED for result in results):
        raise untried[0]
    return results


def attested(
    deployed: AbstractContextManager[CanariesT], examine: Callable[[CanariesT], tuple[CheckResult, ...]]
) -> tuple[CheckResult, ...]:
    """Deploy canaries, examine the platform with them, and remove them.

    Returns the results also if the canaries could not be removed and a check failed.

    Raises:
        Exception: canaries could not be deployed, examined or removed, and no check failed.
    """
    results: tuple[CheckResult, ...] = ()
    try:
        with deployed as canaries:
            results = examine(canaries)
    except Exception:
        if not any(result.outcome is Outcome.FAILED for result in results):
            raise
        _log.warning("canaries are left on the platform: the next attestation removes them", exc_info=True)
    return results


def while_wanted(steps: Iterable[Step], wanted: Callable[[], bool]) -> Iterator[Step]:
    """Yield the steps while the attestation is wanted, then raise `Unavailable`."""
    for step in steps:
        if not wanted():
            raise Unavailable("the attestation was cut short, since its process ends")
        yield step


def _results(
    checks: Iterable[Check[CanariesT]],
    canaries: CanariesT,
    mode: InstallMode,
    rules: ErrorRules,
    alive: Callable[[], bool],
    untried: list[Exception],
) -> Iterator[CheckResult]:
    for check in checks:
        try:
            result = _tried(check, canaries, mode, rules)
        except Exception as reason:
            if not isinstance(reason, Unavailable):
                _log.exception("internal error in an attestation check: %s", check.name)
            untried.append(reason)
            continue
        if not alive():
            untried.append(PlatformBusy(f"the attestation took so long that its canaries expired: {check.name} has no result"))
            return
        yield result


def _tried(check: Check[CanariesT], canaries: CanariesT, mode: InstallMode, rules: ErrorRules) -> CheckResult:
    """Raises what `_observed` raises."""
    try:
        return _result(check, check.test(canaries), mode, leaks=check.leaks)
    except LeftOpen as choice:
        return CheckResult(check.name, Outcome.NOT_PREVENTABLE, str(choice))
    except Exception as error:
        return _result(check, _observed(check.name, error, rules), mode, leaks=check.leaks and rules.leak)


def _observed(check: str, error: Exception, rules: ErrorRules) -> str:
    """Return the observation that an error amounts to.

    Raises:
        Unavailable: the error says nothing about the promise.
        Exception: the error itself, if it is a bug.
    """
    if isinstance(error, rules.errors):
        if rules.is_transient(error):
            raise _as_unavailable(rules.translate(f"check: {check}", error)) from error
        return f"failed with {rules.describe(error)}"
    if isinstance(error, NotAsExpected | RolevendError) and not isinstance(error, Unavailable):
        return str(error)
    raise error


def _as_unavailable(error: RolevendError) -> Unavailable:
    return error if isinstance(error, Unavailable) else Unavailable(str(error))


def _result(check: Check[CanariesT], observed: str, mode: InstallMode, *, leaks: bool) -> CheckResult:
    if not observed:
        return CheckResult(check.name, Outcome.PASSED)
    if reason := check.unpreventable(mode):
        return CheckResult(check.name, Outcome.NOT_PREVENTABLE, reason)
    return CheckResult(check.name, Outcome.FAILED, observed, leaks)
