"""Choose the ended requests whose objects are deleted. Pure.

Limits, cool-downs and precedents are counted from objects. So a request stays as long as one of them can be counted from it, also if there
are too many.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rolevend.access_requests.history import LONGEST_LIMIT, CoolDown, is_counted_denial
from rolevend.access_requests.request import OtherRequest
from rolevend.access_requests.terms import OfferTerms
from rolevend.model import ObjectName


@dataclass(frozen=True, slots=True)
class Retention:
    """How long ended requests stay."""

    time_to_live: timedelta
    """After the end."""
    most: int = 10_000
    """In each namespace, with the open ones. Beyond it those that ended first are deleted earlier."""
    cool_down: CoolDown = field(default_factory=CoolDown)


def requests_to_delete(
    requests: Iterable[OtherRequest], offers: Mapping[ObjectName, OfferTerms], terms: Retention, now: datetime
) -> list[OtherRequest]:
    """Return the requests to delete; those that ended first come first. `requests` are all."""
    by_namespace: dict[str, list[OtherRequest]] = defaultdict(list)
    for each in requests:
        by_namespace[each.request.name.namespace].append(each)
    found = [each for mine in by_namespace.values() for each in _of_namespace(mine, offers, terms, now)]
    return sorted(found, key=_ended_at)


def _of_namespace(
    requests: list[OtherRequest], offers: Mapping[ObjectName, OfferTerms], terms: Retention, now: datetime
) -> Iterator[OtherRequest]:
    left = len(requests)
    for each in sorted(filter(_is_final, requests), key=_ended_at):
        within = _longest_precedent(offers.get(each.request.offer))
        refuses_until = _refuses_until(each, within, terms.cool_down)
        is_old = now >= max(refuses_until, _precedent_until(each, within), _ended_at(each) + terms.time_to_live)
        if is_old or (left > terms.most and now >= refuses_until):
            left -= 1
            yield each


def _refuses_until(other: OtherRequest, longest_precedent: timedelta, cool_down: CoolDown) -> datetime:
    """Return until when others may be refused because of this request: by a limit, by a cool-down, or as a denial that ends precedents."""
    life, end = other.recorded, _ended_at(other)
    if is_counted_denial(life):
        end += max(cool_down.memory, longest_precedent)
    return end if life.approval is None else max(end, life.approval.decided_at + LONGEST_LIMIT)


def _precedent_until(other: OtherRequest, longest_precedent: timedelta) -> datetime:
    """Return until when the request may be a precedent."""
    approval = other.recorded.approval
    return _ended_at(other) if approval is None or approval.rule is not None else approval.decided_at + longest_precedent


def _longest_precedent(terms: OfferTerms | None) -> timedelta:
    spans = [] if terms is None else [each.precedent.within for each in terms.automatic if each.precedent is not None]
    return max(spans, default=timedelta())


def _ended_at(other: OtherRequest) -> datetime:
    return other.recorded.since or other.request.created_at


def _is_final(other: OtherRequest) -> bool:
    return other.recorded.state is not None and other.recorded.state.is_final
