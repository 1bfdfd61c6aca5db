"""An agent asks for an offer over HTTP, for a user with a token; a rule or people approve it, and a role shows it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from rolevend_client import Rolevend
from rolevend_client.langchain.access import RunAccess
from rolevend_client.run import Run
from tests.support.calling import Caller, Doors
from tests.support.proving import Proven
from tests.support.requesting import REQUESTS, ApiRequester
from tests.support.site import ANNEX, SCHEMA, WAREHOUSE, Site
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually

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
        assert spec["justification"] == {"text": "see (link removed) ＜b＞now＜/b＞"}
        assert "eyJ" not in str(spec)

    def test_a_redeemed_token_proves_no_request(self, requester: ApiRequester):
        requester.ready({"automatic": [RULE]})
        requester.caller.vended()  # from now on its profile is built
        token = requester.caller.proven.token()
        assert requester.caller.vend(userToken=token).status_code == 201

        refused = requester.ask(userToken=token)

        assert (refused.status_code, refused.json()["code"]) == (403, "TokenReplayed")

    def test_a_used_token_does_not_use_up_an_approval(self, requester: ApiRequester):
        requester.ready({"automatic": [RULE]})
        built = requester.vended(requester.asked("Approved"))
        assert requester.caller.release(built).status_code in (202, 204)
        request = requester.asked("Approved", ticket="second")  # the first one is found until the operator has seen its use
        token = requester.caller.proven.token()
        assert requester.caller.vend(userToken=token).status_code == 201

        refused = requester.vend(request, userToken=token)

        assert refused.json()["code"] == "TokenReplayed"
        assert not requester.offers.found(request["id"]).status.get("uses")
        assert requester.caller.rows(requester.vended(request), SSN) == CLEAR


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

        assert (found["state"], found["reason"]) == ("Denied", "DeniedByPerson")
        requester.refused(403, "CoolDown")

    def test_a_withdrawn_request_cannot_be_approved_any_more(self, requester: ApiRequester):
        request = requester.ready().asked("Pending")

        assert requester.caller.call("DELETE", f"{REQUESTS}/{request['id']}").status_code == 204

        found = requester.get(request, Prefer="wait=30")  # the deletion itself waits for two seconds
        assert (found["state"], found["reason"]) == ("Cancelled", "Withdrawn")
        assert requester.caller.proven.tenant.name in found["message"]
        assert requester.caller.call("DELETE", f"{REQUESTS}/{request['id']}").status_code == 204


class TestTwoReplicas:
    def test_they_get_the_same_request_at_once_and_make_one_object(self, requester: ApiRequester, second: ApiRequester):
        requester.ready()
        second.known()
        with ThreadPoolExecutor() as pool:
            answers = [each.result() for each in [pool.submit(one.ask) for one in (requester, second) * 4]]

        assert {each.status_code for each in answers} == {202}, [each.text for each in answers]
        (name,) = {each.json()["id"] for each in answers}
        listed = second.caller.call("GET", REQUESTS).json()["items"]
        assert [each["id"] for each in listed] == [name]
        requester.offers.found(name)

    def test_an_approval_that_is_used_at_both_at_once_gives_one_role(self, requester: ApiRequester, second: ApiRequester):
        requester.ready({"automatic": [RULE]})
        built = requester.vended(requester.asked("Approved"))
        assert requester.caller.release(built).status_code in (202, 204)
        request = requester.asked("Approved", ticket="second")  # the first one is found until the operator has seen its use
        for each in (requester, second):
            each.usable(request)

        with ThreadPoolExecutor() as pool:
            answers = [each.result() for each in [pool.submit(one.vend, request) for one in (requester, second)]]

        assert sorted(each.status_code for each in answers) == [201, 403], [each.text for each in answers]
        (refused,) = (each.json() for each in answers if each.status_code == 403)
        assert refused["code"] == "UsesGone"
        uses = requester.offers.found(request["id"]).status["uses"]
        assert [each["roleName"] for each in uses] == [each.json()["id"] for each in answers if each.status_code == 201]


class TestTheEnd:
    def test_a_deleted_yes_ends_the_role(self, requester: ApiRequester):
        request = requester.ready().asked("Pending")
        yes = requester.offers.vote(requester.offers.found(request["id"]))
        assert requester.get(request, Prefer="wait=30")["state"] == "Approved"
        role = requester.vended(request)

        requester.offers.site.remove(yes)

        eventually(lambda: requester.caller.stored(role) is None)
        eventually(lambda: requester.get(request)["state"] == "Revoked")
        assert requester.vend(request).json()["code"] == "NotApproved"

    def test_a_withdrawn_request_ends_its_role(self, requester: ApiRequester):
        request = requester.ready({"automatic": [RULE]}).asked("Approved")
        role = requester.vended(request)

        assert requester.caller.call("DELETE", f"{REQUESTS}/{request['id']}").status_code == 204

        eventually(lambda: requester.caller.stored(role) is None)
        eventually(lambda: requester.get(request)["state"] == "Revoked")


class TestOthers:
    @pytest.fixture
    def stranger(self, site: Site, doors: Doors) -> Iterator[ApiRequester]:
        """Another agent of the same namespace, with an offer of its own."""
        tenant = Tenant(site)
        yield ApiRequester(Caller(Proven(tenant), doors.first)).ready()
        tenant.leave()

    def test_a_request_of_another_agent_is_answered_as_one_that_does_not_exist(self, requester: ApiRequester, stranger: ApiRequester):
        request = requester.ready({"automatic": [RULE]}).asked("Approved")

        def told(answer: httpx.Response, name: str) -> tuple[int, dict[str, Any]]:
            document = {member: str(value).replace(name, "it") for member, value in answer.json().items() if member != "requestId"}
            return answer.status_code, document

        for method in ("GET", "DELETE"):
            theirs, nobodys = (told(stranger.caller.call(method, f"{REQUESTS}/{name}"), name) for name in (request["id"], "ar-nobodys"))
            assert theirs == nobodys
            assert theirs[0] == 404
        theirs, nobodys = (told(stranger.vend({"id": name}), name) for name in (request["id"], "ar-nobodys"))
        assert theirs == nobodys
        assert (theirs[0], theirs[1]["code"]) == (403, "NotApproved")
        assert stranger.caller.call("GET", REQUESTS).json()["items"] == []
        assert requester.get(request)["state"] == "Approved"

    def test_an_approval_is_for_its_user_and_its_platform(self, requester: ApiRequester):
        request = requester.ready({"automatic": [RULE]}).asked("Approved")

        another = requester.vend(request, "bert")
        elsewhere = requester.vend(request, platforms=[ANNEX])

        assert (another.status_code, another.json()["code"]) == (403, "NotApproved")
        assert (elsewhere.status_code, elsewhere.json()["code"]) == (403, "WrongPlatform")
        assert requester.get(request)["state"] == "Approved"


class TestWhatIsMissing:
    def test_an_offer_is_named_where_its_owner_lets_it_be(self, requester: ApiRequester):
        requester.ready({"discoverable": True, "automatic": [RULE]})
        offer = {
            "name": f"domain-claims/{requester.offers.offer_name}",
            "platform": "warehouse",
            "display": "SSNs in clear",
            "how": "Automatic",
            "upToSeconds": 600,
        }

        def offers() -> list[dict[str, Any]]:
            """As soon as the replica knows of the newest policy."""
            decided = requester.caller.call("POST", "/v1/decisions", requester.caller.question()).json()
            return list(decided["explanation"]["offers"])

        (found,) = eventually(offers)
        assert found.items() >= offer.items()
        assert f"{SCHEMA}.people: " in found["shows"]

    def test_an_agent_that_knows_nothing_but_the_denial_goes_on(self, requester: ApiRequester):
        payments = [{"schema": SCHEMA, "table": "payments"}]
        asks = {"ticket": {"pattern": "^FR-[0-9]+$"}}
        requester.ready(
            {"discoverable": True, "automatic": [RULE], "asks": asks},
            tables={"matchNames": [{"schema": SCHEMA, "name": "payments"}]},
            rowFilter="country = 'DE'",
        )
        requester.caller.vended()

        denied = eventually(lambda: answer if "accessRequest" in (answer := requester.caller.vend(resources=payments)).json() else None)
        hint = denied.json()["accessRequest"]
        decided = requester.caller.call("POST", "/v1/decisions", requester.caller.question(resources=payments)).json()

        assert (denied.status_code, decided["accessRequest"]) == (403, hint)
        assert hint["asks"] == ["userToken", "justification", "ticket"]
        added = {"userToken": requester.caller.proven.token(), "justification": "asked", "ticket": "FR-1"}

        def asked() -> httpx.Response:
            """Until the operator has judged it; the same is found again."""
            answer = requester.caller.call("POST", hint["endpoint"], hint["body"] | added)
            assert answer.status_code == 201, answer.text
            return answer

        answer = eventually(asked)
        requester.offers.found(answer.json()["id"])
        role = requester.vended(answer.json())
        assert requester.caller.rows(role, "SELECT count(*) FROM payments") == [(1,)]

    def test_a_secret_offer_and_an_unknown_table_are_answered_alike(self, requester: ApiRequester):
        requester.caller.proven.ready_to_ask()
        requester.offering(tables={"matchNames": [{"schema": SCHEMA, "name": "payments"}]}, rowFilter="country = 'DE'")

        def told(table: str) -> str:
            answer = requester.caller.vend(resources=[{"schema": SCHEMA, "table": table}])
            assert answer.status_code == 403
            return str({**answer.json(), "requestId": ""}).replace(table, "it")

        assert told("payments") == told("nothing_here")
        assert "'offers': [], 'sentence': 'table claims.it'" in told("payments")

    def test_a_model_cannot_tell_a_secret_offer_from_none_and_from_an_unknown_table(self, requester: ApiRequester):
        proven = requester.caller.proven
        proven.ready_to_ask()
        client = Rolevend(requester.caller.api.url, token=lambda: requester.caller.token)

        def wanted() -> dict[str, Any]:
            return {"user_token": proven.token(), "user": None, "platform": WAREHOUSE, "purpose": None, "resources": (), "task": None}

        requester.caller.vended()
        with client.vend(proven.token(), platform=WAREHOUSE) as role:
            access = RunAccess(Run(role), client, wanted)

            def told(table: str) -> str:
                return access.explain(f"{SCHEMA}.{table}").replace(table, "it")

            unknown, unoffered = told("nothing_here"), told("payments")
            requester.offering(tables={"matchNames": [{"schema": SCHEMA, "name": "payments"}]}, rowFilter="country = 'DE'")
            assert told("payments") == unoffered == unknown == told("nothing_here")
            assert "No offer that can be named shows it" in unknown
            assert told("people").count("Granted by ") == 1


class TestAuthZen:
    def test_an_evaluation_says_what_a_role_would_read(self, requester: ApiRequester):
        requester.caller.proven.ready_to_ask()

        def evaluated(column: str, table: str = "people") -> dict[str, Any]:
            properties = {"platform": "warehouse", "schema": SCHEMA, "table": table, "column": column}
            body = {
                "subject": {"type": "user", "id": "anna", "properties": {"userToken": requester.caller.proven.token()}},
                "action": {"name": "read"},
                "resource": {"type": "column", "id": column, "properties": properties},
            }
            answer = requester.caller.call("POST", "/access/v1/evaluation", body)
            assert answer.status_code == 200, answer.text
            return dict(answer.json())

        eventually(lambda: evaluated("full_name")["decision"])
        assert evaluated("full_name") == {"decision": True, "context": {"reason": "PolicyGrants", "shown": "Clear"}}
        assert evaluated("ssn")["context"]["shown"] == "Masked"
        assert evaluated("nothing")["context"]["reason"] == "ResourceNotGranted"
        assert evaluated("iban", "payments")["decision"] is False

    def test_the_metadata_name_the_calls(self, requester: ApiRequester):
        url = requester.caller.api.url

        found = requester.caller.call("GET", "/.well-known/authzen-configuration", token="").json()

        assert found == {
            "policy_decision_point": url,
            "access_evaluation_endpoint": f"{url}/access/v1/evaluation",
            "access_request_endpoint": f"{url}/access/v1/tasks",
            "capabilities": ["urn:openid:authzen:capability:access-request"],
        }


class TestTasks:
    def test_an_approval_of_another_conversation_is_of_no_use(self, requester: ApiRequester):
        requester.ready()
        request = requester.approved(task={"id": "chat-1"})

        for task in ({"id": "chat-2"}, None):
            refused = requester.vend(request, task=task)
            assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (403, "WrongTask", "approval")

        assert requester.vended(request, task={"id": "chat-1"})["roleName"]


class TestStepUp:
    def test_a_weak_login_is_answered_with_the_one_that_suffices(self, requester: ApiRequester):
        requester.ready({"automatic": [RULE], "proof": {"maxAuthAgeSeconds": 900, "acr": ["mfa"]}})

        def refused() -> httpx.Response | None:
            """The replica names the login as soon as it knows of the offer."""
            return answer if "WWW-Authenticate" in (answer := requester.refused(401, "ProofNotMet")).headers else None

        answer = eventually(refused)
        assert answer.json()["field"] == "userToken"
        challenge = 'Bearer error="insufficient_user_authentication", acr_values="mfa", max_age="900"'
        assert answer.headers["WWW-Authenticate"] == challenge

        now = requester.caller.proven.claims()["iat"]
        old = requester.caller.proven.token(acr="mfa", auth_time=now - 1000)
        requester.refused(401, "ProofNotMet", userToken=old)
        strong = requester.caller.proven.token(acr="mfa", auth_time=now - 60)
        request = requester.asked("Approved", userToken=strong)
        proven = requester.offers.found(request["id"]).body["spec"]["proven"]["token"]
        assert proven["acr"] == "mfa"
        assert "authTime" in proven

    def test_the_role_needs_that_login_too_and_not_only_the_request(self, requester: ApiRequester):
        requester.ready({"automatic": [RULE], "proof": {"maxAuthAgeSeconds": 900, "acr": ["mfa"]}})
        now = requester.caller.proven.claims()["iat"]
        request = requester.asked("Approved", userToken=requester.caller.proven.token(acr="mfa", auth_time=now - 60))
        requester.usable(request, userToken=requester.caller.proven.token(acr="mfa", auth_time=now - 60))

        for weak in ({}, {"acr": "mfa", "auth_time": now - 1000}, {"acr": "pwd", "auth_time": now}):
            refused = requester.vend(request, userToken=requester.caller.proven.token(**weak))
            assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (401, "ProofNotMet", "userToken")
            assert 'acr_values="mfa", max_age="900"' in refused.headers["WWW-Authenticate"]

        strong = requester.caller.proven.token(acr="mfa", auth_time=now - 60)
        assert requester.vended(request, userToken=strong)["roleName"]
