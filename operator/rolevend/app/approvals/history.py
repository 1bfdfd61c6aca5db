"""Precedents and used limits of an offer, counted from AccessRequests as the operator counts them. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from rolevend.kinds import AccessPolicy, AccessRequest
from rolevend.kinds.on_request import AutomaticApproval
from rolevend.kinds.vended_role import TableName

LATELY: Final = timedelta(days=30)
_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Precedents:
    """Earlier decisions of people about the same: agent, user, platform, offer, narrowing, purpose and effect."""

    approved: int
    """As requested: approvals that were narrowed, shortened or revoked do not count."""
    denied: int


@dataclass(frozen=True, slots=True)
class LimitUse:
    """One limit of an automatic rule, with the part that is used."""

    rule: str
    limit: str
    used: int
    most: int


def precedents(request: AccessRequest, others: Iterable[AccessRequest], now: datetime) -> Precedents:
    same = [each for each in others if each.uid != request.uid and _same_effect(each, request)]
    return Precedents(
        approved=sum(_approved_whole(each, request, now) for each in same),
        denied=sum(
            each.status.state == "Denied" and each.status.reason == "DeniedByPerson" and _is_within(each.status.state_since, now, LATELY)
            for each in same
        ),
    )


def limit_uses(request: AccessRequest, offer: AccessPolicy, others: Iterable[AccessRequest], now: datetime) -> tuple[LimitUse, ...]:
    """Return the limits of all rules, with their use by this user and this agent."""
    terms = offer.spec.on_request
    known = [each for each in others if each.spec.offer_ref == request.spec.offer_ref]
    rules = (terms.automatic or ()) if terms is not None else ()
    return tuple(use for rule in rules for use in _uses(rule, request, known, now))


def _uses(rule: AutomaticApproval, request: AccessRequest, known: Iterable[AccessRequest], now: datetime) -> Iterator[LimitUse]:
    approved = [each for each in known if each.status.approval is not None and each.status.approval.rule == rule.name]
    limits = rule.limits
    if limits.per_user_per_day is not None:
        used = sum(each.spec.user == request.spec.user and _decided_within(each, now, _DAY) for each in approved)
        yield LimitUse(rule.name, "a day for this user", used, limits.per_user_per_day)
    if limits.per_agent_per_hour is not None:
        used = sum(_agent(each) == _agent(request) and _decided_within(each, now, _HOUR) for each in approved)
        yield LimitUse(rule.name, "an hour for this agent", used, limits.per_agent_per_hour)
    if limits.live_at_once is not None:
        used = sum(each.status.state in ("Approved", "Used") for each in approved)
        yield LimitUse(rule.name, "at once", used, limits.live_at_once)


def _agent(request: AccessRequest) -> tuple[str, str]:
    return request.namespace, request.spec.agent_ref.name


def _same_effect(one: AccessRequest, other: AccessRequest) -> bool:
    before, now = one.status.offer, other.status.offer
    return _asked(one) == _asked(other) and before is not None and now is not None and (before.uid, before.digest) == (now.uid, now.digest)


def _asked(request: AccessRequest) -> tuple[Any, ...]:
    spec = request.spec
    return (
        *(_agent(request), spec.user, spec.platform_ref, spec.offer_ref, spec.purpose, _tables(spec.tables)),
        None if spec.columns is None else frozenset(spec.columns),
    )


def _tables(tables: tuple[TableName, ...] | None) -> frozenset[tuple[str, str]] | None:
    return None if tables is None else frozenset((each.schema_name, each.table) for each in tables)


def _approved_whole(before: AccessRequest, request: AccessRequest, now: datetime) -> bool:
    approval = before.status.approval
    return (
        approval is not None
        and approval.rule is None
        and before.status.state != "Revoked"
        and all(each.tables is None and each.masks is None for each in approval.approvers)
        and approval.expiration_seconds >= min(request.spec.expiration_seconds, before.spec.expiration_seconds)
        and _is_within(approval.decided_at, now, LATELY)
    )


def _decided_within(request: AccessRequest, now: datetime, longest: timedelta) -> bool:
    return request.status.approval is not None and _is_within(request.status.approval.decided_at, now, longest)


def _is_within(time: datetime | None, now: datetime, longest: timedelta) -> bool:
    return time is not None and now - time < longest
