"""The HTTP door: authenticate a call, decide, call the Vender, and answer with the role and its credential.

An object in Kubernetes is created first, and its uid names the role. So a partial result can be found and undone: at once by this call,
or later by the operator, which ends a role that is not Ready in time. Until then a call with the same key continues with the same object
and the user's token, which is redeemed for that object. The answer comes when the API server has confirmed that the object does not end.

With a ledger, the platform's database records the role instead, in the transaction that creates it. The operator ends it if the answer is
not confirmed in time. See `recorded_roles`.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from rolevend.api.access.missing import OfferFinder
from rolevend.api.access.offer_schemas import MissingShown, OfferShown
from rolevend.api.access.step_up import step_up_problem
from rolevend.api.authenticator import Authenticator, PresentedToken
from rolevend.api.problems import RETRY_SECONDS, Problem, decision_problem, error_problem, is_retryable, of_call, public_reason
from rolevend.api.rate_limiter import RateLimiter
from rolevend.api.recorded_roles import RecordedRoles
from rolevend.api.repository import (
    OpenedRole,
    OpenedRoles,
    VendCall,
    VendedRoleRepository,
    digest_of,
    role_ended,
)
from rolevend.api.schemas import VendRequest
from rolevend.decision.admission import Agent
from rolevend.decision.approval import UnusableApproval
from rolevend.decision.outcome import Denied, Pending, Request
from rolevend.decision.snapshot import Snapshot
from rolevend.errors import Overtaken, PlatformBusy, ProfileNotBuilt, RolevendError, TokenUsed, TooManyRoles
from rolevend.kinds import VendedRole, values
from rolevend.kube.client import NotFound, ResourceConflict
from rolevend.model import PlatformName
from rolevend.plan import Profile
from rolevend.platforms.protocol import Credential
from rolevend.roles.decision import PlatformGrant, RoleDecision
from rolevend.roles.door import Door
from rolevend.roles.protocols import ApprovalRefused, AsyncPlatform
from rolevend.roles.quota import TOO_MANY, within_quota
from rolevend.roles.store import RoleRecord
from rolevend.roles.user_authenticator import replayed
from rolevend.roles.vender import GrantWithdrawn, NotVendableEverywhere, RoleEnding, Vender, not_connected
from rolevend.telemetry.timing import VendStep, timed

MAX_BUILD_SECONDS: Final = 5.0
"""Maximum time that a call waits until the operator has built its profiles."""
_POLL_SECONDS: Final = 0.025
_NOT_MADE: Final = (TokenUsed, TooManyRoles, Overtaken)
"""Errors of the transaction that would have recorded a role: it created nothing. A role of this name is that of another call with the key,
and is left to it."""


@dataclass(frozen=True, slots=True)
class SkippedPlatform:
    """A platform without a role, and the reason."""

    platform: PlatformName
    reason: str
    message: str
    missing: MissingShown | None = None

    @classmethod
    def by(cls, request: Request, decision: Denied | Pending, finder: OfferFinder) -> "SkippedPlatform":
        return cls(request.platform, public_reason(decision.reason), of_call(decision.message)[1], finder.missing(request, decision))

    @classmethod
    def after(cls, platform: PlatformName, error: RolevendError) -> "SkippedPlatform":
        """Return the platform with the message of a problem document, which has no address of a server."""
        problem = error_problem(error)
        return cls(platform, problem.code, problem.detail)


class ResponseCredentialStore:
    """Keeps the credentials of one call in memory. See `roles.protocols.CredentialStore`."""

    def __init__(self) -> None:
        self.by_platform: dict[PlatformName, Credential] = {}

    async def keep(self, request: Request, fresh: Credential, expires_at: datetime) -> Credential:  # noqa: ARG002
        self.by_platform[request.platform] = fresh
        return fresh

    async def discard(self, request: Request) -> None:
        """Remove the credential from the answer."""


def noop() -> None:
    """Confirm nothing."""


@dataclass(frozen=True, slots=True)
class VendAnswer:
    grants: tuple[PlatformGrant, ...]
    """The grants of the created roles; at least one."""
    credentials: Mapping[PlatformName, Credential]
    skipped: tuple[SkippedPlatform, ...] = ()
    offers: tuple[OfferShown, ...] = ()
    """Offers that show more than the role."""
    confirm: Callable[[], None] = noop
    """To be called when the answer was sent."""

    @property
    def request(self) -> Request:
        """The request, for the fields that all platforms share."""
        return self.grants[0].request


class AwaitedProfiles:
    """The `ProfileProvider` of one call: waits for the operator, which builds missing profiles."""

    def __init__(self) -> None:
        self._deadline: float | None = None

    async def provide(self, request: Request, platform: AsyncPlatform, profile: Profile) -> None:  # noqa: ARG002
        """Return when the profile exists. Raises ProfileNotBuilt if the operator takes longer than MAX_BUILD_SECONDS for all profiles of
        the call."""
        self._deadline = self._deadline or time.monotonic() + MAX_BUILD_SECONDS
        while True:
            try:
                return await platform.ensure(profile)
            except PlatformBusy:
                if time.monotonic() >= self._deadline:
                    raise
            await asyncio.sleep(_POLL_SECONDS)


class VendService:
    def __init__(
        self,
        authenticator: Authenticator,
        repository: VendedRoleRepository,
        recorded: RecordedRoles,
        vender: Vender,
        limiter: RateLimiter,
        patience: timedelta,
    ) -> None:
        """`patience` is the maximum time of a call, slightly less than the operator's limit."""
        self._authenticator = authenticator
        self._repository = repository
        self._recorded = recorded
        self._vender = vender
        self._limiter = limiter
        self._patience = patience

    async def decide(self, agent: Agent, question: VendRequest, request_id: str) -> tuple[RoleDecision, OfferFinder]:
        """Return the decision now, and the offers of its snapshot. Creates nothing and redeems no token; a redeemed one is refused, as
        by a vend."""
        self._limiter.require_decision_rate(agent)
        snapshot = self._vender.snapshot
        user = await self._authenticator.authenticate_user(question, agent, snapshot, request_id)
        drafts = await self._repository.drafts(agent, question, user, request_id)
        await PresentedToken(self._authenticator, user).redeem(drafts[0], final=False)
        return self._vender.decide(drafts, snapshot.decide), OfferFinder(snapshot)

    async def vend(self, agent: Agent, question: VendRequest, key: str | None, request_id: str) -> VendAnswer:
        """Create a role. A repeated call with the same `key` returns the same role with fresh credentials, which replace the earlier
        ones. Raises Problem, or an error of `rolevend.errors`; then there is no role, or it ends soon."""
        started = time.perf_counter()
        self._limiter.require_rate(agent)
        snapshot = self._vender.snapshot
        user = await self._authenticator.authenticate_user(question, agent, snapshot, request_id)
        drafts = await self._repository.drafts(agent, question, user, request_id, key)
        role_decision = self._vender.decide(drafts, lambda request: self._repository.decide(request, snapshot))
        await self._require_granted(None, role_decision, snapshot)
        grants, skipped = self._connected(role_decision, OfferFinder(snapshot))
        place = await self._recorded.place(drafts) if key is not None and snapshot.ledger is not None else None
        if place is not None:
            grants = tuple(each for each in grants if each.platform == place)
            if not grants:
                raise not_connected(place)
        store, token = await self._store(grants, PresentedToken(self._authenticator, user), snapshot, is_recorded=place is not None)
        most_live = await self._most_recorded(grants[0].request, snapshot) if store is self._recorded else None
        call = VendCall(digest_of(question), key is not None, token.use, most_live)
        with timed(VendStep.CREATE_OBJECT):
            opened = await store.open(grants, call)
        credentials = ResponseCredentialStore()
        door = Door(credentials, AwaitedProfiles(), self._repository.approvals, token, opened.is_new, opened.recorder, started)
        try:
            answer = await self._in_time(self._create(store, opened, door, token, snapshot), started)
        except BaseException as error:
            if opened.is_new and not (key and is_retryable(error)):
                causes = (error, error.__cause__)
                not_made = opened.recorder is not None and any(isinstance(each, _NOT_MADE) for each in causes)
                untouched = not credentials.by_platform or not_made
                await asyncio.shield(store.undo(opened, untouched=untouched))
            raise
        self._vender.observe_steps()
        all_skipped = (*_not_in_object(answer, drafts, skipped), *answer.skipped)
        offers = OfferFinder(snapshot).beside(answer.grants)
        confirm = partial(store.confirm, opened)
        return replace(answer, credentials=credentials.by_platform, skipped=all_skipped, offers=offers, confirm=confirm)

    async def _store(
        self, grants: Sequence[PlatformGrant], token: PresentedToken, snapshot: Snapshot, *, is_recorded: bool
    ) -> tuple[OpenedRoles, PresentedToken]:
        """Return where the role is recorded, and who redeems the token: the platform's database, or an object in Kubernetes, as for an
        earlier call with the same key. `is_recorded`: a database recorded the role for an earlier call."""
        request, ledger = grants[0].request, snapshot.ledger
        if ledger is None:
            return self._repository, token
        is_object = self._repository.has(request.name)
        if is_recorded or (not is_object and await self._recorded.serves(grants, ledger)):
            return self._recorded, replace(token, with_role=ledger.platform == request.platform)
        if not is_object and snapshot.most_live(request) is not None:  # objects alone are counted already
            held = self._repository.count(request.agent) + await self._recorded.count(request.agent)
            decision = within_quota(request, grants[0].granted, snapshot, held)
            if isinstance(decision, Denied):
                raise decision_problem(decision)
        return self._repository, token

    async def _most_recorded(self, request: Request, snapshot: Snapshot) -> int | None:
        """Return how many roles of the agent its platform's database may record, beside its other roles; None: no limit."""
        limit = snapshot.most_live(request)
        if limit is None or snapshot.ledger is None:
            return limit
        elsewhere = self._repository.count(request.agent) + await self._recorded.count_elsewhere(request.agent, request.platform)
        return max(0, limit - elsewhere)

    async def _create(self, store: OpenedRoles, opened: OpenedRole, door: Door, token: PresentedToken, snapshot: Snapshot) -> VendAnswer:
        """`snapshot` is that of the opened role's decision."""
        role, record, role_decision = opened.role, RoleRecord(), opened.role_decision
        if role_decision is None:
            proven = (replace(each, token=token.user.token, proof=token.user.proof) for each in opened.requests)
            requests = [door.approvals.resolve(each) for each in proven]
            snapshot = self._vender.snapshot
            role_decision = self._vender.decide(requests, lambda request: snapshot.decide(request, role_exists=not door.created_object))
            await self._require_granted(role, role_decision, snapshot)
        try:
            result = await self._vender.vend(role, role_decision, snapshot, record, door)
        except TokenUsed as error:
            raise await token.refused(replayed(), opened.requests[0]) from error
        except (Overtaken, RoleEnding, NotFound, ResourceConflict) as error:
            raise role_ended(role.name) from error
        except ProfileNotBuilt as error:
            raise self._repository.not_built(values.object_name(role), error) from error
        except NotVendableEverywhere as error:
            raise error.cause from error
        except GrantWithdrawn as error:
            raise _withdrawn(error) from error
        with timed(VendStep.WRITE_READY):
            await store.ready(opened, result.status)
        return VendAnswer(result.created, {}, _skipped(role_decision, result.failed, OfferFinder(snapshot)))

    async def _require_granted(self, role: VendedRole | None, role_decision: RoleDecision, snapshot: Snapshot) -> None:
        """Raises Problem if a decision blocks the role, and records a denial. `role` is None before the object exists."""
        if role_decision.blocking_decision is None:
            return
        request, decision = role_decision.blocking_decision
        if isinstance(decision, Denied) and decision.reason != TOO_MANY:  # the same call may succeed when a role is gone
            await self._vender.deny(role, request, decision, snapshot, RoleRecord())
        if isinstance(request.approval, UnusableApproval) and request.approval.needed is not None:
            raise step_up_problem(request.approval.message, request.approval.needed)
        finder = OfferFinder(snapshot)
        place = next(number for number, (each, _) in enumerate(role_decision.decisions) if each.platform == request.platform)
        missing, hint = finder.missing(request, decision), finder.access_request(request, decision)
        raise decision_problem(decision, missing, hint, platform_member=f"platforms.{place}")

    def _connected(self, role_decision: RoleDecision, finder: OfferFinder) -> tuple[tuple[PlatformGrant, ...], tuple[SkippedPlatform, ...]]:
        """Return the grants of the connected platforms, and the skipped platforms. Raises PlatformUnavailable if none is connected, or a
        required one is not: the object would only wait."""
        grants = role_decision.grants
        away = {each.platform: not_connected(each.platform) for each in grants if self._vender.executor(each.platform) is None}
        connected = tuple(each for each in grants if each.platform not in away)
        if away and not (connected and role_decision.allow_partial):
            raise next(iter(away.values()))
        return connected, _skipped(role_decision, away, finder)

    async def _in_time(self, creating: Coroutine[None, None, VendAnswer], started: float) -> VendAnswer:
        """Await the answer. Raises Problem if the call takes too long: the operator is about to end the role."""
        try:
            async with asyncio.timeout(self._patience.total_seconds() - (time.perf_counter() - started)):
                return await creating
        except TimeoutError as error:
            cause = "the role was not created in time, because a dependency is slow; try again"
            raise Problem(503, "TooSlow", cause, retry_after=RETRY_SECONDS) from error


