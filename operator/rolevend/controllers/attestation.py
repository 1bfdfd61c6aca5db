"""Attest platforms concurrently with other work, and each server once at a time.

Only the leader attests for its cluster, and it ends its attestations before it steps down. So the canaries that another process left on
a server belong to a process that was killed.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from rolevend import __version__
from rolevend.errors import RolevendError
from rolevend.kinds.data_platform import Attestation, FailedCheck, OpenCheck, UntriedCheck
from rolevend.kinds.shared import ATTEST
from rolevend.model import PlatformName
from rolevend.platform_runtime.registry import ConnectedPlatform
from rolevend.platform_runtime.state import PlatformState, is_about
from rolevend.platforms.protocol import CheckResult, Outcome, Randomness, ServerFacts
from rolevend.settings import Settings
from rolevend.telemetry.metrics import Metrics

STANDS_FOR_PERIODS = 2
"""An attestation expires after this multiple of `attest_seconds`."""
_LONGEST_DETAIL = 1024
_LONGEST_REQUEST = 256

_log = logging.getLogger(__name__)


class AttestationController:
    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        changed: Callable[[], None],
        now: Callable[[], datetime],
        randomness: Randomness,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._changed = changed
        self._now = now
        self._randomness = randomness
        self._under_way: dict[PlatformName, str] = {}
        """The server that each running attestation uses: two DataPlatforms may name one."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends = False
        self._not_before: dict[PlatformName, datetime] = {}
        metrics.attest_period_seconds.set(settings.attest_seconds)

    def consider(self, name: PlatformName, at_work: ConnectedPlatform) -> None:
        """Start an attestation if one is due. Called after each poll. Returns at once."""
        request = _request_of(at_work)
        if at_work.state.attestation is not None:  # by this process or an earlier one
            self._metrics.attested_timestamp.labels(name).set(at_work.state.attestation.time.timestamp())
        overdue = self._is_overdue(at_work.state.attestation)
        if overdue != at_work.state.attestation_overdue:
            at_work.state = replace(at_work.state, attestation_overdue=overdue)
            self._changed()
        state = at_work.state
        if self._ends or state.problem is not None or state.facts is None or not self._is_due(name, state, request):
            return
        if name in self._under_way or state.facts.identifier in self._under_way.values():
            return
        self._under_way[name] = state.facts.identifier
        task = asyncio.create_task(self._attest(name, at_work, state.facts, request), name=f"attest-{name}")
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._over(name, task))

    async def end(self) -> None:
        """Start no more attestations, cancel the running ones, and wait until their canaries are removed."""
        self._ends = True
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _over(self, name: PlatformName, task: asyncio.Task[None]) -> None:
        del self._under_way[name]
        self._tasks.discard(task)

    def _is_overdue(self, last: Attestation | None) -> bool:
        return last is not None and self._now() - last.time > STANDS_FOR_PERIODS * timedelta(seconds=self._settings.attest_seconds)

    def _is_due(self, name: PlatformName, state: PlatformState, request: str | None) -> bool:
        if self._not_before.get(name, self._now()) > self._now():
            return False
        last = state.attestation
        if last is None or state.facts is None or not is_about(last, state.facts) or request not in (None, last.request):
            return True
        wait = self._settings.attest_retry_seconds if last.failed else self._settings.attest_seconds
        return not timedelta() <= self._now() - last.time < timedelta(seconds=wait)  # also where the clock was set back

    async def _attest(self, name: PlatformName, at_work: ConnectedPlatform, facts: ServerFacts, request: str | None) -> None:
        executor = at_work.executor
        if executor is None:
            return
        try:
            results = await executor.attest(facts.install_mode, self._randomness, alone=True, wanted=lambda: not self._ends)
        except RolevendError as error:
            self._not_before[name] = self._now() + timedelta(seconds=self._settings.attest_retry_seconds)
            _log.warning("cannot attest a platform: %s", error, extra={"platform": name})
            at_work.state = replace(at_work.state, attest_problem=(type(error).__name__, str(error)))
        except Exception as error:  # a bug must not silently extend an old attestation
            self._not_before[name] = self._now() + timedelta(seconds=self._settings.attest_retry_seconds)
            _log.exception("cannot attest a platform", extra={"platform": name})
            at_work.state = replace(at_work.state, attest_problem=("InternalError", f"{type(error).__name__}; see the operator's log"))
        else:
            attestation = _with_untried_leaks(attestation_of(results, facts, request, self._now()), at_work.state.attestation, facts)
            self._count(name, attestation)
            at_work.state = replace(at_work.state, attestation=attestation, attestation_overdue=False, attest_problem=None)
        self._changed()

    def _count(self, name: PlatformName, attestation: Attestation) -> None:
        self._metrics.canary_leaks.labels(name).inc(sum(check.leaks for check in attestation.failed))
        for check in attestation.failed:
            _log.error("attestation check failed: %s: %s", check.name, check.detail, extra={"platform": name, "leaks": check.leaks})


def _request_of(at_work: ConnectedPlatform) -> str | None:
    """Return the start of the annotation, as much as the status can hold: a longer one would differ from it and be answered for ever."""
    request = at_work.platform.metadata.annotations.get(ATTEST)
    return None if request is None else request[:_LONGEST_REQUEST]


def _with_untried_leaks(attestation: Attestation, last: Attestation | None, facts: ServerFacts) -> Attestation:
    """Return the attestation with the leaks of the last one that it could not try again: only a check that passes closes a leak."""
    if last is None or not is_about(last, facts):
        return attestation
    tried = {*attestation.passed, *(each.name for each in attestation.failed), *(each.name for each in attestation.not_preventable)}
    untried = tuple(check for check in last.failed if check.leaks and check.name not in tried)
    return attestation.model_copy(update={"failed": (*attestation.failed, *untried)}) if untried else attestation


def attestation_of(results: Sequence[CheckResult], facts: ServerFacts, request: str | None, now: datetime) -> Attestation:
    failed = [result for result in results if result.outcome is Outcome.FAILED]
    open_ = [result for result in results if result.outcome is Outcome.NOT_PREVENTABLE]
    untried = [result for result in results if result.outcome is Outcome.NOT_TRIED]
    return Attestation(
        time=now,
        server_identifier=facts.identifier,
        edition=facts.edition,
        server_version=facts.version,
        install_mode=facts.install_mode.value,
        rolevend_version=__version__,
        request=request,
        failed=tuple(FailedCheck(name=each.check, detail=each.detail[:_LONGEST_DETAIL], leaks=each.leaks) for each in failed),
        not_preventable=tuple(OpenCheck(name=each.check, reason=each.detail[:_LONGEST_DETAIL]) for each in open_),
        not_tried=tuple(UntriedCheck(name=each.check, reason=each.detail[:_LONGEST_DETAIL]) for each in untried),
        passed=tuple(result.check for result in results if result.outcome is Outcome.PASSED),
    )
