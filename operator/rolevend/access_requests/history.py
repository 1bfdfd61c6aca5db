"""Count limits, precedents, cool-downs and budgets from the other requests. Memory counts nothing, so a restart forgets nothing."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rolevend.access_requests.request import Approval, OfferVersion, OtherRequest, Recorded, RequestedAccess, whole_second
from rolevend.access_requests.states import COUNTED_DENIALS, RequestReason, RequestState
from rolevend.access_requests.terms import AutomaticRule, Limits

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
LONGEST_LIMIT = _DAY
"""No limit of a rule counts older approvals."""


@dataclass(frozen=True, slots=True)
class CoolDown:
    """The time in which the same agent, for the same user, must not ask for the same offer again. It doubles with each denial."""

    first: timedelta = timedelta(minutes=5)
    longest: timedelta = timedelta(days=1)
    memory: timedelta = timedelta(days=7)
    """Older denials do not count. An approval that was not revoked ends the series, too."""


@dataclass(frozen=True, slots=True)
class LimitUse:
    """One limit of an automatic rule, with the part that is used."""

    rule: str
    limit: str
    """Its unit, such as `a day for a user`."""
    used: int
    most: int


@dataclass(frozen=True, slots=True)
class Precedents:
    """Earlier decisions of people about the same request."""

    approved: int
    denied: int
    """Denials of any request of the same agent for the same user and offer: each ends the approvals before it."""


def cool_down_end(request: RequestedAccess, others: Iterable[OtherRequest], terms: CoolDown) -> datetime | None:
    """Return the end of the cool-down in which `request` was made, or None."""
    mine = [each for each in others if _same_asker(each.request, request)]
    oldest = max([whole_second(request.created_at) - terms.memory, *_approvals(mine)])
    denials = [each for each in _denials(mine) if each >= oldest]
    if not denials:
        return None
    length = terms.first
    for _ in denials[1:]:
        length = min(2 * length, terms.longest)
    end = max(denials) + min(length, terms.longest)
    return end if whole_second(request.created_at) < end else None


def open_requests(request: RequestedAccess, others: Iterable[OtherRequest]) -> int:
    """Return the number of other open requests of the agent. Of requests that were not judged yet, earlier ones count."""
    return sum(each.request.agent == request.agent and _counts_as_open(each, request) for each in others)


def limit_uses(rule: AutomaticRule, request: RequestedAccess, others: Iterable[OtherRequest], now: datetime) -> tuple[LimitUse, ...]:
    """Return the limits of the rule, with their use by the user and the agent of the request."""
    limits: Limits = rule.limits
    approved = [each for each in others if each.request.offer == request.offer and _rule_of(each) == rule.name]
    of_user = sum(each.request.user == request.user and _is_within(each, now, _DAY) for each in approved)
    of_agent = sum(each.request.agent == request.agent and _is_within(each, now, _HOUR) for each in approved)
    live = sum(each.recorded.state is not None and each.recorded.state.is_live for each in approved)
    return tuple(
        LimitUse(rule.name, unit, count, limit)
        for limit, count, unit in (
            (limits.per_user_per_day, of_user, "a day for a user"),
            (limits.per_agent_per_hour, of_agent, "an hour for an agent"),
            (limits.live_at_once, live, "at once"),
        )
        if limit is not None
    )


def exceeded_limit(rule: AutomaticRule, request: RequestedAccess, others: Iterable[OtherRequest], now: datetime) -> str | None:
    """Return the limit of the rule that is used up, or None."""
    used_up = next((each for each in limit_uses(rule, request, others, now) if each.used >= each.most), None)
    return None if used_up is None else f"its limit of {used_up.most} {used_up.limit} is used up"


def precedents(
    request: RequestedAccess, offered: OfferVersion, others: Sequence[OtherRequest], seconds: int, within: timedelta, now: datetime
) -> Precedents:
    """Count what people decided about the same request within this time. The same request has the same agent, user, platform, narrowing,
    purpose and effect. An approval that was narrowed, shorter than `seconds`, revoked, or followed by a denial is no precedent."""
    denials = list(_denials(each for each in others if _same_asker(each.request, request) and _by_person(each)))
    last_denial = max(denials, default=None)
    approvals = [
        each
        for each in others
        if each.recorded.approval is not None
        and each.recorded.state is not RequestState.REVOKED
        and _same_effect(each, request, offered)
        and _is_whole(each.recorded.approval, seconds)
        and _is_within(each, now, within)
        and (last_denial is None or whole_second(each.recorded.approval.decided_at) > last_denial)
    ]
    return Precedents(len(approvals), sum(whole_second(now) - each < within for each in denials))


def lacks_precedent(
    rule: AutomaticRule, request: RequestedAccess, offered: OfferVersion, others: Sequence[OtherRequest], seconds: int, now: datetime
) -> str | None:
    """Return a sentence if people approved the same request too rarely, or None."""
    if rule.precedent is None:
        return None
    found = precedents(request, offered, others, seconds, rule.precedent.within, now).approved
    if found >= rule.precedent.approved_by_people:
        return None
    return f"people approved the same {found} times lately, and it needs {rule.precedent.approved_by_people}"


def is_counted_denial(recorded: Recorded) -> bool:
    """True if the end starts a cool-down, and ends precedents if it is of a person: a denial, a revocation by one, or the user's no."""
    if recorded.state is RequestState.REVOKED:
        return recorded.reason is RequestReason.DENIED_BY_PERSON
    if recorded.state is RequestState.CANCELLED:
        return recorded.reason is RequestReason.REFUSED_BY_USER
    return recorded.state is RequestState.DENIED and recorded.reason in COUNTED_DENIALS


