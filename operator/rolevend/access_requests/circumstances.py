"""The inputs of a judgement that change, and its result. Values."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from rolevend.access_requests.history import CoolDown
from rolevend.access_requests.request import Approval, OfferVersion, OtherRequest, Recorded, RequestedAccess, whole_second
from rolevend.access_requests.states import RequestReason, RequestState
from rolevend.access_requests.terms import OfferTerms
from rolevend.access_requests.votes import CheckedVote, Tally, tally
from rolevend.model import Attributes, Uid


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The inputs of a judgement that change."""

    now: datetime
    terms: OfferTerms | None
    """None: the offer is gone, or it is no offer any more."""
    digest: str | None
    """Of what the offer, with the narrowing of the request, shows the user now; None: nothing."""
    unknown: str | None = None
    """The reason why nobody can tell `digest` yet, for example an unread catalog, or a suspended agent. Then nothing is approved or
    superseded; clocks run, and a person may deny."""
    user_is_active: bool = True
    attributes: Attributes = field(default_factory=Attributes)
    """Of the user. The conditions of rules read them."""
    agent_attributes: Attributes = field(default_factory=Attributes)
    votes: tuple[CheckedVote, ...] = ()
    excluded: frozenset[str] = frozenset()
    """User names that never approve this request: the user, the agent, the agent's owner, and every agent."""
    others: tuple[OtherRequest, ...] = ()
    """At least all other requests for the offer, and all others of the agent."""
    live_roles: frozenset[Uid] = frozenset()
    """The VendedRoles that exist."""
    can_confirm: bool = False
    """True if the user can answer on rolevend's page: the API made the request, and the user's issuer has a login."""
    withdrawn_by: str | None = None
    """The agent, the user or the owner, if one of them withdrew the request."""
    most_open: int = 20
    """The budget of open requests of one agent."""
    cool_down: CoolDown = field(default_factory=CoolDown)


@dataclass(frozen=True, slots=True)
class Judgement:
    state: RequestState
    reason: RequestReason
    message: str
    """One sentence."""
    approval: Approval | None = None
    offered: OfferVersion | None = None
    look_again_at: datetime | None = None
    """The time alone changes the state then; None: only an event does."""

    def recorded(self, before: Recorded, now: datetime) -> Recorded:
        """Return the status to write."""
        since = before.since if before.state is self.state else whole_second(now)
        return replace(
            before,
            state=self.state,
            reason=self.reason,
            message=self.message,
            since=since,
            offered=self.offered,
            approval=self.approval,
        )


OFFER_GONE: Final = (RequestReason.OFFER_GONE, "the offer does not exist any more; ask again")


def changed_offer(offered: OfferVersion | None, now: Circumstances) -> tuple[RequestReason, str] | None:
    """Return the reason why the offer is not the one that was asked for any more, or None."""
    if now.terms is None:
        return OFFER_GONE
    if offered is None:
        return None
    if (now.terms.uid, now.terms.generation) != (offered.uid, offered.generation):
        return RequestReason.OFFER_CHANGED, "the offer was changed; ask again"
    if now.unknown is None and now.digest != offered.digest:
        what = "shows this user something else" if now.digest is not None else "shows this user nothing"
        return RequestReason.EFFECT_CHANGED, f"the offer {what} now, because data, guardrails or the user changed; ask again"
    return None


def tally_now(request: RequestedAccess, recorded: Recorded, now: Circumstances) -> Tally:
    """Count the votes that exist now."""
    digest = recorded.offered.digest if recorded.offered is not None else now.digest
    must_hold = now.terms is not None and now.terms.approver_must_hold
    return tally(request, digest, now.votes, now.excluded, must_hold=must_hold)
