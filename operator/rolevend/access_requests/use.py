"""Decide if a role may use an approval now, and when the role ends at the latest."""

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta

from rolevend.access_requests.asks import unmet_proof
from rolevend.access_requests.request import Approval, LoginFacts, Recorded, RequestedAccess, whole_second
from rolevend.access_requests.states import RequestReason
from rolevend.access_requests.terms import NeededProof, OfferTerms
from rolevend.model import ObjectName, PlatformName, Task, Uid, User


class UseRefusal(enum.StrEnum):
    """The cause of a refused use, in one word."""

    NOT_APPROVED = "NotApproved"
    WRONG_AGENT = "WrongAgent"
    WRONG_USER = "WrongUser"
    WRONG_PLATFORM = "WrongPlatform"
    WRONG_PURPOSE = "WrongPurpose"
    WRONG_TASK = "WrongTask"
    OFFER_CHANGED = "OfferChanged"
    CLAIM_OVER = "ClaimOver"
    USES_GONE = "UsesGone"
    TIME_OVER = "TimeOver"
    PROOF_NOT_MET = "ProofNotMet"
    USER_NOT_PROVEN = "UserNotProven"


@dataclass(frozen=True, slots=True)
class IntendedUse:
    """A role that is about to be vended with the approval."""

    role_uid: Uid
    agent: ObjectName
    user: User
    platform: PlatformName
    at: datetime
    purpose: str | None = None
    task: Task | None = None
    login: LoginFacts | None = None
    """Of the user, by the token for this role; None: no token proves the user."""
    is_login_read: bool = True
    """False: the token for this role was not read yet. Then `login` is not asked for."""


@dataclass(frozen=True, slots=True)
class MayUse:
    ends_by: datetime
    """The latest end of the role."""
    is_recorded: bool
    """True if this role is a recorded use: nothing needs to be written."""


@dataclass(frozen=True, slots=True)
class MayNotUse:
    refusal: UseRefusal
    message: str
    needed: NeededProof | None = None
    """The login that would suffice."""
    ended_by: RequestReason | None = None
    """Why the approval ended; None: it did not, or was not of this role."""


def latest_end(approval: Approval, vended_at: datetime) -> datetime:
    """Return the latest end of a role that is vended at `vended_at`: the earlier of vend + granted seconds, and claim + granted seconds."""
    return min(vended_at, approval.claim_until) + timedelta(seconds=approval.expiration_seconds)


def may_use(request: RequestedAccess, recorded: Recorded, terms: OfferTerms | None, use: IntendedUse) -> MayUse | MayNotUse:
    """Return whether the role may use the approval. A recorded role may again, for as long as its time runs.

    The answer is an input of a fresh decision, which also compares the digest. The login that the offer asks for is asked of the request
    and of each use: minutes or days pass between the two.
    """
    if mismatch := _mismatch(request, use):
        return mismatch
    approval, offered = recorded.approval, recorded.offered
    if recorded.state is None or not recorded.state.is_live or approval is None or offered is None:
        return _not_approved(request, recorded)
    if terms is None:
        return MayNotUse(UseRefusal.OFFER_CHANGED, "the offer is gone", ended_by=RequestReason.OFFER_GONE)
    if (terms.uid, terms.generation) != (offered.uid, offered.generation):
        return MayNotUse(
            UseRefusal.OFFER_CHANGED, "the offer was changed after the request; ask again", ended_by=RequestReason.OFFER_CHANGED
        )
    known = next((each for each in recorded.uses if each.role_uid == use.role_uid), None)
    if known is not None:
        end = latest_end(approval, known.at)
        if use.at >= end:
            return MayNotUse(UseRefusal.TIME_OVER, "the time of this role is over")
        return MayUse(end, is_recorded=True)
    if whole_second(use.at) >= approval.claim_until:
        return MayNotUse(UseRefusal.CLAIM_OVER, f"AccessRequest {request.name.name} was not used in time; ask again")
    if len(recorded.uses) >= terms.uses:
        return MayNotUse(UseRefusal.USES_GONE, f"AccessRequest {request.name.name} was used {len(recorded.uses)} times, its maximum")
    unmet = unmet_proof(terms.proof, use.login, use.at) if use.is_login_read else None
    if unmet is not None:
        return MayNotUse(UseRefusal.PROOF_NOT_MET, unmet, terms.proof)
    if request.login is not None and use.login is None and use.is_login_read:
        cause = f"a token proved the user of AccessRequest {request.name.name}: request the role with a token of the user, too"
        return MayNotUse(UseRefusal.USER_NOT_PROVEN, cause)
    return MayUse(latest_end(approval, use.at), is_recorded=False)


def _not_approved(request: RequestedAccess, recorded: Recorded) -> MayNotUse:
    state, ended = recorded.state, recorded.state is not None and recorded.state.is_final
    why = f" ({recorded.message})" if ended and recorded.message else ""
    message = f"AccessRequest {request.name.name} is {state or 'not decided yet'}{why}: it cannot be used"
    return MayNotUse(UseRefusal.NOT_APPROVED, message, ended_by=recorded.reason if ended else None)


def _mismatch(request: RequestedAccess, use: IntendedUse) -> MayNotUse | None:
    # An agent learns nothing of the requests of other agents and users: the sentence is the one for a request that does not exist.
    unknown = f"there is no AccessRequest {request.name.name} of this agent for this user"
    if use.agent != request.agent:
        return MayNotUse(UseRefusal.WRONG_AGENT, unknown)
    if use.user != request.user:
        return MayNotUse(UseRefusal.WRONG_USER, unknown)
    if use.platform != request.platform:
        return MayNotUse(UseRefusal.WRONG_PLATFORM, f"AccessRequest {request.name.name} is for DataPlatform {request.platform}")
    if use.purpose != request.purpose:
        return MayNotUse(UseRefusal.WRONG_PURPOSE, f"AccessRequest {request.name.name} is for another purpose")
    if _id(use.task) != _id(request.task):
        cause = "is for another task" if request.task is not None else "states no task, and the role does: both state the same one, or none"
        return MayNotUse(UseRefusal.WRONG_TASK, f"AccessRequest {request.name.name} {cause}")
    return None


def _id(task: Task | None) -> str | None:
    return None if task is None else task.id
