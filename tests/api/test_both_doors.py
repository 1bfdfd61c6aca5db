"""A request that was made at one door, and a role at the other one: with kubectl, and over HTTP. The agent and the user are the same."""

import pytest

from tests.support.calling import Caller, Doors
from tests.support.proving import Proven
from tests.support.requesting import ApiRequester
from tests.support.site import Body
from tests.support.waiting import eventually

RULE = {"name": "small", "limits": {"perUserPerDay": 5}}
SSN = "SELECT person_id, ssn FROM people ORDER BY 1"
CLEAR = [(1, "900-01-0001"), (2, "900-01-0002")]


@pytest.fixture
def requester(proven: Proven, doors: Doors) -> ApiRequester:
    return ApiRequester(Caller(proven, doors.first)).ready({"automatic": [RULE]})


def asked_with_kubectl(requester: ApiRequester) -> Body:
    """The agent's approved request for anna, with her token in a Secret."""
    proven = requester.caller.proven
    made = requester.offers.ask(user=proven.user(), userTokenSecretRef=proven.secret(proven.token()))
    made.is_now("Approved")
    return {"id": made.name}


def test_a_role_over_http_uses_a_request_that_was_made_with_kubectl(requester: ApiRequester):
    request = asked_with_kubectl(requester)

    role = requester.vended(request)

    assert requester.caller.rows(role, SSN) == CLEAR
    eventually(lambda: requester.get(request)["state"] == "Used")  # by the operator, behind the use
    (use,) = requester.offers.found(request["id"]).status["uses"]
    assert use["roleName"] == role["id"]
    again = requester.vend(request)
    assert (again.status_code, again.json()["code"]) == (403, "UsesGone")


def test_its_end_ends_the_role(requester: ApiRequester):
    request = asked_with_kubectl(requester)
    role = requester.vended(request)

    requester.offers.site.remove(requester.offers.found(request["id"]).body)

    eventually(lambda: requester.caller.stored(role) is None)


def test_a_role_with_kubectl_uses_a_request_that_was_made_over_http(requester: ApiRequester):
    request, proven = requester.asked("Approved"), requester.caller.proven

    role = proven.ask(proven.token(), wanted={"approvalRef": {"name": request["id"]}}).ready()

    assert role.rows(SSN) == CLEAR
    eventually(lambda: requester.get(request)["state"] == "Used")


def test_an_agent_that_asserts_the_user_cannot_use_what_a_token_asked_for(requester: ApiRequester):
    """At neither door, although it may act for the user without a token."""
    request, proven = requester.asked("Approved"), requester.caller.proven
    requester.trusted()

    def refused_over_http() -> None:
        answer = requester.vend(request, userToken=None, user=proven.user())
        assert (answer.status_code, answer.json()["code"]) == (403, "UserNotProven"), answer.text
        assert "request the role with a token of the user, too" in answer.json()["detail"]

    eventually(lambda: refused_over_http() is None)
    assert "with a token of the user" in proven.ask(None, wanted={"approvalRef": {"name": request["id"]}}).refused("UserNotProven")
    assert requester.get(request)["state"] == "Approved"
    assert requester.vended(request)["user"]["proof"] == "Token"


def test_a_user_whom_the_agent_asserts_is_the_same_at_both_doors(requester: ApiRequester):
    tenant = requester.offers.tenant
    requester.trusted()
    tenant.person()
    made = requester.offers.ask()
    made.is_now("Approved")

    role = requester.vended({"id": made.name}, userToken=None, user=tenant.user())

    assert requester.caller.rows(role, SSN) == CLEAR
    assert role["user"]["proof"] == "Asserted"
