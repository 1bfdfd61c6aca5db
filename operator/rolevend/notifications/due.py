"""Which receivers must still be notified of an AccessRequest. Pure: the records in its status say who was notified."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from rolevend.access_requests.states import RequestReason, RequestState
from rolevend.access_requests.terms import OfferTerms
from rolevend.kinds import AccessRequest
from rolevend.model import Uid
from rolevend.notifications.receivers import Occasion, Receivers

_LONGEST_AGE: Final = timedelta(hours=1)
"""Of a decision that is news."""
_MOST_IN_VAIN: Final = 10
_IN_VAIN: Final = timedelta(minutes=10)
"""How long a call about a request that was withdrawn before its decision counts against its agent."""


@dataclass(frozen=True, slots=True)
class DueNotification:
    uid: Uid
    """Of the AccessRequest."""
    receiver: str
    occasion: Occasion


def due_notifications(request: AccessRequest, terms: OfferTerms | None, receivers: Receivers, now: datetime) -> Iterator[DueNotification]:
    """Yield those that nothing records, also for unknown names of an offer, so that their failure is recorded. `terms` are those of the
    offer; None: it is gone. Receivers that were notified of the request are notified of its decision."""
    uid, recorded = Uid(request.uid), {(each.receiver, each.event): each.state for each in request.status.notifications}
    if waits_for_people(request):
        names = () if terms is None else receivers.names(terms.notify)
        found = [DueNotification(uid, name, Occasion.PENDING) for name in names]
    elif recorded and _is_news(request, now):
        notified = [name for (name, event), state in recorded.items() if (event, state) == (Occasion.PENDING.value, "Delivered")]
        found = [DueNotification(uid, name, Occasion.DECIDED) for name in notified if _hears_decisions(name, receivers)]
    else:
        found = []
    yield from (each for each in found if (each.receiver, each.occasion.value) not in recorded)


def waits_for_people(request: AccessRequest) -> bool:
    return (request.status.state, request.status.reason) == (RequestState.PENDING.value, RequestReason.PEOPLE_DECIDE.value)


def calls_in_vain(requests: Iterable[AccessRequest], now: datetime) -> bool:
    """True if receivers were notified lately of so many requests of this agent, which it withdrew, that its next one waits. Otherwise an
    agent that asks and withdraws, again and again, floods them: a withdrawn request is neither open nor a no."""
    return sum(_was_in_vain(each, now) for each in requests) >= _MOST_IN_VAIN


def _was_in_vain(request: AccessRequest, now: datetime) -> bool:
    is_withdrawn = (request.status.state, request.status.reason) == (RequestState.CANCELLED.value, RequestReason.WITHDRAWN.value)
    return is_withdrawn and any(each.event == Occasion.PENDING.value and now - each.at < _IN_VAIN for each in request.status.notifications)


def _hears_decisions(name: str, receivers: Receivers) -> bool:
    receiver = receivers.by_name.get(name)
    return receiver is not None and receiver.hears_decisions


def _is_news(request: AccessRequest, now: datetime) -> bool:
    since = request.status.state_since
    return request.status.state not in (None, RequestState.PENDING.value) and since is not None and now - since < _LONGEST_AGE
