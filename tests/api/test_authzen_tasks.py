"""The access request profile of AuthZEN, draft 1: a denial, a task for it, people or a rule, and the evaluation with the approval."""

from typing import Any

import httpx
import pytest

from tests.support.calling import Caller, Doors
from tests.support.proving import Proven
from tests.support.requesting import ApiRequester
from tests.support.site import DOMAIN, SCHEMA, Body
from tests.support.waiting import eventually

EVALUATION, TASKS = "/access/v1/evaluation", "/access/v1/tasks"
RULE = {"name": "small", "limits": {"perUserPerDay": 5}}
ASKED = {"business_justification": "the customer asked"}
ERROR = "urn:openid:authzen:access-request:error:"
OFFERED = {"tables": {"matchNames": [{"schema": SCHEMA, "name": "payments"}]}, "rowFilter": "country = 'DE'"}


class Pep:
    """A client of AuthZEN that knows nothing but the metadata."""

    def __init__(self, requester: ApiRequester) -> None:
        self.requester = requester
        self.caller = requester.caller
        metadata = self.caller.call("GET", "/.well-known/authzen-configuration", token="").json()
        assert metadata["capabilities"] == ["urn:openid:authzen:capability:access-request"]
        assert metadata["access_request_endpoint"] == f"{self.caller.api.url}{TASKS}"

    def tuple(self, column: str = "", table: str = "payments") -> Body:
        properties = {"platform": "warehouse", "schema": SCHEMA, "table": table, **({"column": column} if column else {})}
        return {
            "action": {"name": "read"},
            "resource": {"type": "column" if column else "table", "id": "mine", "properties": properties},
        }

    def subject(self, user: str = "anna") -> Body:
        return {"type": "user", "id": user, "properties": {"userToken": self.caller.proven.token(user)}}

    def evaluate(self, of: Body, user: str = "anna", **context: Any) -> Body:
        answer = self.caller.call("POST", EVALUATION, {"subject": self.subject(user), "context": context, **of})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def denied(self, of: Body, user: str = "anna") -> Body:
        """The denial of a requestable access, as a submission echoes it."""

        def found() -> Body:
            decision = self.evaluate(of, user)
            assert not decision["decision"]
            hint = decision["context"].get("access_request")
            assert hint, decision
            assert hint["endpoint"] == f"{self.caller.api.url}{TASKS}"
            assert hint["template"] == f"{DOMAIN}/{self.requester.offers.offer_name}"
            return {"binding_token": hint["binding_token"], "expires_at": hint["expires_at"], "reason": decision["context"]["reason"]}

        return dict(eventually(found))

    def submit(self, body: Body, key: str = "", user: str = "anna") -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        answer = self.caller.call("POST", TASKS, {"subject": self.subject(user), "context": ASKED, **body}, **headers)
        for each in str(answer.json().get("task", {}).get("id", "")).split("~"):
            if each:
                self.requester.offers.found(each)
        return answer

    def decided(self, body: Body) -> httpx.Response:
        """The answer to a submission as soon as a rule has approved it: the same is found again, and a call waits two seconds for that."""
        return eventually(lambda: answer if (answer := self.submit(body)).status_code != 202 else None)

    def get(self, task: Body, **headers: str) -> Body:
        path = task["status_endpoint"].removeprefix(self.caller.api.url)
        answer = self.caller.call("GET", path, **headers)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest.fixture
def requester(proven: Proven, doors: Doors) -> ApiRequester:
    return ApiRequester(Caller(proven, doors.first))


def offered(requester: ApiRequester, **on_request: Any) -> Pep:
    requester.ready({"discoverable": True, **on_request}, **OFFERED)
    return Pep(requester)


def test_a_rule_approves_at_once_and_the_next_evaluation_uses_the_approval(requester: ApiRequester):
    pep = offered(requester, automatic=[RULE])
    of = pep.tuple()

    answer = pep.decided({**of, "denial": pep.denied(of)})

    assert answer.status_code == 201, answer.text
    assert answer.json()["task"]["status"] == "approved", answer.text
    task, result = answer.json()["task"], answer.json()["result"]
    assert result["mode"] == "reevaluate"
    assert answer.headers["Location"] == task["status_endpoint"]
    assert pep.get(task) == answer.json()
    decided = pep.evaluate(of, approval=result["approval"])
    assert decided["decision"], decided
    assert decided["context"]["approval"]["id"] == result["approval"]["id"]
    assert not pep.evaluate(of)["decision"], "an approval is an input, and no grant"
    role = requester.vended({"id": result["approval"]["id"]})
    assert requester.caller.rows(role, "SELECT count(*) FROM payments")[0][0] > 0


def test_people_decide_and_the_task_waits_for_them(requester: ApiRequester):
    pep = offered(requester)
    of = pep.tuple("iban")

    answer = pep.submit({**of, "denial": pep.denied(of)})

    assert (answer.status_code, answer.headers["Retry-After"]) == (202, "2")
    task = answer.json()["task"]
    assert task["status"] == "pending"
    found = requester.offers.found(task["id"])
    assert (found.body["spec"]["columns"], found.body["spec"]["justification"]["text"]) == (["iban"], "the customer asked")
    yes = requester.offers.vote(found)
    done = pep.get(task, Prefer="wait=30")
    assert done["task"]["status"] == "approved"
    approval = done["result"]["approval"]
    assert eventually(lambda: pep.evaluate(of, approval=approval)["decision"])
    requester.offers.site.remove(yes)

    def over() -> bool:
        after = pep.evaluate(of, approval=approval)
        assert not after["decision"]
        assert (after["context"]["reason"], after["context"]["next_action"]) == ("NotApproved", "request")
        return "access_request" in after["context"]

    eventually(over)
    assert pep.get(task)["task"]["status"] == "approved", "a final status stays"


