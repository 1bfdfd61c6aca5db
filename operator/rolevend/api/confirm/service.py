"""The answer of a user to a request: who may give it, what the user sees, and how it is recorded. The operator decides what follows."""

from dataclasses import dataclass
from typing import Final

from rolevend.access_objects.store import AccessRequestStore
from rolevend.access_requests.asks import unmet_proof
from rolevend.access_requests.terms import NeededProof
from rolevend.access_requests.text import MAXIMUM_CHARACTERS, sanitized
from rolevend.api.confirm.links import ConfirmLinks
from rolevend.api.confirm.login import Visitor
from rolevend.api.confirm.view import Question, question
from rolevend.api.problems import RETRY_SECONDS, Problem
from rolevend.api.rate_limiter import VisitLimiter
from rolevend.api.refusals import RefusalLog
from rolevend.audit.access_events import StatedAccess, StatedAnswer, access_answered
from rolevend.audit.api_events import Bearer, RefusedCall
from rolevend.audit.events import AccessAnsweredEvent
from rolevend.decision.profile_cache import OfferEffect
from rolevend.errors import ClusterUnavailable
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.kinds import AccessRequest
from rolevend.kinds.access_request_facts import decision_request, recorded, requested_access
from rolevend.kinds.status import Body
from rolevend.kinds.text import timestamp_text
from rolevend.kube.client import NotFound, ResourceConflict
from rolevend.model import ObjectName, Uid, User
from rolevend.roles.audit_recorder import AuditRecorder
from rolevend.roles.protocols import Snapshots

_ATTEMPTS: Final = 5
_UNKNOWN: Final = "there is no request here that waits for an answer; ask the agent for another link"
_OVER: Final = "the request does not wait for an answer any more"
_UNREAD: Final = "it cannot be told now what the agent would see; reload this page"
_CHANGED: Final = "what the agent would see has changed; read it again, and answer then"


@dataclass(frozen=True, slots=True)
class Answer:
    confirms: bool
    digest: str
    """Of what the user saw."""
    text: str | None = None
    """The reason, in the words of the user."""


class LoginTooWeak(Exception):
    """The login of the visitor is not what the offer asks for. The message says what it must be."""


class TextProblem(Exception):
    """The text that the user wrote cannot be accepted."""


def admit_text(text: str) -> str:
    """Return the text as it is recorded. Raises TextProblem."""
    words = sanitized(text)
    if not words:
        raise TextProblem("Write why you need this.")
    if len(text.strip()) > MAXIMUM_CHARACTERS:
        raise TextProblem(f"Use at most {MAXIMUM_CHARACTERS} characters. These are {len(text.strip())}.")
    return words


