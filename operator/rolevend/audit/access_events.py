"""Create the audit events of AccessRequests: access-requested, access-answered, access-decided. Pure.

A state comes once in the life of a request, so its event has the id `UID/access/STATE/DIGEST`. The digest is of who decided: a judgement
that is repeated has the same id, unless another rule, or other people, decide then.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from rolevend.access_requests.counted import CountedVote
from rolevend.access_requests.request import OfferVersion, Recorded, RequestedAccess
from rolevend.access_requests.states import RequestReason, RequestState
from rolevend.audit.access import access_approver, access_votes
from rolevend.audit.events import AccessAnsweredEvent, AccessDecidedEvent, AccessRequestedEvent
from rolevend.audit.groups import AccessOrigin, RequestedOffer, RequestTerms, RequestUser
from rolevend.audit.role_events import request_proof
from rolevend.audit.truncate import fit_event
from rolevend.decision.outcome import Request

DELETED = "the AccessRequest was deleted"


@dataclass(frozen=True, slots=True)
class StatedAccess:
    """An AccessRequest, as events state it."""

    asked: RequestedAccess
    request: Request
    """The role that it asks about, with the proof of the user."""
    justification: str | None = None
    """The text. Events have its digest."""


def access_requested(stated: StatedAccess, offered: OfferVersion | None, now: datetime) -> AccessRequestedEvent:
    asked, text = stated.asked, stated.justification
    event = AccessRequestedEvent(
        id=f"{asked.uid}/access/requested",
        subject=str(asked.name),
        time=now,
        origin=_origin(stated),
        user=_user(asked),
        proof=request_proof(stated.request),
        offer=_offer(asked, offered),
        terms=RequestTerms(
            purpose=asked.purpose,
            task_id=None if asked.task is None else asked.task.id,
            intent_digest=None if asked.task is None else asked.task.intent_digest,
            resources=None if asked.tables is None else tuple(sorted(map(str, asked.tables))),
            expiration_seconds=asked.expiration_seconds,
        ),
        columns=None if asked.columns is None else tuple(sorted(asked.columns)),
        ticket=asked.ticket,
        justification_digest=None if text is None else sha256(text.encode()).hexdigest(),
    )
    return fit_event(event)


@dataclass(frozen=True, slots=True)
class StatedAnswer:
    """The answer of the user, and the login that proves the user."""

    confirms: bool
    text: str | None
    """The words of the user. Events have their digest."""
    identity_provider: str
    token_digest: str
    authenticated_at: datetime | None
    acr: str | None
    request_id: str


def access_answered(stated: StatedAccess, offered: OfferVersion | None, answer: StatedAnswer, now: datetime) -> AccessAnsweredEvent:
    """The event has the same id again for the same login, answer and words."""
    verdict = "Confirm" if answer.confirms else "Refuse"
    return AccessAnsweredEvent(
        id=f"{stated.asked.uid}/access/answered/{_digest(verdict, answer.token_digest, answer.text)}",
        subject=str(stated.asked.name),
        time=now,
        origin=_origin(stated),
        user=_user(stated.asked),
        offer=_offer(stated.asked, offered),
        verdict=verdict,
        justification_digest=None if answer.text is None else sha256(answer.text.encode()).hexdigest(),
        identity_provider=answer.identity_provider,
        token_digest=answer.token_digest,
        authenticated_at=answer.authenticated_at,
        acr=answer.acr,
        request_id=answer.request_id,
    )


def access_decided(stated: StatedAccess, life: Recorded, votes: Iterable[CountedVote], now: datetime) -> AccessDecidedEvent:
    """`life` is the request's life from now on."""
    asked, approval = stated.asked, life.approval
    assert life.state is not None and life.reason is not None  # noqa: S101, PT018 - a judgement has both
    approvers = () if approval is None else approval.approvers
    decided_by = [None if approval is None else approval.rule, [each.decision_uid for each in approvers]]
    event = AccessDecidedEvent(
        id=f"{asked.uid}/access/{life.state.value}/{_digest(life.reason.value, decided_by)}",
        subject=str(asked.name),
        time=now,
        origin=_origin(stated),
        user=_user(asked),
        offer=_offer(asked, life.offered),
        state=life.state.value,
        reason=life.reason.value,
        message=life.message,
        rule=None if approval is None else approval.rule,
        approvers=tuple(map(access_approver, approvers)) or None,
        approved_seconds=None if approval is None else approval.expiration_seconds,
        claim_until=None if approval is None else approval.claim_until,
        votes=access_votes(votes),
    )
    return fit_event(event)


def withdrawn_by_deletion(life: Recorded) -> Recorded:
    """Return the end of an open request whose object was deleted."""
    state = RequestState.CANCELLED if life.approval is None else RequestState.REVOKED
    return Recorded(state, RequestReason.WITHDRAWN, DELETED, None, life.offered, life.approval, life.uses)


def _origin(stated: StatedAccess) -> AccessOrigin:
    asked = stated.asked
    return AccessOrigin(
        access_request=str(asked.name),
        access_request_uid=asked.uid,
        requested_by=stated.request.requested_by,
        requested_at=asked.created_at,
        platform=asked.platform,
        agent=str(asked.agent),
    )


def _user(asked: RequestedAccess) -> RequestUser:
    return RequestUser(user_issuer=asked.user.issuer, user_subject=asked.user.subject)


def _offer(asked: RequestedAccess, offered: OfferVersion | None) -> RequestedOffer:
    if offered is None:
        return RequestedOffer(offer=str(asked.offer))
    return RequestedOffer(offer=str(asked.offer), offer_uid=offered.uid, offer_generation=offered.generation, offer_digest=offered.digest)


def _digest(*parts: object) -> str:
    return sha256(json.dumps(parts).encode()).hexdigest()[:16]