def _same_asker(one: RequestedAccess, other: RequestedAccess) -> bool:
    return (one.agent, one.user, one.offer) == (other.agent, other.user, other.offer)


def _denials(others: Iterable[OtherRequest]) -> Iterator[datetime]:
    for each in others:
        if is_counted_denial(each.recorded) and each.recorded.since is not None:
            yield whole_second(each.recorded.since)


def _approvals(others: Iterable[OtherRequest]) -> Iterator[datetime]:
    for each in others:
        if each.recorded.approval is not None and each.recorded.state is not RequestState.REVOKED:
            yield whole_second(each.recorded.approval.decided_at)


def _by_person(other: OtherRequest) -> bool:
    return other.recorded.reason in (RequestReason.DENIED_BY_PERSON, RequestReason.REFUSED_BY_USER)


def _counts_as_open(other: OtherRequest, request: RequestedAccess) -> bool:
    if other.recorded.state is not None:
        return other.recorded.is_open
    return _age(other.request) < _age(request)


def _age(request: RequestedAccess) -> tuple[datetime, str]:
    return whole_second(request.created_at), request.uid


def _rule_of(other: OtherRequest) -> str | None:
    return other.recorded.approval.rule if other.recorded.approval is not None else None


def _is_within(other: OtherRequest, now: datetime, span: timedelta) -> bool:
    """True if the approval is younger than `span`. One from the future is: clocks differ."""
    approval = other.recorded.approval
    return approval is not None and whole_second(now) - whole_second(approval.decided_at) < span


def _same_effect(other: OtherRequest, request: RequestedAccess, offered: OfferVersion) -> bool:
    one, before = other.request, other.recorded.offered
    return (
        _same_asker(one, request)
        and (one.platform, one.narrowing, one.purpose) == (request.platform, request.narrowing, request.purpose)
        and before is not None
        and (before.uid, before.digest) == (offered.uid, offered.digest)
    )


def _is_whole(approval: Approval, seconds: int) -> bool:
    """True if people approved all that was asked for, for at least `seconds`."""
    whole = all(each.tables is None and not each.masks for each in approval.approvers)
    return approval.rule is None and whole and approval.expiration_seconds >= seconds
