"""Precedents and used limits of an offer, as the operator counts them. Pure."""

import contextlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from rolevend.access_requests import history
from rolevend.access_requests.history import LimitUse, Precedents
from rolevend.access_requests.request import OtherRequest
from rolevend.errors import InvalidInput
from rolevend.kinds import AccessPolicy, AccessRequest
from rolevend.kinds.access_request_facts import recorded, requested_access
from rolevend.kinds.offer_terms import read_terms
from rolevend.kinds.parse import Faults

LATELY: Final = timedelta(days=30)


def precedents(request: AccessRequest, others: Iterable[AccessRequest], now: datetime) -> Precedents:
    offered = recorded(request).offered
    if offered is None:
        return Precedents(0, 0)
    asked = requested_access(request)
    return history.precedents(asked, offered, _known(request, others), asked.expiration_seconds, LATELY, now)


def limit_uses(request: AccessRequest, offer: AccessPolicy, others: Iterable[AccessRequest], now: datetime) -> tuple[LimitUse, ...]:
    """Return the limits of all rules, with their use by this user and this agent."""
    if offer.spec.on_request is None:
        return ()
    terms = read_terms(offer, offer.spec.on_request, Faults())
    asked, known = requested_access(request), _known(request, others)
    return tuple(use for rule in terms.automatic for use in history.limit_uses(rule, asked, known, now))


def _known(request: AccessRequest, others: Iterable[AccessRequest]) -> list[OtherRequest]:
    """Return the other requests that can be read: the operator counts no others."""
    found = []
    for each in others:
        with contextlib.suppress(InvalidInput):
            if each.uid != request.uid:
                found.append(OtherRequest(requested_access(each), recorded(each)))
    return found
