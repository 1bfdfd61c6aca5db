"""Judge a request that nobody decided yet."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from rolevend.access_requests.asks import missing_ask, unmet_proof
from rolevend.access_requests.circumstances import OFFER_GONE, Circumstances, Judgement, changed_offer, tally_now
from rolevend.access_requests.history import cool_down_end, open_requests
from rolevend.access_requests.request import Approval, OfferVersion, OtherRequest, Recorded, RequestedAccess, common_tables, whole_second
from rolevend.access_requests.rules import RuleApproval, RuleContext, evaluate_rules
from rolevend.access_requests.states import RequestReason, RequestState
from rolevend.access_requests.terms import Justification, OfferTerms
from rolevend.access_requests.votes import Tally

CONFIRM: Final = timedelta(minutes=10)
"""How long a request waits for the answer of the user."""
_NO_PAGE: Final = (
    "the offer asks for a justification that the user writes, and the user can write none: ask through rolevend's API, for a user "
    "whose IdentityProvider has spec.login"
)


def confirm_by(request: RequestedAccess, terms: OfferTerms) -> datetime:
    """Return the end of the time in which the user may confirm."""
    return whole_second(request.created_at) + min(CONFIRM, timedelta(seconds=terms.pending_seconds))


@dataclass(frozen=True, slots=True)
class PendingRequest:
    request: RequestedAccess
    recorded: Recorded
    now: Circumstances

    @property
    def _others(self) -> tuple[OtherRequest, ...]:
        return tuple(each for each in self.now.others if each.request.uid != self.request.uid)

    @property
    def _people_decide(self) -> bool:
        return self.recorded.reason is RequestReason.PEOPLE_DECIDE

    @property
    def _user_confirms(self) -> bool:
        return self.recorded.reason is RequestReason.USER_CONFIRMS

    def judge(self) -> Judgement:
        now, terms, offered = self.now, self.now.terms, self.recorded.offered
        votes = tally_now(self.request, self.recorded, now)
        if now.withdrawn_by is not None:
            return self._end(RequestState.CANCELLED, RequestReason.WITHDRAWN, f"withdrawn by {now.withdrawn_by}")
        if votes.denial is not None:
            return self._end(RequestState.DENIED, RequestReason.DENIED_BY_PERSON, f"denied by {votes.denial.by}")
        if not now.user_is_active and offered is not None:
            return self._end(RequestState.SUPERSEDED, RequestReason.USER_INACTIVE, "the user is not active any more")
        if offered is None and (terms is None or (now.digest is None and now.unknown is None and now.user_is_active)):
            return self._not_offered()
        changed = changed_offer(offered, now)
        if terms is None or changed is not None:
            return self._end(RequestState.SUPERSEDED, *(changed or OFFER_GONE))
        deadline = whole_second(self.request.created_at) + timedelta(seconds=terms.pending_seconds)
        answer = self.recorded.confirmation
        if answer is not None and not answer.confirms:
            return self._end(RequestState.CANCELLED, RequestReason.REFUSED_BY_USER, "the user refused it")
        if self._user_confirms and answer is None and whole_second(now.now) >= confirm_by(self.request, terms):
            message = "the user did not confirm it in time"
            return self._end(RequestState.EXPIRED, RequestReason.NOT_CONFIRMED, message)
        if whole_second(now.now) >= deadline:
            message = f"not decided within {terms.pending_seconds} seconds"
            return self._end(RequestState.EXPIRED, RequestReason.NOT_DECIDED, message)
        if now.unknown is not None or now.digest is None or not now.user_is_active:
            refusal = None if self._people_decide or self._user_confirms else self._too_many_open()
            return self._wait(deadline) if refusal is None else self._end(RequestState.DENIED, *refusal)
        offered = offered or OfferVersion(terms.uid, terms.generation, now.digest)
        return replace(self._decide(terms, offered, votes, deadline), offered=offered)

    def _wait(self, deadline: datetime) -> Judgement:
        cause = self.now.unknown or "no accepted UserAttributes names the user"  # they may be applied after the request
        reason, message = RequestReason.OFFER_NOT_READ, f"the offer is not read yet: {cause}"
        if (self._people_decide or self._user_confirms) and self.recorded.reason is not None:
            reason, message = self.recorded.reason, self.recorded.message
        return Judgement(RequestState.PENDING, reason, message, None, self.recorded.offered, deadline)

    def _decide(self, terms: OfferTerms, offered: OfferVersion, votes: Tally, deadline: datetime) -> Judgement:
        explanation = self.recorded.message.partition("; ")[2]
        if not self._people_decide:
            # Rules decide once, at the first judgement or after the user's answer: later an approval would come at a time that nobody
            # expects.
            refusal = None if self._user_confirms else self._refusal(terms)
            if refusal is not None:
                return self._end(RequestState.DENIED, *refusal)
            if terms.justification is Justification.USER and not self._is_confirmed(offered):
                message, until = "the user must confirm it on rolevend's page, and write why", confirm_by(self.request, terms)
                return Judgement(RequestState.PENDING, RequestReason.USER_CONFIRMS, message, look_again_at=until)
            context = RuleContext(self.now.attributes, self.now.agent_attributes, self._others, self.now.now)
            rules = evaluate_rules(self.request, terms, offered, context)
            if isinstance(rules, RuleApproval):
                return self._approve_by_rule(terms, rules)
            explanation = "; ".join(rules.refusals)
        if terms.required <= 0:
            message = f"no rule approves it, and people do not decide about this offer; {explanation}".removesuffix("; ")
            return self._end(RequestState.DENIED, RequestReason.NO_RULE_APPROVES, message)
        if len(votes.approvals) >= terms.required:
            return self._approve_by_people(terms, votes)
        message = f"people decide, {len(votes.approvals)} of {terms.required} needed approvals; {explanation}".removesuffix("; ")
        return Judgement(RequestState.PENDING, RequestReason.PEOPLE_DECIDE, message, look_again_at=deadline)

    def _is_confirmed(self, offered: OfferVersion) -> bool:
        answer = self.recorded.confirmation
        return answer is not None and answer.confirms and answer.digest == offered.digest

    def _refusal(self, terms: OfferTerms) -> tuple[RequestReason, str] | None:
        now = self.now
        if missing := missing_ask(self.request, terms):
            return RequestReason.ASK_INCOMPLETE, missing
        if terms.justification is Justification.USER and not self.now.can_confirm:
            return RequestReason.ASK_INCOMPLETE, _NO_PAGE
        if unmet := unmet_proof(terms.proof, self.request.login, self.request.created_at):
            return RequestReason.PROOF_NOT_MET, unmet
        if end := cool_down_end(self.request, self._others, now.cool_down):
            return RequestReason.COOL_DOWN, f"the same was denied lately; ask again after {end:%Y-%m-%dT%H:%M:%SZ}, and not before"
        return self._too_many_open()

    def _too_many_open(self) -> tuple[RequestReason, str] | None:
        if open_requests(self.request, self._others) < self.now.most_open:
            return None
        return RequestReason.TOO_MANY_OPEN, f"the agent has {self.now.most_open} open requests, its maximum"

    def _approve_by_people(self, terms: OfferTerms, votes: Tally) -> Judgement:
        approvers = tuple(each.approver for each in votes.approvals)
        names = ", ".join(each.by for each in approvers)
        tables = common_tables([self.request.tables, *(each.tables for each in approvers)])
        if tables is not None and not tables:
            message = f"{names} approved, but for tables that have none in common with each other and the request"
            return self._end(RequestState.DENIED, RequestReason.NOTHING_IN_COMMON, message)
        given = [each.expiration_seconds for each in approvers if each.expiration_seconds is not None]
        seconds = min(self.request.expiration_seconds, terms.longest_seconds, *given)
        approval = replace(self._approval(terms, seconds), approvers=approvers)
        message = f"approved by {names} for {seconds} seconds"
        return Judgement(RequestState.APPROVED, RequestReason.APPROVED_BY_PEOPLE, message, approval, look_again_at=approval.claim_until)

    def _approve_by_rule(self, terms: OfferTerms, rule: RuleApproval) -> Judgement:
        approval = replace(self._approval(terms, rule.seconds), rule=rule.rule.name)
        message = f"rule {rule.rule.name} approves it for {rule.seconds} seconds"
        return Judgement(RequestState.APPROVED, RequestReason.APPROVED_BY_RULE, message, approval, look_again_at=approval.claim_until)

    def _approval(self, terms: OfferTerms, seconds: int) -> Approval:
        decided = whole_second(self.now.now)
        return Approval(decided, decided + timedelta(seconds=terms.claim_seconds), seconds)

    def _not_offered(self) -> Judgement:
        # The same sentence for an offer that does not exist, and one that shows this user nothing.
        message = f"there is no AccessPolicy {self.request.offer} that offers this user something"
        return self._end(RequestState.DENIED, RequestReason.NOT_OFFERED, message)

    def _end(self, state: RequestState, reason: RequestReason, message: str) -> Judgement:
        return Judgement(state, reason, message, None, self.recorded.offered)
