"""Judge a request that was approved: whether the approval still counts, and whether it can still be used."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from rolevend.access_requests.circumstances import Circumstances, Judgement, changed_offer, tally_now
from rolevend.access_requests.request import Approval, OfferVersion, Recorded, RequestedAccess, whole_second
from rolevend.access_requests.states import RequestReason, RequestState
from rolevend.access_requests.use import latest_end
from rolevend.access_requests.votes import still_approves
from rolevend.model import Uid

UNSEEN: Final = timedelta(seconds=60)
"""A role counts as live for so long after its use was recorded: it is created only then, and informers are late."""
SETTLED: Final = timedelta(seconds=2)
"""The state stays Approved for so long after the first use: the role is created in this time, and another write would delay that."""


@dataclass(frozen=True, slots=True)
class ApprovedRequest:
    request: RequestedAccess
    recorded: Recorded
    approval: Approval
    offered: OfferVersion
    now: Circumstances

    def judge(self) -> Judgement:
        now, uses, live = self.now, self.recorded.uses, self._looks_at_live()
        used_up = now.terms is not None and len(uses) >= now.terms.uses
        if uses and used_up and not live:
            return self._is(RequestState.SPENT, RequestReason.USES_GONE, "its uses are gone, and its roles ended")
        if revoked := self._revoked():
            return self._is(RequestState.REVOKED, *revoked)
        if changed := changed_offer(self.offered, now):
            return self._is(RequestState.SUPERSEDED, *changed)
        can_claim = not used_up and whole_second(now.now) < self.approval.claim_until
        looks = [*live.values(), *([self.approval.claim_until] if can_claim else [])]
        look_again_at = min((each for each in looks if each > now.now), default=None)
        if live or (uses and can_claim):
            settled_at = uses[0].at + SETTLED
            if self.recorded.state is RequestState.APPROVED and now.now < settled_at:
                return self._stay_approved(settled_at)
            return self._is(RequestState.USED, RequestReason.ROLE_VENDED, f"used {self._count()}", look_again_at)
        if uses:
            return self._is(RequestState.SPENT, RequestReason.USES_GONE, f"used {self._count()}; the time to use it is over")
        if can_claim:
            return self._stay_approved(look_again_at)
        return self._is(RequestState.LAPSED, RequestReason.NOT_CLAIMED, "not used in time")

    def _stay_approved(self, look_again_at: datetime | None) -> Judgement:
        reason = self.recorded.reason or RequestReason.APPROVED_BY_PEOPLE
        return self._is(RequestState.APPROVED, reason, self.recorded.message, look_again_at)

    def _looks_at_live(self) -> dict[Uid, datetime]:
        """Return the uses whose roles live, or may not be seen yet, each with the time to look again."""
        looks = {}
        for use in self.recorded.uses:
            seen_by = use.at + UNSEEN
            if use.role_uid in self.now.live_roles:
                looks[use.role_uid] = latest_end(self.approval, use.at)
            elif self.now.now < seen_by:
                looks[use.role_uid] = seen_by
        return looks

    def _count(self) -> str:
        count = len(self.recorded.uses)
        return f"{count} of {self.now.terms.uses} times" if self.now.terms is not None else f"{count} times"

    def _revoked(self) -> tuple[RequestReason, str] | None:
        now = self.now
        if now.withdrawn_by is not None:
            return RequestReason.WITHDRAWN, f"withdrawn by {now.withdrawn_by}"
        if not now.user_is_active:
            return RequestReason.USER_INACTIVE, "the user is not active any more"
        denial = tally_now(self.request, self.recorded, now).denial
        if denial is not None and (self.approval.rule is not None or whole_second(denial.at) <= self._decided_by()):
            return RequestReason.DENIED_BY_PERSON, f"denied by {denial.by}"
        if self.approval.rule is not None or now.terms is None:
            return None
        standing = [each for each in self.approval.approvers if still_approves(each, now.votes, now.excluded)]
        if len(standing) >= max(now.terms.required, 1):
            return None
        lost, there = [each for each in self.approval.approvers if each not in standing], {each.vote.uid for each in now.votes}
        deleted = [each for each in lost if each.decision_uid not in there]
        names = ", ".join(each.by for each in deleted or lost) or "people"
        if deleted or not lost:
            return RequestReason.APPROVAL_WITHDRAWN, f"the approval of {names} was deleted"
        return RequestReason.APPROVER_LOST_VERB, f"{names} may not approve any more"

    def _decided_by(self) -> datetime:
        """Return the latest second of a denial that wins over the approval. The clocks of the votes and of the decision may differ."""
        return max([self.approval.decided_at, *(whole_second(each.at) for each in self.approval.approvers)])

    def _is(self, state: RequestState, reason: RequestReason, message: str, look_again_at: datetime | None = None) -> Judgement:
        return Judgement(state, reason, message, self.approval, self.offered, look_again_at)