def test_an_approval_is_for_its_user_and_the_denied_access(requester: ApiRequester):
    pep = offered(requester, automatic=[RULE])
    of = pep.tuple("iban")
    approval = pep.decided({**of, "denial": pep.denied(of)}).json()["result"]["approval"]

    assert pep.evaluate(of, approval=approval)["decision"]
    for other, user in ((pep.tuple("country"), "anna"), (pep.tuple("full_name", "people"), "anna"), (of, "bert")):
        assert not pep.evaluate(other, user, approval=approval)["decision"]


def test_several_items_are_one_task_with_a_request_for_each(requester: ApiRequester):
    pep = offered(requester)
    wanted = [pep.tuple("iban"), pep.tuple("country")]
    items = [{**each, "denial": pep.denied(each)} for each in wanted]

    answer = pep.submit({"items": items})

    assert answer.status_code == 202, answer.text
    task = answer.json()["task"]
    names = task["id"].split("~")
    assert len(set(names)) == 2
    assert [each["resource"]["properties"]["column"] for each in task["items"]] == ["iban", "country"]
    requester.offers.vote(requester.offers.found(names[0]))
    eventually(lambda: [each["status"] for each in pep.get(task)["task"]["items"]] == ["approved", "pending"])
    assert pep.get(task)["task"]["status"] == "pending"
    cancelled = requester.caller.call("POST", pep.get(task)["task"]["links"]["cancel"].removeprefix(requester.caller.api.url))
    assert cancelled.status_code == 200, cancelled.text
    eventually(lambda: pep.get(task)["task"]["status"] == "partial")
    first, second = pep.get(task)["task"]["items"]
    assert (first["result"]["approval"]["id"], second["status"]) == (names[0], "cancelled")
    again = requester.caller.call("POST", f"{TASKS}/{task['id']}/cancel")
    assert (again.status_code, again.json()["type"]) == (409, f"{ERROR}invalid_task_state")


def test_a_denial_of_another_access_is_refused_the_item_is_named_and_nothing_is_left(requester: ApiRequester):
    pep = offered(requester)
    first, second = pep.tuple("iban"), pep.tuple("country")
    swapped = [{**first, "denial": pep.denied(first)}, {**second, "denial": pep.denied(first)}]

    refused = pep.submit({"items": swapped})

    assert (refused.status_code, refused.json()["type"]) == (400, f"{ERROR}invalid_denial_binding")
    assert refused.json()["field"] == "items.1.denial.binding_token"
    assert pep.submit({**first, "denial": pep.denied(first)}, user="bert").status_code == 400
    assert requester.caller.call("GET", "/access/v1/requests").json()["items"] == []


def test_the_same_key_is_the_same_task_and_another_body_is_a_conflict(requester: ApiRequester):
    pep = offered(requester)
    first, second = pep.tuple("iban"), pep.tuple("country")
    body = {**first, "denial": pep.denied(first)}
    task = pep.submit(body, "key-1").json()["task"]
    requester.caller.call("POST", f"{TASKS}/{task['id']}/cancel")
    eventually(lambda: pep.get(task)["task"]["status"] == "cancelled")

    again, another = pep.submit(body, "key-1"), pep.submit({**second, "denial": pep.denied(second)}, "key-1")

    assert (again.status_code, again.json()["task"]["id"], again.json()["task"]["status"]) == (201, task["id"], "cancelled")
    assert (another.status_code, another.json()["type"]) == (409, f"{ERROR}duplicate_request")


def test_what_cannot_be_requested_has_no_hint_secret_or_not(requester: ApiRequester):
    requester.caller.proven.ready_to_ask()
    requester.offering(None, **OFFERED)
    pep = Pep(requester)

    def context(table: str) -> str:
        found = pep.evaluate(pep.tuple(table=table))
        assert not found["decision"]
        return str(found["context"]).replace(table, "it")

    assert context("payments") == context("nothing_here")
    assert "access_request" not in context("payments")


@pytest.mark.parametrize("task", ["ar-nobodys", "ar-nobodys~ar-neither"])
def test_a_task_of_nobody_is_unknown(requester: ApiRequester, task: str):
    requester.ready()

    answer = requester.caller.call("GET", f"{TASKS}/{task}")

    assert (answer.status_code, answer.json()["type"]) == (404, f"{ERROR}unknown_task")


class TestIdempotencyOfOurOwnCall:
    def test_the_same_key_is_the_same_request_whatever_became_of_it(self, requester: ApiRequester):
        requester.ready()
        call = requester.caller.call

        def asked(key: str, **wanted: Any) -> httpx.Response:
            return call("POST", "/access/v1/requests", requester.body(**wanted), **{"Idempotency-Key": key})

        first = asked("key-1")
        assert first.status_code == 202, first.text
        requester.offers.found(first.json()["id"])
        assert asked("key-1").json()["id"] == first.json()["id"], "with another token of the same user"
        assert asked("key-2").json()["id"] == first.json()["id"], "an open request for the same is found"
        other = asked("key-1", expirationSeconds=60)
        assert (other.status_code, other.json()["code"], other.json()["field"]) == (409, "IdempotencyConflict", "Idempotency-Key")
        assert asked("key-1", subject="bert").status_code == 409
        call("DELETE", f"/access/v1/requests/{first.json()['id']}")
        assert requester.get(first.json(), Prefer="wait=30")["state"] == "Cancelled"
        ended = asked("key-1")
        assert (ended.status_code, ended.json()["code"]) == (403, "Withdrawn")
