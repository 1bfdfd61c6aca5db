"""Requests of agents for offers: create or find one, wait for its judgement, show, and withdraw it.

An AccessRequest is the request, and the operator alone decides on it. So every replica can answer for it, and limits hold for all replicas.
A request of another agent is answered as if it did not exist.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import uuid4

from rolevend.access_objects.store import AccessRequestStore
from rolevend.access_requests.coalescing import RequestPlace, object_name, place_of, same_ask
from rolevend.access_requests.request import RequestedAccess
from rolevend.access_requests.states import RequestReason, RequestState
from rolevend.access_requests.text import sanitized
from rolevend.api.access.keyed_requests import CallKey, RequestKey
from rolevend.api.access.schemas import OfferRequest
from rolevend.api.access.step_up import step_up_problem
from rolevend.api.authenticator import AuthenticatedUser, Authenticator, PresentedToken
from rolevend.api.confirm.links import ConfirmLinks, ConfirmPage
from rolevend.api.problems import RETRY_SECONDS, Problem, decision_problem
from rolevend.api.rate_limiter import RateLimiter
from rolevend.catalog import TableId
from rolevend.decision.admission import Agent
from rolevend.decision.outcome import Delivery, Request
from rolevend.decision.snapshot import Snapshot
from rolevend.errors import ClusterUnavailable
from rolevend.kinds import API_VERSION, REQUEST_ID, AccessRequest
from rolevend.kinds.access_request_facts import awaits_user, is_final, recorded, requested_access, state_of
from rolevend.kinds.shared import CALL
from rolevend.kinds.status import Body, body
from rolevend.kube.client import NotFound, ResourceConflict
from rolevend.model import ObjectName, PlatformName, Task, Uid, User
from rolevend.naming import user_handle
from rolevend.roles.protocols import Snapshots
from rolevend.roles.status import user_status

JUDGE_SECONDS: Final = 2.0
"""Maximum time that a call waits for the first judgement."""
MAX_WAIT_SECONDS: Final = 60
"""Maximum time that a call waits for a decision by people."""
_WITHDRAWAL_SECONDS: Final = 2.0
_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class _Ask:
    """One call that asks for an offer, with its user."""

    question: OfferRequest
    agent: Agent
    user: AuthenticatedUser
    at: datetime
    request_id: str

    @property
    def access(self) -> RequestedAccess:
        """Return what is asked for. It has no object yet."""
        question = self.question
        return RequestedAccess(
            name=ObjectName(self.agent.name.namespace, ""),
            uid=Uid(""),
            created_at=self.at,
            agent=self.agent.name,
            user=self.user.user,
            platform=PlatformName(question.platform),
            offer=question.offer_name,
            expiration_seconds=question.expiration_seconds,
            tables=None if question.tables is None else frozenset(TableId(each.schema_name, each.table) for each in question.tables),
            columns=None if question.columns is None else frozenset(question.columns),
            purpose=question.purpose,
            ticket=question.ticket,
            task=self._task,
        )

    @property
    def role(self) -> Request:
        """Return the request for the role that is asked for."""
        return Request(
            name=ObjectName(self.agent.name.namespace, ""),
            uid=Uid(str(uuid4())),  # of no object: a token that was redeemed for any is refused
            agent=self.agent.name,
            user=self.user.user,
            platform=PlatformName(self.question.platform),
            created_at=self.at,
            expiration_seconds=self.question.expiration_seconds,
            purpose=self.question.purpose,
            token=self.user.token,
            proof=self.user.proof,
            delivery=Delivery.RESPONSE,
            task=self._task,
            request_id=self.request_id,
        )

    @property
    def _task(self) -> Task | None:
        task = self.question.task
        return None if task is None else Task(task.id, task.intent_digest)

    def object(self, name: str, snapshot: Snapshot, key: RequestKey | None) -> Body:
        """Return the AccessRequest to create."""
        question, proof = self.question, self.user.proof
        words = sanitized(question.justification or "")
        handle = snapshot.person(self.role).handle or user_handle(snapshot.handle_key, self.user.user)
        spec = {
            "agentRef": {"name": self.agent.name.name},
            "user": {"issuer": self.user.user.issuer, "subject": self.user.user.subject},
            "platformRef": {"name": question.platform},
            "offerRef": {"namespace": question.offer_name.namespace, "name": question.offer_name.name},
            "tables": None if question.tables is None else [body(each) for each in question.tables],
            "columns": None if question.columns is None else list(question.columns),
            "expirationSeconds": question.expiration_seconds,
            "purpose": question.purpose,
            "justification": {"text": words} if words else None,
            "ticket": question.ticket,
            "task": None if question.task is None else body(question.task),
            "delivery": Delivery.RESPONSE.value,
            "proven": None if proof is None else user_status(handle, proof),
        }
        annotations = {REQUEST_ID: self.request_id, **({CALL: key.digest} if key else {})}
        return {
            "apiVersion": API_VERSION,
            "kind": "AccessRequest",
            "metadata": {"name": name, "namespace": self.agent.name.namespace, "annotations": annotations},
            "spec": {member: value for member, value in spec.items() if value is not None},
        }


class AccessService:
    def __init__(
        self,
        authenticator: Authenticator,
        store: AccessRequestStore,
        snapshots: Snapshots,
        limiter: RateLimiter,
        links: ConfirmLinks,
    ) -> None:
        self._authenticator = authenticator
        self._store = store
        self._snapshots = snapshots
        self._limiter = limiter
        self._links = links
        self._now = links.now

    @property
    def denials(self) -> tuple[bytes, datetime]:
        """Return the key that seals denials, and the time at which they are judged."""
        return self._snapshots.snapshot.handle_key, self._now()

    async def ask(
        self, agent: Agent, questions: Sequence[OfferRequest], request_id: str, key: CallKey | None, named: User | None = None
    ) -> list[AccessRequest]:
        """Return for each question the open request that asks for the same, or a new one, judged if the operator answers in time. With a
        key: the requests of an earlier call with it. All questions are for one user, whose token is not redeemed; it must be `named`, if
        given. Raises Problem; then nothing was created, unless the cluster is not available."""
        for _ in questions:
            self._limiter.require_decision_rate(agent)
        snapshot = self._snapshots.snapshot
        user = await self._authenticator.authenticate_user(questions[0], agent, snapshot, request_id)
        if named is not None and user.user != named:
            raise Problem(422, "InvalidInput", "subject.id: the token is of another user", field="subject.id")
        asks = [_Ask(each, agent, user, self._now(), request_id) for each in questions]
        await PresentedToken(self._authenticator, user).redeem(asks[0].role, final=False)
        for ask in asks:
            blocked = snapshot.blocked(ask.role)
            if blocked is not None:
                raise decision_problem(blocked, platform_member="platform")
        if not self._store.informer.synced:
            raise Problem(503, "Starting", "the access requests were not listed yet", retry_after=RETRY_SECONDS)
        keys = [None if key is None else key.at(number, agent, user.user) for number in range(len(asks))]
        known = [None if each is None else await self._earlier(each) for each in keys]
        found = [there or await self._create_or_find(ask, snapshot, own) for ask, own, there in zip(asks, keys, known, strict=True)]
        return await asyncio.gather(*(self._settled(each, JUDGE_SECONDS, is_judged) for each in found))

    async def own(self, agent: Agent, name: str, wait_seconds: float = 0.0) -> AccessRequest:
        """Return the agent's request of this name, after at most so many seconds in which nobody decides it, and its user does not answer.
        Raises Problem."""
        if wait_seconds:
            self._limiter.require_decision_rate(agent)
        found = await self._own(agent, name)
        waits_for_user = awaits_user(found)

        def is_news(request: AccessRequest) -> bool:
            return is_decided(request) or (waits_for_user and not awaits_user(request))

        return await self._settled(found, wait_seconds, is_news)

    def page_of(self, request: AccessRequest) -> ConfirmPage | None:
        """Return the page on which the user must answer, or None if there is nothing to answer."""
        return self._links.page(request, self._snapshots.snapshot)

    def refusal(self, request: AccessRequest) -> Problem:
        """Return the problem of a request that is not granted, with the reason of its state as the code. The problem of a login that does
        not suffice says which one does (RFC 9470)."""
        status, offer = request.status, request.spec.offer_ref
        code, detail = status.reason or RequestReason.STATUS_UNREADABLE.value, status.message or f"the request is {status.state}"
        if code != RequestReason.PROOF_NOT_MET.value:
            return Problem(403, code, detail)
        terms = self._snapshots.snapshot.offers.get(ObjectName(offer.namespace, offer.name))
        return step_up_problem(detail, terms.proof if terms else None)

    def all_of(self, agent: Agent) -> list[AccessRequest]:
        """Return the agent's requests, by their names."""
        return sorted((found for found, _ in self._store.of(agent.name)), key=lambda each: each.name)

    async def withdraw(self, agent: Agent, name: str) -> None:
        """Withdraw the agent's request; its roles end. Idempotent. Raises Problem if it is not the agent's."""
        found = await self._own(agent, name)
        if is_final(found):
            return
        try:
            await self._store.withdraw(found, f"agent {agent.name}")
        except NotFound as error:
            raise _no_request(name) from error
        await self._settled(found, _WITHDRAWAL_SECONDS, is_final)

    async def _own(self, agent: Agent, name: str) -> AccessRequest:
        place = ObjectName(agent.name.namespace, name)
        found = self._store.get(place)
        if found is None or not _is_of(found, agent):  # read in both cases: an answer after another time would tell them apart
            found = await self._store.read(place)
        if found is None or not _is_of(found, agent):
            raise _no_request(name)
        return found

    async def _earlier(self, key: RequestKey) -> AccessRequest | None:
        """Return the request of an earlier call with the key. Raises Problem if that was another call."""
        there = await self._store.read(key.name)
        if there is not None:
            key.require_same(there)
        return there

    async def _create_or_find(self, ask: _Ask, snapshot: Snapshot, key: RequestKey | None) -> AccessRequest:
        access = ask.access
        mine = (known for found, known in self._store.of(ask.agent.name) if found.spec.delivery == Delivery.RESPONSE.value)
        place = place_of(access, mine)
        if key is not None and not place.exists:
            place = RequestPlace(key.name, exists=False)
        for _ in range(_ATTEMPTS):
            if place.exists and (known := self._store.get(place.name)) is not None:
                return known
            try:
                created = await self._store.create(ask.object(place.name.name, snapshot, key), place.name.namespace)
            except ResourceConflict:  # of another replica, or an account that may create AccessRequests chose its name
                there = await self._store.read(place.name)
                if key is not None and there is not None:
                    key.require_same(there)
                    return there
            else:
                there = created
            if there is None:
                continue
            if _is_open(there) and there.spec.delivery == Delivery.RESPONSE.value and same_ask(requested_access(there), access):
                return there
            name = object_name(access, Uid(there.uid))
            place = RequestPlace(ObjectName(place.name.namespace, name), exists=False)
        raise ClusterUnavailable("the same AccessRequest is created and ended all the time")

    async def _settled(self, request: AccessRequest, seconds: float, is_settled: Callable[[AccessRequest], bool]) -> AccessRequest:
        """Return the request as soon as it is settled, or as it is after so many seconds, or when it is gone."""
        name, deadline = ObjectName(request.namespace, request.name), time.monotonic() + seconds
        while (now := self._store.get(name)) is not None and now.uid == request.uid:
            request, left = now, deadline - time.monotonic()
            if is_settled(request) or left <= 0:
                break
            await self._store.changed(left)
        return request


def is_decided(request: AccessRequest) -> bool:
    """True if the request is not Pending any more."""
    return state_of(request) not in (None, RequestState.PENDING)


def is_judged(request: AccessRequest) -> bool:
    """True if the request is decided, or people decide, or its user must answer."""
    return is_decided(request) or request.status.reason in (RequestReason.PEOPLE_DECIDE.value, RequestReason.USER_CONFIRMS.value)


def _is_open(request: AccessRequest) -> bool:
    return recorded(request).is_open and request.metadata.deletion_timestamp is None


def _is_of(request: AccessRequest, agent: Agent) -> bool:
    return ObjectName(request.namespace, request.spec.agent_ref.name) == agent.name


def _no_request(name: str) -> Problem:
    return Problem(404, "NotFound", f"this agent has no access request {name}")
