"""Convert AccessRequests and AccessDecisions to the values of a request's life, and these back to status. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from rolevend.access_requests.request import Approval, Approver, Confirmation, LoginFacts, OfferVersion, Recorded, RequestedAccess, Use
from rolevend.access_requests.states import RequestReason, RequestState
from rolevend.access_requests.votes import Vote
from rolevend.decision.outcome import Request
from rolevend.decision.proof import Presented, Proof, UserToken
from rolevend.errors import InvalidInput
from rolevend.kinds import access_request as spelled
from rolevend.kinds.access_decision import AccessDecision
from rolevend.kinds.narrowings import narrowing
from rolevend.kinds.shared import REQUESTED_BY, Resource
from rolevend.kinds.status import Body, ConditionUpdate, Truth, body, reported
from rolevend.kinds.text import timestamp_text
from rolevend.kinds.values import object_name, user
from rolevend.kinds.vended_role import proof_of
from rolevend.model import ObjectName, PlatformName, Task, Uid

_OF_PROOF: Final = timedelta(days=1)
"""A proof of the user is read for the attributes in it: the vend that uses the approval needs a proof of its own."""
_MOST_MESSAGE: Final = 1024


def requested_access(resource: spelled.AccessRequest) -> RequestedAccess:
    """Return the immutable facts of the request. The login of the user is known as soon as the status has the user, or the API proved
    them. Raises InvalidInput if it was not read from a cluster."""
    spec, proof = resource.spec, _proof(resource)
    only = narrowing(spec)
    return RequestedAccess(
        name=object_name(resource),
        uid=Uid(resource.uid),
        created_at=_created_at(resource),
        agent=ObjectName(resource.namespace, spec.agent_ref.name),
        user=user(spec.user),
        platform=PlatformName(spec.platform_ref.name),
        offer=ObjectName(spec.offer_ref.namespace, spec.offer_ref.name),
        expiration_seconds=spec.expiration_seconds,
        tables=only.tables,
        columns=only.columns,
        purpose=spec.purpose,
        is_justified=spec.justification is not None,
        ticket=spec.ticket,
        task=None if spec.task is None else Task(spec.task.id, spec.task.intent_digest),
        login=None if proof is None else login_facts(proof),
    )


def login_facts(proof: Proof) -> LoginFacts:
    return LoginFacts(proof.authenticated_at, proof.acr)


def decision_request(resource: spelled.AccessRequest) -> Request:
    """Return the request for a role that the AccessRequest asks about. It is decided, and never vended."""
    asked, proof, secret = requested_access(resource), _proof(resource), resource.spec.user_token_secret_ref
    unread = None if secret is None else UserToken(secret.name, secret.key)
    return Request(
        name=asked.name,
        uid=asked.uid,
        agent=asked.agent,
        user=asked.user,
        platform=asked.platform,
        created_at=asked.created_at,
        expiration_seconds=asked.expiration_seconds,
        purpose=asked.purpose,
        requested_by=resource.metadata.annotations.get(REQUESTED_BY),
        token=unread if proof is None else Presented(),
        proof=proof,
        task=asked.task,
    )


def _proof(resource: spelled.AccessRequest) -> Proof | None:
    """Return the proof by the API, or by the operator, which checked the token in a Secret."""
    proven = resource.spec.proven or resource.status.user
    return None if proven is None else proof_of(proven, _created_at(resource) + _OF_PROOF)


def state_of(resource: spelled.AccessRequest) -> RequestState | None:
    """Return the recorded state; None: not judged yet. Cheap: the rest of the status is not converted."""
    state = resource.status.state
    return None if state is None else RequestState(state)


def is_final(resource: spelled.AccessRequest) -> bool:
    """True if nothing changes the state any more."""
    state = state_of(resource)
    return state is not None and state.is_final


def awaits_user(resource: spelled.AccessRequest) -> bool:
    """True if the user must answer on rolevend's page before the request is judged further."""
    status = resource.status
    return status.reason == RequestReason.USER_CONFIRMS.value and state_of(resource) is RequestState.PENDING and status.confirmation is None


def recorded(resource: spelled.AccessRequest) -> Recorded:
    """Return the part of the request's life that its status records."""
    status = resource.status
    return Recorded(
        state=state_of(resource),
        reason=_reason(status.reason),
        message=status.message or "",
        since=status.state_since,
        offered=None if status.offer is None else OfferVersion(Uid(status.offer.uid), status.offer.generation, status.offer.digest),
        approval=None if status.approval is None else _approval(status.approval),
        uses=tuple(Use(Uid(each.role_uid), each.role_name, each.at) for each in status.uses),
        confirmation=_confirmation(status.confirmation),
    )