class ConfirmService:
    def __init__(
        self,
        store: AccessRequestStore,
        snapshots: Snapshots,
        links: ConfirmLinks,
        recorder: AuditRecorder,
        refusals: RefusalLog,
        limiter: VisitLimiter,
    ) -> None:
        self._store = store
        self._snapshots = snapshots
        self._links = links
        self._recorder = recorder
        self._refusals = refusals
        self._limiter = limiter

    def find(self, namespace: str, name: str, code: str) -> AccessRequest:
        """Return the request of a link. Raises Problem, the same for an unknown request and for a wrong code."""
        found = self._store.get(ObjectName(namespace, name))
        if found is None or not self._links.opens(found, code):
            raise Problem(404, "NotFound", _UNKNOWN)
        self._limiter.require_rate(Uid(found.uid))
        return found

    async def refresh(self, request: AccessRequest) -> AccessRequest:
        """Return the request as the API server has it now. Raises Problem if it is gone."""
        found = await self._store.read(ObjectName(request.namespace, request.name))
        if found is None or found.uid != request.uid:
            raise Problem(404, "NotFound", _UNKNOWN)
        return found

    async def require_user(self, request: AccessRequest, visitor: Visitor, request_id: str) -> None:
        """Require that the visitor is the user of the request. Raises TokenRefused, and records that."""
        named = request.spec.user
        if visitor.user != User(named.issuer, named.subject):
            error = TokenRefused(Code.ANOTHER_PERSON, "a person logged in who is not the user of the request")
            await self.refused(request, error, visitor.token_digest, request_id)
            raise error

    async def refused(self, request: AccessRequest, error: TokenRefused, token_digest: str | None, request_id: str) -> None:
        """Record that a login does not prove the user of the request."""
        agent = ObjectName(request.namespace, request.spec.agent_ref.name)
        await self._refusals.refused(RefusedCall(Bearer.USER, error.code, str(error), token_digest, agent, request_id))

    def needed_login(self, request: AccessRequest) -> NeededProof | None:
        """Return the login that the offer asks for, of the user's token and of the user on the page."""
        terms = self._snapshots.snapshot.offers.get(requested_access(request).offer)
        return None if terms is None else terms.proof

    def question(self, request: AccessRequest, visitor: Visitor) -> Question | None:
        """Return what the user must answer, or None if there is nothing to answer any more. Raises LoginTooWeak, and Problem if nobody can
        say now."""
        snapshot = self._snapshots.snapshot
        if self._links.page(request, snapshot) is None:
            return None
        self._require_login(request, visitor)
        asked = requested_access(request)
        effect = snapshot.effect(decision_request(request), asked.activation)
        seen = request.status.offer
        terms = snapshot.offers[asked.offer]  # the page has an end by them
        if not isinstance(effect, OfferEffect) or seen is None or snapshot.digest(asked.user, effect) != seen.digest:
            raise Problem(503, "Unavailable", _UNREAD, retry_after=RETRY_SECONDS)
        return question(request, effect, seen, terms.longest_seconds)

    async def answer(self, request: AccessRequest, visitor: Visitor, answer: Answer, request_id: str) -> None:
        """Record the answer, once. Raises LoginTooWeak, and Problem if there is nothing to answer, or if the user saw something else."""
        for _ in range(_ATTEMPTS):
            if self._links.page(request, self._snapshots.snapshot) is None:
                raise Problem(409, "Conflict", _OVER)
            self._require_login(request, visitor)
            if request.status.offer is None or request.status.offer.digest != answer.digest:
                raise Problem(409, "Conflict", _CHANGED)
            await self._recorder.access(self._event(request, visitor, answer, request_id))
            try:
                await self._store.write_status(request, {"confirmation": self._confirmation(visitor, answer)})
            except ResourceConflict:  # it changed meanwhile: perhaps there is nothing to answer any more
                request = await self.refresh(request)
            except NotFound as error:
                raise Problem(404, "NotFound", _UNKNOWN) from error
            else:
                return
        raise ClusterUnavailable(f"AccessRequest {request.name} changes all the time")

    def _require_login(self, request: AccessRequest, visitor: Visitor) -> None:
        """Raises LoginTooWeak, and Problem if this process read another version of the offer than the operator: its proof may differ."""
        terms, seen = self._snapshots.snapshot.offers.get(requested_access(request).offer), request.status.offer
        if terms is None or seen is None or (terms.uid, terms.generation) != (seen.uid, seen.generation):
            raise Problem(503, "Unavailable", _UNREAD, retry_after=RETRY_SECONDS)
        unmet = unmet_proof(terms.proof, visitor.login, self._links.now())
        if unmet is not None:
            raise LoginTooWeak(unmet)

    def _event(self, request: AccessRequest, visitor: Visitor, answer: Answer, request_id: str) -> AccessAnsweredEvent:
        stated = StatedAccess(requested_access(request), decision_request(request))
        given = StatedAnswer(
            confirms=answer.confirms,
            text=answer.text,
            identity_provider=visitor.provider,
            token_digest=visitor.token_digest,
            authenticated_at=visitor.login.at,
            acr=visitor.login.acr,
            request_id=request_id,
        )
        return access_answered(stated, recorded(request).offered, given, self._links.now())

    def _confirmation(self, visitor: Visitor, answer: Answer) -> Body:
        login = {
            "provider": visitor.provider,
            "tokenDigest": visitor.token_digest,
            "authTime": None if visitor.login.at is None else timestamp_text(visitor.login.at),
            "acr": visitor.login.acr,
        }
        told = {
            "verdict": "Confirm" if answer.confirms else "Refuse",
            "at": timestamp_text(self._links.now()),
            "digest": answer.digest,
            "text": answer.text,
            "login": {name: value for name, value in login.items() if value is not None},
        }
        return {name: value for name, value in told.items() if value is not None}
