"""How checks run: one result each, in order, and an error is a failure, no result, or a bug."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rolevend.errors import Conflict, PlatformUnavailable, RolevendError, Unavailable
from rolevend.platforms.attestation.checks import Check, ErrorRules, NotAsExpected, attested, run_checks
from rolevend.platforms.protocol import CheckResult, InstallMode, Outcome


class DatabaseError(Exception):
    pass


class Busy(DatabaseError):
    pass


def translate(attempt: str, error: DatabaseError) -> RolevendError:
    return PlatformUnavailable(f"cannot {attempt}: {error}")


def rules(*, leak: bool = True) -> ErrorRules:
    return ErrorRules(DatabaseError, lambda error: isinstance(error, Busy), str, translate, leak)


def raising(error: Exception) -> Check[None]:
    def test(_: None) -> str:
        raise error

    return Check("read", test)


PASSES = Check[None]("write", lambda _: "")
FAILS = Check[None]("delete", lambda _: "was not refused", leaks=False)


def run(*checks: Check[None], mode: InstallMode = InstallMode.SUPERUSER, leak: bool = True) -> tuple[CheckResult, ...]:
    return run_checks(checks, None, mode, rules(leak=leak), lambda: True)


def test_each_check_has_one_result_in_order():
    assert run(FAILS, PASSES) == (CheckResult("delete", Outcome.FAILED, "was not refused"), CheckResult("write", Outcome.PASSED))


@pytest.mark.parametrize(
    ("error", "observed"),
    [
        (DatabaseError("no such table"), "failed with no such table"),
        (NotAsExpected("shows no row"), "shows no row"),
        (Conflict("closed"), "closed"),
    ],
)
@pytest.mark.parametrize("leak", [True, False])
def test_an_error_is_a_failure_that_leaks_only_where_the_rules_say_so(error: Exception, observed: str, leak: bool):
    assert run(raising(error), leak=leak) == (CheckResult("read", Outcome.FAILED, observed, leak),)


@pytest.mark.parametrize("error", [Busy("restarts"), PlatformUnavailable("restarts")])
def test_a_check_that_could_not_be_tried_is_an_error_unless_another_one_failed(error: Exception):
    with pytest.raises(Unavailable, match="restarts"):
        run(raising(error), PASSES)
    assert [result.check for result in run(raising(error), FAILS)] == ["delete"]


def test_a_bug_is_no_result_and_hides_no_failure():
    """A platform that leaks can answer in a form that a check does not expect."""
    with pytest.raises(KeyError):
        run(raising(KeyError("role")), PASSES)
    assert run(FAILS, raising(KeyError("role"))) == run(raising(KeyError("role")), FAILS) == run(FAILS)


def test_a_check_that_ends_after_the_canaries_expired_is_no_result():
    def run_while(alive: list[bool], *checks: Check[None]) -> tuple[CheckResult, ...]:
        return run_checks(checks, None, InstallMode.SUPERUSER, rules(), lambda: True, lambda: alive.pop(0))

    with pytest.raises(Unavailable, match="took so long that its canaries expired: delete has no result"):
        run_while([True, False], PASSES, FAILS, PASSES)
    assert run_while([True, False], FAILS, PASSES, PASSES) == run(FAILS)


def test_a_failure_that_only_a_superuser_can_prevent_is_none_on_a_managed_installation():
    check = Check[None]("lock", lambda _: "was not refused", only_superuser="PUBLIC has the right")
    (result,) = run(check, mode=InstallMode.MANAGED)
    assert result == CheckResult("lock", Outcome.NOT_PREVENTABLE, "PUBLIC has the right")
    (result,) = run(check)
    assert result.outcome is Outcome.FAILED


def test_work_that_must_happen_ahead_happens_once_and_before_the_first_check():
    events: list[str] = []

    def ahead(_: None) -> object:
        return events.append("ahead")

    def check(name: str) -> Check[None]:
        return Check(name, lambda _: events.append(name) or "", ahead=ahead)

    run(check("first"), check("second"))
    assert events == ["ahead", "first", "second"]


def test_work_ahead_that_fails_hides_no_failure():
    def sees_nothing(_: None) -> str:
        raise NotAsExpected("a role whose lease is not over sees nothing")

    waits = Check[None]("ask", sees_nothing, ahead=sees_nothing)
    assert run(waits, FAILS) == (CheckResult("ask", Outcome.FAILED, "a role whose lease is not over sees nothing", leaks=True), *run(FAILS))


@contextmanager
def stays_deployed(error: Exception) -> Iterator[None]:
    yield
    raise error


@pytest.mark.parametrize("error", [Unavailable("cannot drop a role"), Conflict("cannot drop a role")])
def test_a_failure_is_reported_also_where_the_canaries_cannot_be_removed(error: Exception):
    assert attested(stays_deployed(error), lambda _: run(FAILS)) == run(FAILS)
    with pytest.raises(RolevendError, match="cannot drop a role"):
        attested(stays_deployed(error), lambda _: run(PASSES))