def _confirmation(status: spelled.Confirmation | None) -> Confirmation | None:
    return None if status is None else Confirmation(status.verdict == "Confirm", status.digest)


def _reason(text: str | None) -> RequestReason | None:
    """Return the reason, or None for one of a newer version."""
    return next((each for each in RequestReason if each.value == text), None)


def _approval(status: spelled.Approval) -> Approval:
    approvers = tuple(
        Approver(
            by=each.by,
            decision=each.decision.name,
            decision_uid=Uid(each.decision.uid),
            at=each.at,
            expiration_seconds=each.expiration_seconds,
            tables=narrowing(each).tables,
            masks=narrowing(each).masks,
            comment=each.comment,
        )
        for each in status.approvers
    )
    return Approval(status.decided_at, status.claim_until, status.expiration_seconds, status.rule, approvers)


def vote(resource: AccessDecision) -> Vote:
    """Return the vote. Raises InvalidInput, which names the first invalid mask, or for a preview, which is no vote."""
    spec, only = resource.spec, narrowing(resource.spec)
    if spec.verdict == "Preview":
        raise InvalidInput("spec.verdict", "a preview is no vote")
    return Vote(
        name=object_name(resource),
        uid=Uid(resource.uid),
        request=ObjectName(spec.request_ref.namespace, spec.request_ref.name),
        request_uid=Uid(spec.request_ref.uid),
        offer=ObjectName(resource.namespace, spec.offer_ref.name),
        by=spec.by,
        approves=spec.verdict == "Approve",
        at=_created_at(resource),
        digest=spec.digest,
        expiration_seconds=spec.expiration_seconds,
        tables=only.tables,
        masks=only.masks,
        comment=spec.comment,
    )


def life_status(
    resource: spelled.AccessRequest, now_recorded: Recorded, display: str, votes: Iterable[AccessDecision], now: datetime
) -> Body:
    """Return the status with this life, as a merge patch. An approval is written once, with the narrowings of `votes` as they are spelled.
    Uses are written when a role is vended."""
    state, offered = now_recorded.state, now_recorded.offered
    assert state is not None and now_recorded.reason is not None  # noqa: S101, PT018 - a judgement has both
    is_ready: Truth = "True" if state.is_live else "False"
    ready = ConditionUpdate("Ready", is_ready, now_recorded.reason.value, now_recorded.message)
    generation = resource.metadata.generation
    conditions = reported([ready], resource.status.conditions, generation=generation, now=now)
    approval = None if now_recorded.approval is None or resource.status.approval is not None else now_recorded.approval
    return {
        "observedGeneration": generation,
        "conditions": [body(each) for each in conditions],
        "state": state.value,
        "reason": now_recorded.reason.value,
        "message": now_recorded.message[:_MOST_MESSAGE],
        "stateSince": None if now_recorded.since is None else timestamp_text(now_recorded.since),
        "offer": None
        if offered is None
        else {"uid": offered.uid, "generation": offered.generation, "digest": offered.digest, "display": display},
        **({} if approval is None else {"approval": _approval_body(approval, votes)}),
    }


def _approval_body(approval: Approval, votes: Iterable[AccessDecision]) -> Body:
    spelled_out = {each.uid: body(each.spec) for each in votes}
    approvers = [
        {
            "by": each.by,
            "decision": {"name": each.decision, "uid": each.decision_uid},
            "at": timestamp_text(each.at),
            "comment": each.comment,
            "expirationSeconds": each.expiration_seconds,
            **{name: value for name, value in spelled_out.get(each.decision_uid, {}).items() if name in ("tables", "masks")},
        }
        for each in approval.approvers
    ]
    return {
        "decidedAt": timestamp_text(approval.decided_at),
        "claimUntil": timestamp_text(approval.claim_until),
        "expirationSeconds": approval.expiration_seconds,
        "rule": approval.rule,
        "approvers": [{name: value for name, value in each.items() if value is not None} for each in approvers],
    }


def _created_at(resource: Resource) -> datetime:
    if resource.metadata.creation_timestamp is None:
        raise InvalidInput("metadata.creationTimestamp", "is missing: the object was not read from a cluster")
    return resource.metadata.creation_timestamp
