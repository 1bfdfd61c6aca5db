"""An agent asks for an offer over HTTP, for a user with a token; a rule or people approve it, and a role shows it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.calling import Caller, Doors
from tests.support.proving import Proven
from tests.support.requesting import REQUESTS, ApiRequester

SSN = "SELECT person_id, ssn FROM people ORDER BY 1"
HIDDEN, CLEAR = [(1, None), (2, None)], [(1, "900-01-0001"), (2, "900-01-0002")]
RULE = {"name": "small", "limits": {"perUserPerDay": 5}}


@pytest.fixture
def requester(proven: Proven, doors: Doors) -> ApiRequester:
    return ApiRequester(Caller(proven, doors.first))


@pytest.fixture
def second(requester: ApiRequester, doors: Doors) -> ApiRequester:
    """The same agent at the other replica."""
    return requester.at(doors.second)


class TestRules:
    def test_a_rule_approves_at_once_and_the_role_shows_the_values(self, requester: ApiRequester):
        requester.ready({"automatic": [RULE]})
        token = requester.caller.proven.token()

        request = requester.asked("Approved", userToken=token)

        assert request["approval"]["approvedBy"] == ["rule small"]
        assert (request["offer"]["display"], request["reason"]) == ("SSNs in clear", "ApprovedByRule")
        assert requester.caller.rows(requester.vended(request, userToken=token), SSN) == CLEAR
        assert requester.caller.rows(requester.caller.vended(), SSN) == HIDDEN

    def test_the_object_says_who_asked_and_how_the_user_is_proven(self, requester: ApiRequester):
        requester.ready({"automatic": [RULE]})

        request = requester.asked("Approved", justification="see https://evil.example.org <b>now</b>", ticket="FR-12")

        spec = requester.offers.found(request["id"]).body["spec"]
        assert (spec["delivery"], spec["proven"]["proof"], spec["ticket"]) == ("Response", "Token", "FR-12")
        assert spec["justification"] == {"text": "see (link removed) ＜b＞now＜/b＞", "writtenBy": "Agent"}
        assert "eyJ" not in str(spec)

    def test_a_redeemed_token_proves_no_request(self, requester: ApiRequester):
        requester.ready({"automatic": [RULE]})
        token = requester.caller.proven.token()
        assert requester.caller.vend(userToken=token).status_code == 201

        refused = requester.ask(userToken=token)

        assert (refused.status_code, refused.json()["code"]) == (403, "TokenReplayed")


class TestPeopleDecide:
    def test_an_agent_waits_for_their_decision(self, requester: ApiRequester):
        request = requester.ready().asked("Pending")
        assert request["reason"] == "PeopleDecide"

        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(requester.get, request, Prefer="wait=30")
            requester.offers.vote(requester.offers.found(request["id"]))
            found = waiting.result()

        assert (found["state"], found["approval"]["approvedBy"]) == ("Approved", ["alice@example.org"])
        assert requester.caller.rows(requester.vended(request), SSN) == CLEAR

    def test_the_end_of_the_wait_is_no_failure(self, requester: ApiRequester):
        request = requester.ready().asked("Pending")

        answer = requester.caller.call("GET", f"{REQUESTS}/{request['id']}", Prefer="respond-async, wait=1")

        assert (answer.status_code, answer.json()["state"]) == (200, "Pending")
        assert answer.headers["Preference-Applied"] == "wait=1"

    def test_a_no_is_told_with_its_reason(self, requester: ApiRequester):
        request = requester.ready().asked("Pending")
        requester.offers.vote(requester.offers.found(request["id"]), "Deny")

        found = requester.get(request, Prefer="wait=30")
        again = requester.ask()

        assert (found["state"], found["reason"]) == ("Denied", "DeniedByPerson")
        assert (again.status_code, again.json()["code"]) == (403, "CoolDown")

    def test_a_withdrawn_request_cannot_be_approved_any_more(self, requester: ApiRequester):
        request = requester.ready().asked("Pending")

        assert requester.caller.call("DELETE", f"{REQUESTS}/{request['id']}").status_code == 204

        found = requester.get(request)
        assert (found["state"], found["reason"]) == ("Cancelled", "Withdrawn")
        assert requester.caller.proven.tenant.name in found["message"]
        assert requester.caller.call("DELETE", f"{REQUESTS}/{request['id']}").status_code == 204


class TestTwoReplicas:
    def test_they_get_the_same_request_at_once_and_make_one_object(self, requester: ApiRequester, second: ApiRequester):
        requester.ready()
        with ThreadPoolExecutor() as pool:
            answers = [each.result() for each in [pool.submit(one.ask) for one in (requester, second) * 4]]

        assert {each.status_code for each in answers} == {202}, [each.text for each in answers]
        (name,) = {each.json()["id"] for each in answers}
        listed = second.caller.call("GET", REQUESTS).json()["items"]
        assert [each["id"] for each in listed] == [name]
        requester.offers.found(name)
