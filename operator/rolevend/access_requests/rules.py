"""Automatic rules of an offer: the first that matches approves, within its limits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from rolevend.access_requests.history import exceeded_limit, lacks_precedent
from rolevend.access_requests.request import OfferVersion, OtherRequest, RequestedAccess
from rolevend.access_requests.terms import AutomaticRule, OfferTerms
from rolevend.model import Attributes
from rolevend.policy.condition import Answers
from rolevend.policy.request_context import RequestContext


@dataclass(frozen=True, slots=True)
class RuleContext:
    """The facts that rules read, beside the request and its offer."""

    attributes: Attributes
    """Of the user."""
    agent_attributes: Attributes
    others: Sequence[OtherRequest]
    now: datetime


@dataclass(frozen=True, slots=True)
class RuleApproval:
    """A rule approves, for so many seconds."""

    rule: AutomaticRule
    seconds: int


@dataclass(frozen=True, slots=True)
class NoRuleApproves:
    refusals: tuple[str, ...]
    """For each rule the reason why it does not apply, without any value of the user."""


def evaluate_rules(
    request: RequestedAccess, terms: OfferTerms, offered: OfferVersion, context: RuleContext
) -> RuleApproval | NoRuleApproves:
    """Return the approval of the first rule that applies, or why none does."""
    asking = RequestContext(
        user=request.user,
        agent=request.agent,
        agent_attributes=context.agent_attributes,
        platform=request.platform,
        purpose=request.purpose,
        expiration_seconds=request.expiration_seconds,
    )
    answers = Answers(context.attributes, asking)
    refusals = []
    for rule in terms.automatic:
        seconds = min(request.expiration_seconds, terms.longest_seconds, *([] if rule.longest_seconds is None else [rule.longest_seconds]))
        reason = next(_refusals(rule, answers, request, offered, context, seconds), None)
        if reason is None:
            return RuleApproval(rule, seconds)
        refusals.append(f"rule {rule.name}: {reason}")
    return NoRuleApproves(tuple(refusals))


def _refusals(
    rule: AutomaticRule, answers: Answers, request: RequestedAccess, offered: OfferVersion, context: RuleContext, seconds: int
) -> Iterator[str]:
    for condition in rule.conditions:
        if unmet := answers.unmet(condition):
            yield f"condition {condition.name} {unmet}"
    if exceeded := exceeded_limit(rule, request, context.others, context.now):
        yield exceeded
    if lacking := lacks_precedent(rule, request, offered, context.others, seconds, context.now):
        yield lacking