def _withdrawn(error: GrantWithdrawn) -> Problem:
    cause = error.__cause__
    if not isinstance(cause, ApprovalRefused):
        return Problem(403, "PolicyChanged", str(error))
    if cause.needed is not None:
        return step_up_problem(str(cause), cause.needed)
    return Problem(403, public_reason(cause.code), str(error))


def _skipped(role_decision: RoleDecision, failed: Mapping[PlatformName, RolevendError], finder: OfferFinder) -> tuple[SkippedPlatform, ...]:
    """Return the platforms without a role: those that do not grant, and those that failed."""
    denied = (SkippedPlatform.by(request, decision, finder) for request, decision in role_decision.skipped)
    return (*denied, *(SkippedPlatform.after(platform, error) for platform, error in failed.items()))


def _not_in_object(answer: VendAnswer, drafts: Iterable[Request], skipped: Sequence[SkippedPlatform]) -> list[SkippedPlatform]:
    """Return the requested platforms that the object does not name: this call skipped them, or an earlier one with its key."""
    named: set[PlatformName] = {*(each.platform for each in answer.grants), *(each.platform for each in answer.skipped)}
    known = {each.platform: each for each in skipped}
    before = "an earlier request with this key skipped it; use another key"
    missing = (each.platform for each in drafts if each.platform not in named)
    return [known.get(platform, SkippedPlatform(platform, "LeftOut", before)) for platform in missing]
