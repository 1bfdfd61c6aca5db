"""What an attestation means for its platform: the condition, what is vended there, and what lives on."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from secrets import token_bytes
from typing import cast

import pytest

from rolevend.controllers.attestation import AttestationController, attestation_of
from rolevend.decision.outcome import Granted, Pending, revocation_code
from rolevend.kinds.shared import ATTEST
from rolevend.model import PlatformName
from rolevend.platform_runtime.executor import PlatformExecutor
from rolevend.platform_runtime.registry import ConnectedPlatform
from rolevend.platform_runtime.state import PlatformState
from rolevend.platforms.protocol import CheckResult, InstallMode, Outcome, Randomness
from rolevend.settings import Settings
from rolevend.telemetry.metrics import Metrics
from tests.support.painted import NOW, OBJECTS, REQUEST, STATES, WAREHOUSE, message, paint, said

LEAK = CheckResult("read the table", Outcome.FAILED, "was not refused", leaks=True)
WEAKNESS = CheckResult("create a large object", Outcome.FAILED, "was not refused")
OPEN = CheckResult("run a DO block", Outcome.NOT_PREVENTABLE, "PUBLIC has this right")


def attested(*results: CheckResult) -> PlatformState:
    state = STATES[WAREHOUSE]
    assert state.facts is not None
    return replace(state, attestation=attestation_of(results, state.facts, None, NOW))


def allowing():
    def allowed(platform):
        return platform.model_copy(update={"spec": platform.spec.model_copy(update={"allow_unattested": True})})

    return replace(OBJECTS, platforms=[allowed(platform) for platform in OBJECTS.platforms])


def outcome(state: PlatformState, objects=OBJECTS, *, role_exists: bool = False):
    built = paint(objects, {**STATES, WAREHOUSE: state})
    return built, built.snapshot.decide(REQUEST, role_exists=role_exists)


def test_where_promises_hold_roles_are_vended():
    built, verdict = outcome(attested(OPEN))
    assert isinstance(verdict, Granted)
    assert said(built, WAREHOUSE, "Attested") == ("True", "PromisesHold")
    assert "1 cannot be prevented there" in message(built, WAREHOUSE, "Attested")
    assert said(built, WAREHOUSE, "Ready") == ("True", "Connected")


@pytest.mark.parametrize("what", ["never", "another version", "another way to install", "a check failed", "too long ago"])
def test_else_requests_wait_unless_the_platform_team_allows_it_and_live_roles_live_on(what: str):
    state = attested(OPEN)
    assert state.facts is not None
    state = {
        "never": replace(state, attestation=None),
        "another version": replace(state, facts=replace(state.facts, version="18.5")),
        "another way to install": replace(state, facts=replace(state.facts, install_mode=InstallMode.MANAGED)),
        "a check failed": attested(WEAKNESS),
        "too long ago": replace(state, attestation_overdue=True),
    }[what]
    built, verdict = outcome(state)
    assert isinstance(verdict, Pending)
    assert (verdict.reason, verdict.withdrawn) == ("NotAttested", False)
    assert said(built, WAREHOUSE, "Ready") == ("False", "NotAttested")
    expected = {"a check failed": ("False", "ChecksFailed"), "too long ago": ("Unknown", "Overdue")}
    assert said(built, WAREHOUSE, "Attested") == expected.get(what, ("Unknown", "NotAttested"))
    assert isinstance(outcome(state, role_exists=True)[1], Granted)
    allowed, verdict = outcome(state, allowing())
    assert isinstance(verdict, Granted)
    assert said(allowed, WAREHOUSE, "Ready") == ("True", "Connected")


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize("role_exists", [False, True])
def test_a_leak_closes_the_platform_and_ends_what_lives_there_whatever_is_allowed(allowed: bool, role_exists: bool):
    built, verdict = outcome(attested(LEAK, WEAKNESS), allowing() if allowed else OBJECTS, role_exists=role_exists)
    assert isinstance(verdict, Pending)
    assert (verdict.reason, verdict.withdrawn, revocation_code(verdict)) == ("Leak", True, "Leak")
    assert "read the table: was not refused" in verdict.message
    assert said(built, WAREHOUSE, "Attested") == ("False", "Leak")
    assert said(built, WAREHOUSE, "Ready") == ("False", "Leak")


def test_another_version_of_the_installation_lets_no_role_be_vended_whatever_is_allowed_and_takes_none_away():
    state = attested(OPEN)
    assert state.facts is not None
    why = "version 15 of rolevend's SQL is installed in this database, and this rolevend knows 14: use a newer rolevend"
    state = replace(state, problem=("PlatformUnavailable", why), facts=replace(state.facts, unusable=why))

    built, verdict = outcome(state, allowing())

    assert isinstance(verdict, Pending)
    assert (verdict.reason, verdict.withdrawn) == ("PlatformUnavailable", False)
    assert verdict.message.endswith(why)
    assert said(built, WAREHOUSE, "Ready") == ("False", "PlatformUnavailable")
    assert isinstance(outcome(state, role_exists=True)[1], Granted)


def test_a_leak_stays_one_until_another_attestation_finds_none():
    state = attested(LEAK)
    assert state.facts is not None
    _, verdict = outcome(replace(state, facts=replace(state.facts, version="18.5"), attest_problem=("PlatformBusy", "locked")))
    assert isinstance(verdict, Pending)
    assert verdict.reason == "Leak"


def test_what_failed_long_ago_has_failed_all_the_same():
    built, _ = outcome(replace(attested(WEAKNESS), attestation_overdue=True))
    assert said(built, WAREHOUSE, "Attested") == ("False", "ChecksFailed")


def test_what_was_not_repeated_for_too_long_says_what_was_in_the_way():
    built, _ = outcome(replace(attested(OPEN), attestation_overdue=True, attest_problem=("PlatformBusy", "no schema can be made")))
    assert "too old: no schema can be made (PostgreSQL 18.4" in message(built, WAREHOUSE, "Attested")


def test_an_attestation_stands_for_two_periods_and_until_the_next_one():
    clock = [NOW]
    changed: list[bool] = []
    attesting = AttestationController(Settings(attest_seconds=3600), Metrics(), lambda: changed.append(True), lambda: clock[0], token_bytes)
    at_work = ConnectedPlatform(OBJECTS.platforms[0])
    at_work.state = replace(attested(OPEN), problem=("PlatformUnavailable", "so that nothing is tried"))

    for seconds, overdue in ((0, False), (7200, False), (7201, True), (9000, True), (0, False)):
        clock[0] = NOW + timedelta(seconds=seconds)
        attesting.consider(WAREHOUSE, at_work)
        assert at_work.state.attestation_overdue is overdue

    assert len(changed) == 2


class Attested:
    """Of an executor the part that attests: until `finish` is set."""

    def __init__(self, *results: CheckResult) -> None:
        self.results = results
        self.role_exists: list[bool] = []
        self.finish = asyncio.Event()

    async def attest(
        self, mode: InstallMode, randomness: Randomness, *, alone: bool, wanted: Callable[[], bool]
    ) -> tuple[CheckResult, ...]:
        self.role_exists.append(alone)
        while wanted() and not self.finish.is_set():
            await asyncio.sleep(0)
        return self.results


def tried_by(executor: Attested) -> ConnectedPlatform:
    """What was never attested."""
    at_work = ConnectedPlatform(OBJECTS.platforms[0])
    at_work.state = replace(STATES[WAREHOUSE], problem=None, attestation=None)
    at_work.executor = cast(PlatformExecutor, executor)
    return at_work


async def test_one_server_is_attested_once_at_a_time_whatever_it_is_called():
    over: list[bool] = []
    attesting = AttestationController(Settings(), Metrics(), lambda: over.append(True), lambda: NOW, token_bytes)
    first, second = Attested(), Attested()
    looks = [(WAREHOUSE, tried_by(first)), (PlatformName("the-same-server"), tried_by(second))]

    async def look() -> None:
        for name, at_work in looks:
            attesting.consider(name, at_work)
        await asyncio.sleep(0)

    for _ in range(2):
        await look()
    assert (first.role_exists, second.role_exists) == ([True], [])

    first.finish.set()
    async with asyncio.timeout(10):
        while not second.role_exists:
            await look()
    assert (first.role_exists, over) == ([True], [True])
    await attesting.end()


async def test_at_its_end_it_cuts_short_what_is_under_way_and_begins_nothing():
    attesting = AttestationController(Settings(), Metrics(), lambda: None, lambda: NOW, token_bytes)
    under_way, late = Attested(), Attested()
    attesting.consider(WAREHOUSE, tried_by(under_way))
    await asyncio.sleep(0)

    await asyncio.wait_for(attesting.end(), 10)

    attesting.consider(WAREHOUSE, tried_by(late))
    await asyncio.sleep(0)
    assert (under_way.role_exists, late.role_exists) == ([True], [])


async def attest_once(at_work: ConnectedPlatform) -> None:
    over = asyncio.Event()
    attesting = AttestationController(Settings(), Metrics(), over.set, lambda: NOW, token_bytes)
    cast(Attested, at_work.executor).finish.set()
    attesting.consider(WAREHOUSE, at_work)
    await asyncio.wait_for(over.wait(), 10)
    await attesting.end()


@pytest.mark.parametrize("tried", [False, True])
async def test_a_leak_that_could_not_be_tried_again_stays_one(tried: bool):
    passed = CheckResult(LEAK.check, Outcome.PASSED)
    at_work = tried_by(Attested(WEAKNESS, *([passed] if tried else [])))
    last = attested(LEAK).attestation
    assert last is not None
    at_work.state = replace(at_work.state, attestation=last.model_copy(update={"time": NOW - timedelta(days=1)}))
    await attest_once(at_work)
    _, verdict = outcome(at_work.state, allowing())
    assert isinstance(verdict, Granted if tried else Pending)


async def test_a_request_longer_than_the_status_holds_is_answered_once():
    at_work = tried_by(Attested())
    metadata = at_work.platform.metadata
    metadata = metadata.model_copy(update={"annotations": {ATTEST: "r" * 300}})
    at_work.platform = at_work.platform.model_copy(update={"metadata": metadata})
    await attest_once(at_work)
    again = at_work.executor = cast(PlatformExecutor, Attested())
    attesting = AttestationController(Settings(), Metrics(), lambda: None, lambda: NOW, token_bytes)
    attesting.consider(WAREHOUSE, at_work)
    await asyncio.sleep(0)
    assert cast(Attested, again).role_exists == []


async def test_an_attestation_from_the_future_is_repeated():
    """The clock was set back: else it would stand until then."""
    at_work = tried_by(Attested())
    last = attested().attestation
    assert last is not None
    at_work.state = replace(at_work.state, attestation=last.model_copy(update={"time": NOW + timedelta(days=300)}))
    await attest_once(at_work)
    assert at_work.state.attestation is not None
    assert at_work.state.attestation.time == NOW


def test_what_could_not_be_carried_out_says_why():
    built, _ = outcome(replace(attested(), attestation=None, attest_problem=("PlatformBusy", "every connection is in use")))
    assert said(built, WAREHOUSE, "Attested") == ("Unknown", "PlatformBusy")
    assert message(built, WAREHOUSE, "Attested") == "every connection is in use"
