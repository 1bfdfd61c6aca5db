"""The limits of a rule, raced over three replicas of the API beside the one operator that decides: never one approval more."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from testbed.installation import ApiProcess
from tests.support.calling import Caller, Doors
from tests.support.proving import Proven
from tests.support.requesting import REQUESTS, ApiRequester
from tests.support.site import Body
from tests.support.waiting import eventually

EACH = 3
"""Requests at each of the three replicas at once."""


@pytest.fixture(scope="module")
def third(doors: Doors) -> Iterator[ApiProcess]:
    """A replica besides the other two."""
    api = doors.open()
    api.wait_until_ready()
    yield api
    api.stop()


@pytest.fixture
def requesters(proven: Proven, doors: Doors, third: ApiProcess) -> list[ApiRequester]:
    """One agent, at three replicas."""
    doors.site.ensure_operator()
    first = ApiRequester(Caller(proven, doors.first))
    return [first, first.at(doors.second), first.at(third)]


def raced(requesters: list[ApiRequester], begin: int = 0) -> list[Body]:
    """Different requests, all at once; their answers. `begin` tells these from other ones."""
    with ThreadPoolExecutor(EACH * len(requesters)) as pool:
        calls = [
            pool.submit(one.ask, expirationSeconds=100 + begin + number * len(requesters) + place)
            for number in range(EACH)
            for place, one in enumerate(requesters)
        ]
        answers: list[httpx.Response] = [each.result() for each in calls]
    assert {each.status_code for each in answers} <= {201, 202}, [each.text for each in answers]
    for each in answers:
        requesters[0].offers.found(each.json()["id"])  # so that it goes with the tenant
    return [eventually(lambda each=each: decided(requesters[0], each.json())) for each in answers]


def decided(requester: ApiRequester, request: Body) -> Body | None:
    """The request, judged: a replica waits for that, but not for long."""
    found = requester.get(request)
    return found if found.get("reason") in ("ApprovedByRule", "PeopleDecide") else None


def states(requests: list[Body]) -> list[str]:
    return sorted(each["state"] for each in requests)


@pytest.mark.thinned(3, "long")
@pytest.mark.parametrize("limit", ["liveAtOnce", "perUserPerDay", "perAgentPerHour"])
def test_no_limit_is_exceeded_whichever_replicas_are_asked_at_once(requesters: list[ApiRequester], limit: str):
    requesters[0].ready({"automatic": [{"name": "small", "limits": {limit: 2}}]})
    for each in requesters[1:]:
        each.known()

    answers = raced(requesters)

    assert states(answers) == ["Approved"] * 2 + ["Pending"] * (EACH * 3 - 2)
    assert all("is used up" in each["message"] for each in answers if each["state"] == "Pending")


def test_the_place_of_an_approval_that_ended_is_taken_once(requesters: list[ApiRequester]):
    first = requesters[0]
    first.ready({"automatic": [{"name": "small", "limits": {"liveAtOnce": 1}}]})
    for each in requesters[1:]:
        each.known()
    (taken,) = (each for each in raced(requesters) if each["state"] == "Approved")
    first.vended(taken)
    assert [each["state"] for each in raced(requesters[:1], 40)] == ["Pending"] * EACH

    assert first.caller.call("DELETE", f"{REQUESTS}/{taken['id']}").status_code == 204
    eventually(lambda: first.get(taken)["state"] == "Revoked")

    assert states(raced(requesters[1:], 60)) == ["Approved"] + ["Pending"] * (2 * EACH - 1)
