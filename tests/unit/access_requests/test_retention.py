"""Which ended requests are deleted, and that no limit, cool-down or precedent is evaded by it."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from rolevend.access_requests.request import OtherRequest
from rolevend.access_requests.retention import Retention, requests_to_delete
from rolevend.access_requests.states import RequestReason, RequestState
from rolevend.model import ObjectName, Uid
from tests.support.asking import OFFER, after, approved, denied, other, precedent, rule, terms

DAY = 24 * 3600
SHORT = Retention(timedelta(seconds=60))
OFFERS = {OFFER: terms(automatic=(rule(precedent=precedent(2)),))}


def deleted(requests: list[OtherRequest], now: datetime, retention: Retention = SHORT, offers: object = None) -> list[str]:
    found = requests_to_delete(requests, OFFERS if offers is None else {}, retention, now)
    return [each.request.uid for each in found]


def ended(number: int, state: RequestState = RequestState.EXPIRED, at: float = 0) -> OtherRequest:
    return other(number, at, state=state, reason=RequestReason.NOT_DECIDED, since=after(at))


def test_a_request_goes_so_long_after_its_end_and_not_before():
    request = ended(1)

    assert deleted([request], after(59)) == []
    assert deleted([request], after(60)) == ["request-1"]


@pytest.mark.parametrize("state", [each for each in RequestState if not each.is_final])
def test_an_open_request_stays(state: RequestState):
    assert deleted([other(1, state=state)], after(999 * DAY), Retention(timedelta(), most=0)) == []


def test_an_approval_by_a_rule_stays_as_long_as_its_longest_limit_also_beyond_the_cap():
    lapsed = approved(1, 0, state=RequestState.LAPSED, since=after(3600))

    for retention in (SHORT, replace(SHORT, most=0)):
        assert deleted([lapsed], after(DAY - 61), retention, offers={}) == []
        assert deleted([lapsed], after(DAY + 3600), retention, offers={}) == ["request-1"]


def test_a_counted_denial_stays_as_long_as_the_memory_of_cool_downs_and_another_one_does_not():
    counted, cool = denied(1, 0), denied(2, 0, RequestReason.COOL_DOWN)

    for retention in (SHORT, replace(SHORT, most=0)):
        assert deleted([counted, cool], after(7 * DAY - 1), retention, offers={}) == ["request-2"]
        assert deleted([counted, cool], after(7 * DAY), retention, offers={}) == ["request-1", "request-2"]


def test_a_revocation_by_a_denial_stays_as_long_as_a_denial():
    revoked = approved(1, 0, state=RequestState.REVOKED, reason=RequestReason.DENIED_BY_PERSON, since=after(60))

    for retention in (SHORT, replace(SHORT, most=0)):
        assert deleted([revoked], after(7 * DAY + 59), retention, offers={}) == []
        assert deleted([revoked], after(30 * DAY + 59), retention) == []
        assert deleted([revoked], after(30 * DAY + 60), retention) == ["request-1"]


def test_what_is_a_precedent_or_ends_one_stays_as_long_as_the_offer_looks_back():
    spent = approved(1, 0, None, state=RequestState.SPENT, since=after(900))

    assert deleted([spent, denied(2, 0)], after(30 * DAY - 61)) == []
    assert deleted([spent, denied(2, 0)], after(30 * DAY + 900)) == ["request-2", "request-1"]


def test_beyond_the_cap_those_that_ended_first_go_and_each_namespace_has_a_cap_of_its_own():
    many = [ended(number, at=number) for number in range(1, 6)]
    elsewhere = ended(9)
    elsewhere = replace(elsewhere, request=replace(elsewhere.request, name=ObjectName("others", "ar-9"), uid=Uid("request-9")))
    long = Retention(timedelta(days=30), most=3)

    assert deleted([*reversed(many), elsewhere, other(8)], after(10), long) == ["request-1", "request-2", "request-3"]
