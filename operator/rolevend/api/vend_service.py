"""A call that vends, from the question to a role and its credential.

The object comes first, and its uid names the role: whatever breaks off afterwards is found and ended, here at once, and otherwise by the
operator, which ends what is not Ready in time. That time is for the same call again, where it has a key: it takes up what was begun, with
the user's token, which is good for this one object. The answer comes last: only when the API server has said that nobody began to end it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from rolevend.api.callers import Callers, Person
from rolevend.api.objects import digest_of, name_of, prefix
from rolevend.api.problems import RETRY_SECONDS, Problem, mends_itself, of_verdict
from rolevend.api.quotas import Quotas
from rolevend.api.repository import VendedRoleRepository, ended, expect_standing
from rolevend.api.result import ResponseCredentialStore, SkippedPlatform, VendResult
from rolevend.api.schemas import Question
from rolevend.api.tries import Tries
from rolevend.atwork.executor import Executor
from rolevend.atwork.platforms import Platforms
from rolevend.errors import Overtaken, PlatformBusy, PlatformUnavailable, ProfileNotBuilt
from rolevend.identity.proven import ProvenUser
from rolevend.identity.refusal import TokenRefused
from rolevend.kube.client import AlreadyExists, NotFound
from rolevend.model import ObjectName, PlatformName, Uid
from rolevend.model import Task as CoreTask
from rolevend.picture.objects import Observed
from rolevend.resources import VendedRole, values
from rolevend.roles.audit_recorder import AuditRecorder
from rolevend.roles.decision import RoleDecision, Vend
from rolevend.roles.objects import Making
from rolevend.roles.state import role_requests
from rolevend.roles.status import StatusBuilder, vended
from rolevend.roles.timing import Step, observe, timed
from rolevend.roles.user_authenticator import UserAuthenticator
from rolevend.telemetry.metrics import Metrics
from rolevend.vending.directory import Directory
from rolevend.vending.terms import Agent
from rolevend.vending.verdict import Delivery, Denied, Request, Undecided, ended_by

LONGEST_BUILD_SECONDS: Final = 5.0
"""For which a call waits where its profile is not built yet: the operator builds it."""
_LOOK_SECONDS: Final = 0.025

_log = logging.getLogger(__name__)


class VendService:
    def __init__(
        self,
        opening: VendedRoleRepository,
        observed: Observed,
        platforms: Platforms,
        callers: Callers,
        proving: UserAuthenticator,
        record: AuditRecorder,
        making: Making,
        quotas: Quotas,
        metrics: Metrics,
        now: Callable[[], datetime],
        identifier: Callable[[], UUID],
        patience: timedelta,
    ) -> None:
        """`patience` is how long a call makes a role, whatever it waits for: a moment less than the operator leaves it alone."""
        self._patience = patience
        self._opening = opening
        self._observed = observed
        self._platforms = platforms
        self._callers = callers
        self._proving = proving
        self._record = record
        self._making = making
        self._quotas = quotas
        self._metrics = metrics
        self._now = now
        self._identifier = identifier

    async def decide(self, agent: Agent, question: Question, request_id: str) -> RoleDecision:
        """What would be granted now. Nothing is made, and no token is used up; one that is used up is refused, as by a vend."""
        self._quotas.expect_decision_rate(agent)
        directory = self._observed.directory
        person = await self._callers.person(question, agent, directory, self._now(), request_id)
        drafts = self._drafts(agent, question, person, request_id)
        await self._prove(person, drafts[0], self._proving.expect_untaken)
        return RoleDecision.of(drafts, directory.verdict)

    async def vend(self, agent: Agent, question: Question, key: str | None, request_id: str) -> VendResult:
        """Raises Problem, or an error of `rolevend.errors`; then there is no role, or none that lives for long. With the same `key` again
        it is the same role with fresh credentials, which take the place of those before."""
        started = time.perf_counter()
        self._quotas.expect_rate(agent)
        directory = self._observed.directory
        person = await self._callers.person(question, agent, directory, self._now(), request_id)
        drafts = self._drafts(agent, question, person, request_id)
        with timed(Step.DECIDE):
            whole = RoleDecision.of(drafts, directory.verdict)
        if whole.refusal is not None:
            raise await self._denied(*whole.refusal, directory)
        asked, absent = self._connected(whole)
        name = ObjectName(agent.name.namespace, name_of(agent, key) if key else f"{prefix(agent)}{self._identifier().hex}")
        with timed(Step.CREATE_OBJECT):
            role, is_new = await self._opening.object(asked, name, digest_of(question))
        store = ResponseCredentialStore()
        try:
            made = await self._in_time(self._make(role, person, store, is_new=is_new))
        except BaseException as error:
            self._observe(asked, "failed", started)
            if is_new and not (key and mends_itself(error)):
                await asyncio.shield(self._opening.undo(role, untouched=not store.credentials))
            raise
        finally:
            self._record.forget(Uid(role.uid))  # nothing of it is tried again here; another call writes the same event
        self._observe(made.vends, "vended", started)
        observe(self._metrics.vend_step_seconds)
        return replace(made, left_out=(*_beside(made, drafts, absent), *made.left_out))

    def _observe(self, vends: Iterable[Vend], how: str, started: float) -> None:
        for each in vends:
            self._metrics.vend_seconds.labels(each.platform, how).observe(time.perf_counter() - started)

    def _connected(self, whole: RoleDecision) -> tuple[tuple[Vend, ...], tuple[SkippedPlatform, ...]]:
        """What is to be made, and what is left out. Raises PlatformUnavailable where a platform is not connected that must be."""
        absent = [SkippedPlatform.by(request, verdict) for request, verdict in whole.left_out]
        asked = []
        for each in whole.vends:
            try:
                self._executor(each.platform)
                asked.append(each)
            except PlatformUnavailable as error:
                if not whole.allow_partial:
                    raise
                absent.append(SkippedPlatform.after(each.platform, error))
        if not asked:
            self._executor(whole.vends[0].platform)  # raises: there would be nothing at all
        return tuple(asked), tuple(absent)

    async def _in_time(self, making: Coroutine[None, None, VendResult]) -> VendResult:
        """What is not Ready by then, the operator is about to end."""
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                return await making
        except TimeoutError as error:
            why = "the role was not made in time, since something that it needs is slow; try again"
            raise Problem(503, "TooSlow", why, retry_after=RETRY_SECONDS) from error

    async def _make(self, role: VendedRole, person: Person, store: ResponseCredentialStore, *, is_new: bool) -> VendResult:
        """First all is prepared, then the roles are made, one after the other."""
        requests = [replace(each, token=person.token, proof=person.proof) for each in role_requests(role)]
        directory, report = self._observed.directory, StatusBuilder(role, self._now())
        with timed(Step.DECIDE):
            whole = RoleDecision.of(requests, lambda request: directory.verdict(request, begun=not is_new))
        if whole.refusal is not None:
            raise await self._denied(*whole.refusal, directory)
        executors = {each.platform: self._executor(each.platform) for each in whole.vends}
        try:
            tries = Tries(whole, is_new=is_new)
            await self._begin(tries, directory, report, person, executors)
            with timed(Step.MAKE_ROLE):
                await self._made(tries, executors, store)
        except (Overtaken, NotFound, AlreadyExists) as error:
            raise ended(role.name) from error
        except ProfileNotBuilt as error:
            raise self._opening.not_built(values.object_name(role), error) from error
        live = tries.left
        if (newer := self._observed.directory) is not directory:
            with timed(Step.DECIDE):
                why = next(filter(None, (ended_by(newer.verdict(each.request, begun=True), each.granted) for each in live)), "")
            if why:
                raise Problem(403, "PolicyChanged", why)
        with timed(Step.WRITE_READY):
            await self._opening.ready(role, vended(report, whole, tries.statuses, self._record.receipts(whole.uid)))
        for each in live:
            _log.info("vended", extra={"role": whole.role, "platform": each.platform, "object": str(each.request.name)})
        refused = (SkippedPlatform.by(request, verdict) for request, verdict in whole.left_out)
        return VendResult(live, store.credentials, (*refused, *tries.absent))

    async def _made(self, tries: Tries, executors: Mapping[PlatformName, Executor], store: ResponseCredentialStore) -> None:
        for each in tries.left:
            with tries.of(each, untouched=True):
                await self._making.prepare(each, executors[each.platform], store)
        for each in tries.left:
            with tries.of(each):
                await self._making.make(each, store.credentials[each.platform], executors[each.platform])

    async def _begin(
        self,
        tries: Tries,
        directory: Directory,
        report: StatusBuilder,
        person: Person,
        executors: Mapping[PlatformName, Executor],
    ) -> None:
        """With the user's token taken for it, on record, and its profiles built. Nothing is begun for a token that is used up. Where a
        profile must be built it is taken last: whoever has to wait for that comes again with the same one. The intent is for the operator,
        which builds the profiles, and for another call that may be ending the same object: see `_undo`."""
        whole = tries.whole
        request = whole.vends[0].request
        missing = [each for each in whole.vends if not executors[each.platform].is_built(each.granted.profile)]
        await self._prove(person, request, self._proving.expect_untaken if missing else self._proving.take)
        with timed(Step.RECORD):
            begun = await self._making.begin(whole, directory, report, intend=not tries.is_new or bool(missing))
        expect_standing(begun)
        deadline = time.monotonic() + LONGEST_BUILD_SECONDS
        for each in missing:
            with timed(Step.AWAIT_PROFILE), tries.of(each, untouched=True):
                await self._built(executors[each.platform], each, deadline)
        if missing:
            await self._prove(person, request, self._proving.take)

    async def _prove(self, person: Person, request: Request, by: Callable[[ProvenUser, Request], Awaitable[None]]) -> None:
        if person.proven is None:
            return
        try:
            with timed(Step.TAKE_TOKEN):
                await by(person.proven, request)
        except TokenRefused as error:
            raise await self._callers.refused_user(error, person.proven.token.digest, request.agent, request.request_id) from error

    async def _built(self, executor: Executor, vend: Vend, deadline: float) -> None:
        while True:
            try:
                return await executor.ensure(vend.granted.profile)
            except PlatformBusy:
                if time.monotonic() >= deadline:
                    raise
            await asyncio.sleep(_LOOK_SECONDS)

    async def _denied(self, request: Request, verdict: Denied | Undecided, directory: Directory) -> Problem:
        """On record as a denial, where it is one."""
        if isinstance(verdict, Denied):
            await self._record.denied(request, verdict.reason, verdict.message, directory)
            self._record.forget(request.uid)
            self._metrics.denials.labels(request.platform, verdict.reason).inc()
        return of_verdict(verdict)

    def _executor(self, platform: PlatformName) -> Executor:
        at_work = self._platforms.get(platform)
        if at_work is None or at_work.executor is None:
            raise PlatformUnavailable(f"DataPlatform {platform} is not connected yet")
        return at_work.executor

    def _drafts(self, agent: Agent, question: Question, person: Person, request_id: str) -> tuple[Request, ...]:
        """The requests that the object will be, under a uid that nothing has."""
        uid = self._identifier()
        first = Request(
            name=ObjectName(agent.name.namespace, f"{prefix(agent)}{uid.hex}"),
            uid=Uid(str(uid)),
            agent=agent.name,
            user=person.user,
            platform=PlatformName(question.platforms[0]),
            created_at=self._now(),
            expiration_seconds=question.expiration_seconds,
            purpose=question.purpose,
            resources=question.tables,
            token=person.token,
            proof=person.proof,
            delivery=Delivery.RESPONSE,
            task=None if question.task is None else CoreTask(question.task.id, question.task.intent_digest),
            request_id=request_id,
            allow_partial=question.allow_partial,
        )
        return (first, *(replace(first, platform=PlatformName(each), further=True) for each in question.platforms[1:]))


def _beside(made: VendResult, drafts: Iterable[Request], absent: Iterable[SkippedPlatform]) -> list[SkippedPlatform]:
    """The platforms that the question names and its object does not: this call left them out, or an earlier one with its key."""
    named = {*(each.platform for each in made.vends), *(each.platform for each in made.left_out)}
    known = {each.platform: each for each in absent}
    before = "an earlier call with this key left it out; ask anew, with another one"
    missing = (each.platform for each in drafts if each.platform not in named)
    return [known.get(platform, SkippedPlatform(platform, "LeftOut", before)) for platform in missing]
